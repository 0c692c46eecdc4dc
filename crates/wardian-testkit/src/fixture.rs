//! A policy tried out: the same rules, but temporary directories and doubles of tools.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tempfile::TempDir;
use wardian::{
    Gate, Log, Policy, Sandbox, Script, Tool, ToolError,
    policy::{Access, Action, GrantError},
    tool::ToolDefinitionError,
};

use crate::doubles::{own_double, unanswered};
use crate::{Doubles, RunResult, runtime};

/// Tools that are not doubled: they work on the fixture's own directories.
const FILE_TOOLS: &[&str] = &["read_file", "write_file", "list_dir"];

/// A policy, with directories and tools that are there for a test only.
///
/// Every directory that the policy grants is an empty temporary one, under the same path for
/// scripts. The ready tools for files work in these; other ready tools fail until
/// [`answering`](Self::answering) says what they answer. Nobody approves of calls until
/// [`approving`](Self::approving). All that happens is recorded in memory.
#[derive(Debug)]
pub struct Fixture {
    policy: Policy,
    tools: Vec<Tool>,
    calls: Arc<Mutex<Vec<RecordedCall>>>,
    approving: bool,
    /// Dropped last, when nothing uses it any more.
    dir: TempDir,
}

/// A call that a double has answered.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RecordedCall {
    /// The tool.
    pub tool: String,
    /// Its arguments as its handler would get them, defaults filled in.
    pub args: Value,
}

/// A reason for which a fixture can't be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FixtureError {
    /// A temporary file or directory.
    #[error("cannot prepare {}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// A path that is not in a directory that the policy grants.
    #[error("{0} is not in a directory that the policy grants")]
    NotGranted(String),
    /// The policy's directories.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The policy configures a ready tool wrongly.
    #[error(transparent)]
    Config(#[from] wardian_tools::ConfigError),
    /// A double.
    #[error(transparent)]
    Tool(#[from] ToolDefinitionError),
    /// The policy is wrong about a tool.
    #[error(transparent)]
    Wardian(#[from] wardian::Error),
}

impl Fixture {
    /// A fixture for `policy`.
    ///
    /// # Errors
    ///
    /// [`FixtureError`] if the policy tells a ready tool what it does not understand, or there is
    /// no room for temporary files.
    pub fn new(policy: Policy) -> Result<Self, FixtureError> {
        Self::in_directory(policy, &std::env::temp_dir())
    }

    /// The same, with its directories in `parent`.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn in_directory(policy: Policy, parent: &Path) -> Result<Self, FixtureError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| FixtureError::Io { path, error }
        };
        let dir = tempfile::Builder::new()
            .prefix("wardian-")
            .tempdir_in(parent)
            .map_err(failed(parent))?;
        let tools = wardian_tools::declared(&policy)?;
        let mut number = 0;
        let policy = policy.with_hosts(|_| {
            number += 1;
            dir.path().join(format!("grant-{number}"))
        })?;
        for grant in policy.grants() {
            fs::create_dir(grant.host()).map_err(failed(grant.host()))?;
        }
        let mut fixture = Self {
            policy,
            tools: Vec::new(),
            calls: Arc::default(),
            approving: false,
            dir,
        };
        for tool in tools {
            if !FILE_TOOLS.contains(&tool.name()) {
                fixture.double(tool, move |_| Err(unanswered()));
            } else {
                fixture.tools.push(tool);
            }
        }
        Ok(fixture)
    }

    /// The same fixture with this file, at the path under which scripts find it.
    ///
    /// # Errors
    ///
    /// If the policy does not grant its directory, or it can't be written.
    pub fn with_file(self, path: &str, content: impl AsRef<[u8]>) -> Result<Self, FixtureError> {
        let host = self
            .host_path(path)
            .ok_or_else(|| FixtureError::NotGranted(path.to_owned()))?;
        let written = host
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&host, content));
        match written {
            Ok(()) => Ok(self),
            Err(error) => Err(FixtureError::Io { path: host, error }),
        }
    }

    /// The same fixture, in which the ready tool of this name answers so. One that the policy does
    /// not grant stays out of reach.
    pub fn answering(
        mut self,
        tool: &str,
        answer: impl Fn(&Value) -> Result<Value, ToolError> + Send + Sync + 'static,
    ) -> Self {
        if let Some(at) = self.tools.iter().position(|known| known.name() == tool) {
            let tool = self.tools.remove(at);
            self.double(tool, answer);
        }
        self
    }

    /// The same fixture with a double of a tool of the host's own: it does `action`, takes these
    /// arguments, of which the first names its resource, and answers so.
    ///
    /// # Errors
    ///
    /// If there can be no such tool.
    pub fn with_double(
        mut self,
        name: &str,
        action: Action,
        arguments: &[&str],
        answer: impl Fn(&Value) -> Result<Value, ToolError> + Send + Sync + 'static,
    ) -> Result<Self, FixtureError> {
        self.double(own_double(name, action, arguments)?, answer);
        Ok(self)
    }

    /// The same fixture with this tool, as it is.
    #[must_use]
    pub fn with_tool(mut self, tool: Tool) -> Self {
        self.tools.retain(|known| known.name() != tool.name());
        self.tools.push(tool);
        self
    }

    /// The same fixture, in which somebody approves of every call for which the policy asks for it.
    #[must_use]
    pub fn approving(mut self) -> Self {
        self.approving = true;
        self
    }

    fn double(
        &mut self,
        tool: Tool,
        answer: impl Fn(&Value) -> Result<Value, ToolError> + Send + Sync + 'static,
    ) {
        let (calls, name) = (self.calls.clone(), tool.name().to_owned());
        self.tools.push(tool.with_mock_handler(move |args| {
            let answered = answer(&args);
            let tool = name.clone();
            lock(&calls).push(RecordedCall { tool, args });
            answered
        }));
    }

    /// Returns the tools of the fixture: file tools as they are, doubles of the others.
    pub fn tools(&self) -> impl Iterator<Item = &Tool> {
        self.tools.iter()
    }

    /// The policy, with the fixture's directories.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The same fixture, with tools that answer as a file says.
    ///
    /// # Errors
    ///
    /// Says which mock can't be made.
    pub(crate) fn with_doubles(mut self, doubles: Doubles) -> Result<Self, String> {
        for (name, answer) in doubles.answers {
            let (declared, answer) = answer.into_double(&name)?;
            self = match declared {
                Some((action, arguments)) => {
                    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                    self.with_double(&name, action, &arguments, move |_| answer.clone())
                        .map_err(|error| error.to_string())?
                }
                None => self.answering(&name, move |_| answer.clone()),
            };
        }
        if doubles.approve {
            self = self.approving();
        }
        Ok(self)
    }

    /// Makes the gate of the policy: to the fixture's directories and tools, with records in `log`.
    ///
    /// # Errors
    ///
    /// As [`Gate::with_tools`].
    pub fn gate(&self, log: Log) -> Result<Gate, wardian::Error> {
        self.gate_under(self.policy.clone(), log)
    }

    /// The same under a policy that grants the same directories.
    ///
    /// # Errors
    ///
    /// As [`Gate::with_tools`].
    pub fn gate_under(&self, policy: Policy, log: Log) -> Result<Gate, wardian::Error> {
        let known = |name: &str| self.tools.iter().any(|tool| tool.name() == name);
        let strange = policy.tools().keys().filter(|name| !known(name));
        // Of the host's own tools, a policy says no more than their names.
        let strange: Vec<_> = strange
            .filter_map(|name| Tool::mock(name, Action::Execute, &[], |_| Err(unanswered())).ok())
            .collect();
        let mut gate = Gate::new(policy)?
            .with_tools(self.tools.iter().cloned().chain(strange))?
            .with_audit(log)?;
        if self.approving {
            gate = gate.with_approver(Doubles::approver());
        }
        Ok(gate)
    }

    /// Runs a script.
    ///
    /// # Panics
    ///
    /// If it can't be run, whatever the script is.
    #[track_caller]
    #[expect(clippy::panic, reason = "a test that can't run has failed")]
    pub fn run(&self, script: impl Into<Script>) -> RunResult {
        match self.try_run(script) {
            Ok(ran) => ran,
            Err(error) => panic!("{error}"),
        }
    }

    /// Runs a script.
    ///
    /// # Errors
    ///
    /// As [`Gate::with_tools`] and [`Sandbox::run`].
    pub fn try_run(&self, script: impl Into<Script>) -> Result<RunResult, wardian::Error> {
        let (log, memory) = Log::memory();
        let sandbox = Sandbox::with_gate(runtime(), self.gate(log)?)?;
        let outcome = sandbox.run_blocking(script)?;
        Ok(RunResult::new(outcome, memory.records()))
    }

    /// The calls that doubles have answered, in their order.
    pub fn calls(&self) -> Vec<RecordedCall> {
        lock(&self.calls).clone()
    }

    /// The files in the granted directories, by the paths under which scripts find them.
    ///
    /// # Errors
    ///
    /// If one can't be read.
    pub fn files(&self) -> Result<BTreeMap<String, Vec<u8>>, FixtureError> {
        let mut files = BTreeMap::new();
        for grant in self.policy.grants() {
            collect(grant.host(), &grant.guest().to_string(), &mut files)?;
        }
        Ok(files)
    }

    /// Returns the place of a script's file on the host.
    pub fn host_path(&self, path: &str) -> Option<PathBuf> {
        self.policy.grants().find_map(|grant| {
            let within = path
                .strip_prefix(&grant.guest().to_string())?
                .strip_prefix('/')?;
            Some(grant.host().join(within))
        })
    }

    /// The first directory in which a script has this access at least, as it sees it.
    pub fn granted(&self, access: Access) -> Option<(String, PathBuf)> {
        let mut grants = self.policy.grants();
        let grant = grants.find(|grant| self.policy.access(grant).contains(access))?;
        Some((grant.guest().to_string(), grant.host().to_owned()))
    }

    /// The directory that holds all of this.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Adds the files beneath a directory, which stands for `guest`.
pub(crate) fn collect(
    dir: &Path,
    guest: &str,
    files: &mut BTreeMap<String, Vec<u8>>,
) -> Result<(), FixtureError> {
    let failed = |error| FixtureError::Io {
        path: dir.to_owned(),
        error,
    };
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let guest = format!("{guest}/{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            collect(&entry.path(), &guest, files)?;
        } else if kind.is_file() {
            files.insert(guest, fs::read(entry.path()).map_err(failed)?);
        }
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

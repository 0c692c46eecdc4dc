//! Policies as commands use them: read, and checked for everything that would keep scripts from
//! running.

use std::path::Path;

use anyhow::Result;
use wardian::{
    Policy, Tool, load_policy,
    policy::{
        PolicyError, Problem, Problems, host_problems, module_problems, nearest,
        permission_problems, tool_problems,
    },
};
use wardian_testkit::Doubles;

use crate::exit::Usage;

/// The host that problems of directories, variables and databases are looked for on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    /// Scripts are going to run here.
    Here,
    /// They run on another host: a problem of this one is a warning.
    Elsewhere,
    /// Directories and tools are doubles.
    Doubled,
}

/// A policy and its tools, and what is wrong with them.
pub(crate) struct Checked {
    pub(crate) policy: Policy,
    /// The ready tools that it grants, and doubles.
    pub(crate) tools: Vec<Tool>,
    pub(crate) problems: Vec<Problem>,
}

impl Checked {
    /// The policy and its tools, if there is nothing more than warnings.
    pub(crate) fn usable(self) -> Result<(Policy, Vec<Tool>), PolicyError> {
        let Self {
            policy,
            tools,
            problems,
        } = self;
        match Problems::new(problems) {
            Some(problems) if problems.has_errors() => Err(problems.into()),
            _ => Ok((policy, tools)),
        }
    }
}

/// Suggests a name in place of that of a tool which is not there.
fn meant(name: &str) -> String {
    let ready: Vec<_> = wardian_tools::names().collect();
    let there = match nearest(name, &ready) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("there are {}", ready.join(", ")),
    };
    format!("{there} A tool of a host's own takes `--doubles FILE`")
}

/// Reads a file of doubles.
pub(crate) fn doubles(file: Option<&Path>) -> Result<Doubles> {
    let doubles = file.map(Doubles::load).transpose();
    Ok(doubles.map_err(Usage)?.unwrap_or_default())
}

/// Reads a policy and checks it. What is wrong with the text does not keep the rest from being
/// checked.
pub(crate) fn load(file: &Path, host: Host, doubles: &Doubles) -> Result<Checked> {
    let problems = match load_policy(file) {
        Ok(policy) => return check(policy, true, host, doubles),
        Err(PolicyError::Wrong(problems)) => problems,
        Err(error) => return Err(error.into()),
    };
    let more = match problems.draft() {
        Some(draft) => check(draft.clone(), false, host, doubles)?.problems,
        None => Vec::new(),
    };
    Err(PolicyError::Wrong(problems.with(more)).into())
}

/// Checks a policy: the one list of what keeps scripts from running, for all commands. What only a
/// whole policy shows is not looked for in a draft.
fn check(policy: Policy, is_whole: bool, host: Host, doubles: &Doubles) -> Result<Checked> {
    let (declared, wrong) = wardian_tools::check(&policy, false);
    let told =
        |error: &wardian_tools::ConfigError| policy.problem(&error.key, error.reason.clone(), None);
    let mut problems: Vec<_> = wrong.iter().map(told).collect();
    // Tools that can't be made are there all the same, and their entries in the policy are right.
    let unmade = |problem: &Problem| {
        wrong.iter().any(|error| {
            let tool = error.key.split(".config").next();
            tool == Some(&problem.key)
        })
    };
    let mut tools = doubles.replace(declared).map_err(Usage)?;
    let mut unfit = tool_problems(&policy, &tools);
    for problem in &mut unfit {
        let name = problem.key.strip_prefix("tools.");
        problem.help = name.filter(|name| !name.contains('.')).map(meant);
    }
    if is_whole {
        unfit.extend(permission_problems(&policy, &tools));
    }
    unfit.retain(|problem| !unmade(problem));
    problems.extend(unfit);
    problems.extend(module_problems(&policy));
    if host != Host::Doubled {
        let (ready, missing) = wardian_tools::check(&policy, true);
        let ready = doubles.replace(ready).map_err(Usage)?;
        let missing = missing.iter().filter(|error| !wrong.contains(error));
        let mut here: Vec<_> = missing.map(told).collect();
        here.extend(host_problems(&policy, &ready));
        for problem in &mut here {
            problem.is_warning = host == Host::Elsewhere;
        }
        problems.extend(here);
        tools = ready;
    }
    Ok(Checked {
        policy,
        tools,
        problems,
    })
}

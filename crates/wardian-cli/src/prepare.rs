//! The sandbox of `run` and `repl`: what flags and a policy file say a script may do.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use wardian::policy::{Access, Grant, Limit, Profile};
use wardian::tool::Approver;
use wardian::{Log, Policy, Runtime, Sandbox, Tool};
use wardian_testkit::Doubles;

use crate::approve::{self, WaitingTime};
use crate::args::SandboxArgs;
use crate::exit::Usage;
use crate::output::remark;
use crate::preflight::{self, Host};
use crate::run::is_dash;

/// The parts of a sandbox, read and checked.
pub(crate) struct Prepared<'a> {
    pub(crate) policy: Policy,
    tools: Vec<Tool>,
    /// The approver, if that is not the terminal.
    approver: Option<Arc<dyn Approver>>,
    audit: Option<&'a Path>,
}

impl<'a> Prepared<'a> {
    /// Reads what the script may do, and says everything that would keep it from running. Files
    /// that go in or out need a working directory.
    pub(crate) fn read(args: &'a SandboxArgs, needs_work: bool) -> Result<Self> {
        let audit = args.audit.as_deref();
        let Some(file) = &args.policy else {
            // Nothing but directories that were named by hand.
            return Ok(Self {
                policy: narrow(args, quick(args, needs_work)?)?,
                tools: Vec::new(),
                approver: None,
                audit,
            });
        };
        let doubles = preflight::doubles(args.doubles.file.as_deref())?;
        let (policy, tools) = preflight::load(file, Host::Here, &doubles)?.usable()?;
        Ok(Self {
            policy: narrow(args, policy)?,
            tools,
            approver: doubles.approve().then(Doubles::approver),
            audit,
        })
    }

    /// Makes the sandbox. Without another approver, people on the terminal are asked, and `asked`
    /// counts how long.
    pub(crate) fn sandbox(self, runtime: &Runtime, asked: WaitingTime) -> Result<Sandbox> {
        let approver = self
            .approver
            .unwrap_or_else(|| approve::on_the_terminal(asked));
        let sandbox = Sandbox::new(runtime, self.policy)?
            .with_tools(self.tools)?
            .with_approver(approver);
        match self.audit {
            Some(file) => sandbox
                .with_audit(log(file)?)
                .map_err(|error| Usage(error.to_string()).into()),
            None => Ok(sandbox),
        }
    }
}

/// The log in this file; on standard error for `-`.
fn log(file: &Path) -> Result<Log> {
    if is_dash(file) {
        return Ok(Log::stderr());
    }
    let cannot = |error| Usage(format!("cannot record in {}: {error}", file.display()));
    Ok(Log::file(file).map_err(cannot)?)
}

/// The policy, narrowed by flags.
fn narrow(args: &SandboxArgs, base: Policy) -> Result<Policy> {
    let mut limits = base.limits().clone();
    for (limit, flag) in [
        (Limit::Timeout, args.timeout),
        (Limit::Memory, args.memory),
        (Limit::Fuel, args.fuel),
    ] {
        if let Some(amount) = flag {
            limits = limits.with(limit, amount)?;
        }
    }
    let code = args.profile.map(Profile::source_rules);
    let code = code.unwrap_or_else(|| base.source_rules().clone());
    let policy = base.clone().with_limits(limits).with_source_rules(code);
    // Without a file there is nothing to widen: whoever types the flags is who decides.
    if args.policy.is_some()
        && let Some(wider) = policy.widenings(&base).first()
    {
        let key = &wider.key;
        let flag = match key.as_str() {
            "source" => "profile",
            key => key.trim_start_matches("limits."),
        };
        let place = match base.location(key) {
            Some(at) => format!("as {at} says"),
            None => "the default, since the policy says nothing".to_owned(),
        };
        return Err(Usage(format!(
            "--{flag} would widen the policy: {}, {place}; a flag can only narrow it, so leave it \
             out or change `{key}` in the policy",
            wider.what
        ))
        .into());
    }
    Ok(policy)
}

/// The policy without a file and without flags: computing, in a working directory.
pub(crate) fn policy_without_file() -> Result<Policy> {
    Ok(Policy::computing().with_work(Policy::WORK)?)
}

/// The policy without a file: computing, and the directories of `--read` and `--write`. Scripts
/// find these from `/`, so that they have a working directory beside them only if files go in or
/// out.
fn quick(args: &SandboxArgs, needs_work: bool) -> Result<Policy> {
    let mut granted: BTreeMap<(&str, &Path), Access> = BTreeMap::new();
    for (directories, access) in [(&args.read, Access::READ), (&args.write, Access::WRITE)] {
        for directory in directories {
            let place = (directory.guest.as_str(), directory.host.as_path());
            *granted.entry(place).or_insert(Access::empty()) |= access;
        }
    }
    let mut policy = if granted.is_empty() || needs_work {
        policy_without_file()?
    } else {
        Policy::computing()
    };
    for ((guest, host), access) in granted {
        let wrong = |why: String| Usage(format!("cannot grant {}: {why}", host.display()));
        let absolute = std::path::absolute(host).map_err(|error| wrong(error.to_string()))?;
        let grant =
            Grant::new(guest, &absolute, access).map_err(|error| wrong(error.to_string()))?;
        policy = policy
            .with_permissions(access.permissions())
            .with_grant(grant)
            .map_err(|error| wrong(error.to_string()))?;
    }
    Ok(policy)
}

/// Says what flags have granted.
pub(crate) fn print_grants(policy: &Policy) {
    for grant in policy.grants() {
        let may = match policy.access(grant) {
            Access::READ => "read",
            Access::WRITE => "write",
            _ => "read and write",
        };
        let (guest, host) = (grant.guest(), grant.host().display());
        remark(&format!("the script may {may} {guest}, which is {host}"));
    }
}

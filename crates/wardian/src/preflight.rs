//! Everything that keeps scripts from running under a policy, all at once, before anything runs.

use std::collections::BTreeMap;

use wardian_policy::{Permission, Policy, Problem, nearest};

use crate::Tool;
use crate::files::{Grants, Packages};
use crate::modules::modules;
use crate::session::load_image;
use crate::tools::unfit_tools;

/// Problems of a policy's `[tools]`, given all tools that there are: what
/// [`Gate::with_tools`](crate::Gate::with_tools) refuses.
pub fn tool_problems(policy: &Policy, tools: &[Tool]) -> Vec<Problem> {
    let named: BTreeMap<_, _> = tools
        .iter()
        .map(|tool| (tool.name().to_owned(), tool.clone()))
        .collect();
    let unfit = unfit_tools(policy, &named).into_iter();
    unfit
        .map(|unfit| policy.problem(&unfit.key, format!("{} {}", unfit.tool, unfit.reason), None))
        .collect()
}

/// Problems of grants in the policy's own file that its permissions keep from scripts.
pub fn permission_problems(policy: &Policy, tools: &[Tool]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for grant in policy.grants() {
        let is_own = grant.location().is_some_and(|at| policy.is_own(at));
        if is_own && policy.access(grant).is_empty() {
            let message = format!(
                "nothing can be done in {}: `permissions` lack READ_FILE and WRITE_FILE",
                grant.guest()
            );
            let help = "add one of them to `permissions`, or leave the entry out".to_owned();
            problems.push(policy.problem_at(
                grant.location(),
                "allowed_paths",
                message,
                Some(help),
            ));
        }
    }
    for tool in tools {
        let key = format!("tools.{}", tool.name());
        let lacking = tool.action().permission() - policy.permissions();
        // A file that narrows another leaves the other's entries behind.
        let is_own = policy.location(&key).is_some_and(|at| policy.is_own(at));
        if is_own && !lacking.is_empty() {
            let lacking = lacking.names().collect::<String>();
            let message = format!(
                "scripts do not see {}: `permissions` lack {lacking}",
                tool.name()
            );
            let help = format!("add {lacking} to `permissions`, or leave the tool out");
            problems.push(policy.problem(&key, message, Some(help)));
        }
    }
    problems
}

/// Problems that only this host can show: directories that can't be granted, packages that can't be
/// used, an image that is not there or stale, files of tools that are not there or lie where
/// scripts get at them.
pub fn host_problems(policy: &Policy, tools: &[Tool]) -> Vec<Problem> {
    if !policy.permissions().contains(Permission::EXECUTE_CODE) {
        return Vec::new();
    }
    let (grants, failures) = Grants::open_all(policy);
    let mut problems: Vec<_> = failures
        .iter()
        .map(|failure| {
            let message = format!("cannot grant {:?}: {}", failure.host, failure.reason);
            policy.problem_at(failure.location.as_ref(), "allowed_paths", message, None)
        })
        .collect();
    let (packages, failures) = Packages::open_all(policy, &grants);
    for failure in &failures {
        let message = format!("the package {} {}", failure.file.display(), failure.reason);
        let at = failure.location.as_ref();
        problems.push(policy.problem_at(at, "packages", message, None));
    }
    if let Some(named) = policy.image().filter(|_| failures.is_empty())
        && let Err(reason) = load_image(named, &grants, packages.as_ref())
    {
        let message = format!("the image {}: {reason}", named.file().display());
        problems.push(policy.problem("image", message, None));
    }
    for tool in tools {
        for (file, access) in &tool.0.files {
            let apart = grants.check_apart(file, *access);
            let is_there = file.exists().then_some(()).ok_or("is not there".to_owned());
            if let Err(reason) = apart.and(is_there) {
                let key = format!("tools.{}.config", tool.name());
                let message = format!("relies on {}, which {reason}", file.display());
                problems.push(policy.problem(&key, message, None));
            }
        }
    }
    problems
}

/// Problems of `[source]`: modules that are allowed, and that the interpreter does not have.
pub fn module_problems(policy: &Policy) -> Vec<Problem> {
    let known: Vec<_> = modules().collect();
    let missing = policy
        .allowed_by_name()
        .into_iter()
        .filter(|module| !known.contains(module));
    let problem = |module: &str| {
        let help = match nearest(module, &known) {
            Some(near) => format!("did you mean {near}?"),
            None => "the interpreter has Python's standard library; what `[packages]` has is allowed anyway".to_owned(),
        };
        let key = format!("source.allow_imports[{module:?}]");
        policy.problem(&key, format!("there is no module {module}"), Some(help))
    };
    missing.map(problem).collect()
}

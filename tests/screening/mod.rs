//! Source is screened inside of the guest: rows VAL-01 to VAL-20 of the catalogue of attacks, and
//! what must not be refused.

mod imports;
mod profiles;
mod syntax;

use std::time::{Duration, Instant};

use serde_json::json;
use wardian::policy::Allowance::AtMost;
use wardian::{
    Limits, Outcome, Policy, Sandbox, Verdict,
    outcome::{SourceRule, Violation},
    policy::{NameSet, Permission, Profile, Source, SourceRules},
};

use crate::{printed, runtime, unscreened};

fn sandbox(code: SourceRules) -> Sandbox {
    let policy = Policy::computing().with_source_rules(code);
    Sandbox::new(runtime(), policy).unwrap()
}

fn run(profile: Profile, source: &str) -> Outcome {
    sandbox(profile.source_rules())
        .run_blocking(source)
        .unwrap()
}

fn screen(profile: Profile, source: &str) -> Vec<Violation> {
    pollster::block_on(sandbox(profile.source_rules()).screen(source)).unwrap()
}

#[track_caller]
fn messages(profile: Profile, source: &str) -> Vec<String> {
    let found = screen(profile, source);
    // A run says the same, and does not run.
    let outcome = run(profile, source);
    match &outcome.verdict {
        Verdict::Rejected { violations } => assert_eq!(*violations, found),
        verdict => assert!(found.is_empty(), "{source}: {verdict}"),
    }
    assert!(found.is_empty() || outcome.stdout.written == 0);
    found.into_iter().map(|found| found.message).collect()
}

/// The sources of the standard library that the interpreter comes with, the smallest first.
fn library() -> Vec<String> {
    let mut pending = vec![std::path::PathBuf::from(rustpython_pylib::LIB_PATH)];
    let mut sources = Vec::new();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(
                std::fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if path.extension().is_some_and(|extension| extension == "py") {
            // Some test data is not UTF-8, which no source of ours is.
            sources.extend(std::fs::read_to_string(path));
        }
    }
    sources.sort_by_key(|source| (source.len(), source.clone()));
    sources
}

/// The default profile without its rules about imports.
fn without_import_rules() -> Sandbox {
    let mut code = Profile::Standard.source_rules();
    code.rules.allowed_imports = None;
    code.rules.forbidden_imports = NameSet::default();
    sandbox(code)
}

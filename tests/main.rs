//! Tests of the whole: scripts go in, outcomes come out.
//!
//! One binary, because each that links the engine carries 80 MB of guest.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod artifacts;
mod audit;
mod charts;
mod database;
mod displays;
mod documents;
mod embedding;
mod events;
mod explain;
mod file_tools;
mod files;
mod gate;
mod grants;
mod http;
mod humaneval;
mod images;
mod isolation;
mod language;
mod limits;
mod messages;
mod modules;
mod needs_aiosmtpd;
mod needs_kit;
mod needs_postgresql;
mod packages;
mod python_cases;
mod review;
mod scenarios;
mod screening;
mod session;
mod sessions;
mod snapshot;
mod tidy;
mod wire;
mod work;
mod world;

use wardian::{
    Limits, Outcome, Policy, Script, Verdict,
    policy::{Allowance, Profile},
};
use wardian_testkit::{Fixture, RunResult, runtime};

/// Computing, by source of any kind: what most of these tests are about is behind the screening.
fn unscreened() -> Policy {
    Policy::computing().with_source_rules(Profile::Open)
}

/// Runs a script that may only compute.
fn run(script: impl Into<Script>) -> Outcome {
    run_within(script, Limits::default())
}

#[track_caller]
fn run_within(script: impl Into<Script>, limits: Limits) -> Outcome {
    computed(script, limits).into_outcome()
}

#[track_caller]
fn computed(script: impl Into<Script>, limits: Limits) -> RunResult {
    let fixture = Fixture::new(unscreened().with_limits(limits));
    fixture.unwrap().run(script)
}

/// Enough for any small script; some seconds at most for an endless one.
fn little_fuel() -> Limits {
    Limits::default()
        .with_fuel(Allowance::AtMost(3_000_000_000))
        .unwrap()
}

/// Runs a script that must complete, and returns what it printed.
#[track_caller]
fn printed(script: impl Into<Script>) -> String {
    let ran = computed(script, Limits::default());
    ran.completed().stdout.text().into_owned()
}

/// Runs a script that must complete, and returns its value.
#[track_caller]
fn value(script: impl Into<Script>) -> serde_json::Value {
    let ran = computed(script, Limits::default());
    ran.completed().returned().clone()
}

/// Runs a script that must raise; the exception's type, and the traceback.
#[track_caller]
fn raised(script: impl Into<Script>) -> (String, String) {
    match run(script).verdict {
        Verdict::Raised(raised) => (raised.r#type, raised.traceback),
        other => panic!("it did not raise: {other:?}"),
    }
}

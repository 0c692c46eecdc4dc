//! Attacks that are no script: on the library's interface, on many runs at once, by raw system
//! calls.
//!
//! Each is a function whose error says what should not be.

mod image;
mod library;
mod load;
mod packages;
mod raw;
mod record;
mod rules;
mod session;
mod source;
mod work;

use std::time::Duration;

use serde_json::{Value, json};
use wardian::{
    Limits, Outcome, Policy, Sandbox, Script,
    policy::{Allowance, Profile},
};

use crate::test_bed::TestBed;
use wardian_testkit::runtime;

type Result<T = ()> = std::result::Result<T, String>;

/// Plays the attack of this name.
pub(crate) fn run(name: &str, bed: &TestBed) -> Result {
    match name {
        "residue" => load::residue(),
        "poisoned" => load::poisoned(),
        "huge_inputs" => load::huge_inputs(),
        "crowd" => load::crowd(),
        "cancellations" => load::cancellations(),
        "blocked_executor" => load::blocked_executor(),
        "race" => load::race(bed),
        "tool_race" => load::tool_race(bed),

        "nested_brackets" => source::nested_brackets(),
        "nested_statements" => source::nested_statements(),
        "chains" => source::chains(),
        "token_bombs" => source::token_bombs(),
        "long_literals" => source::long_literals(),
        "other_text" => source::other_text(),
        "mutations" => source::mutations(),
        "own_modules" => source::own_modules(),

        "raw_tool_calls" => raw::tool_calls(bed),
        "raw_tool_memory" => raw::tool_memory(bed),
        "forged_displays" => raw::displays(bed),
        "renumber" => raw::renumber(bed),
        "after_a_trap" => raw::after_a_trap(bed),
        "hostile_reports" => raw::reports(bed),
        "every_import" => raw::every_import(bed),

        "mode_bits" => rules::mode_bits(bed),
        "url_prefixes" => rules::url_prefixes(),
        "url_forms" => rules::url_forms(),
        "http_headers" => rules::http_headers(),
        "names_spelling" => rules::names_spelling(),
        "argument_forms" => rules::argument_forms(bed),
        "open_defaults" => rules::open_defaults(),

        "statements" => rules::statements(),

        "log_within_reach" => record::within_reach(bed),
        "log_shrunk" => record::shrunk(),
        "log_invisible" => record::invisible(bed),
        "log_secrets" => record::secrets(bed),
        "log_long" => record::long(bed),
        "sinks_that_fail" => record::sinks_that_fail(),
        "one_log" => record::one_log(bed),
        "tampering" => record::tampering(bed),
        "report_html" => record::report_html(),

        "blocking_in_async" => library::blocking_in_async(),
        "two_runtimes" => library::two_runtimes(),
        "many_threads" => library::many_threads(),
        "small_stack" => library::small_stack(),
        "drop_order" => library::drop_order(),
        "little_address_space" => library::little_address_space(),
        "artifact_hashes" => library::artifact_hashes(),
        "randomness" => library::randomness(),

        "suspended_sessions" => session::suspended(),
        "forked_randomness" => session::forked_randomness(),
        "edited_snapshots" => session::edited_snapshots(),
        "outlived_policy" => session::outlived_policy(bed),
        "growing_session" => session::growing(),

        "hostile_wheels" => packages::hostile_wheels(),
        "tampering_package" => packages::tampering(),

        "spoiled_image" => image::spoiled(),
        "tampered_image" => image::tampered(),
        "forged_images" => image::forged(),
        "work_of_others" => work::of_others(),
        "full_work_directories" => work::full_at_once(),
        "snapshot_of_full_work" => work::snapshot_of_full(),
        other => Err(format!("there is no attack {other}")),
    }
}

fn ensure(holds: bool, what: impl Into<String>) -> Result {
    if holds { Ok(()) } else { Err(what.into()) }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// Computing, from source of any kind, for a few seconds at most.
fn computing() -> Result<Policy> {
    let limits = Limits::default()
        .with_fuel(Allowance::AtMost(5_000_000_000))
        .and_then(|limits| limits.with_timeout(Allowance::AtMost(Duration::from_secs(5))))
        .map_err(text)?;
    Ok(Policy::computing()
        .with_limits(limits)
        .with_source_rules(Profile::Open))
}

fn sandbox() -> Result<Sandbox> {
    Sandbox::new(runtime(), computing()?).map_err(text)
}

fn outcome(script: impl Into<Script>) -> Result<Outcome> {
    sandbox()?.run_blocking(script).map_err(text)
}

/// The value of a script that has to work.
fn value(script: impl Into<Script>) -> Result<Value> {
    value_of(&outcome(script)?)
}

/// The value of a run that has to have worked.
fn value_of(outcome: &Outcome) -> Result<Value> {
    match &outcome.value {
        Some(wardian::outcome::Value::Json(value)) => Ok(value.clone()),
        _ => Err(format!("did not work: {}", outcome.verdict)),
    }
}

/// Runs still work.
fn works() -> Result {
    ensure(
        value("6 * 7")? == json!(42),
        "the next run has another value",
    )
}

//! `wardian test`: scenarios in folders.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde_json::json;
use wardian_testkit::scenario::{self, Scenario, ScenarioError};

use crate::args::TestArgs;
use crate::exit::{Exit, Usage};
use crate::output::{print, print_json, progress, remark};
use crate::preflight;

pub(crate) fn run(args: TestArgs) -> Result<Exit> {
    let scenarios = scenario::find(&args.directory, args.policy.as_deref())
        .map_err(|error| Usage(error.to_string()))?;
    let doubles = preflight::doubles(args.doubles.file.as_deref())?;
    let scenarios: Vec<_> = scenarios
        .into_iter()
        .map(|scenario| scenario.with_doubles(doubles.clone()))
        .collect();
    let mut suite = TestSuite::new(args.directory.display().to_string());
    let mut failed = 0;
    let bar = progress(scenarios.len());
    for scenario in &scenarios {
        let started = Instant::now();
        let ended = play(scenario, args.update);
        bar.inc(1);
        let wrong = match &ended {
            Ok(wrong) => wrong.clone(),
            Err(error) => vec![error.to_string()],
        };
        failed += usize::from(!wrong.is_empty());
        bar.suspend(|| show(scenario, &wrong, args.json))?;
        let status = match (&ended, wrong.is_empty()) {
            (_, true) => TestCaseStatus::success(),
            (Err(_), _) => TestCaseStatus::non_success(NonSuccessKind::Error),
            (Ok(_), _) => TestCaseStatus::non_success(NonSuccessKind::Failure),
        };
        let mut case = TestCase::new(&*scenario.name, status);
        case.set_time(started.elapsed());
        if !wrong.is_empty() {
            case.status.set_message(wrong.join("\n"));
        }
        suite.add_test_case(case);
    }
    bar.finish_and_clear();
    if let Some(file) = &args.junit {
        let mut report = Report::new("wardian test");
        report.add_test_suite(suite);
        let xml = report.to_string().context("cannot write JUnit XML")?;
        fs::write(file, xml).with_context(|| format!("cannot write {}", file.display()))?;
    }
    remark(&if args.update {
        format!("{} scenarios written", scenarios.len() - failed)
    } else {
        format!("{} scenarios, {failed} failed", scenarios.len())
    });
    Ok(if failed == 0 {
        Exit::SUCCESS
    } else {
        Exit::BROKEN
    })
}

fn play(scenario: &Scenario, update: bool) -> Result<Vec<String>, ScenarioError> {
    if update {
        scenario.update().map(|()| Vec::new())
    } else {
        scenario.run()
    }
}

fn show(scenario: &Scenario, wrong: &[String], json: bool) -> Result<()> {
    let name = &scenario.name;
    if json {
        return print_json(&json!({ "scenario": name, "ok": wrong.is_empty(), "wrong": wrong }));
    }
    if wrong.is_empty() {
        print(&format!("ok      {name}\n"))
    } else {
        print(&format!(
            "FAILED  {name}\n        {}\n",
            wrong.join("\n").replace('\n', "\n        ")
        ))
    }
}

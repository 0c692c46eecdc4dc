//! HumanEval: 164 programs with their own checks, each in a fresh instance.

use std::io::Read;
use std::path::Path;

use indoc::indoc;
use serde_json::Value;
use wardian::{Policy, Sandbox, Verdict, policy::Profile};

use crate::{printed, runtime};

/// The data lies beside the checkout where this project is developed, not in it.
const DATA: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../shared/data/HumanEval.jsonl.gz"
);

/// The one program that calls `eval`, which the default profile forbids.
const CALLS_EVAL: &str = "HumanEval/160";

/// Under the profile that is the default, with nothing changed but `eval` allowed for the one
/// program that calls it.
#[test]
fn all_programs_pass() {
    let Some(programs) = programs() else { return };
    let sandbox = Sandbox::new(runtime(), Policy::computing()).unwrap();
    let mut code = Profile::Standard.source_rules();
    code.rules.forbidden_calls.remove("eval");
    let with_eval = Sandbox::new(runtime(), Policy::computing().with_source_rules(code)).unwrap();
    let refused: Vec<_> = programs
        .iter()
        .filter(|program| failure(&sandbox, program).is_some())
        .map(|program| &program["task_id"])
        .collect();
    assert_eq!(refused, [CALLS_EVAL]);
    let failed: Vec<String> = programs
        .iter()
        .filter_map(|program| failure(&with_eval, program))
        .collect();
    assert!(
        failed.is_empty(),
        "{} of 164 failed: {failed:#?}",
        failed.len()
    );
}

/// The programs of HumanEval, if they are at hand.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn programs() -> Option<Vec<Value>> {
    let Ok(file) = std::fs::File::open(Path::new(DATA)) else {
        eprintln!("skipped: HumanEval.jsonl.gz is not at ../shared/data beside the checkout");
        return None;
    };
    let mut lines = String::new();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut lines)
        .unwrap();
    let programs: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(programs.len(), 164);
    Some(programs)
}

fn failure(sandbox: &Sandbox, program: &Value) -> Option<String> {
    let part = |name: &str| program[name].as_str().unwrap();
    let code = format!(
        "{}{}\n{}\ncheck({})\n",
        part("prompt"),
        part("canonical_solution"),
        part("test"),
        part("entry_point")
    );
    let outcome = sandbox.run_blocking(code).unwrap();
    let passed = outcome.verdict == Verdict::Completed;
    (!passed).then(|| {
        format!(
            "{}: {}\n{}",
            part("task_id"),
            outcome.verdict,
            outcome.stderr.text()
        )
    })
}

/// Runs always, also where HumanEval is not at hand.
#[test]
fn small_programs_pass() {
    for (program, expected) in [
        (
            indoc! {"
                def primes(n):
                    sieve = [True] * n
                    for i in range(2, n):
                        if sieve[i]:
                            yield i
                            sieve[i * i::i] = [False] * len(sieve[i * i::i])
                print(*primes(30))"},
            "2 3 5 7 11 13 17 19 23 29\n",
        ),
        (
            "from collections import Counter\nprint(Counter('mississippi').most_common(2))",
            "[('i', 4), ('s', 4)]\n",
        ),
        (
            indoc! {r"
                import re, json
                log = '2024-01-02 ERROR disk\n2024-01-03 INFO ok'
                rows = [dict(zip(('day', 'level', 'text'), m)) for m in re.findall(r'(\S+) (\w+) (.*)', log)]
                print(json.dumps(rows[0]))"},
            "{\"day\": \"2024-01-02\", \"level\": \"ERROR\", \"text\": \"disk\"}\n",
        ),
        (
            indoc! {"
                from dataclasses import dataclass, field
                @dataclass(order=True)
                class Job:
                    cost: int
                    name: str = field(compare=False)
                import heapq
                q = [Job(3, 'c'), Job(1, 'a'), Job(2, 'b')]
                heapq.heapify(q)
                print(*[heapq.heappop(q).name for _ in range(3)])"},
            "a b c\n",
        ),
        (
            "import statistics, datetime, decimal, fractions\nprint(statistics.mean([1, 2, 6]), \
             datetime.date(2024, 2, 28) + datetime.timedelta(2), decimal.Decimal('0.1') * 3, \
             fractions.Fraction(1, 3) + 1)",
            "3 2024-03-01 0.3 4/3\n",
        ),
    ] {
        assert_eq!(printed(program), expected);
    }
}

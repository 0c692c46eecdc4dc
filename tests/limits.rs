//! Every limit fires, just over it and not just under it, and none can be caught.

use std::time::{Duration, Instant};

use indoc::indoc;
use wardian::policy::Allowance::AtMost;
use wardian::{
    Limits, Outcome, Script, Verdict,
    outcome::{SourceRule, Trap, Value},
    policy::{Allowance, Limit},
};

use crate::{little_fuel, printed, run, run_within};

/// Checks the ending when nothing in the script gets in the way, and when everything does.
fn check(code: &str, limits: &Limits, expected: impl Fn(&Outcome) -> bool) {
    let indented = code.replace('\n', "\n        ");
    let caught = format!(
        "import contextlib\nwhile True:\n    try:\n        {indented}\n    except BaseException:\n        pass\n"
    );
    let outcome = run_within(code, limits.clone());
    assert!(expected(&outcome), "{code}: {:?}", outcome.verdict);
    let outcome = run_within(caught, limits.clone());
    let stopped = matches!(
        outcome.verdict,
        Verdict::Limit { .. } | Verdict::Crashed { .. }
    );
    assert!(stopped, "{code}, caught: {:?}", outcome.verdict);
}

/// Limits of which time is the one that a loop meets.
fn only_time(millis: u64) -> Limits {
    Limits::default()
        .with_fuel(Allowance::Unlimited)
        .and_then(|limits| limits.with_timeout(Allowance::AtMost(Duration::from_millis(millis))))
        .unwrap()
}

fn is_limit(outcome: &Outcome, expected: Limit) -> bool {
    matches!(outcome.verdict, Verdict::Limit { limit, .. } if limit == expected)
}

fn is_raised(outcome: &Outcome, expected: &str) -> bool {
    matches!(&outcome.verdict, Verdict::Raised(raised) if raised.r#type == expected)
}

#[test]
fn an_endless_loop_ends_by_fuel() {
    check("while True: pass", &little_fuel(), |outcome| {
        is_limit(outcome, Limit::Fuel)
    });
}

#[test]
fn an_endless_loop_ends_by_time() {
    let limits = only_time(300);
    check("while True: pass", &limits, |outcome| {
        is_limit(outcome, Limit::Timeout)
    });
}

#[test]
fn sleep_ends_by_time_and_keeps_what_was_printed() {
    let limits = Limits::default()
        .with_timeout(Allowance::AtMost(Duration::from_millis(500)))
        .unwrap();
    for code in [
        "print('before')\nimport time\ntime.sleep(60)",
        indoc! {"
            print('before', end='')
            import time
            while True: time.sleep(0)"},
        indoc! {"
            print('before')
            import asyncio
            asyncio.run(asyncio.sleep(1e6))"},
        indoc! {"
            print('before')
            import select
            select.select([], [], [], 1e6)"},
    ] {
        let started = Instant::now();
        let outcome = run_within(code, limits.clone());
        assert!(
            is_limit(&outcome, Limit::Timeout),
            "{code}: {:?}",
            outcome.verdict
        );
        assert_eq!(outcome.stdout.text().trim(), "before", "{code}");
        // Not a measurement: a minute of sleep must not have passed.
        assert!(started.elapsed() < Duration::from_secs(20));
    }
    check("import time\ntime.sleep(60)", &limits, |outcome| {
        is_limit(outcome, Limit::Timeout)
    });
    let outcome = run_within("import time\ntime.sleep(0.01)\n'awake'", limits);
    assert_eq!(outcome.verdict, Verdict::Completed);
}

/// Loops of the interpreter's own, in which no line of the script runs.
#[test]
fn native_loops_end_by_time() {
    let limits = only_time(500);
    for code in [
        "10**10**10",
        "pow(3, 10**9)",
        "import math\nmath.factorial(10**7)",
        "str(7**(10**6) * 7**(10**6))",
        "sum(range(10**12))",
        "list(iter(int, 1))",
        "import itertools\nlist(itertools.product(range(10**4), repeat=9))",
        "import re\nre.match(r'(a+)+$', 'a' * 40 + 'b')",
        "import re\nre.match(r'(a|aa)+$', 'a' * 60 + 'b')",
        "b'x' * 50_000_000 in b'y' * 100_000_000",
        "sorted([1] * 10**7, key=lambda x: x)",
        indoc! {"
            class A:
              def __lt__(self, o): return True
            sorted([A() for _ in range(10**6)])"},
        "x = bytearray(100 << 20)\nwhile True: y = bytes(x)",
        "import hashlib\nhashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)",
        "import zlib\nwhile True: zlib.compress(bytes(10**7), 9)",
        "import unicodedata\nwhile True: unicodedata.normalize('NFKC', '\\ufdfa' * 10**6)",
    ] {
        let started = Instant::now();
        let verdict = run_within(code, limits.clone()).verdict;
        let ended = match &verdict {
            Verdict::Limit { limit, .. } => *limit != Limit::Fuel,
            // Some are refused before they start, or have an end after all.
            Verdict::Raised(raised) => !raised.r#type.contains("Assert"),
            other => *other == Verdict::Completed,
        };
        assert!(ended, "{code}: {verdict:?}");
        // Not a measurement: it was to end after half a second, and none of these does by itself.
        assert!(started.elapsed() < Duration::from_secs(20), "{code}");
    }
}

#[test]
fn fuel_is_deterministic_and_exact_enough() {
    let code = "s = 0\nfor i in range(1000): s += i\ns";
    let used = run(code).usage.fuel;
    assert_eq!(run(code).usage.fuel, used);
    let within = |fuel| {
        let limits = Limits::default()
            .with_fuel(Allowance::AtMost(fuel))
            .unwrap();
        run_within(code, limits).verdict
    };
    assert_eq!(within(used + 1_000), Verdict::Completed);
    assert!(matches!(
        within(used - 1_000),
        Verdict::Limit {
            limit: Limit::Fuel,
            ..
        }
    ));
}

#[test]
fn memory() {
    let limits = Limits::default();
    for code in [
        "x = bytearray(10**9)",
        "x = 'a' * 10**12",
        "x = [0] * 10**10",
        "x = b' ' * (1 << 62)",
        "x = (1,) * 10**9",
        "x = list(range(10**9))",
        "x = []\nwhile True: x.append('x' * 100000)",
        "x = 'ab'\nwhile True: x += x",
    ] {
        let outcome = run_within(code, limits.clone());
        let stopped = is_limit(&outcome, Limit::Memory)
            || is_raised(&outcome, "MemoryError")
            || is_raised(&outcome, "OverflowError");
        assert!(stopped, "{code}: {:?}", outcome.verdict);
        assert!(outcome.usage.memory_peak_bytes <= limits.memory_bytes());
    }
    check("x = bytearray(10**9)", &little_fuel(), |outcome| {
        is_limit(outcome, Limit::Memory) || is_raised(outcome, "MemoryError")
    });
    assert_eq!(
        printed("x = bytearray(100 << 20)\nprint(len(x))"),
        "104857600\n"
    );
}

#[test]
fn recursion() {
    check("def f(): f()\nf()", &little_fuel(), |outcome| {
        is_raised(outcome, "RecursionError")
            || matches!(
                outcome.verdict,
                Verdict::Crashed {
                    trap: Trap::StackOverflow
                }
            )
    });
    for code in [
        indoc! {"
            import sys
            sys.setrecursionlimit(10**9)
            def f(): f()
            f()"},
        "t = ()\nfor _ in range(300000): t = (t,)\nhash(t)",
        "t = []\nfor _ in range(300000): t = [t]\nrepr(t)",
        indoc! {"
            class A:
              def __getattr__(self, n): return getattr(self, n)
            A().x"},
        "import json\njson.loads('[' * 100000)",
        "x = [1]\nfor _ in range(1000000): x = [x]\ndel x",
        "eval('-' * 100000 + '1')",
        "eval('(' * 100000 + '1' + ')' * 100000)",
    ] {
        let outcome = run_within(code, little_fuel());
        let stopped = match &outcome.verdict {
            Verdict::Raised(raised) => {
                matches!(
                    &*raised.r#type,
                    "RecursionError"
                        | "MemoryError"
                        | "SyntaxError"
                        | "json.decoder.JSONDecodeError"
                )
            }
            Verdict::Crashed { trap } => *trap == Trap::StackOverflow,
            Verdict::Limit { .. } | Verdict::Completed => true,
            _ => false,
        };
        assert!(stopped, "{code}: {:?}", outcome.verdict);
        assert_eq!(printed("print('next')"), "next\n");
    }
}

#[test]
fn hostile_nesting_of_the_source_itself() {
    for code in [
        format!("{}1", "-".repeat(300_000)),
        format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("x{}", ".a".repeat(100_000)),
        format!("1{}", "+1".repeat(100_000)),
        format!("{}0", "lambda:".repeat(50_000)),
        "x\0y".to_owned(),
    ] {
        let verdict = run_within(&*code, little_fuel()).verdict;
        let harmless = matches!(
            verdict,
            Verdict::Raised(_)
                | Verdict::Limit { .. }
                | Verdict::Completed
                | Verdict::Crashed {
                    trap: Trap::StackOverflow
                }
        );
        assert!(harmless, "{:.20}: {verdict:?}", code);
    }
}

#[test]
fn endless_output_keeps_head_and_tail() {
    let limits = little_fuel().with(Limit::Stdout, AtMost(10_000)).unwrap();
    check(
        "i = 0\nwhile True:\n    print(i)\n    i += 1",
        &limits,
        |outcome| {
            let text = outcome.stdout.text();
            is_limit(outcome, Limit::Fuel)
                && outcome.stdout.truncated
                && outcome.stdout.written > 10_000
                && text.len() < 10_100
                && text.starts_with("0\n1\n2\n")
                && text.contains(" bytes cut ...]\n")
        },
    );
    let outcome = run_within(
        "import sys\nsys.stderr.write('e' * 5000)\nprint('o')",
        limits.with(Limit::Stderr, AtMost(1024)).unwrap(),
    );
    assert!(outcome.stderr.truncated && !outcome.stdout.truncated);
    assert_eq!(outcome.json()["streams"]["stderr"]["truncated"], true);
}

#[test]
fn one_huge_write_is_output_like_any_other() {
    for code in [
        "print('x' * 50_000_000)",
        indoc! {"
            import sys
            sys.stdout.buffer.write(b'x' * 50_000_000)
            print()"},
        indoc! {"
            import os
            n = 0
            while n < 50_000_000: n += os.write(1, b'x' * (50_000_000 - n))
            print()"},
    ] {
        let outcome = run(code);
        assert_eq!(
            outcome.verdict,
            Verdict::Completed,
            "{code}: {}",
            outcome.stderr.text()
        );
        assert_eq!(outcome.stdout.written, 50_000_001, "{code}");
        assert!(outcome.stdout.truncated && outcome.stdout.bytes.len() < (1 << 20) + 100);
    }
}

#[test]
fn source_size() {
    let limits = Limits::default().with(Limit::Source, AtMost(10)).unwrap();
    assert_eq!(
        run_within("123456789\n", limits.clone()).verdict,
        Verdict::Completed
    );
    let Verdict::Rejected { violations } = run_within("123456789\n ", limits).verdict else {
        panic!()
    };
    assert_eq!(violations[0].rule, SourceRule::SourceBytes);
}

#[test]
fn value_size_and_depth() {
    let limits = Limits::default()
        .with(Limit::Value, AtMost(100))
        .and_then(|limits| limits.with(Limit::ValueDepth, AtMost(3)))
        .unwrap();
    let reason = |code: &str| match run_within(code, limits.clone()).value {
        Some(Value::Json(_)) => None,
        Some(Value::Opaque { reason, .. }) => Some(reason),
        other => panic!("{code}: {other:?}"),
    };
    assert_eq!(reason("'x' * 98"), None);
    assert_eq!(reason("'x' * 99").as_deref(), Some("larger than 100 bytes"));
    assert_eq!(reason("[[[1]]]"), None);
    assert_eq!(reason("[[[[1]]]]").as_deref(), Some("nested deeper than 3"));
    assert_eq!(
        reason("x = []; x.append(x); x").as_deref(),
        Some("nested deeper than 3")
    );
    assert_eq!(
        reason("[list(range(10**6))] * 1000").as_deref(),
        Some("larger than 100 bytes")
    );
}

#[test]
fn a_huge_message_is_bounded() {
    let outcome = run("raise ValueError('x' * 10**7)");
    let Verdict::Raised(raised) = outcome.verdict else {
        panic!("{:?}", outcome.verdict)
    };
    assert!(raised.message.len() < 70_000 && raised.traceback.len() < 70_000);
    let outcome = run(indoc! {"
            e = ValueError(0)
            for i in range(2000):
                n = ValueError(i)
                n.__cause__ = e
                e = n
            raise e"});
    assert!(
        matches!(
            outcome.verdict,
            Verdict::Raised(_) | Verdict::Crashed { .. }
        ),
        "{:?}",
        outcome.verdict
    );
}

#[test]
fn random_bytes_in_bulk_do_not_hurt_the_host() {
    let outcome = run("import os\nlen(os.urandom(2**20))");
    assert_eq!(outcome.verdict, Verdict::Completed);
    for code in [
        "import os\nos.urandom(2**31)",
        "import random\nrandom.randbytes(10**9)",
    ] {
        let verdict = run(Script::new(code)).verdict;
        assert!(
            !matches!(verdict, Verdict::Completed),
            "{code}: {verdict:?}"
        );
    }
}

//! Syntax: what is run is what was screened, and neither breaks.

use super::*;
use indoc::indoc;

#[test]
fn what_is_run_is_what_was_screened() {
    for source in [
        "1",
        "#\r1",
        "\x0c1\r\n2",
        "'\u{2028}'",
        "'größe'",
        "# -*- coding: utf-7 -*-\n1",
        "x = '''\r\n\r'''\nx",
    ] {
        let outcome = run(Profile::Standard, source);
        assert_eq!(outcome.verdict, Verdict::Completed, "{source:?}");
        let hash = outcome.source;
        assert_eq!(hash.screened.as_ref(), Some(&hash.given), "{source:?}");
        assert_eq!(hash.run.as_ref(), Some(&hash.given), "{source:?}");
    }
    let hash = run(Profile::Standard, "import os").source;
    assert!(hash.screened.is_some() && hash.run.is_none());
    let hash = run(Profile::Open, "import os").source;
    assert!(hash.screened.is_none() && hash.run.is_some());
}

#[test]
fn val_01_nfkc_val_03_f_strings_val_05_no_calls() {
    for (source, said) in [
        ("𝓮𝔁𝓮𝓬(\"import os\")", "Forbidden call: exec()"),
        ("ｅval('1')", "Forbidden call: eval()"),
        ("__ᵢmport__('os')", "Forbidden call: __import__()"),
        ("import ſubprocess", "Forbidden import: subprocess"),
        ("f\"{__import__('os')}\"", "Forbidden call: __import__()"),
        ("f\"{1:{eval('…')}}\"", "Forbidden call: eval()"),
        ("@exec\n@input\nclass X: pass", "Forbidden call: exec()"),
        ("class X(metaclass=eval): pass", "Forbidden call: eval()"),
    ] {
        assert_eq!(messages(Profile::Standard, source), [said], "{source}");
    }
}

/// Nothing is refused for using new grammar, and nothing hides in it.
#[test]
fn val_02_new_grammar() {
    for source in [
        "try: pass\nexcept ValueError, TypeError: pass",
        "class C[T = int]: pass",
        "d = {'k': 1}\nf\"{d[\"k\"]}\"",
        "type X[T] = list[T]",
        "match [1]:\n    case [x, *_] if x: pass",
    ] {
        assert_eq!(
            messages(Profile::Strict, source),
            [] as [&str; 0],
            "{source}"
        );
    }
    for source in [
        "try: pass\nexcept A, eval: pass",
        "class C[T = eval]: pass",
        "f\"{d[\"{eval(1)}\"]}{eval(1)}\"",
        "t\"{eval(1)}\"",
    ] {
        assert_eq!(
            messages(Profile::Strict, source),
            ["Forbidden call: eval()"],
            "{source}"
        );
    }
}

#[test]
fn val_07_to_val_09_what_ends_a_line() {
    for source in [
        "#\rimport os",
        "#\r\nimport os",
        "\x0cimport os",
        "x = 1 \\\n\nimport os",
        "# -*- coding: utf-7 -*-\nimport os",
    ] {
        assert_eq!(
            messages(Profile::Standard, source),
            ["Forbidden import: os"],
            "{source:?}"
        );
    }
    for source in ["#\u{2028}import os", "#\u{85}import os", "#\x0bimport os"] {
        assert!(messages(Profile::Standard, source).is_empty(), "{source:?}");
    }
    for source in [
        "\u{feff}x = 1",
        "x=1\0import os",
        "\0\0\0",
        "x\u{feff}=1",
        "x = 1\x1aimport os",
        "x\u{202e} = 1",
    ] {
        let found = screen(Profile::Standard, source);
        assert!(
            found.len() == 1 && found[0].rule == SourceRule::Syntax,
            "{source:?}: {found:?}"
        );
    }
}

/// A million of anything ends as a refusal or at a limit, soon, and the host does not notice.
#[test]
fn val_10_to_val_16_nesting_and_chains() {
    const N: usize = 1_000_000;
    let many = |text: &str, times: usize| text.repeat(times);
    let indented = |head: &str, levels: usize| -> String {
        let line = |i: usize| format!("{}{head}\n", " ".repeat(i));
        (0..levels).map(line).collect::<String>() + &" ".repeat(levels) + "pass"
    };
    let sources = [
        format!("{}1{}", many("(", N / 2), many(")", N / 2)),
        many("[", N),
        many("{", N),
        format!("1{}", many("+1", N / 2)),
        format!("a{}", many(".b", N / 2)),
        format!("f{}", many("()", N / 2)),
        format!("x{}", many("[0]", N / 3)),
        format!("{}1", many("not ", N / 4)),
        format!("{}1", many("-", N)),
        format!("{}1", many("1 if 1 else ", N / 12)),
        format!("{}0", many("lambda:", N / 7)),
        format!("{}1", many("1**", N / 3)),
        format!("{}x", many("await ", N / 6)),
        format!("{}1", many("*", N)),
        format!("x{}", many(" = x", N / 4)),
        many("@x\n", N / 3),
        many("x=1;", N / 4),
        format!("{}= 1", many("x,", N / 2)),
        format!(
            "def f({}): pass",
            (0..60_000).map(|i| format!("a{i},")).collect::<String>()
        ),
        format!("'{}'", many("x", N)),
        many("9", N),
        format!("if 1: pass\n{}", many("elif 1: pass\n", N / 14)),
        indented("if 1:", 99),
        indented("if 1:", 400),
        indented("try:", 300),
        many("f'{", N / 3),
        "x = 2**(2**40)".to_owned(),
        "x = 'a'*10**12".to_owned(),
        "match x:\n".to_owned() + &format!("    case {}1: pass", many("1|", N / 3)),
        many("try:\n pass\nfinally:\n pass\n", 30_000),
    ];
    let limits = Limits::default().with_fuel(AtMost(20_000_000_000)).unwrap();
    let policy = Policy::computing().with_limits(limits);
    let sandbox = Sandbox::new(runtime(), policy).unwrap();
    for source in sources {
        let started = Instant::now();
        let outcome = sandbox.run_blocking(&*source).unwrap();
        let harmless = match &outcome.verdict {
            Verdict::Rejected { violations } => violations.len() == 1,
            Verdict::Limit { .. } | Verdict::Completed => true,
            Verdict::Raised(raised) => [
                "NameError",
                "MemoryError",
                "SyntaxError",
                "RecursionError",
                "TypeError",
                "OverflowError",
            ]
            .contains(&raised.r#type.as_str()),
            _ => false,
        };
        assert!(harmless, "{:.40}: {:?}", source, outcome.verdict);
        assert!(started.elapsed() < Duration::from_secs(60), "{source:.40}");
        assert_eq!(printed("print('next')"), "next\n");
    }
    let deep = format!("{}1", "-".repeat(300_000));
    let found = screen(Profile::Standard, &deep);
    assert_eq!((found[0].rule, found.len()), (SourceRule::Nesting, 1));
}

#[test]
fn val_17_a_source_that_is_too_large_or_takes_too_long() {
    let tiny = |limits: Limits| {
        let policy = Policy::computing().with_limits(limits);
        Sandbox::new(runtime(), policy).unwrap()
    };
    let source = "x = [1, 2, 3]\n".repeat(50_000);
    let little = Limits::default().with_fuel(AtMost(20_000_000)).unwrap();
    let short = Limits::default()
        .with_timeout(AtMost(Duration::from_millis(2)))
        .unwrap();
    for sandbox in [tiny(little), tiny(short)] {
        let found = pollster::block_on(sandbox.screen(&*source)).unwrap();
        assert_eq!((found[0].rule, found.len()), (SourceRule::Resources, 1));
        let outcome = sandbox.run_blocking(&*source).unwrap();
        assert_eq!(
            outcome.verdict,
            Verdict::Rejected {
                violations: found.clone()
            }
        );
        assert!(outcome.usage.fuel > 0);
    }
    let long = "#".repeat((1 << 20) + 1);
    assert_eq!(
        screen(Profile::Open, &long)[0].rule,
        SourceRule::SourceBytes
    );
}

/// Mutated sources: screening calls the same a syntax error as the interpreter does when it runs
/// them unscreened. Goes on for as many seconds as `WARDIAN_FUZZ_SECONDS` says.
#[test]
fn screening_and_running_agree_on_syntax_errors() {
    let seconds = std::env::var("WARDIAN_FUZZ_SECONDS").ok();
    let seconds = seconds
        .and_then(|seconds| seconds.parse().ok())
        .unwrap_or(3);
    let until = Instant::now() + Duration::from_secs(seconds);
    let sources = library();
    let sources: Vec<_> = sources
        .iter()
        .filter(|source| (200..6_000).contains(&source.len()))
        .collect();
    let screening = without_import_rules();
    let little = Limits::default().with_fuel(AtMost(400_000_000)).unwrap();
    let running = Sandbox::new(runtime(), unscreened().with_limits(little)).unwrap();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64 ^ seconds;
    let mut below = |limit: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % limit.max(1) as u64) as usize
    };
    let (mut tried, mut wrong) = (0, 0);
    while Instant::now() < until {
        let mut chars: Vec<char> = sources[below(sources.len())].chars().collect();
        for _ in 0..=below(3) {
            let at = below(chars.len());
            let len = below(12).min(chars.len() - at);
            match below(4) {
                0 => _ = chars.drain(at..at + len),
                1 => chars.insert(
                    at,
                    [
                        '(', ')', ':', '\'', '\n', '\r', '\t', ',', '=', '*', '{', '\\', '@', 'é',
                    ][below(14)],
                ),
                2 => {
                    let piece: Vec<char> = chars[at..at + len].to_vec();
                    let to = below(chars.len());
                    chars.splice(to..to, piece);
                }
                _ => {
                    let word = [
                        "yield",
                        "await ",
                        "return ",
                        " if ",
                        "lambda",
                        "async ",
                        "import ",
                        "global x",
                        "f'{",
                        "match x:",
                        "*",
                        "del ",
                        "nonlocal y",
                    ][below(13)];
                    chars.splice(at..at, word.chars());
                }
            }
        }
        let source: String = chars.into_iter().collect();
        let found = pollster::block_on(screening.screen(source.as_str())).unwrap();
        let screened = found.iter().any(|found| found.rule == SourceRule::Syntax);
        let outcome = running.run_blocking(source.as_str()).unwrap();
        let raised = match &outcome.verdict {
            // It ran for too long to tell what it would have come to.
            Verdict::Limit { .. } if !screened => false,
            // Raised while it was compiled, not by something that it ran.
            Verdict::Raised(raised) => {
                ["SyntaxError", "IndentationError", "TabError"].contains(&raised.r#type.as_str())
                    && !raised.traceback.starts_with("Traceback")
            }
            _ => false,
        };
        assert_eq!(screened, raised, "{source}\n{found:?}\n{}", outcome.verdict);
        tried += 1;
        wrong += usize::from(raised);
    }
    assert!(tried > 20 && wrong > 5, "{tried} {wrong}");
    println!("{tried} mutated sources, {wrong} of them no Python");
}

/// VAL-06: what a script does to Python's own names is done after it was screened.
#[test]
fn val_06_rebinding_what_a_checker_would_use() {
    let source = indoc! {"
        any = all = lambda *a: False
        len = isinstance = lambda *a: 0
        import os"};
    assert_eq!(
        messages(Profile::Standard, source),
        ["Forbidden import: os"]
    );
}

/// Errors that only the compiler finds are told together with broken rules.
#[test]
fn syntax_errors_and_broken_rules_are_told_at_once() {
    let source = "import os\ndef f(x, x): pass\neval(x)";
    assert_eq!(
        messages(Profile::Standard, source),
        [
            "Forbidden import: os",
            "Syntax error: duplicate argument 'x' in function definition",
            "Forbidden call: eval()"
        ]
    );
}

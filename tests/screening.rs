//! Source is screened inside of the guest: rows VAL-01 to VAL-20 of the catalogue of attacks, and
//! what must not be refused.

use std::time::{Duration, Instant};

use serde_json::json;
use wardian::policy::Allowance::AtMost;
use wardian::{
    Limits, Outcome, Policy, Sandbox, Verdict,
    outcome::Violation,
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

fn validate(profile: Profile, source: &str) -> Vec<Violation> {
    pollster::block_on(sandbox(profile.source_rules()).screen(source)).unwrap()
}

#[track_caller]
fn messages(profile: Profile, source: &str) -> Vec<String> {
    let found = validate(profile, source);
    // A run says the same, and does not run.
    let outcome = run(profile, source);
    match &outcome.verdict {
        Verdict::Rejected { violations } => assert_eq!(*violations, found),
        verdict => assert!(found.is_empty(), "{source}: {verdict}"),
    }
    assert!(found.is_empty() || outcome.stdout.written == 0);
    found.into_iter().map(|found| found.message).collect()
}

#[test]
fn the_recipes_two_examples() {
    let computing = "import math\nprint(math.pi)\nprint(math.sqrt(16))";
    for profile in [Profile::Strict, Profile::Standard] {
        assert_eq!(
            run(profile, computing).stdout.text(),
            "3.141592653589793\n4.0\n"
        );
        let outcome = run(profile, "import os\nos.system('ls')");
        assert_eq!(outcome.json()["success"], false);
        assert!(
            outcome.json()["error"]
                .as_str()
                .unwrap()
                .contains("Forbidden import: os")
        );
        assert_eq!(messages(profile, "import os"), ["Forbidden import: os"]);
    }
}

#[test]
fn profiles_refuse_what_they_say() {
    for (source, strict, standard) in [
        ("getattr(1, 'real')", "Forbidden call: getattr()", ""),
        ("import heapq", "Not in whitelist: heapq", ""),
        (
            "eval('1')",
            "Forbidden call: eval()",
            "Forbidden call: eval()",
        ),
        (
            "import ctypes",
            "Not in whitelist: ctypes",
            "Not in whitelist: ctypes",
        ),
        ("from urllib import parse", "Forbidden import: urllib", ""),
        ("import sys; sys.maxsize", "Forbidden import: sys", ""),
        (
            "from sys import maxsize, modules",
            "Forbidden import: sys",
            "Not in whitelist: sys.modules",
        ),
        (
            "from os import path, system",
            "Forbidden import: os",
            "Forbidden import: os",
        ),
        (
            "1 +",
            "Syntax error: invalid syntax",
            "Syntax error: invalid syntax",
        ),
        (
            "return 1",
            "Syntax error: 'return' outside function",
            "Syntax error: 'return' outside function",
        ),
        (
            "def f():\n    from math import *",
            "Syntax error: import * only allowed at module level",
            "Syntax error: import * only allowed at module level",
        ),
        ("from __future__ import annotations\nx: int = 1", "", ""),
        ("await_ = 1\nasync def f(): pass\nawait f()", "", ""),
    ] {
        for (profile, said) in [(Profile::Strict, strict), (Profile::Standard, standard)] {
            let expected: Vec<_> = [said].into_iter().filter(|said| !said.is_empty()).collect();
            assert_eq!(messages(profile, source), expected, "{source}");
        }
        // Without screening, the source decides for itself.
        assert!(!matches!(
            run(Profile::Open, source).verdict,
            Verdict::Rejected { .. }
        ));
    }
}

#[test]
fn lists_can_be_changed_by_key() {
    let source = "version = 1\npermissions = [\"EXECUTE_CODE\"]\n[code]\nprofile = \"strict\"\n\
        allow_imports = [\"os.path\", \"heapq\"]\nforbid_imports = [\"json\"]\nallow_calls = [\"getattr\"]\nforbid_calls = [\"print\"]";
    let policy = Policy::parse(&Source::text("p.toml", source)).unwrap();
    let sandbox = Sandbox::new(runtime(), policy).unwrap();
    let messages = |source: &str| -> Vec<String> {
        let found = pollster::block_on(sandbox.screen(source)).unwrap();
        found.into_iter().map(|found| found.message).collect()
    };
    assert!(messages("import heapq\ngetattr(heapq, 'heappop')").is_empty());
    assert_eq!(messages("import json"), ["Forbidden import: json"]);
    assert_eq!(messages("print(1)"), ["Forbidden call: print()"]);
    assert_eq!(messages("import os"), ["Forbidden import: os"]);
}

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
        let found = validate(Profile::Standard, source);
        assert!(
            found.len() == 1 && found[0].rule == "syntax",
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
    let found = validate(Profile::Standard, &deep);
    assert_eq!((&*found[0].rule, found.len()), ("nesting", 1));
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
        assert_eq!((&*found[0].rule, found.len()), ("resources", 1));
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
    assert_eq!(validate(Profile::Open, &long)[0].rule, "source_bytes");
}

#[test]
fn val_19_val_20_imports_by_prefix_and_by_star() {
    for (source, said) in [
        ("import os.abc as p", "Forbidden import: os.abc"),
        ("import jsonx", "Not in whitelist: jsonx"),
        ("from . import y", "Not in whitelist: ."),
        ("from .. import os", "Not in whitelist: .."),
        ("import os as json", "Forbidden import: os"),
        ("from os import *", "Forbidden import: os"),
    ] {
        assert_eq!(messages(Profile::Standard, source), [said], "{source}");
    }
    assert!(
        messages(
            Profile::Standard,
            "from math import *\nimport json.decoder as d"
        )
        .is_empty()
    );
}

/// Names that are worked out at run time meet the same rules where imports happen.
#[test]
fn imports_are_guarded_at_run_time() {
    let caught = |code: &str| {
        let source = format!(
            "try:\n    {code}\n    print('imported')\nexcept ImportError as e:\n    print(type(e).__name__, e, e.name)"
        );
        let outcome = run(Profile::Standard, &source);
        let errors = outcome.stderr.text();
        assert_eq!(outcome.verdict, Verdict::Completed, "{code}: {errors}");
        outcome.stdout.text().trim().to_owned()
    };
    let hidden =
        "b = (lambda: 0).__globals__['__builtins__']; b = b if isinstance(b, dict) else vars(b); ";
    for (code, said) in [
        (
            "b['__imp' + 'ort__']('os')",
            "ModuleNotFoundError Forbidden import: os os",
        ),
        (
            "b['__imp' + 'ort__']('ctypes')",
            "ModuleNotFoundError Not in whitelist: ctypes ctypes",
        ),
        (
            "b['ex' + 'ec']('import subprocess')",
            "ModuleNotFoundError Forbidden import: subprocess subprocess",
        ),
        (
            "b['ev' + 'al']('__import__(\"socket\")')",
            "ModuleNotFoundError Forbidden import: socket socket",
        ),
        (
            "b['ex' + 'ec']('import os')",
            "ModuleNotFoundError Forbidden import: os os",
        ),
        (
            "b['ex' + 'ec']('from os import system')",
            "ModuleNotFoundError Forbidden import: os os",
        ),
        ("b['ex' + 'ec']('from os import path')", "imported"),
        ("b['ex' + 'ec']('import heapq')", "imported"),
    ] {
        assert_eq!(caught(&format!("{hidden}{code}")), said, "{code}");
    }
    // What is written in Rust goes on importing what it needs, as if its caller did.
    for profile in [Profile::Strict, Profile::Standard] {
        let source = "import datetime, re, functools, json, random, string\n\
            assert datetime.datetime.strptime('2024-01-02', '%Y-%m-%d').day == 2\n\
            assert 'x'.encode('utf-16') and f'{1234:n}'\n\
            class A: pass\n\
            A().__reduce_ex__(2)\n\
            list[int] | None, re.compile('(a|b)+').fullmatch('ab').groups()";
        let outcome = run(profile, source);
        assert_eq!(
            outcome.verdict,
            Verdict::Completed,
            "{}",
            outcome.stderr.text()
        );
    }
    // The library goes on importing what it needs: all of these import os or sys inside.
    assert_eq!(
        caught(
            "import tempfile, pathlib, logging, zoneinfo, unittest, asyncio, glob, random; random.Random(); pathlib.Path('x').name; logging.getLogger('x').debug('y')"
        ),
        "imported"
    );
    assert_eq!(
        caught("import decimal; import xml.etree.ElementTree as E; E.fromstring('<a/>').tag"),
        "imported"
    );
    let outcome = sandbox(Profile::Open.source_rules())
        .run_blocking("import os, sys, importlib\nimportlib.import_module('shutil').__name__")
        .unwrap();
    assert_eq!(
        outcome.json()["value"],
        "shutil",
        "{}",
        outcome.stderr.text()
    );
}

/// Code that prints a traceback is held to no rule: it shows the line, and looks for no file.
#[test]
fn tracebacks_are_whole_under_every_profile() {
    for profile in [Profile::Strict, Profile::Standard, Profile::Open] {
        let outcome = run(profile, "def f():\n    return 1 / 0\nf()");
        let stderr = outcome.stderr.text().into_owned();
        assert!(
            stderr.contains("    return 1 / 0\n           ~~^~~\n"),
            "{stderr}"
        );
        assert_eq!(outcome.refusals.count, 0, "{:?}", outcome.refusals);
    }
}

#[test]
fn importlib_is_guarded_too() {
    let mut code = Profile::Standard.source_rules();
    code.rules
        .allowed_imports
        .as_mut()
        .unwrap()
        .extend(["importlib".to_owned()]);
    let source = "import importlib\ntry: importlib.import_module('os')\nexcept ImportError as e: x = str(e)\n[x, importlib.import_module('json').__name__]";
    let outcome = sandbox(code).run_blocking(source).unwrap();
    assert_eq!(
        outcome.json()["value"],
        json!(["Forbidden import: os", "json"]),
        "{}",
        outcome.stderr.text()
    );
}

/// An import that fails where the script has something else to do raises there; elsewhere, the
/// script is refused.
#[test]
fn guarded_imports_raise_where_they_are() {
    let fallback =
        "try:\n    import MODULE\nexcept ERROR as error:\n    print(type(error).__name__, error)";
    for (module, error, said) in [
        (
            "os",
            "ImportError",
            "ModuleNotFoundError Forbidden import: os",
        ),
        (
            "ctypes",
            "(KeyError, ModuleNotFoundError)",
            "ModuleNotFoundError Not in whitelist: ctypes",
        ),
        (
            "numpy",
            "ImportError",
            "ModuleNotFoundError No module named 'numpy'",
        ),
        (
            "pandas",
            "Exception",
            "ModuleNotFoundError No module named 'pandas'",
        ),
    ] {
        let source = fallback.replace("MODULE", module).replace("ERROR", error);
        let outcome = run(Profile::Standard, &source);
        assert_eq!(outcome.stdout.text().trim(), said, "{module}");
        assert_eq!(outcome.verdict, Verdict::Completed);
    }
    for refused in [
        "try:\n    import os\nexcept KeyError: pass",
        "try:\n    pass\nexcept ImportError:\n    import os",
        "try:\n    def f(): import os\nexcept ImportError: pass",
        "try:\n    pass\nexcept ImportError: pass\nelse: import os",
    ] {
        assert_eq!(
            messages(Profile::Standard, refused),
            ["Forbidden import: os"],
            "{refused}"
        );
    }
}

/// Of a module that is allowed in part, a script sees this part.
#[test]
fn modules_that_are_allowed_in_part_show_it() {
    let printed = |code: &str| {
        let outcome = run(Profile::Standard, code);
        assert_eq!(
            outcome.verdict,
            Verdict::Completed,
            "{code}: {}",
            outcome.stderr.text()
        );
        outcome.stdout.text().into_owned()
    };
    assert_eq!(
        printed(
            "import sys, os.path, urllib.parse\nprint(sys.maxsize, os.path.join('a', 'b'), urllib.parse.quote('ä'))"
        ),
        "9223372036854775807 a/b %C3%A4\n"
    );
    assert_eq!(
        printed(
            "import io, sys\nkept, sys.stdout = sys.stdout, io.StringIO()\nprint('hidden')\ntext = sys.stdout.getvalue()\nsys.stdout = kept\nprint(repr(text))\nfrom sys import *\nprint(byteorder)"
        ),
        "'hidden\\n'\nlittle\n"
    );
    for (code, name) in [
        ("import sys; sys.modules", "modules"),
        ("import sys; sys._getframe", "_getframe"),
        ("import os.path; os.system", "system"),
        ("import os.path as p; import importlib", ""),
    ] {
        let outcome = run(Profile::Standard, code);
        match outcome.verdict {
            Verdict::Raised(raised) => {
                assert_eq!(raised.r#type, "AttributeError");
                assert!(
                    raised
                        .message
                        .contains(&format!("has no attribute '{name}' here"))
                );
            }
            Verdict::Rejected { .. } => assert!(name.is_empty(), "{code}"),
            other => panic!("{code}: {other:?}"),
        }
    }
}

/// A guard is of one run: the next one has its own.
#[test]
fn a_guard_does_not_outlive_its_run() {
    assert_eq!(
        run(Profile::Strict, "import math").verdict,
        Verdict::Completed
    );
    assert_eq!(printed("import os\nprint(os.getcwd())"), "/\n");
}

#[test]
fn every_listed_module_is_there() {
    let there = runtime().modules().unwrap();
    for profile in [Profile::Strict, Profile::Standard] {
        for module in profile.source_rules().rules.allowed_imports.unwrap().iter() {
            // A part of a module is one too, or something in it.
            let holder = module.rsplit_once('.').map_or(module, |(holder, _)| holder);
            let is_there = |module| there.iter().any(|there| there == module);
            assert!(is_there(module) || is_there(holder), "{module}");
        }
    }
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

/// Real modules: nothing in them is taken for a syntax error.
#[test]
fn the_modules_of_the_standard_library_are_read() {
    let sources = library();
    assert!(sources.len() >= 500, "{}", sources.len());
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || {
        let sandbox = without_import_rules();
        loop {
            let i = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some(source) = sources.get(i) else { break };
            let found = pollster::block_on(sandbox.screen(source.as_str())).unwrap();
            let refused = found.iter().find(|found| found.rule != "call");
            assert!(refused.is_none(), "{:.60}: {refused:?}", source);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
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
        let screened = found.iter().any(|found| found.rule == "syntax");
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
    let source = "any = all = lambda *a: False\nlen = isinstance = lambda *a: 0\nimport os";
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

#[test]
fn validation_needs_no_permission() {
    let policy = Policy::new(Permission::NONE, Limits::default());
    let sandbox = Sandbox::new(runtime(), policy).unwrap();
    let found = pollster::block_on(sandbox.screen("import os")).unwrap();
    assert_eq!(found[0].message, "Forbidden import: os");
}

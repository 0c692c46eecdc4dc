//! Profiles and their lists.

use super::*;
use indoc::indoc;

#[test]
fn two_forbidden_sources() {
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
    let source = indoc! {r#"
        version = 1
        permissions = ["EXECUTE_CODE"]
        [source]
        profile = "strict"
        allow_imports = ["os.path", "heapq"]
        forbid_imports = ["json"]
        allow_calls = ["getattr"]
        forbid_calls = ["print"]"#};
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
            let refused = found.iter().find(|found| found.rule != SourceRule::Call);
            assert!(refused.is_none(), "{:.60}: {refused:?}", source);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
}

#[test]
fn validation_needs_no_permission() {
    let policy = Policy::new(Permission::NONE, Limits::default());
    let sandbox = Sandbox::new(runtime(), policy).unwrap();
    let found = pollster::block_on(sandbox.screen("import os")).unwrap();
    assert_eq!(found[0].message, "Forbidden import: os");
}

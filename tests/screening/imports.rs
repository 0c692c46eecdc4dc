//! Imports are guarded where they happen, too.

use super::*;
use indoc::indoc;

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
        let source = indoc! {"
            import datetime, re, functools, json, random, string
            assert datetime.datetime.strptime('2024-01-02', '%Y-%m-%d').day == 2
            assert 'x'.encode('utf-16') and f'{1234:n}'
            class A: pass
            A().__reduce_ex__(2)
            list[int] | None, re.compile('(a|b)+').fullmatch('ab').groups()"};
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
            "import tempfile, pathlib, logging, zoneinfo, unittest, asyncio, glob, random; random.Random(); \
             pathlib.Path('x').name; logging.getLogger('x').debug('y')"
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
    let source = indoc! {"
        import importlib
        try: importlib.import_module('os')
        except ImportError as e: x = str(e)
        [x, importlib.import_module('json').__name__]"};
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
    let fallback = indoc! {"
            try:
                import MODULE
            except ERROR as error:
                print(type(error).__name__, error)"};
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
        printed(indoc! {"
                import io, sys
                kept, sys.stdout = sys.stdout, io.StringIO()
                print('hidden')
                text = sys.stdout.getvalue()
                sys.stdout = kept
                print(repr(text))
                from sys import *
                print(byteorder)"}),
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

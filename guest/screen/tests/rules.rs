//! Sources, and what is found in each.

use wardian_abi::{NameSet, ScreenRules, SourceRule};
use wardian_screen::screen;

fn set(names: &str) -> NameSet {
    names.split_whitespace().map(str::to_owned).collect()
}

/// The lists of `strict`.
fn strict() -> ScreenRules {
    ScreenRules {
        allowed_imports: Some(set(
            "math json datetime re collections itertools functools statistics random string",
        )),
        forbidden_imports: set("os sys subprocess shutil socket http urllib"),
        forbidden_calls: set("eval exec compile __import__ globals locals getattr setattr delattr"),
    }
}

/// Each is where and what, in order: `1:8 Forbidden import: os`.
#[track_caller]
fn check(source: &str, found: &[&str]) {
    let violations = screen(source, &strict());
    let said: Vec<_> = violations
        .iter()
        .map(|found| format!("{}:{} {}", found.line, found.column, found.message))
        .collect();
    assert_eq!(said, found, "{source}");
}

#[test]
fn two_forbidden_sources() {
    check("import math\nprint(math.pi)\nprint(math.sqrt(16))", &[]);
    check("import os\nos.system('ls')", &["1:8 Forbidden import: os"]);
}

#[test]
fn imports_in_every_form() {
    for (source, found) in [
        ("import a.b as c", "1:8 Not in whitelist: a.b"),
        ("import os.path as p", "1:8 Forbidden import: os.path"),
        ("from os import path", "1:6 Forbidden import: os"),
        ("from numpy import array", "1:6 Not in whitelist: numpy"),
        ("from os import *", "1:6 Forbidden import: os"),
        ("from . import os", "1:1 Not in whitelist: ."),
        ("from ..x import y", "1:8 Not in whitelist: ..x"),
        ("import jsonx", "1:8 Not in whitelist: jsonx"),
        (
            "def f():\n    if 1:\n        import sys",
            "3:16 Forbidden import: sys",
        ),
        (
            "try:\n    pass\nexcept* E:\n    import sys",
            "4:12 Forbidden import: sys",
        ),
        ("class A:\n    import sys", "2:12 Forbidden import: sys"),
        (
            "match 1:\n    case 1:\n        import sys",
            "3:16 Forbidden import: sys",
        ),
        ("import os as math", "1:8 Forbidden import: os"),
        ("import ｏｓ", "1:8 Forbidden import: os"),
    ] {
        check(source, &[found]);
    }
    for source in [
        "from collections.abc import Iterable",
        "from collections import *",
        "from __future__ import annotations",
        "import math as os",
    ] {
        check(source, &[]);
    }
    check(
        "import json, os, numpy",
        &["1:14 Forbidden import: os", "1:18 Not in whitelist: numpy"],
    );
}

#[test]
fn a_module_that_is_not_allowed_may_hold_some_that_are() {
    let mut rules = strict();
    rules.allowed_imports = Some(set("xml.etree json"));
    rules.forbidden_imports = set("json.tool");
    let messages = |source: &str| -> Vec<String> {
        let found = screen(source, &rules).into_iter();
        found.map(|found| found.message).collect()
    };
    assert!(messages("import xml.etree.ElementTree\nfrom xml import etree").is_empty());
    assert_eq!(
        messages("from xml import sax, etree"),
        ["Not in whitelist: xml.sax"]
    );
    assert_eq!(
        messages("from json import tool, loads"),
        ["Forbidden import: json.tool"]
    );
}

#[test]
fn calls_in_every_form() {
    for (source, at) in [
        ("eval('1')", "1:1"),
        ("x = eval", "1:5"),
        ("e = eval; e('1')", "1:5"),
        ("@eval\nclass A: pass", "1:2"),
        ("class A(eval('1')): pass", "1:9"),
        ("class A(metaclass=eval): pass", "1:19"),
        ("with eval('1') as x: pass", "1:6"),
        ("f'{eval(1)}'", "1:4"),
        ("f'{1:{eval(1)}}'", "1:7"),
        ("f'{f\"{eval(1)}\"}'", "1:7"),
        ("t'{eval(1)}'", "1:4"),
        ("x: eval = 1", "1:4"),
        ("def f(x=eval): pass", "1:9"),
        ("def f(x: eval): pass", "1:10"),
        ("def f() -> eval: pass", "1:12"),
        ("lambda x=eval: x", "1:10"),
        ("[eval(x) for x in y]", "1:2"),
        ("[0 for eval in eval(1)]", "1:16"),
        ("{k: v for k, v in x if eval(k)}", "1:24"),
        ("x = y if eval else z", "1:10"),
        ("x[eval(1)] = 2", "1:3"),
        ("x += eval(1)", "1:6"),
        ("del x[eval(1)]", "1:7"),
        ("assert eval(1)", "1:8"),
        ("raise eval(1)", "1:7"),
        ("match eval(1):\n    case _: pass", "1:7"),
        ("match x:\n    case y if eval(y): pass", "2:15"),
        ("type X = eval", "1:10"),
        ("def f[T: eval](): pass", "1:10"),
        ("def f[T = eval](): pass", "1:11"),
        ("async def f():\n    await eval(1)", "2:11"),
        ("(x := eval)", "1:7"),
        ("map(eval, x)", "1:5"),
        ("print(*eval(1), **x)", "1:8"),
        ("try: pass\nexcept eval: pass", "2:8"),
        ("global eval\neval(1)", "2:1"),
        // A name of one function is not one of another.
        ("def f(eval): pass\neval(1)", "2:1"),
        ("def f():\n    [0 for eval in ()]\n    eval(1)", "3:5"),
        (
            "def f():\n    global eval\n    eval = 1\n    eval(1)",
            "4:5",
        ),
        ("class A:\n    eval = 1\n    def f(self): eval(1)", "3:18"),
        ("if 0: eval = 1\neval(1)", "2:1"),
        // NFKC: other letters, the same name.
        ("𝓮𝓿𝓪𝓵('1')", "1:1"),
        ("ｅval('1')", "1:1"),
        // Through the module of built-in functions.
        ("__builtins__.eval(1)", "1:1"),
        ("__builtins__['eval'](1)", "1:1"),
        ("b = __builtins__\nb.eval(1)", "2:1"),
    ] {
        check(source, &[&format!("{at} Forbidden call: eval()")]);
    }
    check(
        "import builtins as b\nb.eval(1)",
        &[
            "1:8 Not in whitelist: builtins",
            "2:1 Forbidden call: eval()",
        ],
    );
    check(
        "from builtins import eval as e",
        &[
            "1:6 Not in whitelist: builtins",
            "1:22 Forbidden call: eval()",
        ],
    );
    check("__ᵢmport__('x')", &["1:1 Forbidden call: __import__()"]);
}

#[test]
fn what_only_looks_like_a_call_is_none() {
    for source in [
        "re.compile('x')",
        "df.eval('a + b')",
        "def f(compile=True):\n    return compile and 1",
        "def f():\n    eval = 3\n    return eval",
        "def f(eval):\n    return [eval(x) for x in y]",
        "[eval for eval in x]",
        "{compile: 1 for compile in x}",
        "lambda eval: eval(1)",
        "def f():\n    for exec in x: print(exec)",
        "def f():\n    match x:\n        case {'a': 1, **exec}: print(exec)",
        "def f():\n    def eval(x): return x\n    return eval(1)",
        "def f():\n    try: pass\n    except E as exec: print(exec)",
        "f(eval=1)",
        "x.eval = 1",
        "eval = 1",
        "'eval(1)'",
        "# eval(1)",
    ] {
        check(source, &[]);
    }
}

#[test]
fn all_of_them_at_once_in_the_order_of_the_source() {
    check(
        "import os, sys\nx = eval(input())\nfrom shutil import rmtree\nexec(x)\n",
        &[
            "1:8 Forbidden import: os",
            "1:12 Forbidden import: sys",
            "2:5 Forbidden call: eval()",
            "3:6 Forbidden import: shutil",
            "4:1 Forbidden call: exec()",
        ],
    );
    let many = "eval(1)\n".repeat(1000);
    assert_eq!(screen(&many, &strict()).len(), wardian_abi::VIOLATIONS);
}

#[test]
fn a_violation_says_where_it_ends_and_what_stands_there() {
    let violation = &screen("größe = 1; import os.path\n", &strict())[0];
    assert_eq!((violation.line, violation.column), (1, 19));
    assert_eq!((violation.end_line, violation.end_column), (1, 26));
    assert_eq!(violation.text, "os.path");
    assert_eq!(violation.rule, SourceRule::Import);
}

/// New grammar is read like old: nothing is refused for using it, and nothing hides in it.
#[test]
fn the_grammar_is_the_interpreters() {
    for source in [
        "try: pass\nexcept A, B: pass",
        "class C[T = int]: pass",
        "d = {}\nf\"{d[\"k\"]}\"",
        "t\"{x}\"",
        "type X[T] = list[T]",
        "match x:\n    case [1, *_]: pass",
        "(y := 1)",
        "f'{x!r:>{w}}'",
        "def f(a, /, b, *, c): pass",
        "async def f():\n    async with a as b: pass\n    return [x async for x in y]",
        "with (a as b, c as d): pass",
        "x = 1_000\n",
    ] {
        check(source, &[]);
    }
    for source in [
        "1 +",
        "def f(:",
        "x = (",
        "print 'x'",
        "a b",
        "%magic",
        "!ls",
        "?help",
    ] {
        let found = screen(source, &strict());
        assert_eq!(found.len(), 1, "{source}");
        assert_eq!(found[0].rule, SourceRule::Syntax, "{source}");
        assert!(found[0].message.starts_with("Syntax error: "), "{source}");
    }
}

/// Ends of lines are the parser's business alone.
#[test]
fn line_ends_hide_nothing() {
    for (source, line) in [
        ("#\rimport os", 2),
        ("#\r\nimport os", 2),
        ("\x0cimport os", 1),
        ("x = 1 \\\n\nimport os", 3),
        ("# -*- coding: utf-7 -*-\nimport os", 2),
        ("\u{feff}import os", 1),
    ] {
        let found = screen(source, &strict());
        assert_eq!(found.len(), 1, "{source:?}: {found:?}");
        assert_eq!((found[0].line, &*found[0].text), (line, "os"), "{source:?}");
    }
    for source in [
        "#\u{2028}import os",
        "#\u{85}import os",
        "'\u{2028}import os'",
    ] {
        assert!(screen(source, &strict()).is_empty(), "{source:?}");
    }
}

/// A name that a script has bound itself is not the built-in function of that name, from there on.
#[test]
fn names_of_its_own_are_not_built_in() {
    for own in [
        "from re import compile\ncompile('x')",
        "from json import loads as eval\ndef f(): return eval('1')",
        "def exec(code): return code\nexec('1')",
        "class compile: pass\ncompile()",
    ] {
        check(own, &[]);
    }
    for (source, found) in [
        (
            "eval('1')\ndef eval(code): pass",
            "1:1 Forbidden call: eval()",
        ),
        (
            "if 1:\n    def eval(code): pass\neval('1')",
            "3:1 Forbidden call: eval()",
        ),
        (
            "def f(): return eval('1')\nfrom json import loads as eval",
            "1:17 Forbidden call: eval()",
        ),
        (
            "from builtins import eval\neval('1')",
            "1:6 Not in whitelist: builtins",
        ),
    ] {
        let found_first = screen(source, &strict());
        let first = found_first
            .first()
            .map(|found| format!("{}:{} {}", found.line, found.column, found.message));
        assert_eq!(first.as_deref(), Some(found), "{source}");
    }
}

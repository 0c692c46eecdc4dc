//! Python as people know it: values, tracebacks, exits, input, asyncio.

use indoc::indoc;
use serde_json::{Value as Json, json};
use wardian::{Script, Verdict, outcome::Value};

use crate::{printed, raised, run, runtime, value};

#[test]
fn output_and_value() {
    let outcome = run("print('a', end='')\nprint('b')\n6 * 7");
    assert_eq!(outcome.stdout.text(), "ab\n");
    assert_eq!(outcome.value, Some(Value::Json(json!(42))));
    assert!(outcome.success());
}

#[test]
fn the_value_is_that_of_a_final_expression() {
    for (code, expected) in [
        ("", Json::Null),
        ("x = 1", Json::Null),
        ("None", Json::Null),
        ("1\n2\n", json!(2)),
        ("x = 1; x", json!(1)),
        ("if True:\n    3", Json::Null),
        (
            "[1, 2.5, 'ä', True, None, {'k': (1, 2)}]",
            json!([1, 2.5, "ä", true, null, {"k": [1, 2]}]),
        ),
        ("2**63", json!(1_u64 << 63)),
        ("-2**63", json!(i64::MIN)),
        (
            "import collections\ncollections.namedtuple('P', 'x y')(1, 2)",
            json!([1, 2]),
        ),
        (
            "import enum\nclass E(enum.IntEnum):\n  A = 3\nE.A",
            json!(3),
        ),
        (
            "from collections import OrderedDict\nOrderedDict(b=1, a=2)",
            json!({"b": 1, "a": 2}),
        ),
        // As json.dumps has it.
        (
            "{2024: 5, True: {None: 1}, -1: []}",
            json!({"2024": 5, "true": {"null": 1}, "-1": []}),
        ),
        (
            "from collections import Counter\nCounter([2023, 2024, 2024])",
            json!({"2023": 1, "2024": 2}),
        ),
    ] {
        assert_eq!(value(code), expected, "{code}");
    }
}

#[test]
fn what_is_not_json_comes_back_as_repr_with_the_reason() {
    for (code, expected_repr, expected_reason) in [
        ("{1, 2}", "{1, 2}", "'set' is not a JSON type"),
        ("float('nan')", "nan", "NaN is not a JSON number"),
        (
            "2**64",
            "18446744073709551616",
            "an integer does not fit in 64 bits",
        ),
        (
            "{(1,): 2}",
            "{(1,): 2}",
            "a key of type 'tuple' is not a string",
        ),
        (
            "{1: 2, '1': 3}",
            "{1: 2, '1': 3}",
            "two keys are the same text in JSON",
        ),
        ("'\\ud800'", "'\\ud800'", "a string holds a lone surrogate"),
        (
            "class A:\n  def __repr__(self): return 'mine'\n[A()]",
            "[mine]",
            "'A' is not a JSON type",
        ),
        (
            "class A:\n  def __repr__(self): 1/0\nA()",
            "<repr() failed>",
            "'A' is not a JSON type",
        ),
    ] {
        let outcome = run(code);
        assert_eq!(outcome.verdict, Verdict::Completed, "{code}");
        let Some(Value::Opaque { repr, reason }) = outcome.value else {
            panic!("{code}: {:?}", outcome.value)
        };
        assert_eq!(repr.as_deref(), Some(expected_repr), "{code}");
        assert_eq!(reason, expected_reason, "{code}");
    }
}

#[test]
fn a_traceback_reads_like_cpythons() {
    let outcome = run("def f(x):\n    return 1 / x\n\nprint('a')\nf(0)\n");
    let traceback = concat!(
        "Traceback (most recent call last):\n",
        "  File \"<snippet>\", line 5, in <module>\n",
        "    f(0)\n",
        "    ~^^^\n",
        "  File \"<snippet>\", line 2, in f\n",
        "    return 1 / x\n",
        "           ~~^~~\n",
        "ZeroDivisionError: division by zero\n",
    );
    assert_eq!(outcome.stdout.text(), "a\n");
    assert_eq!(outcome.stderr.text(), traceback);
    let Verdict::Raised(raised) = outcome.verdict else {
        panic!("{:?}", outcome.verdict)
    };
    assert_eq!(raised.r#type, "ZeroDivisionError");
    assert_eq!(raised.message, "division by zero");
    assert_eq!(raised.traceback, traceback);
    assert_eq!(raised.line, Some(2));
}

#[test]
fn a_syntax_error_names_its_line() {
    let Verdict::Raised(raised) = run("x = 1\nif x\n  y").verdict else {
        panic!()
    };
    assert_eq!(raised.r#type, "SyntaxError");
    assert_eq!(raised.line, Some(2));
    assert!(
        raised
            .traceback
            .contains("File \"<snippet>\", line 2\n    if x\n"),
        "{}",
        raised.traceback
    );
}

#[test]
fn exceptions_of_the_script_keep_their_names() {
    for (code, expected) in [
        ("class Mine(Exception): pass\nraise Mine('x')", "Mine"),
        (
            "import json\njson.loads('{')",
            "json.decoder.JSONDecodeError",
        ),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("raise BaseException('b')", "BaseException"),
        (
            "raise ExceptionGroup('g', [ValueError('v')])",
            "ExceptionGroup",
        ),
    ] {
        assert_eq!(raised(code).0, expected, "{code}");
    }
    let (_, traceback) = raised(indoc! {"
            try:
              1/0
            except ZeroDivisionError as e:
              raise ValueError('v') from e"});
    assert!(
        traceback.contains("direct cause of the following exception"),
        "{traceback}"
    );
}

#[test]
fn no_traceback_holds_a_frame_of_ours_or_a_path_of_the_host() {
    for code in [
        "1/0",
        "import json\njson.loads('{')",
        "await f()",
        "import asyncio\nawait asyncio.sleep('x')",
        "import asyncio\nawait asyncio.to_thread(lambda: 1/0)",
        indoc! {"
            import threading
            lock = threading.Lock()
            lock.acquire()
            lock.acquire()"},
    ] {
        let (_, traceback) = raised(code);
        assert!(!traceback.contains("<wardian>"), "{traceback}");
        assert!(!traceback.contains("/root"), "{traceback}");
        assert!(!traceback.contains(".cargo"), "{traceback}");
        let first = traceback.lines().nth(1).unwrap();
        assert!(first.contains("<snippet>"), "{traceback}");
    }
}

#[test]
fn a_traceback_that_the_script_formats_has_source_lines() {
    let code = indoc! {"
        import traceback
        try:
            {}['missing']
        except KeyError:
            print(traceback.format_exc())"};
    assert!(printed(code).contains("    {}['missing']\n"));
}

#[test]
fn exits() {
    for (code, expected) in [
        ("raise SystemExit(3)", 3),
        ("import sys; sys.exit()", 0),
        ("import sys; sys.exit(None)", 0),
        ("import sys; sys.exit(True)", 1),
        ("import sys; sys.exit(-1)", -1),
        ("import sys; sys.exit(2**40)", -1),
        ("import sys; sys.exit('why')", 1),
        ("import os; os._exit(4)", 4),
        ("exit(5)", 5),
        (
            indoc! {"
                def f():
                  try: raise SystemExit(6)
                  finally: print('done')
                f()"},
            6,
        ),
    ] {
        let outcome = run(code);
        assert_eq!(
            outcome.verdict,
            Verdict::Exited { status: expected },
            "{code}"
        );
        assert_eq!(outcome.value, None);
        assert_eq!(outcome.success(), expected == 0);
    }
    assert_eq!(run("import sys; sys.exit('why')").stderr.text(), "why\n");
}

#[test]
fn inputs_arguments_environment_and_standard_input() {
    let script = Script::new(
        "import sys, os\n[rows, name, sys.argv, dict(os.environ), input(), sys.stdin.read()]",
    )
    .input("rows", json!([1, {"a": null}]))
    .input("name", "ä")
    .arg("one")
    .arg("--two")
    .env("LEVEL", "3")
    .stdin("first\nsecond\nthird");
    assert_eq!(
        value(script),
        json!([
            [1, {"a": null}], "ä", ["<snippet>", "one", "--two"], {"LEVEL": "3"}, "first",
            "second\nthird"
        ])
    );
}

#[test]
fn input_at_the_end_of_the_file() {
    assert_eq!(raised("input()").0, "EOFError");
    assert_eq!(value("import sys\nsys.stdin.read()"), json!(""));
}

#[test]
fn main_guard() {
    assert_eq!(
        printed("if __name__ == '__main__':\n    print('main')"),
        "main\n"
    );
}

#[test]
fn top_level_await_and_asyncio() {
    let code = indoc! {"
        import asyncio
        async def f(n):
            await asyncio.sleep(0.01 * n)
            return n
        print(await asyncio.gather(f(3), f(1), f(2)))
        await f(0)"};
    let outcome = run(code);
    assert_eq!(
        outcome.stdout.text(),
        "[3, 1, 2]\n",
        "{}",
        outcome.stderr.text()
    );
    assert_eq!(outcome.value, Some(Value::Json(json!(0))));
    assert_eq!(
        printed(indoc! {"
            import asyncio
            async def f(): print('in')
            asyncio.run(f())"}),
        "in\n"
    );
    assert_eq!(
        value(indoc! {"
                import asyncio
                async def f():
                  async with asyncio.timeout(0.01):
                    await asyncio.sleep(9)
                try: await f()
                except TimeoutError: x = 'late'
                x"}),
        json!("late")
    );
}

#[test]
fn finalizers_run_when_the_script_has_ended() {
    let code = indoc! {"
        class A:
            def __del__(self): print('gone', prefix)
        prefix = 'by'
        a = A()
        print('end')"};
    assert_eq!(printed(code), "end\ngone by\n");
}

#[test]
fn what_runs_at_exit_is_seen() {
    assert_eq!(
        printed("import atexit\natexit.register(print, 'bye')\nprint('hi')"),
        "hi\nbye\n"
    );
}

#[test]
fn the_scripts_own_excepthook_is_called() {
    let outcome = run(indoc! {"
            import sys
            sys.excepthook = lambda t, e, tb: print('hook', t.__name__)
            1/0"});
    assert_eq!(outcome.stdout.text(), "hook ZeroDivisionError\n");
    assert_eq!(outcome.stderr.text(), "");
}

#[test]
fn unicode_and_bytes() {
    assert_eq!(printed("print('ä€😀')"), "ä€😀\n");
    assert_eq!(raised("print('\\ud800')").0, "UnicodeEncodeError");
    let outcome = run("import sys\nsys.stdout.buffer.write(b'\\xff\\xfe')");
    assert_eq!(outcome.stdout.bytes, b"\xff\xfe");
}

#[test]
fn json_outcome_has_success_output_and_error() {
    let json = run("print('x')\n{'a': 1}").json();
    assert_eq!(json["success"], json!(true));
    assert_eq!(json["output"], json!("x\n"));
    assert_eq!(json["error"], Json::Null);
    assert_eq!(json["verdict"], json!("completed"));
    assert_eq!(json["value"], json!({"a": 1}));
    assert_eq!(json["streams"]["stdout"]["truncated"], json!(false));
    assert!(json["usage"]["fuel"].as_u64().unwrap() > 0);
    let json = run("1/0").json();
    assert_eq!(json["success"], json!(false));
    assert_eq!(json["error"], json!("ZeroDivisionError: division by zero"));
    assert_eq!(json["exception"]["line"], json!(1));
}

/// Uncaught exceptions are shown as Python's own `traceback` shows them, marks under the lines
/// included.
#[test]
fn tracebacks_are_those_of_the_traceback_module() {
    for code in [
        "1/0",
        "x = 1\nx + 1 / 0 + 2",
        "x = [1]; x[5]",
        "x = {'a': {}}\nprint(x['a']['b'] + 1)",
        "print( 1 +  (2) // (0) )",
        "def f(x):\n    return x[0][1]\nf([[]])",
        "def f():\n\treturn g(1, 2)\ndef g(a, b):\n\traise ValueError(f'{a} {b}')\nf()",
        "def f(): raise KeyError('k')\nx = f()",
        "def f(): raise KeyError('k')\nx = [f(), 1]",
        "def f(): raise KeyError('k')\nx, y = f()",
        "class E(Exception):\n    pass\nraise E",
        "class E(Exception):\n    def __str__(self): 1/0\nraise E",
        indoc! {"
            class A:
                class E(Exception): pass
            raise A.E('of a class')"},
        "raise ValueError('two\\nlines')",
        "raise ValueError",
        "raise ValueError('')",
        "assert 1 == 2, 'no'",
        "assert (1 ==\n    2), 'no'",
        "int('x')",
        "[int(x) for x in ['1', 'x']]",
        "(lambda x: x / 0)(1)",
        "sorted([1, 'a'])",
        "import json; json.loads('[1,')",
        "import decimal\ndecimal.Decimal('x')",
        "'ä' + 1 / 0",
        "x = 1 ; y = (x\n + 1 / 0)",
        "f(1)",
        "[].nothing",
        "import nothing_of_the_kind",
        "from math import nothing",
        "def f(n): f(n - 1) if n else 1 / 0\nf(2)",
        "def f(n): f(n - 1) if n else 1 / 0\nf(9)",
        "try: 1/0\nexcept Exception: [][1]",
        "try: 1/0\nexcept Exception as e: raise ValueError('x') from e",
        "try: 1/0\nexcept Exception as e: raise ValueError('x') from None",
        "e = ValueError('x'); e.add_note('more'); raise e",
        "raise ExceptionGroup('several', [ValueError(1), TypeError(2)])",
        "exec('1/0')",
        "eval('1/0')",
        "exec(compile('def g():\\n  1/0', 'other.py', 'exec')); g()",
        "with open('/nothing'): pass",
        "for i in (1, 0): 1 / i",
        "if True: (1 / 0)",
        "x = 1 if 1 / 0 else 2",
        "-(1 / 0)",
        "x = -'a'",
        "1 < 'a'",
        "x = 1; x.y.z = 1",
        "del [][0]",
        "async def f(): 1/0\nimport asyncio\nasyncio.run(f())",
        "yield_ = (1/0 for _ in [1]); next(yield_)",
        "raise SystemError('of Python')",
        "x = 'a' 'b' * 'c'",
        "print(1 / 0)  # ( a [ comment",
    ] {
        let quoted = serde_json::to_string(code).unwrap();
        let shown = format!(
            "import linecache, sys, traceback\nsource = {quoted}\n\
             linecache.cache['<snippet>'] = (len(source), None, source.splitlines(True), '<snippet>')\n\
             try: exec(compile(source, '<snippet>', 'exec'), {{'__name__': '__main__', '__builtins__': \
             __builtins__}})\n\
             except BaseException as e:\n    \
                 traceback.print_exception(type(e), e, e.__traceback__.tb_next, file=sys.stdout)"
        );
        let expected = printed(&*shown);
        // What stands between the script and its own frames is not shown.
        assert_eq!(raised(code).1, expected, "{code}");
    }
}

/// Functions that look at a clock or a calendar ask for no file: nothing is refused that no script
/// has asked for.
#[test]
fn times_are_no_refusals() {
    for code in [
        "import datetime\ndatetime.datetime.now()",
        "import datetime\ndatetime.date.today()",
        "import datetime\ndatetime.datetime.now().astimezone()",
        "import time\ntime.localtime(), time.strftime('%H:%M %Z'), time.strptime('2024', '%Y')",
        indoc! {"
            import logging
            logging.basicConfig(format='%(asctime)s')
            logging.warning('x')"},
        "import zipfile, io\nzipfile.ZipFile(io.BytesIO(), 'w').writestr('a', 'b')",
    ] {
        let outcome = run(code);
        assert_eq!(outcome.verdict, Verdict::Completed, "{code}");
        assert_eq!(outcome.refusals.count, 0, "{code}: {:?}", outcome.refusals);
    }
}

/// Classes of the script's own are pickled under every profile that has pickle.
#[test]
fn a_scripts_own_classes_are_pickled() {
    let code = indoc! {"
        import pickle
        class A:
            x = 1
        pickle.loads(pickle.dumps(A())).x"};
    let sandbox = wardian::Sandbox::new(runtime(), wardian::Policy::computing()).unwrap();
    let outcome = sandbox.run_blocking(code).unwrap();
    assert_eq!(outcome.json()["value"], 1, "{}", outcome.stderr.text());
}

#[test]
fn quit_and_exit_end_the_script() {
    for (code, status) in [("quit()", 0), ("exit(3)", 3), ("quit('why')", 1)] {
        let outcome = run(code);
        assert_eq!(outcome.verdict, Verdict::Exited { status }, "{code}");
    }
}

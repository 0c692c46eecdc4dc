//! Source that is too much for a parser. It may be rejected, raise, be stopped or crash the guest:
//! but not the host, and not take time or memory without bound.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use wardian::{Sandbox, Script, Verdict, policy::Profile};

use super::{Result, computing, ensure, sandbox, text, value, works};
use wardian_testkit::runtime;

/// Runs each source as it is, runs it screened, and has it checked.
fn survives(sources: impl IntoIterator<Item = String>) -> Result {
    let open = sandbox()?;
    let policy = computing()?.with_source_rules(Profile::Strict);
    let screened = Sandbox::new(runtime(), policy).map_err(text)?;
    for source in sources {
        let started = Instant::now();
        for sandbox in [&open, &screened] {
            sandbox.run_blocking(source.clone()).map_err(text)?;
        }
        pollster::block_on(screened.screen(source)).map_err(text)?;
        ensure(
            started.elapsed() < Duration::from_secs(40),
            "it took longer than three time limits together",
        )?;
    }
    works()
}

pub(super) fn nested_brackets() -> Result {
    ensure(
        value("((((((1))))))")? == json!(1),
        "six brackets are too many",
    )?;
    let pairs = [
        ("(", ")"),
        ("[", "]"),
        ("{", "}"),
        ("f(", ")"),
        ("lambda: (", ")"),
    ];
    survives([200, 10_000, 300_000].into_iter().flat_map(|depth| {
        pairs.map(|(open, close)| format!("{}1{}", open.repeat(depth), close.repeat(depth)))
    }))
}

pub(super) fn chains() -> Result {
    ensure(
        value("1 + 1 + 1")? == json!(3),
        "a chain of three is too much",
    )?;
    let n = 100_000;
    survives([
        format!("1{}", "+1".repeat(n)),
        format!("a{}", ".b".repeat(n)),
        format!("f{}", "()".repeat(n)),
        format!("x{}", "[0]".repeat(n)),
        format!("{}1", "not ".repeat(n)),
        format!("{}1", "-".repeat(300_000)),
        format!("{}1", "1 if 1 else ".repeat(n / 10)),
        format!("{}0", "lambda:".repeat(n / 10)),
        format!("{}1", "1**".repeat(n / 10)),
        format!("{}1", "await ".repeat(n / 10)),
        format!("x = {}1", "y = ".repeat(n / 10)),
    ])
}

pub(super) fn nested_statements() -> Result {
    let nested = |word: &str, depth: usize| {
        let lines = (0..depth).map(|level| format!("{}{word}:\n", " ".repeat(level)));
        format!("{}{}pass\n", lines.collect::<String>(), " ".repeat(depth))
    };
    let words = [
        "if 1",
        "def f()",
        "class A",
        "while 1",
        "with a",
        "for a in b",
        "async def f()",
    ];
    let deep = words.iter().map(|word| nested(word, 1_000));
    survives(deep.chain([format!("if 0: pass\n{}", "elif 0: pass\n".repeat(50_000))]))
}

pub(super) fn token_bombs() -> Result {
    survives([
        "x=1;".repeat(200_000),
        format!("{} = x", "a,".repeat(300_000)),
        format!(
            "def f({}): pass",
            (0..50_000).map(|i| format!("a{i},")).collect::<String>()
        ),
        format!(
            "f({})",
            (0..50_000).map(|i| format!("a{i}=1,")).collect::<String>()
        ),
        format!("x = '{}'", "y".repeat(900_000)),
        format!("{}1{}", "f'{".repeat(300), "}'".repeat(300)),
        "\n".repeat(1_000_000),
        "\\\n".repeat(400_000),
    ])?;
    // More than `limits.source` is not read at all.
    let outcome = sandbox()?
        .run_blocking(format!("x = '{}'", "y".repeat(50 << 20)))
        .map_err(text)?;
    ensure(
        matches!(outcome.verdict, Verdict::Rejected { .. }) && outcome.usage.fuel == 0,
        "50 MB of source were read",
    )
}

pub(super) fn long_literals() -> Result {
    survives([
        format!("x = {}", "9".repeat(900_000)),
        format!("x = 0x{}", "f".repeat(900_000)),
        format!("x = 1e{}", "9".repeat(900_000)),
        format!("x = {}j", "9".repeat(900_000)),
        "int('9' * 10**7)".to_owned(),
        "float('9' * 10**7)".to_owned(),
    ])
}

/// Source that is run is what was screened, to the byte.
pub(super) fn other_text() -> Result {
    let policy = computing()?.with_source_rules(Profile::Standard);
    let sandbox = Sandbox::new(runtime(), policy).map_err(text)?;
    for source in [
        "x = 1\r\ny = 2\r\nx + y",
        "'\u{e9}'\n1",
        "1 + 1",
        "\u{feff}1",
    ] {
        let outcome = sandbox.run_blocking(source).map_err(text)?;
        let hash = &outcome.source;
        let given = Some(&hash.given);
        ensure(
            hash.screened.as_ref() == given
                && hash.run.as_ref().is_none_or(|run| *run == hash.given),
            format!("{source:?} is not what was screened and run"),
        )?;
    }
    // A screened script that puts others together runs them in the same walls.
    let outcome = sandbox
        .run_blocking("import operator\noperator.attrgetter('x')(1)")
        .map_err(text)?;
    ensure(
        matches!(outcome.verdict, Verdict::Raised(_)),
        "it did not raise",
    )
}

/// Pieces of Python, of all kinds of statements.
const SEEDS: &[&str] = &[
    "def f(a, /, b: int = 1, *args, c, **kw) -> 'x':\n    return a\n",
    "async def g():\n    async with a as b: await b\n    async for i in c: yield i\n",
    "match x:\n    case [1, *rest] if rest: pass\n    case {'k': v, **o}: pass\n    case A(b=1) | None: pass\n",
    "try:\n    pass\nexcept* (A, B) as e:\n    raise e from None\nelse: ...\nfinally: del x\n",
    "@d\nclass C[T: int, *Ts, **P](B, metaclass=M):\n    x: int = 1\n    type X = T\n",
    "f'{x!r:>{w}} {y=} {{}}' rf'\\{z}' b'\\xff' 0x1_f 1e-5j ...\n",
    "x = [a async for a in b if c] + [*d, **e] if (y := 1) else lambda *a, k=1: (yield)\n",
    "global a; nonlocal b; assert x, y; import a.b as c; from . import (d as e,)\n",
];

const PIECES: &[&str] = &[
    "(", ")", "[", "]", "{", "}", "'", "\"", "\"\"\"", "\\", "\n", "\t", "\r", "\u{c}", "#", ":",
    ":=", "->", "*", "**", "@", ";", ",", ".", "...", "0x", "1_", "1e", "f'", "rb'", "{x", "é",
    "𝓮", "\u{feff}", "\u{202e}", "\u{0}", "lambda", "async", "await", "match", "case _:", "yield",
    "del", "if", "else", "not", "is", "in", "for", "def", "class", "    ",
];

/// Screening accepts what the interpreter compiles, and refuses what it does not.
pub(super) fn mutations() -> Result {
    let policy = computing()?.with_source_rules(Profile::Open);
    let sandbox = Sandbox::new(runtime(), policy).map_err(text)?;
    let mut rng = StdRng::seed_from_u64(18);
    for _ in 0..400 {
        let mut source: Vec<char> = SEEDS.choose(&mut rng).unwrap_or(&"").chars().collect();
        for _ in 0..rng.random_range(1..6) {
            let at = rng.random_range(0..=source.len());
            if rng.random_bool(0.5) && at < source.len() {
                source.remove(at);
            } else if let Some(piece) = PIECES.choose(&mut rng) {
                source.splice(at..at, piece.chars());
            }
        }
        let source: String = source.into_iter().collect();
        let violations = pollster::block_on(sandbox.screen(source.clone())).map_err(text)?;
        // Not run, but compiled, by the interpreter's own function.
        let compiles = value(
            wardian::Script::new(
                "try:\n    compile(source, 'x', 'exec', 0x2000)\n    ok = True\n\
                                  except (SyntaxError, ValueError): ok = False\nok",
            )
            .input("source", source.clone()),
        )?;
        ensure(
            compiles == json!(violations.is_empty()),
            format!("{source:?} compiles: {compiles}, and screening says {violations:?}"),
        )?;
    }
    works()
}

/// A module is no way around the rules for the script: it is screened, its imports are asked about,
/// it counts, and it takes no other module's place.
pub(super) fn own_modules() -> Result {
    let policy = computing()?.with_source_rules(Profile::Strict);
    let screened = Sandbox::new(runtime(), policy).map_err(text)?;
    let run = |script: Script| screened.run_blocking(script).map_err(text);
    let with = |name: &str, code: &str, main: &str| Script::new(main).module(name, code);
    let twin = run(with(
        "helper",
        "def double(x): return 2 * x",
        "import helper\nhelper.double(21)",
    ))?;
    ensure(
        twin.value == Some(wardian::outcome::Value::Json(json!(42))),
        "a module does not work",
    )?;
    for code in ["import os", "eval('1')", "from os import path", "x = ("] {
        let outcome = run(with("helper", code, "import helper"))?;
        let rejected = matches!(&outcome.verdict, Verdict::Rejected { violations }
            if violations.iter().all(|found| found.module.as_deref() == Some("helper")));
        ensure(
            rejected,
            format!("{code} in a module is {}", outcome.verdict),
        )?;
    }
    // What is made up as it runs is asked about as in the script itself.
    let late = "__builtins__['__imp' + 'ort__']('os').getpid()\n";
    let outcome = run(with(
        "helper",
        &format!("def f():\n    {late}"),
        "import helper\nhelper.f()",
    ))?;
    ensure(
        !outcome.success(),
        "a module imports what the script may not",
    )?;
    // A name of Python's would let its module in; one that is none would be found nowhere.
    for name in [
        "json", "pickle", "sys.x", "wardian", "", "a-b", "../x", "__main__", "a..b", "a.b\n",
    ] {
        let refused = screened.run_blocking(with(name, "1", "1")).is_err();
        ensure(refused, format!("{name:?} is the name of a module"))?;
    }
    // Many small ones are as much as one that is large.
    let mut many = Script::new("1");
    for i in 0..40 {
        many = many.module(format!("m{i}"), "#".repeat(30_000));
    }
    let outcome = run(many)?;
    ensure(
        matches!(outcome.verdict, Verdict::Rejected { .. }),
        "modules do not count against the limit of source",
    )?;
    works()
}

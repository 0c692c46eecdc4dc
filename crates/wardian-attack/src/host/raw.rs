//! System calls that no Python makes, by the hostile guest.

use wardian::{Verdict, outcome::Trap};

use super::{Result, ensure, works};
use crate::program::{Arg, DATA, Ending, Program};
use crate::test_bed::TestBed;

/// The operations of the import for tools: `wardian_abi::tool`.
const START: u32 = 0;
const WAIT: u32 = 1;
const TAKE: u32 = 2;
const CLOSE: u32 = 3;
const SHOW: u32 = 4;

const HUGE: Arg = Arg::Is(u32::MAX as u64);
const HERE: Arg = Arg::Is(DATA as u64);

/// Plays a program, after which nothing is found. How it ended.
fn ending(bed: &TestBed, name: &str, program: &Program) -> Result<String> {
    let result = bed.hostile(program);
    let found = format!("{name}: {:?}", result.findings);
    ensure(result.findings.is_empty(), found)?;
    Ok(result.ending)
}

/// Plays programs that may end in any way.
fn play(bed: &TestBed, programs: impl IntoIterator<Item = (&'static str, Program)>) -> Result {
    for (name, program) in programs {
        ending(bed, name, &program)?;
    }
    works()
}

fn start(program: Program, json: &str) -> Program {
    program
        .store(DATA, json.as_bytes())
        .tool(START, HERE, Arg::Is(json.len() as u64))
        .tool(WAIT, Arg::Is(1), Arg::Is(1_000))
}

/// Well-formed and forged calls: of tools that are not granted, twice the same key, deep, not JSON.
pub(super) fn tool_calls(bed: &TestBed) -> Result {
    let deep = format!(
        "{{\"tool\":\"probe_echo\",\"args\":{}1{}}}",
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let calls = [
        r#"{"tool":"probe_hidden","args":{"text":"x"}}"#,
        r#"{"tool":"probe_args","args":{"text":"yes","text":"no"}}"#,
        r#"{"tool":"probe_args","tool":"probe_echo","args":{"text":"no"}}"#,
        r#"{"tool":"probe_path","args":{"path":"/etc/passwd"}}"#,
        r#"{"tool":"probe_path","args":{"path":"/data","path":"/etc"}}"#,
        r#"{"tool":"probe_approved","args":{"text":"x"}}"#,
        r#"{"tool":"probe_echo","args":{"text":1e999}}"#,
        r#"{"tool":"probe_echo","args":null}"#,
        r#"{"tool":null}"#,
        r#"{"tool":"probe_denied","args":{"text":"x"},"allowed":true}"#,
        "[]",
        "",
        "\u{0}",
        &deep,
    ];
    let single = calls.map(|json| ("a forged call", start(Program::new(), json).complete("1")));
    let good = r#"{"tool":"probe_echo","args":{"text":"x"}}"#;
    let after = start(Program::new().tool(CLOSE, HERE, HERE), good).complete("1");
    let many = (0..200).fold(Program::new().store(DATA, good.as_bytes()), |program, _| {
        program.tool(START, HERE, Arg::Is(good.len() as u64))
    });
    let both = [
        ("a call after the end", after),
        ("more calls than may be under way", many.complete("1")),
    ];
    play(bed, single.into_iter().chain(both))
}

/// Addresses and lengths that lead out of memory, overflow, overlap; numbers of calls that there
/// are not.
pub(super) fn tool_memory(bed: &TestBed) -> Result {
    let end = Arg::Is(0xffff_fff0);
    let mut programs = Vec::new();
    for operation in [START, WAIT, TAKE, CLOSE, 4, 77, u32::MAX] {
        for (a, b) in [
            (end, Arg::Is(0x20)),
            (HERE, HUGE),
            (HUGE, HUGE),
            (end, Arg::Is(0)),
            (Arg::Is(0), HUGE),
            (HUGE, Arg::Is(1)),
            (HERE, Arg::Is(3)),
        ] {
            if operation == WAIT && b == HUGE {
                // For ever, for a call that there is not: no wait at all.
                continue;
            }
            programs.push((
                "odd memory",
                Program::new().tool(operation, a, b).complete("1"),
            ));
        }
    }
    let good = r#"{"tool":"probe_echo","args":{"text":"x"}}"#;
    let taken = start(Program::new(), good);
    programs.extend([
        (
            "a reply that is taken twice",
            taken
                .clone()
                .tool(TAKE, HERE, Arg::Is(50))
                .tool(TAKE, HERE, Arg::Is(50))
                .complete("1"),
        ),
        (
            "a reply that does not fit",
            taken.clone().tool(TAKE, end, Arg::Is(62)).complete("1"),
        ),
        (
            "a reply of another length",
            taken.tool(TAKE, HERE, HUGE).complete("1"),
        ),
        (
            "a wait for nothing",
            Program::new().tool(WAIT, HUGE, HUGE).complete("1"),
        ),
    ]);
    play(bed, programs)
}

/// Displays that are none, lie outside of memory, are too long, or come after the end.
pub(super) fn displays(bed: &TestBed) -> Result {
    let show = |json: &str| {
        let program = Program::new().store(DATA, json.as_bytes());
        program.tool(SHOW, HERE, Arg::Is(json.len() as u64))
    };
    let good = r#"{"data":{"text/html":"<b>"},"is_result":false}"#;
    let shown = ending(bed, "a display", &show(good).complete("1"))?;
    ensure(shown == "completed", format!("a display ends {shown}"))?;
    let deep = format!(r#"{{"data":{}1{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    let wrong = [
        "",
        "null",
        "[]",
        r#"{"data":{"/etc/passwd":""},"is_result":true}"#,
        r#"{"data":{"a/b":1},"is_result":true}"#,
        r#"{"data":{"a/b":""},"data":{"a/c":""},"is_result":true}"#,
        "\u{0}",
        &deep,
    ];
    let wrong = wrong.map(|json| ("a forged display", show(json).complete("1")));
    let far = [
        (HUGE, HUGE),
        (HERE, HUGE),
        (HERE, Arg::Is(9 << 20)),
        (Arg::Is(0xffff_fff0), Arg::Is(0x20)),
    ];
    let far = far.map(|(at, len)| {
        let program = Program::new().tool(SHOW, at, len);
        ("a display far away", program.complete("1"))
    });
    let flood = (0..300).fold(show(good), |program, _| {
        program.tool(SHOW, HERE, Arg::Is(good.len() as u64))
    });
    let late = show(good).tool(CLOSE, HERE, HERE);
    let late = late.tool(SHOW, HERE, Arg::Is(good.len() as u64));
    let others = [
        ("many displays", flood.complete("1")),
        ("a display after the end", late.complete("1")),
    ];
    play(bed, wrong.into_iter().chain(far).chain(others))
}

/// GHSA-3p27, GHSA-fm79: descriptors that get other numbers are not lost.
pub(super) fn renumber(bed: &TestBed) -> Result {
    let open = |program: Program| {
        program.store(DATA, b"work").call(
            "path_open",
            &[
                Arg::Is(3),
                Arg::Is(0),
                HERE,
                Arg::Is(4),
                Arg::Is(0),
                Arg::Is(u64::MAX),
                Arg::Is(u64::MAX),
                Arg::Is(0),
                Arg::Is((DATA + 64).into()),
            ],
        )
    };
    let opened = Arg::At(DATA + 64);
    let loops = (0..500).fold(Program::new(), |program, number| {
        open(program).call("fd_renumber", &[opened, Arg::Is(4 + number % 3)])
    });
    let onto = [0, 1, 2, 3, 0x7fff_ffff, u64::from(u32::MAX)].map(Arg::Is);
    let odd = onto.into_iter().fold(open(Program::new()), |program, to| {
        open(
            program
                .call("fd_renumber", &[opened, to])
                .call("fd_renumber", &[to, to])
                .call("fd_close", &[to]),
        )
    });
    play(
        bed,
        [
            ("in a loop", loops.complete("1")),
            ("onto odd numbers", odd.complete("1")),
        ],
    )
}

/// Every way in which WebAssembly ends, and a fresh instance after it.
pub(super) fn after_a_trap(bed: &TestBed) -> Result {
    for (way, right) in [
        (Ending::Unreachable, ["crashed"].as_slice()),
        (Ending::Load, &["crashed"]),
        (Ending::Store, &["crashed"]),
        (Ending::Recursion, &["crashed", "fuel"]),
        (Ending::BadCall, &["crashed"]),
        (Ending::Loop, &["fuel", "time"]),
        (Ending::Grow, &["completed"]),
        (Ending::GrowHuge, &["completed"]),
    ] {
        let name = format!("{way:?}");
        let ended = ending(bed, &name, &Program::new().end(way).complete("1"))?;
        let wrong = format!("{name} is {ended}, not {right:?}");
        ensure(right.contains(&ended.as_str()), wrong)?;
        works()?;
    }
    Ok(())
}

/// Reports that lie: about where they are, how long, what they are.
pub(super) fn reports(bed: &TestBed) -> Result {
    let trap = Verdict::Crashed { trap: Trap::Report }.ending();
    let at = |bytes: &[u8]| {
        Program::new()
            .store(DATA, bytes)
            .report(DATA, u32::try_from(bytes.len()).unwrap_or(0))
    };
    let deep = Program::new()
        .fill(DATA, 2_000_000, b'[')
        .report(DATA, 2_000_000);
    let forged = r#"{"report":{"completed":{"value":{"json":1}}},"source_sha256":"00"}"#;
    let programs = [
        ("nothing", Program::new()),
        ("beyond memory", Program::new().report(0xffff_fff0, 64)),
        (
            "an end that overflows",
            Program::new().report(u32::MAX, u32::MAX),
        ),
        ("4 GiB", Program::new().report(DATA, u32::MAX)),
        ("7 MiB of zeros", Program::new().report(DATA, 7 << 20)),
        ("two million brackets", deep),
        ("no UTF-8", at(b"{\"report\":\"\xff\xfe\"}")),
        ("another source", at(forged.as_bytes())),
        (
            "unknown keys",
            at(br#"{"report":{"completed":{"value":{"json":1}}},"source_sha256":"","x":1}"#),
        ),
        ("a number beyond numbers", Program::new().complete("1e999")),
        ("no JSON", Program::new().complete("}}}}")),
        (
            "a value too deep",
            Program::new().complete(&format!("{}{}", "[".repeat(120), "]".repeat(120))),
        ),
        (
            "a value deeper than parsers go",
            Program::new().complete(&"[".repeat(60_000)),
        ),
    ];
    for (name, program) in programs {
        let ended = ending(bed, name, &program)?;
        ensure(ended == trap, format!("{name} is {ended}"))?;
    }
    // One that does not lie is believed.
    let ended = ending(bed, "no lie", &Program::new().complete("[1, 2]"))?;
    ensure(ended == "completed", format!("what is no lie is {ended}"))?;
    works()
}

/// Every function of WASI, with boundary values, in an order that follows from a seed.
pub(super) fn every_import(bed: &TestBed) -> Result {
    let directories: Vec<String> = bed
        .fixture()
        .policy()
        .grants()
        .map(|grant| grant.guest().to_string())
        .collect();
    let directories: Vec<&str> = directories.iter().map(String::as_str).collect();
    let programs = (0..60).map(|seed| ("random calls", Program::random(seed, 400, &directories)));
    let polls = [1_000_000, u64::from(u32::MAX)].map(|subscriptions| {
        let args = [HERE, Arg::Is((16 + 8) << 20), Arg::Is(subscriptions), HERE];
        (
            "very many subscriptions",
            Program::new().call("poll_oneoff", &args).complete("1"),
        )
    });
    play(bed, programs.chain(polls))
}

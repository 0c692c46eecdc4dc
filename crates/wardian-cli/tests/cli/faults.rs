//! A host that is short of something: threads, descriptors, address space, room in a file or on a
//! disk. A fixed set of runs is played at levels from nothing to enough. Each ends with an outcome
//! or an error that says what is short; the log holds.
//!
//! Here some levels are tried; `just faults` tries all of them (`WARDIAN_FAULTS=all`), and prints
//! what came of each.

use indoc::indoc;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Output, Stdio};

use crate::{Files, run, text};

const POLICY: &str = r#"
version = 1
agent = "short"
permissions = ["EXECUTE_CODE", "READ_FILE", "WRITE_FILE"]
allowed_paths = [{ path = "/data", host = "data" }]
source.profile = "open"
[limits]
timeout = "5s"
memory = "64MiB"
[tools.write_file]
[tools.read_file]
"#;

/// The runs: computing, output, files, calls at once, an exception, each limit.
const SCRIPTS: &[(&str, &str)] = &[
    ("computing", "print(sum(range(1000)))"),
    ("output", "print('x' * 100_000)"),
    (
        "files",
        "open('/data/f', 'w').write('x' * 5_000); print(len(open('/data/f').read()))",
    ),
    (
        "calls",
        indoc! {"
            import asyncio
            from wardian import aio
            async def all(): return await asyncio.gather(*(aio.write_file(f'/data/c{i}', 'x' * 5_000) for i in \
            range(20)), return_exceptions=True)
            print(len(asyncio.run(all())))"},
    ),
    ("exception", "1 / 0"),
    ("memory", "x = []\nwhile True: x.append('x' * 100_000)"),
    ("recursion", "def f(): f()\nf()"),
];

/// A shortage of the host: how a shell says it, and the levels. The last is enough.
struct Shortage {
    name: &'static str,
    command: &'static str,
    levels: &'static [u64],
    some: &'static [u64],
}

const SHORTAGES: &[Shortage] = &[
    Shortage {
        name: "threads",
        command: "ulimit -u",
        levels: &[
            1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 24, 32, 100,
        ],
        some: &[3, 7, 8, 10, 12, 100],
    },
    Shortage {
        name: "descriptors",
        command: "ulimit -n",
        levels: &[
            4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 17, 18, 19, 20, 21, 22, 23, 24, 26, 28, 32, 64,
        ],
        some: &[4, 7, 8, 19, 21, 64],
    },
    Shortage {
        name: "KiB of address space",
        command: "ulimit -v",
        // The program itself takes 105,000.
        levels: &[
            120_000, 150_000, 200_000, 400_000, 800_000, 1_600_000, 3_200_000, 4_500_000,
            4_700_000, 5_000_000, 5_500_000, 6_000_000, 8_000_000, 20_000_000,
        ],
        some: &[120_000, 200_000, 4_700_000, 20_000_000],
    },
    Shortage {
        name: "KiB of a file",
        command: "ulimit -f",
        levels: &[0, 1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 1_000],
        some: &[0, 1, 3, 1_000],
    },
];

/// The user that `ulimit -u` is tried as: it does not bind root.
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Counts the threads of a user.
fn threads_of(user: u32) -> u64 {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let threads = processes.filter_map(|process| {
        let owner = process.metadata().ok()?.uid();
        (owner == user).then_some(())?;
        Some(fs::read_dir(process.path().join("task")).ok()?.count() as u64)
    });
    threads.sum()
}

/// A folder that everybody can use.
fn files() -> Files {
    let mut scripts: Vec<(String, &str)> = SCRIPTS
        .iter()
        .map(|(name, script)| (format!("{name}.py"), *script))
        .collect();
    scripts.push(("policy.toml".to_owned(), POLICY));
    let named: Vec<_> = scripts
        .iter()
        .map(|(name, text)| (name.as_str(), *text))
        .collect();
    let files = Files::new(&named);
    for name in ["data", "logs"] {
        fs::create_dir(files.path(name)).unwrap();
        fs::set_permissions(files.path(name), PermissionsExt::from_mode(0o777)).unwrap();
    }
    fs::set_permissions(files.path(""), PermissionsExt::from_mode(0o755)).unwrap();
    files
}

/// Runs a shell command, by a user whom limits bind.
fn shell(command: &str, as_nobody: bool) -> Output {
    let mut shell = if as_nobody {
        let mut shell = Command::new("setpriv");
        shell.args([&format!("--reuid={NOBODY}"), "--clear-groups", "timeout"]);
        shell
    } else {
        Command::new("timeout")
    };
    shell
        .args(["--kill-after=1", "30", "bash", "-c", command])
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Returns what came of a run; panics if it is what it must not be.
#[track_caller]
fn judge(what: &str, output: &Output, enough: bool, expected: &[i32]) -> String {
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let told = format!("{what}: {:?} {stderr}", output.status);
    assert!(
        !stderr.contains("panicked") && !stderr.contains("RUST_BACKTRACE"),
        "{told}"
    );
    assert!(output.status.code().is_some(), "{told}");
    let code = output.status.code().unwrap_or_default();
    let known = [expected, &[125, 2]].concat();
    assert!(known.contains(&code), "{told}");
    assert!(!enough || expected.contains(&code), "{told}");
    // Nothing ends in silence.
    assert!(code == 0 || !stderr.is_empty(), "{told}");
    assert!(code != 0 || !stdout.is_empty(), "{told}");
    format!("{code}  {}", stderr.lines().last().unwrap_or_default())
}

#[track_caller]
fn log_holds(what: &str, log: &str) {
    if fs::metadata(log).is_ok_and(|log| log.len() > 0) {
        let verified = run(&["audit", "verify", log]);
        assert_eq!(
            verified.status.code(),
            Some(0),
            "{what}: {}",
            text(&verified.stderr)
        );
    }
}

const EXPECTED: &[i32] = &[0, 1, 126, 122];

/// REVIEW A 12, 13, 14.
#[test]
fn a_12_a_13_a_14_a_host_that_is_short_of_something() {
    let all = std::env::var_os("WARDIAN_FAULTS").is_some();
    let program = env!("CARGO_BIN_EXE_wardian");
    for Shortage {
        name,
        command,
        levels,
        some,
    } in SHORTAGES
    {
        let of_threads = *command == "ulimit -u";
        let user = if is_root() {
            NOBODY
        } else {
            rustix::process::geteuid().as_raw()
        };
        for level in *if all { levels } else { some } {
            for (script, _) in SCRIPTS {
                let files = files();
                let (policy, log) = (files.path("policy.toml"), files.path("logs/audit.jsonl"));
                let script_file = files.path(&format!("{script}.py"));
                let limit = level + if of_threads { threads_of(user) } else { 0 };
                let line = format!(
                    "{command} {limit} && exec {program} run --policy {policy} --audit {log} {script_file}"
                );
                let what = format!("{level} {name}, {script}");
                let output = shell(&line, of_threads && is_root());
                let told = judge(&what, &output, Some(level) == levels.last(), EXPECTED);
                log_holds(&what, &log);
                if all {
                    println!("{level:>10} {name:<22} {script:<10} {told}");
                }
            }
        }
    }
}

/// A disk that is full, of which the log and the granted directory have a part each. Needs to mount
/// one.
#[test]
fn a_13_a_full_disk() {
    let can_mount = is_root() && shell("unshare --mount true", false).status.success();
    if !can_mount {
        return;
    }
    let program = env!("CARGO_BIN_EXE_wardian");
    for kib in [4, 8, 16, 32, 64, 1_000] {
        for (script, _) in SCRIPTS {
            let files = files();
            let (policy, logs, data) = (
                files.path("policy.toml"),
                files.path("logs"),
                files.path("data"),
            );
            let script_file = files.path(&format!("{script}.py"));
            let mount = |at: &str| format!("mount -t tmpfs -o size={kib}k tmpfs {at}");
            let line = format!(
                "unshare --mount bash -c '{} && {} && {program} run --policy {policy} --audit \
                 {logs}/audit.jsonl {script_file}; \
                 code=$?; {program} audit verify {logs}/audit.jsonl >&2 || {{ test -s {logs}/audit.jsonl && \
                 echo panicked >&2; }}; exit $code'",
                mount(&logs),
                mount(&data)
            );
            let what = format!("{kib} KiB of disk, {script}");
            judge(&what, &shell(&line, false), kib == 1_000, EXPECTED);
        }
    }
}

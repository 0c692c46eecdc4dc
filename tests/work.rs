//! The working directory: files in memory, behind the guard like any other.

use std::collections::BTreeMap;

use indoc::indoc;
use serde_json::json;
use wardian::audit::sha256;
use wardian::policy::Allowance::AtMost;
use wardian::policy::{Access, Action, Grant, Limit};
use wardian::session::{SessionOptions, Snapshot, SnapshotError};
use wardian::{Error, Limits, Log, Outcome, Policy, Sandbox, Script, Session, Verdict};
use wardian_testkit::runtime;

use crate::session::call;
use crate::unscreened;

pub(crate) fn policy() -> Policy {
    unscreened().with_work(Policy::WORK).unwrap()
}

pub(crate) fn sandbox_of(policy: Policy) -> Sandbox {
    Sandbox::new(runtime(), policy).unwrap()
}

#[track_caller]
pub(crate) fn run(script: impl Into<Script>) -> Outcome {
    let outcome = sandbox_of(policy()).run_blocking(script).unwrap();
    assert_eq!(outcome.verdict, Verdict::Completed, "{outcome:?}");
    outcome
}

/// The files that came out: their bytes as text, by name.
fn files(outcome: &Outcome) -> BTreeMap<&str, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let files = outcome.files.iter();
    files
        .map(|file| (file.name.as_str(), text(&file.bytes)))
        .collect()
}

#[test]
fn files_go_in_and_come_out() {
    let script = Script::new(indoc! {"
        import csv, os
        rows = list(csv.DictReader(open('sales.csv')))
        total = sum(int(row['amount']) for row in rows)
        os.makedirs('out/deep')
        with open('out/deep/total.txt', 'w') as f: f.write(str(total))
        with open('log.txt', 'a') as f: f.write('more')
        [os.getcwd(), sorted(os.listdir('.')), os.path.exists('kept.txt')]
    "})
    .file("sales.csv", "item,amount\na,1\nb,41\n")
    .file("data/kept.txt", "as it was")
    .file("log.txt", "some, ");
    let outcome = run(script);
    assert_eq!(
        outcome.json()["value"],
        json!(["/work", ["data", "log.txt", "out", "sales.csv"], false])
    );
    assert_eq!(
        files(&outcome),
        BTreeMap::from([
            ("log.txt", "some, more".to_owned()),
            ("out/deep/total.txt", "42".to_owned())
        ])
    );
    assert_eq!(outcome.files[1].sha256, sha256("42"));
    let again: Outcome = serde_json::from_value(outcome.json()).unwrap();
    assert_eq!(again, outcome);
}

/// Everything that programs do with files does what it does in CPython.
#[test]
fn it_is_a_file_system() {
    let outcome = run(indoc! {"
        import os, pathlib, shutil, stat, tempfile, zipfile
        seen = []
        def fails(f, *args):
            try: f(*args)
            except OSError as error: return type(error).__name__
            return 'did not fail'
        with open('a', 'w+b') as f:
            f.write(b'0123456789')
            f.seek(2); f.write(b'XY'); f.seek(0)
            seen.append(f.read().decode())
            f.truncate(4); f.seek(8); f.write(b'!'); f.seek(0)
            seen.append(f.read().hex())
        os.rename('a', 'b'); os.mkdir('d'); os.mkdir('d/e'); open('d/e/f', 'w').close()
        os.rename('d', 'g')
        seen.append(sorted(str(p) for p in pathlib.Path('.').rglob('*')))
        seen.append([fails(os.rmdir, 'g'), fails(os.remove, 'g'), fails(os.mkdir, 'g'), fails(open, 'x/y', 'w'),
                     fails(open, 'missing'), fails(os.rename, 'g', 'g/e/h'), fails(os.rmdir, '/work'),
                     fails(os.symlink, 'b', 's'), fails(open, 'b', 'x'), fails(os.listdir, 'b')])
        os.link('b', 'c'); open('c', 'w').write('both')
        seen.append([open('b').read(), os.stat('b').st_nlink, os.path.samefile('b', 'c')])
        shutil.copytree('g', 'g2'); shutil.rmtree('g')
        os.utime('b', (1e9, 2e9)); seen.append(os.stat('b').st_mtime)
        with tempfile.TemporaryDirectory() as t, tempfile.TemporaryFile() as f:
            f.write(b'x' * 70_000); f.seek(0); seen.append(len(f.read()))
            seen.append(t.startswith('/tmp/'))
        with zipfile.ZipFile('z.zip', 'w') as z: z.write('b')
        seen.append(zipfile.ZipFile('z.zip').read('b').decode())
        f = open('gone', 'w+'); os.remove('gone'); f.write('still'); f.seek(0); seen.append(f.read())
        seen.append(sorted(os.listdir('/')))
        seen
    "});
    assert_eq!(
        outcome.json()["value"],
        json!([
            "01XY456789",
            "303158590000000021",
            ["b", "g", "g/e", "g/e/f"],
            [
                "OSError",
                "IsADirectoryError",
                "FileExistsError",
                "FileNotFoundError",
                "FileNotFoundError",
                "OSError",
                "OSError",
                "OSError",
                "FileExistsError",
                "NotADirectoryError"
            ],
            ["both", 2, true],
            2e9,
            70_000,
            true,
            "both",
            "still",
            ["tmp", "work"]
        ])
    );
}

#[test]
fn a_script_imports_what_it_has_written() {
    let outcome = run("open('helper.py', 'w').write('x = 42')\nimport helper\nhelper.x");
    assert_eq!(outcome.json()["value"], 42);
}

/// Room is limited in bytes and in names, and what is removed is room again.
#[test]
fn it_is_bounded() {
    let limits = Limits::default()
        .with(Limit::WorkSize, AtMost(1 << 20))
        .and_then(|limits| limits.with(Limit::WorkFiles, AtMost(10)))
        .unwrap();
    let outcome = sandbox_of(policy().with_limits(limits))
        .run_blocking(indoc! {"
            import os
            def fill():
                n = 0
                try:
                    with open('big', 'wb', buffering=0) as f:
                        while True: n += f.write(bytes([1]) * 65536)
                except OSError as error: return n, error.errno
            first = fill(); os.remove('big'); second = fill(); os.remove('big')
            try: open('hole', 'wb').truncate(5 << 20)
            except OSError as error: hole = error.errno
            count = 1
            try:
                while True:
                    open(f'f{count}', 'w').close()
                    count += 1
            except OSError as error: last = error.errno
            [first, second, hole, count, last]
        "})
        .unwrap();
    assert_eq!(outcome.verdict, Verdict::Completed, "{outcome:?}");
    let (all, full) = (1 << 20, 28);
    assert_eq!(
        outcome.json()["value"],
        json!([[all, full], [all, full], full, 10, full])
    );
    let rules = outcome.refusals.first.iter();
    let rules: Vec<_> = rules.map(|refusal| refusal.rule.as_str()).collect();
    // The first for what is written, and for a hole.
    assert_eq!(rules, ["work.size", "work.size", "work.files"]);
}

/// It needs no permission, and nobody else's files are in it.
#[test]
fn it_is_no_directory_of_the_host() {
    let (log, memory) = Log::memory();
    let sandbox = sandbox_of(policy()).with_audit(log).unwrap();
    let outcome = sandbox
        .run_blocking(
            "open('x', 'w').write('1')\ntry: open('/etc/passwd')\nexcept OSError: n = 1\nn",
        )
        .unwrap();
    assert_eq!(outcome.json()["value"], 1);
    let file = |record: &serde_json::Value| record["event"] == "file";
    let records = memory.records();
    let decided: Vec<_> = records.iter().filter(|record| file(record)).collect();
    assert_eq!(decided[0]["rule"], "work");
    assert_eq!(decided[0]["allowed"], true);
    assert_eq!(decided[1]["allowed"], false);
    // A second run finds nothing of the first.
    let second = sandbox.run_blocking("import os\nos.listdir('.')").unwrap();
    assert_eq!(second.json()["value"], json!([]));
    assert!(second.files.is_empty());
}

#[test]
fn what_can_not_be_put_there_is_told() {
    for (name, policy) in [
        ("../x", policy()),
        ("/etc/passwd", policy()),
        ("", policy()),
        ("a\0b", policy()),
        ("x", unscreened()),
        ("tmp/../..", policy()),
    ] {
        let ended = sandbox_of(policy).run_blocking(Script::new("1").file(name, "1"));
        assert!(
            matches!(ended, Err(Error::WorkFile { .. })),
            "{name}: {ended:?}"
        );
    }
    let little = Limits::default()
        .with(Limit::WorkSize, AtMost(1000))
        .unwrap();
    let ended = sandbox_of(policy().with_limits(little))
        .run_blocking(Script::new("1").file("x", vec![1; 2000]));
    assert!(
        matches!(&ended, Err(Error::WorkFile { reason, .. }) if reason.contains("work.size")),
        "{ended:?}"
    );
}

#[test]
fn a_policy_says_where_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let grant = |guest: &str| Grant::new(guest, directory.path(), Access::READ).unwrap();
    assert!(policy().with_grant(grant("/work/x")).is_err());
    assert!(
        unscreened()
            .with_grant(grant("/work"))
            .unwrap()
            .with_work("/work")
            .is_err()
    );
    for path in ["/", "work", "/tmp", "/tmp/x"] {
        assert!(unscreened().with_work(path).is_err(), "{path}");
    }
    let elsewhere = unscreened().with_work("/home/user").unwrap();
    assert!(elsewhere.check(Action::WriteFile, "/home/user/x").allowed());
    assert!(!elsewhere.check(Action::WriteFile, "/home/x").allowed());
    let outcome =
        sandbox_of(elsewhere).run_blocking("import os\n[os.getcwd(), os.listdir('/home')]");
    assert_eq!(
        outcome.unwrap().json()["value"],
        json!(["/home/user", ["user"]])
    );
    // A directory that is granted at `/tmp` stays the host's.
    let granted = policy().with_grant(grant("/tmp")).unwrap();
    assert!(!granted.check(Action::WriteFile, "/tmp/x").allowed());
    // Policies that have one are wider than those that have none.
    assert_eq!(policy().widenings(&unscreened()).len(), 1);
    assert!(unscreened().widenings(&policy()).is_empty());
    let form: Policy = serde_json::from_value(json!(policy())).unwrap();
    assert_eq!(form.sha256(), policy().sha256());
}

fn session() -> Session {
    sandbox_of(policy()).session(SessionOptions::default())
}

const READ: &str = "open('x').read()";

#[test]
fn a_session_keeps_it_and_an_undo_restores_it() {
    let session = session();
    call(
        &session,
        "f = open('x', 'w+'); f.write('one'); f.flush(); f.tell()",
    );
    assert_eq!(call(&session, READ), "one");
    let outcome = session
        .run_blocking(indoc! {"
            import os
            f.write(' two'); f.flush()
            open('new', 'w').write('y' * 100_000)
            os.rename('x', 'z')
            os._exit(3)
        "})
        .unwrap();
    assert!(outcome.files.is_empty(), "it was undone");
    assert_eq!(
        call(
            &session,
            "import os\n[open('x').read(), os.listdir('.'), f.tell()]"
        ),
        json!(["one", ["x"], 3])
    );
    let outcome = session.run_blocking("f.write('!'); f.flush()").unwrap();
    assert_eq!(files(&outcome), BTreeMap::from([("x", "one!".to_owned())]));
    let outcome = session.run_blocking("1").unwrap();
    assert!(outcome.files.is_empty());
}

#[test]
fn an_open_file_without_a_name_is_undone_too() {
    let session = session();
    call(
        &session,
        "import os\nf = open('x', 'w+'); f.write('1'); f.flush(); os.remove('x')",
    );
    session
        .run_blocking("f.write('2'); f.flush(); os._exit(1)")
        .unwrap();
    assert_eq!(call(&session, "f.seek(0); f.read()"), "1");
}

#[test]
fn forks_and_steps_back_have_files_of_their_own() {
    let mut options = SessionOptions::default();
    options.undo_depth = 2;
    let session = sandbox_of(policy()).session(options);
    call(&session, "open('x', 'w').write('one')");
    let fork = session.fork().wait().unwrap();
    call(&session, "open('x', 'a').write(' two')");
    call(&fork, "open('x', 'a').write(' three')");
    assert_eq!(call(&session, READ), "one two");
    assert_eq!(call(&fork, READ), "one three");
    // The reading, and what it read.
    for _ in 0..2 {
        assert!(session.undo().wait().unwrap());
    }
    assert_eq!(call(&session, READ), "one");
}

#[test]
fn a_snapshot_has_it() {
    let session = session();
    call(
        &session,
        "import os\nos.mkdir('d'); open('d/x', 'w').write('1' * 200_000); f = open('d/x'); f.seek(5)\n\
         open('e', 'w').close()",
    );
    let bytes = session.snapshot().wait().unwrap().to_bytes();
    let start = |policy: Policy| {
        let snapshot = Snapshot::from_bytes(&bytes).unwrap();
        let mut options = SessionOptions::default();
        options.allow_wider_policy = true;
        snapshot.start(&sandbox_of(policy), options).wait()
    };
    let again = start(policy()).unwrap();
    assert_eq!(
        call(
            &again,
            "[sorted(os.listdir('.')), len(open('d/x').read()), f.tell(), os.getcwd()]"
        ),
        json!([["d", "e"], 200_000, 5, "/work"])
    );
    let started = start(unscreened());
    assert!(
        matches!(&started, Err(Error::Snapshot(SnapshotError::File { path, .. })) if path.starts_with("/work")),
        "{started:?}"
    );
    let little = Limits::default()
        .with(Limit::WorkSize, AtMost(1000))
        .unwrap();
    let started = start(policy().with_limits(little));
    let is_too_large = matches!(
        started,
        Err(Error::Snapshot(SnapshotError::Memory {
            limit: Limit::WorkSize,
            bytes: 200_000,
            ..
        }))
    );
    assert!(is_too_large, "{started:?}");
}

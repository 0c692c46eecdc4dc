//! Grants of files work, and are on record.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use indoc::indoc;
use serde_json::{Value, json};
use wardian::audit::{Draft, Event, Record, Sink, records};
use wardian::policy::Allowance::AtMost;
use wardian::{
    Error, Log, Sandbox, Verdict,
    audit::FileOperation,
    load_policy,
    policy::{Access, Grant, Limit, Permission},
};

use crate::world::{HIDDEN, PRELUDE, REFUSED, World};
use crate::{runtime, unscreened};

/// With and without: each access does what it says, and nothing else.
#[test]
fn each_access_does_what_it_says() {
    let world = World::new();
    assert_eq!(
        world.value("read('/ro/file.txt') + read('ro/sub/inner.txt')"),
        "contentinner"
    );
    assert_eq!(
        world.value("sorted(os.listdir('/ro/sub'))"),
        json!(["inner.txt"])
    );
    assert_eq!(
        world.value("write('/rw/new.txt', 'x' * 10); read('/rw/new.txt')"),
        "xxxxxxxxxx"
    );
    assert_eq!(fs::read(world.path("rw/new.txt")).unwrap(), b"xxxxxxxxxx");
    assert_eq!(world.value("write('/wo/new.txt', 'y')"), 1);
    assert_eq!(world.value("write('/wo/old.txt', 'er', 'a')"), 2);
    assert_eq!(fs::read(world.path("wo/old.txt")).unwrap(), b"older");
    assert_eq!(
        world.value("os.mkdir('/wo/d'); os.rename('/wo/new.txt', '/wo/d/n'); os.remove('/wo/d/n'); os.rmdir('/wo/d')"),
        Value::Null
    );
    for attempt in [
        "write('/ro/new.txt', 'x')",
        "write('/ro/file.txt', 'x')",
        "write('/ro/file.txt', 'x', 'a')",
        "open('/ro/file.txt', 'r+')",
        "os.mkdir('/ro/d')",
        "os.remove('/ro/file.txt')",
        "read('/wo/old.txt')",
        "open('/wo/old.txt', 'r+')",
        "open('/wo/old.txt', 'w+')",
        "os.listdir('/wo')",
    ] {
        assert_eq!(world.refused(&[attempt]), [REFUSED], "{attempt}");
    }
}

/// With and without: what the entries say counts only as far as it is permitted.
#[test]
fn permissions_come_before_entries() {
    let world = World::new();
    let wishes = "[t(lambda: read('/rw/file.txt')), t(lambda: write('/rw/x', 'x')), t(lambda: write('/wo/x', \
                  'x')), os.listdir('/')]";
    let refused = json!({"type": "PermissionError", "errno": REFUSED});
    let hidden = json!({"type": "FileNotFoundError", "errno": HIDDEN});
    for (files, read, written, seen) in [
        (Permission::NONE, &hidden, &refused, json!([])),
        (
            Permission::READ_FILE,
            &json!("done"),
            &refused,
            json!(["ro", "rw"]),
        ),
        (
            Permission::WRITE_FILE,
            &refused,
            &json!("done"),
            json!(["rw", "wo"]),
        ),
    ] {
        let policy = world.policy(Permission::EXECUTE_CODE | files);
        let sandbox = Sandbox::new(runtime(), policy).unwrap();
        let outcome = sandbox.run_blocking(format!("{PRELUDE}{wishes}")).unwrap();
        let value = &outcome.json()["value"];
        assert_eq!(*value, json!([read, written, written, seen]), "{files:?}");
    }
    let policy = world.policy(Permission::FULL - Permission::EXECUTE_CODE);
    let outcome = Sandbox::new(runtime(), policy)
        .unwrap()
        .run_blocking("1")
        .unwrap();
    assert!(
        matches!(outcome.verdict, Verdict::Denied { .. }),
        "{:?}",
        outcome.verdict
    );
}

#[test]
fn the_tree_that_a_script_sees() {
    let world = World::new();
    let nested = Grant::new("/srv/data/in", world.path("rw"), Access::READ).unwrap();
    let policy = unscreened().with_permissions(Permission::READ_FILE);
    let sandbox = Sandbox::new(runtime(), policy.with_grant(nested).unwrap()).unwrap();
    let outcome = sandbox
        .run_blocking(
            indoc! {"
                import os, glob, pathlib
                os.makedirs('/srv/data', exist_ok=True)
                [os.getcwd(), os.listdir('/'), os.listdir('/srv'), os.path.isdir('/srv/data'), \
                os.path.exists('/srv/x'),sorted(glob.glob('/srv/data/in/*.txt')), \
                pathlib.Path('srv/data/in/file.txt').read_text(),[d for d, _, _ in os.walk('/') if d.count('/') \
                < 4], os.path.realpath('srv/data/in/up-and-in')]"},
        )
        .unwrap();
    assert_eq!(
        outcome.json()["value"],
        json!([
            "/",
            ["srv"],
            ["data"],
            true,
            false,
            ["/srv/data/in/file.txt"],
            "content",
            ["/", "/srv", "/srv/data", "/srv/data/in"],
            "/srv/data/in/file.txt"
        ]),
        "{}",
        outcome.stderr.text()
    );
}

/// A script that waits for a disk is under the clock like any other.
#[test]
fn writing_and_reading_end_at_the_time_limit() {
    let mut world = World::new();
    world.limits = world
        .limits
        .with_timeout(AtMost(Duration::from_millis(300)))
        .unwrap();
    let outcome = world.run(indoc! {"
        f = open('/rw/x', 'wb', buffering=0)
        while True:
            f.seek(0); f.write(b'x' * 100000); os.fsync(f.fileno())"});
    assert!(
        matches!(
            outcome.verdict,
            Verdict::Limit {
                limit: Limit::Timeout,
                ..
            }
        ) || outcome.refusals.first[0].rule == "limits.bytes_written",
        "{:?}",
        outcome.verdict
    );
}

#[test]
fn the_audit_is_told_what_was_allowed_and_what_was_refused() {
    let world = World::new();
    let (log, memory) = Log::memory();
    let sandbox = world.sandbox().with_audit(log).unwrap();
    let code = "read('/ro/file.txt'); write('/rw/new', 'x'); os.rename('/rw/new', '/rw/b')\n\
                [t(lambda: read('/etc/passwd')), t(lambda: write('/ro/x', 'x')), t(lambda: os.rename('/rw/b', \
                '/wo/b')), t(lambda: read('/ro/out'))]";
    let outcome = sandbox.run_blocking(format!("{PRELUDE}{code}")).unwrap();
    assert_eq!(
        outcome.verdict,
        Verdict::Completed,
        "{}",
        outcome.stderr.text()
    );
    let notes: Vec<_> = records(memory.text().as_bytes())
        .filter_map(|record| {
            let Record { event, data, .. } = record.unwrap();
            let path = data.path.unwrap_or_default() + &data.to.unwrap_or_default();
            match event {
                Event::File {
                    operation,
                    allowed,
                    rule,
                } => Some((operation, path, allowed, rule)),
                _ => None,
            }
        })
        .collect();
    use FileOperation::{Read, Rename, Write};
    let expected = [
        (Read, "/ro/file.txt", true, "allowed_paths[\"/ro\"]"),
        (Write, "/rw/new", true, "allowed_paths[\"/rw\"]"),
        (Rename, "/rw/new/rw/b", true, "allowed_paths[\"/rw\"]"),
        (Read, "/etc/passwd", false, "allowed_paths"),
        (Write, "/ro/x", false, "allowed_paths[\"/ro\"]"),
        (Rename, "/rw/b/wo/b", false, "allowed_paths[\"/wo\"]"),
        // The path is granted; that it leads outside shows only then.
        (Read, "/ro/out", true, "allowed_paths[\"/ro\"]"),
        (Read, "/ro/out", false, "allowed_paths[\"/ro\"]"),
    ];
    let expected: Vec<_> = expected
        .map(|(operation, path, allowed, rule)| {
            (operation, path.to_owned(), allowed, rule.to_owned())
        })
        .into();
    assert_eq!(notes, expected);
    assert_eq!(outcome.refusals.count, 4);
    assert_eq!(
        outcome.json()["refusals"][0]["reason"],
        "no entry of allowed_paths holds /etc/passwd"
    );
}

/// A disk that is full once something has happened.
struct Full(usize);

impl Sink for Full {
    fn append(&mut self, _: &Draft<'_>) -> std::io::Result<()> {
        self.0 = self
            .0
            .checked_sub(1)
            .ok_or_else(|| std::io::Error::other("no space left"))?;
        Ok(())
    }
}

/// Row LOG-08.
#[test]
fn log_08_what_can_not_be_recorded_is_not_done() {
    let world = World::new();
    let code = "try: open('/rw/new', 'w')\nexcept BaseException: pass";
    // Its start, the file, its end.
    for (room, created) in [(0, false), (1, false), (2, true), (3, true)] {
        let sandbox = world.sandbox().with_audit(Log::new(Full(room))).unwrap();
        let ended = sandbox.run_blocking(code);
        assert_eq!(ended.is_ok(), room == 3, "{room} {ended:?}");
        assert!(matches!(ended, Ok(_) | Err(Error::Audit(_))), "{room}");
        assert_eq!(world.path("rw/new").exists(), created, "{room}");
    }
}

#[test]
fn refusals_are_bounded() {
    let world = World::new();
    let outcome =
        world.run("for i in range(1000): t(lambda: read(f'/etc/{i}')); t(lambda: read('/etc/x'))");
    assert_eq!(
        (outcome.refusals.first.len(), outcome.refusals.count),
        (32, 2000)
    );
}

#[test]
fn a_policy_file_sets_variables_and_is_kept_out_of_reach() {
    let world = World::new();
    let file = world.path("policy.toml");
    let write = |text: &str| fs::write(&file, format!("version = 1\n{text}")).unwrap();
    write(indoc! {r#"
            permissions = ["EXECUTE_CODE", "READ_FILE"]
            allowed_paths = [{ path = "/in", host = "rw" }]
            env = { TZ = "UTC", MODE = "x" }
            source.profile = "open""#});
    let sandbox = Sandbox::new(runtime(), load_policy(&file).unwrap()).unwrap();
    let outcome = sandbox
        .run_blocking(
            "import os\n[os.environ['MODE'], open('/in/file.txt').read(), os.listdir('/')]",
        )
        .unwrap();
    assert_eq!(outcome.json()["value"], json!(["x", "content", ["in"]]));
    // Through a link, the directory of the policy looks like another one.
    symlink(world.dir.path(), world.path("rw/policy-dir")).unwrap();
    write(
        "permissions = [\"EXECUTE_CODE\", \"READ_FILE\"]\nallowed_paths = [{ path = \"/in\", host = \
         \"rw/policy-dir\" }]",
    );
    let error = load_policy(&file).unwrap_err();
    assert!(
        error.to_string().contains("holds the policy file"),
        "{error}"
    );
    assert!(error.to_string().contains("policy.toml:3"), "{error}");
}

#[test]
fn policy_files_extend_each_other() {
    let world = World::new();
    let write = |name: &str, text: &str| {
        fs::write(world.path(name), format!("version = 1\n{text}")).unwrap()
    };
    write(
        "base.toml",
        "permissions = [\"EXECUTE_CODE\", \"READ_FILE\"]\nallowed_paths = [{ path = \"/in\", host = \"rw\" }]",
    );
    write(
        "outside/child.toml",
        "extends = \"../base.toml\"\nmax_file_size = 10",
    );
    let policy = load_policy(world.path("outside/child.toml")).unwrap();
    assert_eq!(policy.limits().get(Limit::FileSize), AtMost(10));
    assert_eq!(
        policy.grants().next().unwrap().host(),
        world.path("rw").canonicalize().unwrap()
    );
    write(
        "outside/child.toml",
        "extends = \"../base.toml\"\npermissions = [\"SEND_EMAIL\"]",
    );
    let error = load_policy(world.path("outside/child.toml"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("SEND_EMAIL is permitted") && error.contains("base.toml:2"),
        "{error}"
    );
    write("outside/child.toml", "extends = \"child.toml\"");
    let error = load_policy(world.path("outside/child.toml"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("is extended by itself"), "{error}");
    for (name, said) in [
        ("missing.toml", "no such file"),
        ("outside", "not a regular file"),
        ("ro/fifo", "not a regular file"),
    ] {
        let error = load_policy(world.path(name)).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

/// Runs that share a directory work side by side, and leave nothing open, however they end.
#[test]
fn many_runs_at_once_leave_no_descriptor_behind() {
    let world = World::new();
    let sandbox = world.sandbox();
    let open_files = || fs::read_dir("/proc/self/fd").unwrap().count();
    let work = indoc! {"
        import time
        for i in range(20):
            write(f'/rw/{name}', 'x' * 10000, 'a'); len(read('/ro/file.txt')); os.listdir('/rw')
        len(read(f'/rw/{name}'))"};
    let before = open_files();
    std::thread::scope(|scope| {
        for i in 0..32 {
            let sandbox = &sandbox;
            scope.spawn(move || {
                let code = format!("{PRELUDE}name = 'file-{i}'\n{work}");
                if i % 4 == 0 {
                    // Given up on at some moment.
                    let executor = tokio::runtime::Builder::new_current_thread()
                        .enable_time()
                        .build()
                        .unwrap();
                    let run = sandbox.run(code);
                    let patience = Duration::from_millis(2 + i);
                    _ = executor.block_on(async { tokio::time::timeout(patience, run).await });
                } else {
                    let outcome = sandbox.run_blocking(code).unwrap();
                    assert_eq!(outcome.json()["value"], 200_000, "{:?}", outcome.verdict);
                }
            });
        }
    });
    // Other tests run meanwhile and open files of their own; a leak would be of dozens.
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while open_files() > before + 20 && std::time::Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(open_files() <= before + 20, "{} {before}", open_files());
}

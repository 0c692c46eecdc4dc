//! Nothing of the host but what a policy grants: the rows FS-01 to FS-26 of the catalogue of
//! attacks, each by its number.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wardian::{
    Error, Limits, Policy, Sandbox, Verdict,
    policy::{Access, Grant, Limit, Permission},
};

use crate::runtime;
use crate::world::{HIDDEN, REFUSED, World};

#[test]
fn everything_holds_without_openat2() {
    if std::env::var_os("WARDIAN_TEST_WITHOUT_OPENAT2").is_some() {
        return;
    }
    let tests = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "files::",
            "grants::",
            "--skip",
            "files::everything_holds_without_openat2",
        ])
        .env("WARDIAN_TEST_WITHOUT_OPENAT2", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&tests.stdout);
    assert!(tests.status.success(), "{said}");
    assert!(said.contains("fs_07_symlinks ... ok"), "{said}");
}

#[test]
fn fs_01_traversal_and_fs_02_special_paths() {
    let world = World::new();
    let outside = world.path("outside");
    let outside = outside.to_str().unwrap();
    let mut paths: Vec<String> = [
        "/ro/../outside/canary.txt",
        "/ro/../../etc/passwd",
        "/ro/sub/../../..//etc/passwd",
        "../../../etc/passwd",
        "/etc/passwd",
        "/etc/there-is-no-such",
        "/proc/self/environ",
        "/proc/self/fd/3",
        "/proc/self/root/etc/passwd",
        "/dev/tcp/127.0.0.1/80",
        "/dev/kmem",
        "/dev/null",
        "/sys/kernel",
        "~/.ssh/id_rsa",
        "file:///etc/passwd",
        "\\\\?\\C:\\x",
        "NUL",
        "/rom",
        "/RO/file.txt",
        "/ro-old/x",
        "/ro/../wo/old.txt",
        "/roe\u{301}",
    ]
    .map(str::to_owned)
    .to_vec();
    paths.push(format!("{outside}/canary.txt"));
    paths.push(format!("/{}outside/canary.txt", "../".repeat(50)));
    paths.push(format!("/ro/{}etc/passwd", "../".repeat(50)));
    for path in &paths {
        let quoted = json!(path);
        for attempt in [
            format!("read({quoted})"),
            format!("os.stat({quoted})"),
            format!("os.lstat({quoted})"),
            format!("os.listdir({quoted})"),
            format!("write({quoted}, 'x')"),
            format!("os.mkdir({quoted})"),
            format!("os.remove({quoted})"),
            format!("os.rmdir({quoted})"),
            format!("os.rename('/rw/file.txt', {quoted})"),
            format!("os.utime({quoted})"),
            format!("os.readlink({quoted})"),
            format!("os.link('/rw/file.txt', {quoted})"),
        ] {
            // It is not a granted directory's own, where these are other errors.
            if path.ends_with("old.txt")
                && [
                    "os.stat", "os.lstat", "write", "os.re", "os.utime", "os.link", "os.rmdir",
                    "os.mkdir",
                ]
                .iter()
                .any(|allowed| attempt.starts_with(allowed))
            {
                continue;
            }
            // The same for what exists and what does not.
            let looks = ["read", "os.stat", "os.lstat", "os.listdir", "os.readlink"];
            let looks = looks.iter().any(|look| attempt.starts_with(look));
            let expected = if looks && !path.ends_with("old.txt") {
                HIDDEN
            } else {
                REFUSED
            };
            assert_eq!(world.refused(&[&attempt]), [expected], "{attempt}");
        }
    }
    // Backslashes are characters like any other.
    assert_eq!(world.refused(&["read('/ro/..\\\\..\\\\x')"]), [HIDDEN]);
    assert_eq!(
        world.value("read('/../../ro/./sub/..//file.txt')"),
        "content"
    );
}

#[test]
fn fs_03_truncation_of_read_only_files() {
    let world = World::new();
    for attempt in [
        "open('/ro/file.txt', 'w')",
        "os.truncate('/ro/file.txt', 0)",
        "os.open('/ro/file.txt', os.O_RDONLY | os.O_TRUNC)",
        "os.open('/ro/file.txt', os.O_RDONLY | os.O_CREAT)",
        "os.open('/ro/file.txt', os.O_WRONLY | os.O_APPEND)",
        "os.open('/ro/link', os.O_RDONLY | os.O_TRUNC)",
    ] {
        assert_eq!(world.refused(&[attempt]), [REFUSED], "{attempt}");
    }
    world.refused(&[
        "os.ftruncate(os.open('/ro/file.txt', os.O_RDONLY), 0)",
        "os.write(os.open('/ro/file.txt', os.O_RDONLY), b'x')",
    ]);
    // Its benign twin.
    assert_eq!(world.value("os.truncate('/rw/file.txt', 3); os.close(os.open('/rw/sub/inner.txt', os.O_WRONLY | os.O_TRUNC)); read('/rw/file.txt') + read('/rw/sub/inner.txt')"), "con");
}

#[test]
fn fs_04_hard_links_and_fs_05_renames_across_grants() {
    let world = World::new();
    for attempt in [
        "os.link('/ro/file.txt', '/rw/y')",
        "os.link('/rw/file.txt', '/ro/y')",
        "os.rename('/rw/file.txt', '/ro/file.txt')",
        "os.rename('/ro/file.txt', '/rw/y')",
        "os.replace('/ro/file.txt', '/rw/y')",
        "os.rename('/rw/sub', '/ro/sub')",
        "os.rename('/ro', '/rw/x')",
        "os.rename('/ro/sub', '/rw/sub')",
    ] {
        assert_eq!(world.refused(&[attempt]), [REFUSED], "{attempt}");
    }
    // Between two grants that may both be written in: as if on two disks, so that nothing that
    // can only be written becomes readable.
    let apart = 18;
    assert_eq!(
        world.refused(&[
            "os.rename('/wo/old.txt', '/rw/y')",
            "os.link('/wo/old.txt', '/rw/y')"
        ]),
        [apart, apart]
    );
    assert!(!world.path("rw/y").exists());
    // The benign twins.
    assert_eq!(world.value("os.link('/rw/file.txt', '/rw/hard'); os.rename('/rw/sub', '/rw/moved'); read('/rw/hard') + read('/rw/moved/inner.txt')"), "contentinner");
    assert_eq!(
        world.value("import shutil; shutil.move('/rw/hard', '/wo/moved')"),
        "/wo/moved"
    );
    assert_eq!(fs::read(world.path("wo/moved")).unwrap(), b"content");
}

#[test]
fn fs_06_metadata_of_read_only_files() {
    let world = World::new();
    for attempt in [
        "os.utime('/ro/file.txt', (0, 0))",
        "os.utime('/ro', (0, 0))",
        "os.mkdir('/ro/d')",
        "os.makedirs('/ro/a/b')",
        "os.unlink('/ro/file.txt')",
        "os.unlink('/ro/link')",
        "os.rmdir('/ro/sub')",
        "os.rmdir('/ro')",
        "open('/ro/new', 'x')",
        "os.rename('/ro/file.txt', '/ro/other')",
        "os.link('/ro/file.txt', '/ro/other')",
    ] {
        assert_eq!(world.refused(&[attempt]), [REFUSED], "{attempt}");
    }
    // Functions that the system does not have at all, or has only for itself.
    for attempt in [
        "os.symlink('x', '/ro/s')",
        "os.chown('/ro/file.txt', 0, 0)",
        "os.posix_fallocate(os.open('/ro/file.txt', os.O_RDONLY), 0, 99)",
    ] {
        assert_ne!(
            world.value(&format!("t(lambda: {attempt})")),
            "done",
            "{attempt}"
        );
    }
    // Files have no modes here: what asks for one is answered, and nothing changes.
    let mode =
        || std::os::unix::fs::MetadataExt::mode(&world.path("rw/file.txt").metadata().unwrap());
    let before = mode();
    assert_eq!(world.value("os.chmod('/rw/file.txt', 0o777)"), Value::Null);
    assert_eq!(mode(), before);
    assert_eq!(
        world.value("os.utime('/rw/file.txt', (1, 2)); int(os.stat('/rw/file.txt').st_mtime)"),
        2
    );
}

#[test]
fn fs_07_symlinks() {
    let world = World::new();
    // Links that stay inside are followed.
    for path in ["link", "link-dir/inner.txt", "up-and-in", "chain9"] {
        let code = format!("read('/ro/{path}') + read('/rw/{path}')");
        assert!(world.value(&code).as_str().unwrap().contains("n"), "{path}");
    }
    assert_eq!(
        world.value(
            "[os.readlink('/ro/link'), os.readlink('/ro/link-dir'), os.path.islink('/ro/out')]"
        ),
        json!(["file.txt", "sub", true])
    );
    // Those that do not are refused, whether their target exists or not.
    for grant in ["ro", "rw"] {
        for link in [
            "out",
            "out-missing",
            "out-abs",
            "out-abs-missing",
            "other-grant",
            "proc",
            "out-dir/canary.txt",
            "out-dir/dir/other.txt",
            "out-abs-dir/canary.txt",
            "out-dir/missing",
            "link1/canary.txt",
        ] {
            let path = format!("/{grant}/{link}");
            for attempt in [
                format!("read({path:?})"),
                format!("os.stat({path:?})"),
                format!("os.listdir({path:?})"),
            ] {
                assert_eq!(world.refused(&[&attempt]), [REFUSED], "{attempt}");
            }
            world.refused(&[
                &format!("write({path:?}, 'x')"),
                &format!("write({path:?}, 'x', 'a')"),
                &format!("open({path:?}, 'x')"),
                &format!("os.truncate({path:?}, 0)"),
                &format!("os.utime({path:?})"),
            ]);
        }
        for dir in ["out-dir", "out-abs-dir", "link1"] {
            let path = format!("/{grant}/{dir}");
            world.refused(&[
                &format!("os.listdir({path:?})"),
                &format!("os.mkdir('{path}/d')"),
                &format!("os.remove('{path}/canary.txt')"),
                &format!("os.rmdir('{path}/dir')"),
                &format!("os.rename('{path}/canary.txt', '/rw/got')"),
                &format!("os.rename('/rw/file.txt', '{path}/put')"),
                &format!("os.link('{path}/canary.txt', '/rw/got')"),
            ]);
        }
        // A link's text is a path of the host's.
        for link in ["out", "out-dir", "out-abs", "proc", "other-grant"] {
            assert_eq!(
                world.refused(&[&format!("os.readlink('/{grant}/{link}')")]),
                [REFUSED]
            );
        }
    }
    // Loops and long chains end.
    world.refused(&[
        "read('/ro/loop')",
        "read('/ro/chain44')",
        "read('/ro/dangling')",
    ]);
    // Nothing is created through a link that leads nowhere, and scripts create none.
    world.refused(&[
        "write('/rw/dangling', 'x')",
        "write('/rw/out-missing', 'x')",
    ]);
    assert!(!world.path("rw/missing.txt").exists() && !world.path("outside/missing.txt").exists());
    assert_ne!(
        world.value("t(lambda: os.symlink('../../etc', '/rw/l'))"),
        "done"
    );
    // Removing a link removes the link.
    assert_eq!(
        world.value(
            "os.remove('/rw/out'); os.remove('/rw/out-abs-dir'); os.path.lexists('/rw/out')"
        ),
        false
    );
}

#[test]
fn fs_08_and_fs_09_trailing_slashes() {
    let world = World::new();
    for link in [
        "link1",
        "link1/",
        "link1/.",
        "out-dir/",
        "out-dir/.",
        "out-abs-dir/",
        "out/",
        "out-dir//",
    ] {
        for grant in ["ro", "rw"] {
            let path = format!("/{grant}/{link}");
            world.refused(&[
                &format!("read('{path}')"),
                &format!("read('{path}/canary.txt')"),
                &format!("os.listdir('{path}')"),
                &format!("os.stat('{path}')"),
                &format!("write('{path}', 'x')"),
                &format!("write('{path}/new', 'x')"),
                &format!("os.mkdir('{path}/d')"),
                &format!("os.rmdir('{path}/dir')"),
                &format!("os.rmdir('{path}')"),
            ]);
        }
    }
    // With a slash at its end, only a directory will do; without, the link itself is meant.
    world.refused(&[
        "os.rename('/rw/link/', '/rw/x')",
        "os.rename('/rw/file.txt', '/rw/x/')",
        "os.rename('/rw/out-dir/', '/rw/x')",
        "os.rename('/rw/link//', '/rw/y/')",
        "os.remove('/rw/file.txt/')",
        "os.remove('/rw/out-dir/')",
        "read('/rw/file.txt/')",
        "os.stat('/rw/file.txt/')",
    ]);
    assert_eq!(
        world.value("os.rename('/rw/out-dir', '/rw/renamed'); os.path.islink('/rw/renamed')"),
        true
    );
    assert_eq!(world.value("os.rename('/rw/sub/', '/rw/sub2/'); os.mkdir('/rw/new/'); sorted(os.listdir('/rw/sub2/'))"), json!(["inner.txt"]));
    // Nothing that a link leads to was touched; the rest has been checked after every run.
    assert_eq!(
        fs::read_to_string(world.path("outside/canary.txt")).unwrap(),
        world.canary.secret()
    );
}

/// Two runs on one granted directory: one swaps a directory for a link to the outside and back,
/// the other reads through it.
#[test]
fn fs_10_a_race_for_a_path() {
    let world = World::new();
    let until = Instant::now() + Duration::from_secs(3);
    let (real, link, swapped) = (
        world.path("rw/sub"),
        world.path("rw/out-dir"),
        world.path("rw/now"),
    );
    let spare = world.path("rw/spare");
    let swapping = std::thread::spawn(move || {
        let mut swaps = 0;
        while Instant::now() < until {
            for from in [&real, &link] {
                fs::rename(from, &swapped).unwrap();
                fs::rename(&swapped, &spare).unwrap();
                fs::rename(&spare, from).unwrap();
                swaps += 1;
            }
        }
        swaps
    });
    let code = "import time\nseen = set()\nend = time.monotonic() + 2.5\n\
                while time.monotonic() < end:\n    for name in ('canary.txt', 'inner.txt', 'dir/other.txt'):\n        try: seen.add(read('/rw/now/' + name))\n        except OSError: pass\n        try: write('/rw/now/canary.txt', 'x')\n        except OSError: pass\nsorted(seen)";
    let seen = world.value(code);
    // What it reads is what was there before, or what it has written itself.
    let own = [json!("inner"), json!("x")];
    let mut seen = seen.as_array().unwrap().iter();
    assert!(seen.all(|text| own.contains(text)), "{seen:?}");
    assert!(swapping.join().unwrap() > 100);
}

#[test]
fn fs_12_overlapping_grants() {
    let world = World::new();
    symlink(world.path("ro"), world.path("alias")).unwrap();
    let files = Permission::EXECUTE_CODE | Permission::READ_FILE;
    let both = |a: &str, b: &str| {
        let mut policy = Policy::new(files, Limits::default());
        for (guest, name) in [("/a", a), ("/b", b)] {
            policy = policy
                .with_grant(Grant::new(guest, world.path(name), Access::READ).unwrap())
                .ok()?;
        }
        Some(Sandbox::new(runtime(), policy))
    };
    assert!(both("ro", "ro").is_none());
    assert!(both("ro", "ro/sub").is_none());
    // By their paths these are apart; in the file system they are not.
    for (a, b) in [
        ("ro", "alias"),
        ("ro", "alias/sub"),
        ("rw/link-dir", "rw/sub"),
    ] {
        let error = both(a, b).unwrap().unwrap_err();
        assert!(error.to_string().contains("overlaps"), "{error}");
    }
    assert!(both("ro", "rw").unwrap().is_ok());
    // A link may be granted if it leads somewhere harmless, and not the home directory.
    let home = std::env::home_dir().unwrap();
    symlink(&home, world.path("home")).unwrap();
    let policy = |name: &str| {
        Policy::new(files, Limits::default())
            .with_grant(Grant::new("/x", world.path(name), Access::READ).unwrap())
            .unwrap()
    };
    let error = Sandbox::new(runtime(), policy("home")).unwrap_err();
    assert!(error.to_string().contains("home directory"), "{error}");
    for (name, said) in [
        ("missing", "no such directory"),
        ("ro/file.txt", "not a directory"),
        ("ro/fifo", "not a directory"),
    ] {
        let error = Sandbox::new(runtime(), policy(name)).unwrap_err();
        assert!(
            matches!(error, Error::Grant { .. }) && error.to_string().contains(said),
            "{error}"
        );
    }
}

#[test]
fn fs_14_odd_names() {
    let world = World::new();
    let long = "x".repeat(255);
    for name in [
        "new\\nline",
        "esc\\x1b[31m",
        "größe",
        "\\u202eabc",
        "e\\u0301",
        "\\u00e9",
        " ",
        "-rf",
        "con",
        ".hidden",
        "a\\\\b",
        &long,
    ] {
        let code = format!(
            "p = '/rw/{name}'\nwrite(p, 'x')\n[read(p), p.split('/')[2] in os.listdir('/rw'), os.remove(p)]"
        );
        assert_eq!(world.value(&code), json!(["x", true, null]), "{name}");
    }
    for attempt in [
        "open('/rw/' + 'x' * 256, 'w')",
        "open('/rw' + '/x' * 50000)",
        "os.mkdir('/rw' + '/x' * 3000)",
    ] {
        assert_eq!(world.refused(&[attempt]), [36], "{attempt}");
    }
    for attempt in [
        "open('/rw/a\\0b')",
        "open('/ro/file.txt\\0')",
        "open('/rw/\\udc80')",
        "open(b'/rw/\\xc0\\xae')",
        "open('')",
    ] {
        let answer = world.value(&format!("t(lambda: {attempt})"));
        assert_ne!(answer, "done", "{attempt}");
    }
    // A name that is not UTF-8 is the host's doing; it does not stop the others from being seen.
    use std::os::unix::ffi::OsStrExt;
    fs::write(
        world
            .path("rw")
            .join(std::ffi::OsStr::from_bytes(b"odd\xff")),
        "x",
    )
    .unwrap();
    let names = world.value("len(os.listdir('/rw')) > 50");
    assert_eq!(names, true);
}

#[test]
fn fs_15_a_run_can_not_fill_the_disk() {
    // Just under, and over.
    let world = World::new().with(Limit::FileSize, 1000);
    assert_eq!(world.value("write('/rw/a', 'x' * 1000)"), 1000);
    let too_big = 27;
    assert_eq!(world.refused(&["write('/rw/b', 'x' * 1001)"]), [too_big]);
    assert_eq!(world.path("rw/b").metadata().unwrap().len(), 1000);
    assert_eq!(
        world.value("os.truncate('/rw/a', 0); os.truncate('/rw/a', 1000)"),
        Value::Null
    );
    assert_eq!(
        world.refused(&["os.truncate('/rw/a', 1001)", "os.truncate('/rw/a', 2**60)"]),
        [too_big, too_big]
    );
    assert_eq!(
        world.value("f = open('/rw/c', 'wb'); f.seek(999); f.write(b'x'); f.close()"),
        Value::Null
    );
    assert_eq!(
        world.refused(&[
            "[f := open('/rw/d', 'wb', buffering=0), f.seek(2**40), f.write(b'x')]",
            "write('/rw/a', 'x', 'a')"
        ]),
        [too_big, too_big]
    );
    // For reading too.
    fs::write(world.path("rw/large"), vec![b'x'; 1001]).unwrap();
    assert_eq!(
        world.refused(&["read('/rw/large')", "open('/rw/large', 'r+')"]),
        [too_big, too_big]
    );
    assert_eq!(world.value("len(read('/rw/c'))"), 1000);
    assert_eq!(world.value("write('/rw/large', 'x')"), 1);

    let world = World::new().with(Limit::BytesWritten, 1000);
    let full = 28;
    assert_eq!(
        world.value("write('/rw/a', 'x' * 600) + write('/rw/b', 'x' * 400)"),
        1000
    );
    assert_eq!(
        world.value("t(lambda: [write('/rw/a', 'x' * 600), write('/rw/b', 'x' * 401)])")["errno"],
        full
    );
    assert_eq!(
        world.refused(&[
            "os.truncate('/rw/a', 2000)",
            "[f := open('/rw/d', 'wb', buffering=0), f.seek(1000), f.write(b'x')]"
        ]),
        [full, full]
    );
    let outcome =
        world.run("while True:\n    try: write('/rw/a', 'x' * 300)\n    except OSError: break");
    assert_eq!(
        (outcome.usage.bytes_written, outcome.verdict),
        (1000, Verdict::Completed)
    );

    let world = World::new().with(Limit::FilesCreated, 3);
    assert_eq!(world.value("write('/rw/a', ''); os.mkdir('/rw/b'); os.link('/rw/a', '/rw/c'); write('/rw/a', 'again')"), 5);
    for attempt in [
        "write('/rw/z', '')",
        "os.mkdir('/rw/z')",
        "os.link('/rw/file.txt', '/rw/z')",
    ] {
        let code = format!(
            "for i in range(3): os.mkdir('/wo/' + str(i))\nx = t(lambda: {attempt})\nfor i in range(3): os.rmdir('/wo/' + str(i))\nx"
        );
        assert_eq!(world.value(&code)["errno"], full, "{attempt}");
        assert!(!world.path("rw/z").exists());
    }
    let outcome = world.run("n = 0\ntry:\n    while True:\n        write(f'/wo/{n}', 'x'); n += 1\nexcept OSError: pass");
    assert_eq!(outcome.usage.files_created, 3);
    assert_eq!(outcome.refusals.first[0].rule, "limits.files_created");
}

/// A million entries cannot come from a script; the host may have many.
#[test]
fn fs_16_a_huge_directory() {
    let world = World::new();
    fs::create_dir(world.path("rw/huge")).unwrap();
    for i in 0..20_000 {
        fs::File::create(world.path("rw/huge").join(format!("{i:0100}"))).unwrap();
    }
    assert_eq!(
        world.value(
            "[len(os.listdir('/rw/huge')) for _ in range(3)] + [len(list(os.scandir('/rw/huge')))]"
        ),
        json!([20_000, 20_000, 20_000, 20_000])
    );
}

/// A run that waited would end at its time limit, not with an error in Python.
#[test]
fn fs_18_nothing_waits_for_a_pipe() {
    let world = World::new();
    for path in ["/ro/fifo", "/rw/fifo", "/ro/socket", "/rw/socket"] {
        for attempt in [
            format!("read('{path}')"),
            format!("write('{path}', 'x')"),
            format!("os.open('{path}', os.O_RDWR)"),
        ] {
            assert_eq!(world.refused(&[&attempt]), [REFUSED], "{attempt}");
        }
    }
    let outcome = world.run("t(lambda: read('/ro/fifo'))");
    assert_eq!(
        outcome.refusals.first[0].reason,
        "it is a device, a pipe or a socket"
    );
    assert_eq!(world.value("os.remove('/rw/fifo')"), Value::Null);
}

#[test]
fn fs_19_extreme_times() {
    let world = World::new();
    for times in [
        "(-1e18, 1e18)",
        "(0, 0)",
        "(2**63, 2**63)",
        "(-1, -1)",
        "(1e10, 1e10)",
    ] {
        world.value(&format!("t(lambda: os.utime('/rw/file.txt', {times}))"));
        assert_ne!(world.value("os.stat('/rw/file.txt').st_size"), Value::Null);
    }
    let old = fs::FileTimes::new()
        .set_modified(std::time::SystemTime::UNIX_EPOCH - Duration::from_secs(1 << 33));
    fs::File::options()
        .write(true)
        .open(world.path("rw/file.txt"))
        .unwrap()
        .set_times(old)
        .unwrap();
    assert_eq!(world.value("os.stat('/rw/file.txt').st_mtime"), json!(0.0));
}

#[test]
fn fs_21_new_files_are_private() {
    let world = World::new();
    world.value("write('/rw/new', 'x'); os.mkdir('/rw/newdir'); os.open('/rw/suid', os.O_CREAT | os.O_WRONLY, 0o6777); t(lambda: os.chmod('/rw/new', 0o4755))");
    for (name, most) in [("new", 0o640), ("suid", 0o640), ("newdir", 0o750)] {
        let mode = world
            .path("rw")
            .join(name)
            .metadata()
            .unwrap()
            .permissions()
            .mode()
            & 0o7777;
        assert_eq!(mode & !most, 0, "{name}: {mode:o}");
    }
}

#[test]
fn fs_22_the_granted_directory_itself() {
    let world = World::new();
    world.refused(&[
        "os.rmdir('/rw')",
        "os.rename('/rw', '/wo/x')",
        "os.rename('/rw', '/rw/x')",
        "os.remove('/rw')",
        "os.rmdir('/')",
        "os.mkdir('/rw')",
        "os.mkdir('/')",
        "os.rename('/rw/sub', '/rw')",
    ]);
    assert_eq!(
        world.value("os.makedirs('/rw/a/b/c', exist_ok=True); os.makedirs('/rw', exist_ok=True)"),
        Value::Null
    );
    // A file that is removed while it is open is still there for who has it open.
    assert_eq!(
        world.value("f = open('/rw/file.txt'); os.remove('/rw/file.txt'); f.read()"),
        "content"
    );
    // Without the descriptor of the root there is nothing left to ask.
    let outcome = world.run("[t(lambda: os.close(3)), t(lambda: read('/ro/file.txt')), t(lambda: os.open('/rw/x', os.O_CREAT))]");
    assert!(
        matches!(outcome.verdict, Verdict::Completed),
        "{:?}",
        outcome.verdict
    );
}

#[test]
fn fs_23_no_path_of_the_host_shows() {
    let world = World::new();
    // `run` looks for the host's path in everything that comes out.
    world.value("try: open('/ro/missing')\nexcept OSError as e: print(e, e.filename)\n[os.getcwd(), os.path.realpath('/ro/link'), os.path.realpath('/ro/out'), os.path.abspath('x'), str(os.stat('/ro')), t(lambda: os.readlink('/ro/out-abs'))]");
    let outcome = world.run("open('/ro/out-abs')");
    assert!(
        outcome.stderr.text().contains("Permission denied"),
        "{}",
        outcome.stderr.text()
    );
}

#[test]
fn fs_24_files_can_be_told_apart() {
    let world = World::new();
    assert_eq!(world.value("os.link('/rw/file.txt', '/rw/same'); [os.path.samefile('/rw/file.txt', '/rw/same'), os.path.samefile('/rw/file.txt', '/ro/file.txt'), os.stat('/ro').st_dev != os.stat('/rw').st_dev]"), json!([true, false, true]));
    let dev = world.path("rw").metadata().unwrap().dev();
    assert_ne!(world.value("os.stat('/rw').st_dev"), json!(dev));
}

#[test]
fn fs_26_archives_stay_inside() {
    let world = World::new();
    let code = "import zipfile, io\nb = io.BytesIO()\nz = zipfile.ZipFile(b, 'w')\nz.writestr('../../outside/new', 'x')\nz.writestr('/etc/x', 'x')\nz.writestr('ok.txt', 'x')\nz.close()\nzipfile.ZipFile(b).extractall('/rw/sub')\nsorted(os.listdir('/rw/sub'))";
    let names = world.value(code);
    assert!(
        names.as_array().unwrap().contains(&json!("ok.txt")),
        "{names}"
    );
    let tar = "import tarfile, io\nb = io.BytesIO()\nt1 = tarfile.open(fileobj=b, mode='w')\ni = tarfile.TarInfo('../../outside/new'); i.size = 1\nt1.addfile(i, io.BytesIO(b'x'))\nl = tarfile.TarInfo('l'); l.type = tarfile.SYMTYPE; l.linkname = '/etc'\nt1.addfile(l)\nt1.close()\nb.seek(0)\nt(lambda: tarfile.open(fileobj=b).extractall('/rw/sub', filter='fully_trusted'))";
    world.run(tar);
    assert!(!world.path("outside/new").exists());
}

#[test]
fn res_38_open_files_are_limited() {
    let world = World::new().with(Limit::OpenFiles, 5);
    assert_eq!(
        world.value("fs = [open('/ro/file.txt') for _ in range(5)]\nlen(fs)"),
        5
    );
    assert_eq!(world.value("fs = []\ndef more(): fs.append(open('/ro/file.txt'))\n[t(more) for _ in range(6)][5]['errno']"), 24);
    assert_eq!(
        world.value("for _ in range(500): open('/ro/file.txt').close()"),
        Value::Null
    );
    let outcome = world.run("fs = []\ntry:\n    while True: fs.append(os.open('/ro', os.O_RDONLY))\nexcept OSError: pass");
    assert_eq!(outcome.refusals.first[0].rule, "limits.open_files");
}

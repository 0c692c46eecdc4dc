//! Paths: what is not granted is not there.

use super::*;
use indoc::indoc;

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
    let names = world.value("len(os.listdir('/rw')) > 15");
    assert_eq!(names, true);
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
    let outcome = world.run(
        "[t(lambda: os.close(3)), t(lambda: read('/ro/file.txt')), t(lambda: \
                             os.open('/rw/x', os.O_CREAT))]",
    );
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
    world.value(indoc! {"
        try: open('/ro/missing')
        except OSError as e: print(e, e.filename)
        [os.getcwd(), os.path.realpath('/ro/link'), os.path.realpath('/ro/out'), os.path.abspath('x'), \
        str(os.stat('/ro')), t(lambda: os.readlink('/ro/out-abs'))]"});
    let outcome = world.run("open('/ro/out-abs')");
    assert!(
        outcome.stderr.text().contains("Permission denied"),
        "{}",
        outcome.stderr.text()
    );
}

#[test]
fn fs_26_archives_stay_inside() {
    let world = World::new();
    let code = indoc! {"
        import zipfile, io
        b = io.BytesIO()
        z = zipfile.ZipFile(b, 'w')
        z.writestr('../../outside/new', 'x')
        z.writestr('/etc/x', 'x')
        z.writestr('ok.txt', 'x')
        z.close()
        zipfile.ZipFile(b).extractall('/rw/sub')
        sorted(os.listdir('/rw/sub'))"};
    let names = world.value(code);
    assert!(
        names.as_array().unwrap().contains(&json!("ok.txt")),
        "{names}"
    );
    let tar = indoc! {"
        import tarfile, io
        b = io.BytesIO()
        t1 = tarfile.open(fileobj=b, mode='w')
        i = tarfile.TarInfo('../../outside/new'); i.size = 1
        t1.addfile(i, io.BytesIO(b'x'))
        l = tarfile.TarInfo('l'); l.type = tarfile.SYMTYPE; l.linkname = '/etc'
        t1.addfile(l)
        t1.close()
        b.seek(0)
        t(lambda: tarfile.open(fileobj=b).extractall('/rw/sub', filter='fully_trusted'))"};
    world.run(tar);
    assert!(!world.path("outside/new").exists());
}

//! Links, and races for what they lead to.

use super::*;
use indoc::indoc;

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
    assert_eq!(
        world.value(
            "os.link('/rw/file.txt', '/rw/hard'); os.rename('/rw/sub', '/rw/moved'); \
                            read('/rw/hard') + read('/rw/moved/inner.txt')"
        ),
        "contentinner"
    );
    assert_eq!(
        world.value("import shutil; shutil.move('/rw/hard', '/wo/moved')"),
        "/wo/moved"
    );
    assert_eq!(fs::read(world.path("wo/moved")).unwrap(), b"content");
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
    assert_eq!(
        world.value(
            "os.rename('/rw/sub/', '/rw/sub2/'); os.mkdir('/rw/new/'); \
                            sorted(os.listdir('/rw/sub2/'))"
        ),
        json!(["inner.txt"])
    );
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
    let code = indoc! {"
        import time
        seen = set()
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            for name in ('canary.txt', 'inner.txt', 'dir/other.txt'):
                try: seen.add(read('/rw/now/' + name))
                except OSError: pass
                try: write('/rw/now/canary.txt', 'x')
                except OSError: pass
        sorted(seen)"};
    let seen = world.value(code);
    // What it reads is what was there before, or what it has written itself.
    let own = [json!("inner"), json!("x")];
    let mut seen = seen.as_array().unwrap().iter();
    assert!(seen.all(|text| own.contains(text)), "{seen:?}");
    assert!(swapping.join().unwrap() > 100);
}

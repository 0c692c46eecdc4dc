//! Contents and metadata: what may be read stays as it is.

use super::*;

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
    assert_eq!(
        world.value(
            "os.truncate('/rw/file.txt', 3); os.close(os.open('/rw/sub/inner.txt', os.O_WRONLY | \
                            os.O_TRUNC)); read('/rw/file.txt') + read('/rw/sub/inner.txt')"
        ),
        "con"
    );
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
    world.value("write('/rw/new', 'x'); os.mkdir('/rw/newdir'); os.open('/rw/suid', os.O_CREAT | os.O_WRONLY, \
                 0o6777); t(lambda: os.chmod('/rw/new', 0o4755))");
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
fn fs_24_files_can_be_told_apart() {
    let world = World::new();
    assert_eq!(world.value("os.link('/rw/file.txt', '/rw/same'); [os.path.samefile('/rw/file.txt', '/rw/same'), \
                            os.path.samefile('/rw/file.txt', '/ro/file.txt'), os.stat('/ro').st_dev != \
                            os.stat('/rw').st_dev]"), json!([true, false, true]));
    let dev = world.path("rw").metadata().unwrap().dev();
    assert_ne!(world.value("os.stat('/rw').st_dev"), json!(dev));
}

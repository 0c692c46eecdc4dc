//! Quotas: bytes, files, open files.

use super::*;
use indoc::indoc;

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
    let outcome = world.run(indoc! {"
            while True:
                try: write('/rw/a', 'x' * 300)
                except OSError: break"});
    assert_eq!(
        (outcome.usage.bytes_written, outcome.verdict),
        (1000, Verdict::Completed)
    );

    let world = World::new().with(Limit::FilesCreated, 3);
    assert_eq!(
        world.value(
            "write('/rw/a', ''); os.mkdir('/rw/b'); os.link('/rw/a', '/rw/c'); write('/rw/a', \
                            'again')"
        ),
        5
    );
    for attempt in [
        "write('/rw/z', '')",
        "os.mkdir('/rw/z')",
        "os.link('/rw/file.txt', '/rw/z')",
    ] {
        let code = format!(
            "for i in range(3): os.mkdir('/wo/' + str(i))\nx = t(lambda: {attempt})\n\
             for i in range(3): os.rmdir('/wo/' + str(i))\nx"
        );
        assert_eq!(world.value(&code)["errno"], full, "{attempt}");
        assert!(!world.path("rw/z").exists());
    }
    let outcome = world.run(indoc! {"
        n = 0
        try:
            while True:
                write(f'/wo/{n}', 'x'); n += 1
        except OSError: pass"});
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

#[test]
fn res_38_open_files_are_limited() {
    let world = World::new().with(Limit::OpenFiles, 5);
    assert_eq!(
        world.value("fs = [open('/ro/file.txt') for _ in range(5)]\nlen(fs)"),
        5
    );
    assert_eq!(
        world.value(indoc! {"
        fs = []
        def more(): fs.append(open('/ro/file.txt'))
        [t(more) for _ in range(6)][5]['errno']"}),
        24
    );
    assert_eq!(
        world.value("for _ in range(500): open('/ro/file.txt').close()"),
        Value::Null
    );
    let outcome = world.run(indoc! {"
        fs = []
        try:
            while True: fs.append(os.open('/ro', os.O_RDONLY))
        except OSError: pass"});
    assert_eq!(outcome.refusals.first[0].rule, "limits.open_files");
}

//! Python's answers: each `tests/python/NAME.py` prints what `NAME.out` says, which is what CPython
//! prints.

use std::fs;
use std::path::Path;

use indoc::indoc;
use wardian::policy::{Access, Grant, Permission};
use wardian_overlay::Overlay;
use wardian_testkit::Fixture;

use crate::unscreened;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python");

#[test]
fn programs_print_what_cpython_prints() {
    let mut names: Vec<_> = fs::read_dir(CASES)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "py"))
        .collect();
    names.sort();
    assert!(!names.is_empty());
    let differing: Vec<String> = names.iter().filter_map(|case| difference(case)).collect();
    assert!(
        differing.is_empty(),
        "{} of {} differ:\n{}",
        differing.len(),
        names.len(),
        differing.join("\n")
    );
}

/// The first line in which a program differs, if one does.
fn difference(case: &Path) -> Option<String> {
    let scratch = tempfile::tempdir().unwrap();
    let files = Permission::READ_FILE | Permission::WRITE_FILE;
    let grant = Grant::new("/tmp", scratch.path(), Access::READ_WRITE).unwrap();
    let policy = unscreened().with_permissions(Permission::EXECUTE_CODE | files);
    let policy = policy.with_grant(grant).unwrap();
    let outcome = Fixture::new(policy)
        .unwrap()
        .run(fs::read_to_string(case).unwrap())
        .into_outcome();
    let expected = fs::read_to_string(case.with_extension("out")).unwrap();
    let printed = outcome.stdout.text();
    let name = case.file_name().unwrap().to_string_lossy();
    let pairs = printed.lines().zip(expected.lines());
    let mut lines = pairs
        .enumerate()
        .filter(|(_, (ours, theirs))| ours != theirs);
    if let Some((number, (ours, theirs))) = lines.next() {
        return Some(format!(
            "{name}, line {}: {ours}\n  expected: {theirs}",
            number + 1
        ));
    }
    let is_same = printed.lines().count() == expected.lines().count();
    (!is_same).then(|| {
        format!(
            "{name} ends early: {}\n{}",
            outcome.verdict,
            outcome.stderr.text()
        )
    })
}

/// Nothing is replaced without a test that says why.
#[test]
fn every_replacement_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let overlay = Overlay::read(&root.join("guest/overlay")).unwrap();
    for replacement in overlay.replacements() {
        let test = root.join(&replacement.head.test);
        let file = replacement.file.display();
        assert!(
            test.is_file(),
            "{file} names a test that is not there: {}",
            test.display()
        );
    }
}

/// Nothing that a script did not ask for is on its record: no file of the name of its source.
#[test]
fn errors_in_source_ask_for_no_file() {
    for code in [
        "return 5",
        "exec('return 5')",
        "compile('x = (1,', 'nope.py', 'exec')",
        indoc! {"
            import threading
            t = threading.Thread(target=lambda: 1 / 0)
            t.start()
            t.join()"},
        indoc! {"
            from datetime import datetime
            import time, logging, zipfile
            datetime.now(), time.strftime('%Y'), time.localtime()
            logging.warning('x')"},
        indoc! {"
            import traceback
            try: exec('1/0')
            except ZeroDivisionError: traceback.print_exc()"},
    ] {
        let outcome = crate::run(code);
        assert_eq!(
            outcome.refusals.count, 0,
            "{code}: {:?}",
            outcome.refusals.first
        );
    }
}

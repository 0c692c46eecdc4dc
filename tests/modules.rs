//! What is in the guest's standard library, and what is not.

use std::path::Path;

use wardian::Verdict;

use crate::{run, runtime};

/// The recorded list. `UPDATE_EXPECT=1` rewrites it.
const RECORDED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../crates/wardian/src/modules.txt"
);

/// Packages that must not be there, with everything below them.
const ABSENT: &[&str] = &[
    "_ctypes",
    "_posixsubprocess",
    "_socket",
    "_sqlite3",
    "_ssl",
    "_testinternalcapi",
    "ctypes",
    "doctest",
    "ensurepip",
    "idlelib",
    "mmap",
    "multiprocessing",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "test",
    "tkinter",
    "turtledemo",
    "urllib.request",
];

#[test]
fn modules_are_those_that_are_recorded() {
    let modules = runtime().modules().unwrap().join("\n") + "\n";
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(RECORDED, &modules).unwrap();
    }
    let recorded = std::fs::read_to_string(Path::new(RECORDED)).unwrap();
    assert_eq!(
        modules, recorded,
        "crates/wardian/src/modules.txt is another list; UPDATE_EXPECT=1 rewrites it"
    );
}

#[test]
fn what_needs_an_operating_system_is_absent() {
    for module in runtime().modules().unwrap() {
        for absent in ABSENT {
            assert!(
                module != *absent && !module.starts_with(&format!("{absent}.")),
                "{module}"
            );
        }
    }
    for absent in ABSENT {
        let Verdict::Raised(raised) = run(format!("import {absent}")).verdict else {
            panic!("{absent}")
        };
        assert_eq!(raised.r#type, "ModuleNotFoundError", "{absent}");
    }
}

#[test]
fn every_module_that_is_there_can_be_imported() {
    let public = runtime()
        .modules()
        .unwrap()
        .into_iter()
        .filter(|module| !module.starts_with('_'));
    let failed: Vec<String> = public
        .filter_map(|module| {
            let outcome = run(format!("import {module}"));
            let imported = outcome.verdict == Verdict::Completed;
            (!imported).then(|| format!("{module}: {}", outcome.verdict))
        })
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

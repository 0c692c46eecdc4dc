//! Modules of the guest's standard library, and those that it does not have.

use std::path::Path;

use wardian::{Verdict, policy::Profile};

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
    "ensurepip",
    "idlelib",
    "multiprocessing",
    "sqlite3",
    "test",
    "tkinter",
    "turtledemo",
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

/// Modules that stand in for what is absent grant nothing: whatever they offer raises.
#[test]
fn what_stands_in_for_absent_modules_raises() {
    let code = "
import importlib
called = 0
for name in 'subprocess socket ssl http.client http.cookiejar urllib.request mmap ctypes ctypes.util'.split():
    module = importlib.import_module(name)
    for offered in vars(module).values():
        if isinstance(offered, type) and not issubclass(offered, BaseException):
            try:
                offered()
            except OSError as error:
                called += str(error).startswith(name + '.') and 'sandbox' in str(error)
            else:
                raise AssertionError((name, offered))
called > 100";
    assert_eq!(crate::value(code), true);
}

/// Each decision about a module stands once, with its reason; the page is written from it.
#[test]
fn profiles_are_those_of_the_page() {
    let mut page = String::from(
        "# What the profiles allow\n\nWritten by a test from the lists in \
         `crates/wardian-policy/src/source_rules.rs`. None of this grants anything: what a script can reach \
         is decided by the sandbox, whatever it imports. `open` allows any module. A name with a dot is a part \
         of a module: where the module is not \
         allowed as a whole, scripts see only these parts of it.\n",
    );
    for profile in [Profile::Strict, Profile::Standard] {
        page += &format!("\n## `{}`\n\n", profile.name());
        for (reason, modules) in profile.allowed_modules() {
            page += &format!("- {reason}: `{}`\n", modules.join("`, `"));
        }
        let rules = profile.source_rules().rules;
        let list = |names: &wardian_abi::NameSet| names.iter().collect::<Vec<_>>().join("`, `");
        page += &format!("- forbidden: `{}`\n", list(&rules.forbidden_imports));
        page += &format!(
            "- calls that are forbidden: `{}`\n",
            list(&rules.forbidden_calls)
        );
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/profiles.md");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(file, &page).unwrap();
    }
    let recorded = std::fs::read_to_string(file).unwrap_or_default();
    assert_eq!(
        page, recorded,
        "docs/profiles.md is another page; UPDATE_EXPECT=1 rewrites it"
    );
}

//! The pages are true.

use serde::Deserialize;
use wardian::policy::{Allowance, Limit};
use wardian_attack::rows;

/// A default stands once, in the table of limits; the manual may quote it, but not misquote it.
#[test]
fn the_manual_states_the_defaults() {
    let manual = include_str!("../docs/policy.md");
    for limit in Limit::ALL {
        let key = limit.key().trim_start_matches("limits.");
        let default = limit.show(Allowance::AtMost(limit.default_amount()));
        let row = format!("| `{key}` | {default} |");
        assert!(manual.contains(&row), "{row}");
    }
}

/// A promise of SECURITY.md.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Promise {
    id: String,
    promise: String,
    tests: Vec<String>,
    /// More tests, in words.
    #[serde(default, rename = "note")]
    _note: String,
    /// Classes and rows of the suite.
    attacks: Vec<String>,
}

fn promises() -> Vec<Promise> {
    #[derive(Deserialize)]
    struct Promises {
        promise: Vec<Promise>,
    }

    let promises: Promises = toml::from_str(include_str!("../docs/promises.toml")).unwrap();
    promises.promise
}

/// `UPDATE_EXPECT=1` renders the table anew.
#[test]
fn the_promises_of_security_md_are_those_of_the_data() {
    const HEAD: &str = "| | promise | attacks |\n|---|---|---|\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../SECURITY.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(HEAD).unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    let row = |Promise {
                   id,
                   promise,
                   attacks,
                   ..
               }| format!("| {id} | {promise} | {} |", attacks.join(", "));
    let rows: Vec<_> = promises().into_iter().map(row).collect();
    let rendered = format!("{before}{HEAD}{}\n\n{after}", rows.join("\n"));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, &rendered).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap();
    assert!(page == rendered, "UPDATE_EXPECT=1 renders the table anew");
}

#[test]
fn every_promise_names_tests_that_exist() {
    let promises = promises();
    let numbers: Vec<_> = promises.iter().map(|promise| &*promise.id).collect();
    let expected: Vec<_> = (1..=13).map(|number| format!("P{number}")).collect();
    assert_eq!(numbers, expected);
    for Promise { id, tests, .. } in promises {
        assert!(!tests.is_empty(), "{id}");
        for named in tests {
            let (module, test) = named.split_once("::").unwrap();
            let path = format!("{}/{module}.rs", env!("CARGO_MANIFEST_DIR"));
            let source = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(source.contains(&format!("fn {test}(")), "{named}");
        }
    }
}

#[test]
fn every_attack_on_a_promise_is_a_row() {
    let known = |name: &str| {
        rows()
            .iter()
            .any(|row| row.class() == name || row.id == name)
    };
    let mut count = 0;
    for Promise { id, attacks, .. } in promises() {
        for name in attacks {
            count += 1;
            assert!(known(&name), "{id}: {name:?}");
        }
    }
    assert!(count > 30, "{count}");
}

//! What the pages say is true.

use wardian::{Allowance, Limit};
use wardian_testkit::attack::rows;

/// A default stands once, in the table of limits; the README may quote it, but not misquote it.
#[test]
fn the_readme_states_the_defaults() {
    let readme = include_str!("../README.md");
    for limit in Limit::ALL {
        let key = limit.key().trim_start_matches("limits.");
        let default = limit.show(Allowance::AtMost(limit.default_amount()));
        let row = format!("| `{key}` | {default} |");
        assert!(readme.contains(&row), "{row}");
    }
}

/// The rows of SECURITY.md's table: the promise, its tests, the attacks on it.
fn promises() -> Vec<Vec<&'static str>> {
    let page = include_str!("../SECURITY.md");
    let rows = page.lines().filter(|line| line.starts_with("| P"));
    rows.map(|row| row.trim_matches('|').split(" | ").collect())
        .collect()
}

#[test]
fn every_promise_names_tests_that_exist() {
    let promises = promises();
    let numbers: Vec<_> = promises
        .iter()
        .map(|row| row[0].trim().to_owned())
        .collect();
    let expected: Vec<_> = (1..=13).map(|number| format!("P{number}")).collect();
    assert_eq!(numbers, expected);
    for row in promises {
        let named = row[2].split('`').filter_map(|code| code.split_once("::"));
        let tests: Vec<_> = named.collect();
        assert!(!tests.is_empty(), "{}", row[0]);
        for (module, test) in tests {
            let path = format!("{}/{module}.rs", env!("CARGO_MANIFEST_DIR"));
            let source = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(source.contains(&format!("fn {test}(")), "{module}::{test}");
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
    for row in promises() {
        for name in row.get(3).unwrap_or(&"").split(", ").map(str::trim) {
            count += usize::from(!name.is_empty());
            assert!(name.is_empty() || known(name), "{}: {name:?}", row[0]);
        }
    }
    assert!(count > 30, "{count}");
}

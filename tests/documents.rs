//! What the pages say is true.

use wardian::{Allowance, Limit};

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

#[test]
fn the_tests_that_security_md_names_exist() {
    let page = include_str!("../SECURITY.md");
    let named = page.split('`').filter_map(|code| code.split_once("::"));
    let tests: Vec<_> = named.filter(|(_, test)| *test != "*").collect();
    assert!(tests.len() > 15, "{tests:?}");
    for (module, test) in tests {
        let path = format!("{}/{module}.rs", env!("CARGO_MANIFEST_DIR"));
        let source = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(source.contains(&format!("fn {test}()")), "{module}::{test}");
    }
}

//! What the pages say is true.

use std::time::Duration;

use wardian::{Allowance, Limits};

/// A default stands once, in `Limits`; the README may quote it, but not misquote it.
#[test]
fn the_readme_states_the_defaults() {
    let readme = include_str!("../README.md");
    let limits = Limits::default();
    assert_eq!(limits.timeout(), Allowance::AtMost(Duration::from_secs(10)));
    assert_eq!(limits.fuel(), Allowance::AtMost(100_000_000_000));
    assert_eq!(limits.memory_bytes(), 256 << 20);
    assert_eq!(
        [
            limits.source_bytes(),
            limits.stdout_bytes(),
            limits.stderr_bytes(),
            limits.value_bytes()
        ],
        [1 << 20; 4]
    );
    assert_eq!(limits.value_depth(), 64);
    for row in [
        "| source | 1 MiB |",
        "| wall clock | 10 s,",
        "| fuel (wasm instructions) | 100 × 10⁹ |",
        "| memory | 256 MiB,",
        "| stdout, stderr | 1 MiB each |",
        "| value of the last expression | 1 MiB of JSON, 64 levels |",
    ] {
        assert!(readme.contains(row), "{row}");
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

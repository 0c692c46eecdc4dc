//! The pages are true.

use serde::Deserialize;
use serde_json::Value;
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
fn hosts_are_told_the_profile_that_is_used_here() {
    let workspace = include_str!("../Cargo.toml");
    let (_, packages) = workspace.split_once("[profile.release.package]\n").unwrap();
    let levels: Vec<_> = packages
        .lines()
        .filter(|line| line.contains("opt-level"))
        .collect();
    assert!(levels.len() > 3);
    assert!(include_str!("../docs/library.md").contains(&levels.join("\n")));
}

/// `UPDATE_EXPECT=1` renders the table anew.
#[test]
fn the_manual_has_every_key_of_a_policy() {
    const HEAD: &str = "| key | type | default | example | |\n|---|---|---|---|---|\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/policy.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(HEAD).unwrap();
    let (_, after) = rest.split_once("\n## ").unwrap();
    let mut rows = String::new();
    render_keys("", &wardian::policy::schema(), &mut rows);
    let rendered = format!("{before}{HEAD}{rows}\n## {after}");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, &rendered).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap();
    assert!(page == rendered, "UPDATE_EXPECT=1 renders the table anew");
}

/// Renders the keys of a table of the schema, and those of the tables in it.
fn render_keys(prefix: &str, table: &Value, rows: &mut String) {
    for (name, key) in table["properties"].as_object().unwrap() {
        let description = key["description"].as_str().unwrap_or_default();
        let (description, default) = description.split_once(" [default: ").map_or_else(
            || (description, key["default"].as_str().unwrap_or_default()),
            |(description, default)| (description, default.trim_end_matches(']')),
        );
        let example = match &key["examples"][0] {
            Value::Null => String::new(),
            example => format!("`{example}`"),
        };
        let path = format!("{prefix}{name}");
        rows.push_str(&format!(
            "| `{path}` | {} | {default} | {example} | {description} |\n",
            type_name(key)
        ));
        let entries = [
            (key, format!("{path}.")),
            (&key["items"]["anyOf"][1], format!("{path}[].")),
        ];
        for (inner, prefix) in entries
            .into_iter()
            .chain([(&key["additionalProperties"], format!("{path}.NAME."))])
        {
            // The limits have a table of their own.
            if name != "limits" && inner["properties"].is_object() {
                render_keys(&prefix, inner, rows);
            }
        }
    }
}

fn type_name(key: &Value) -> String {
    if let Some(words) = key["enum"].as_array() {
        let words: Vec<_> = words
            .iter()
            .map(|word| format!("`{}`", word.as_str().unwrap()))
            .collect();
        return words.join(", ");
    }
    let name = match key["type"].as_str() {
        Some("string") => "text",
        Some("array") => "list",
        Some("object") => "table",
        Some("integer") => "whole number",
        Some("number") => "number",
        Some("boolean") => "true or false",
        _ if key["anyOf"].is_array() => "amount",
        _ if key.get("const").is_some() => "number",
        _ => "any",
    };
    name.to_owned()
}

#[test]
fn every_promise_names_tests_that_exist() {
    let promises = promises();
    let numbers: Vec<_> = promises.iter().map(|promise| &*promise.id).collect();
    let expected: Vec<_> = (1..=14).map(|number| format!("P{number}")).collect();
    assert_eq!(numbers, expected);
    for Promise { id, tests, .. } in promises {
        assert!(!tests.is_empty(), "{id}");
        for named in tests {
            let (module, test) = named.rsplit_once("::").unwrap();
            let module = module.replace("::", "/");
            let read = |file: &str| {
                let path = format!("{}/{module}{file}.rs", env!("CARGO_MANIFEST_DIR"));
                std::fs::read_to_string(path)
            };
            let source = read("").or_else(|_| read("/mod")).unwrap_or_default();
            assert!(source.contains(&format!("fn {test}(")), "{named}");
        }
    }
}

#[test]
fn every_attack_on_a_promise_is_a_row() {
    let known = |name: &str| rows().any(|row| row.class() == name || row.id == name);
    let mut count = 0;
    for Promise { id, attacks, .. } in promises() {
        for name in attacks {
            count += 1;
            assert!(known(&name), "{id}: {name:?}");
        }
    }
    assert!(count > 30, "{count}");
}

//! Rules of the house that a compiler does not know: layers, rooms without circles, openers of
//! docs, widths.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The crates of ours that each crate may depend on, and those that its build script may.
const LAYERS: &[(&str, &[&str], &[&str])] = &[
    ("wardian-abi", &[], &[]),
    (
        "wardian-attack",
        &[
            "wardian",
            "wardian-testkit",
            "wardian-tools",
            "wardian-wasi-imports",
        ],
        &[],
    ),
    ("wardian-audit", &["wardian-abi"], &[]),
    ("wardian-bench", &[], &[]),
    (
        "wardian-cli",
        &[
            "wardian",
            "wardian-attack",
            "wardian-bench",
            "wardian-testkit",
            "wardian-tools",
        ],
        &[],
    ),
    (
        "wardian-engine",
        &["wardian-abi", "wardian-engine-config", "wardian-guest"],
        &[],
    ),
    ("wardian-engine-config", &[], &[]),
    (
        "wardian-guest",
        &[],
        &[
            "wardian-abi",
            "wardian-engine-config",
            "wardian-guest-wasm",
            "wardian-meter",
        ],
    ),
    (
        "wardian-guest-wasm",
        &[],
        &["wardian-abi", "wardian-overlay"],
    ),
    ("wardian-meter", &["wardian-abi"], &[]),
    ("wardian-overlay", &[], &[]),
    ("wardian-policy", &["wardian-abi"], &[]),
    ("wardian-testkit", &["wardian", "wardian-tools"], &[]),
    ("wardian-tools", &["wardian"], &[]),
    ("wardian-wasi-imports", &[], &[]),
    (
        "wardian",
        &[
            "wardian-abi",
            "wardian-audit",
            "wardian-engine",
            "wardian-policy",
        ],
        &[],
    ),
];

/// The crates with wasmtime in them at run time.
const WITH_WASMTIME: [&str; 2] = ["wardian-engine", "wardian-engine-config"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

#[test]
fn arrows_between_crates_point_down() {
    let metadata = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let mut seen = BTreeSet::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if name == "wardian-tests" {
            continue;
        }
        let (_, normal, build) = LAYERS
            .iter()
            .find(|(crate_name, ..)| *crate_name == name)
            .unwrap_or_else(|| panic!("{name} has no layer"));
        seen.insert(name);
        for dependency in package["dependencies"].as_array().unwrap() {
            let on = dependency["name"].as_str().unwrap();
            let allowed = match dependency["kind"].as_str() {
                None => normal,
                Some("build") => build,
                Some(_) => continue,
            };
            if on.starts_with("wardian") {
                assert!(allowed.contains(&on), "{name} depends on {on}");
            }
            if dependency["kind"].is_null() && on.starts_with("wasmtime") {
                assert!(WITH_WASMTIME.contains(&name), "{name} depends on {on}");
            }
        }
    }
    assert_eq!(seen.len(), LAYERS.len(), "{seen:?}");
}

/// All sources of ours beneath `directory`, with their texts.
fn sources(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // Items of other crates, in their words.
            if !path.ends_with("overlay") {
                found.extend(sources(&path));
            }
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

fn all_sources() -> Vec<(PathBuf, String)> {
    let directories = ["bench", "crates", "guest", "tests"].map(|name| root().join(name));
    directories.iter().flat_map(|path| sources(path)).collect()
}

/// The first names of the paths that start with `start` in a text, tests beside it left out: `a`
/// and `b` of `crate::{a::X, b}`.
fn names_after(text: &str, start: &str) -> BTreeSet<String> {
    let code = text.lines().take_while(|line| *line != "#[cfg(test)]");
    let code = code.filter(|line| !line.trim().starts_with("//"));
    let code = code.collect::<Vec<_>>().join("\n");
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let name = |text: &str| text.split(|c| !is_name(c)).next().unwrap().to_owned();
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(start) {
        if code[..at].ends_with(is_name) {
            continue;
        }
        let rest = &code[at + start.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.insert(name(rest));
            continue;
        };
        let (mut depth, mut begins) = (0, true);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                c if begins && is_name(c) => {
                    names.insert(name(&group[at..]));
                    begins = false;
                }
                _ => {}
            }
        }
    }
    names.remove("self");
    names
}

/// The modules at the top of a crate, each with the others that its sources name.
fn arrows(source: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let lib = fs::read_to_string(source.join("lib.rs")).unwrap();
    let rooms: BTreeSet<String> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'))
        .map(ToOwned::to_owned)
        .collect();
    // The rooms of the names that the crate exports.
    let mut exports = BTreeMap::new();
    for room in &rooms {
        for name in names_after(&lib, &format!("pub use {room}::")) {
            exports.insert(name, room.clone());
        }
    }
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in sources(source) {
        let first = path.strip_prefix(source).unwrap().iter().next().unwrap();
        let room = first.to_str().unwrap().trim_end_matches(".rs").to_owned();
        if !rooms.contains(&room) {
            continue;
        }
        let named = names_after(&text, "crate::").into_iter();
        let others = named.filter_map(|name| {
            let room = rooms.get(&name).or_else(|| exports.get(&name));
            room.cloned()
        });
        let others: BTreeSet<_> = others.filter(|other| *other != room).collect();
        arrows.entry(room).or_default().extend(others);
    }
    arrows
}

#[test]
fn rooms_have_no_circles() {
    for (name, ..) in LAYERS {
        let source = root().join("crates").join(name).join("src");
        if !source.join("lib.rs").exists() {
            continue;
        }
        let mut arrows = arrows(&source);
        // Takes away what points to nothing that is left, until nothing is left but circles.
        loop {
            let leaf = arrows
                .iter()
                .find(|(_, others)| others.iter().all(|other| !arrows.contains_key(other)));
            let Some((leaf, _)) = leaf else { break };
            let leaf = leaf.clone();
            arrows.remove(&leaf);
        }
        assert!(arrows.is_empty(), "{name}: {arrows:#?}");
    }
}

/// A doc opens with a verb or a noun: a question is answered by nobody.
#[test]
fn docs_open_with_a_verb_or_a_noun() {
    const QUESTIONS: [&str; 9] = [
        "How", "What", "Where", "Whether", "Which", "Who", "Whose", "Whom", "Why",
    ];
    let mut wrong = Vec::new();
    for (path, text) in all_sources() {
        let mut before = false;
        for (line, number) in text.lines().zip(1..) {
            let line = line.trim_start();
            let doc = line.strip_prefix("///").or(line.strip_prefix("//!"));
            let first = doc.and_then(|doc| doc.split_whitespace().next());
            if !before && first.is_some_and(|first| QUESTIONS.contains(&first)) {
                wrong.push(format!("{}:{number}", path.display()));
            }
            before = doc.is_some();
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// rustfmt leaves comments and strings as they are. The few that may be longer are examples in
/// docs, tables, and texts that have no place to break.
#[test]
fn lines_and_files_are_short() {
    const LONGEST_FILE: usize = 950;
    const MAX_LONGER: usize = 12;
    let (mut comments, mut others) = (Vec::new(), Vec::new());
    for (path, text) in all_sources() {
        let lines = text.lines().count();
        assert!(lines <= LONGEST_FILE, "{}: {lines} lines", path.display());
        for (line, number) in text.lines().zip(1..) {
            let (columns, place) = (line.chars().count(), format!("{}:{number}", path.display()));
            if line.trim_start().starts_with("//") {
                if columns > 100 {
                    comments.push(place);
                }
            } else if columns > 120 {
                others.push(place);
            }
        }
    }
    assert!(comments.len() <= MAX_LONGER, "{comments:#?}");
    assert!(others.len() <= MAX_LONGER, "{others:#?}");
}

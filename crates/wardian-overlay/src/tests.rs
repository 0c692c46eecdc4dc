use std::fs;
use std::path::Path;

use super::*;

const SOURCE: &str = "\
//! A crate.
mod inner {
    /// Says what it is.
    pub fn name() -> &'static str { \"theirs\" }
}
struct Machine<'m>;
impl Machine<'_> {
    fn step(&self, op: Op) -> i32 {
        match op {
            Op::Nop => 0,
            // Comments stay where they are.
            Op::Add { left, right } => left - right,
        }
    }
}
impl Run for Machine {
    fn run(&self) -> bool { false }
}
";

/// Writes a crate with `source` and an overlay with `replacement`, applies it: the crate's file, or the message.
fn applied(replacement: &str) -> Result<String, String> {
    let scratch = tempfile::tempdir().unwrap();
    let [overlay, from, to] = ["overlay", "from", "to"].map(|name| scratch.path().join(name));
    fs::create_dir_all(overlay.join("machine")).unwrap();
    fs::create_dir_all(from.join("src")).unwrap();
    fs::write(overlay.join("machine/mended.rs"), replacement).unwrap();
    fs::write(from.join("src/lib.rs"), SOURCE).unwrap();
    let apply = || {
        let overlay = Overlay::read(&overlay)?;
        assert_eq!(overlay.crates(), BTreeSet::from([("machine", "1.2.3")]));
        overlay.apply("machine", &from, &to)
    };
    match apply() {
        Ok(()) => Ok(fs::read_to_string(to.join("src/lib.rs")).unwrap()),
        Err(error) => Err(format!("{error:#}").replace(&*scratch.path().to_string_lossy(), "")),
    }
}

fn head(item: &str, hash: &str) -> String {
    format!(
        "//! Crate: machine 1.2.3\n//! File: src/lib.rs\n//! Item: {item} = {hash}\n//! Test: t.py\n//!\n\
         //! Reason: it is\n//! wrong.\n//!\n//! Upstream: a report.\n"
    )
}

#[test]
fn functions_methods_and_arms_are_replaced_and_nothing_else() {
    for (item, original, code, ours) in [
        (
            "inner::name",
            "/// Says what it is.\n    pub fn name() -> &'static str { \"theirs\" }",
            "mod inner { fn helper() {} pub fn name() -> &'static str { \"ours\" } }",
            "fn helper() {}\n\npub fn name() -> &'static str { \"ours\" }",
        ),
        (
            "inner::name, kept as old_name",
            "/// Says what it is.\n    pub fn name() -> &'static str { \"theirs\" }",
            "mod inner { fn name() { old_name(); } }",
            "fn name() { old_name(); }\n\npub fn old_name() -> &'static str { \"theirs\" }",
        ),
        (
            "<Machine as Run>::run",
            "fn run(&self) -> bool { false }",
            "impl Run for Machine { fn run(&self) -> bool { true } }",
            "fn run(&self) -> bool { true }",
        ),
        (
            "Machine::step / Op::Add { left, right }",
            "Op::Add { left, right } => left - right,",
            "impl Machine<'_> { fn step() { match op { Op::Add { left, right } => add(left, right), } } }",
            "Op::Add { left, right } => add(left, right),",
        ),
        (
            "Machine::step",
            "fn step(&self, op: Op) -> i32 {\n        match op {\n            Op::Nop => 0,\n            \
             // Comments stay where they are.\n            Op::Add { left, right } => left - right,\n        }\n    }",
            "impl Machine<'_> { fn step(&self) {} fn other(&self) {} }",
            "fn other(&self) {}\n\nfn step(&self) {}",
        ),
    ] {
        let replacement = head(item, &sha256_start(original)) + code;
        assert_eq!(applied(&replacement), Ok(SOURCE.replace(original, ours)));
    }
}

#[test]
fn functions_beside_an_impl_stay_outside_of_it() {
    let original = "fn run(&self) -> bool { false }";
    let code =
        "impl Run for Machine { fn run(&self) -> bool { helper() } } fn helper() -> bool { true }";
    let replacement = head("<Machine as Run>::run", &sha256_start(original)) + code;
    let expected = SOURCE
        .replace(
            "impl Run for",
            "fn helper() -> bool { true }\n\nimpl Run for",
        )
        .replace("{ false }", "{ helper() }");
    assert_eq!(applied(&replacement), Ok(expected));
}

#[test]
fn what_replaces_nothing_is_added_at_the_end() {
    let addition =
        head("-", "").replace("//! Item: - = \n", "") + "impl Machine<'_> { fn stop() {} }";
    let expected = format!("{SOURCE}\nimpl Machine<'_> {{ fn stop() {{}} }}\n");
    assert_eq!(applied(&addition), Ok(expected));
}

#[test]
fn a_moved_version_is_named_with_what_to_do() {
    let replacement = head("inner::name", "0000000000000000") + "mod inner { fn name() {} }";
    let message = applied(&replacement).unwrap_err();
    assert!(
        message.starts_with("/overlay/machine/mended.rs: replaces `inner::name` of machine 1.2.3"),
        "{message}"
    );
    assert!(
        message.contains("Read what changed in src/lib.rs"),
        "{message}"
    );
}

#[test]
fn what_is_not_there_is_named() {
    let missing = head("inner::nothing", "00") + "mod inner { fn nothing() {} }";
    let message = applied(&missing).unwrap_err();
    assert!(
        message.contains("`inner::nothing`, which machine 1.2.3 does not have in src/lib.rs"),
        "{message}"
    );
    let own = head(
        "inner::name",
        &sha256_start("/// Says what it is.\n    pub fn name() -> &'static str { \"theirs\" }"),
    );
    assert!(
        applied(&own)
            .unwrap_err()
            .contains("/mended.rs: has no `inner::name`")
    );
    let headless = "fn name() {}";
    assert!(
        applied(headless)
            .unwrap_err()
            .contains("the head has no line `//! Crate: …`")
    );
}

#[test]
fn what_stands_as_it_should_is_not_written_again() {
    let scratch = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| scratch.path().join(name));
    fs::create_dir_all(&from).unwrap();
    fs::write(from.join("lib.rs"), SOURCE).unwrap();
    let overlay = Overlay::read(Path::new("nowhere")).unwrap();
    let modified = || fs::metadata(to.join("lib.rs")).unwrap().modified().unwrap();
    overlay.apply("machine", &from, &to).unwrap();
    let first = modified();
    fs::write(to.join("stale.rs"), "").unwrap();
    overlay.apply("machine", &from, &to).unwrap();
    assert_eq!(modified(), first);
    assert!(!to.join("stale.rs").exists());
}

//! The example policy with packages, which `policies/interpreter/fetch` gets.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::attack_under;
use crate::policies::check_example;
use crate::{run, text};

fn policy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/interpreter.toml")
}

#[test]
fn the_example_does_what_it_says() {
    check_example("interpreter", &[6]);
}

#[test]
fn hostile_code_gets_nothing_under_the_example() {
    attack_under(&policy());
}

/// Each module of the kit is there, and an image of all of them runs the example.
#[test]
fn the_kit_can_be_imported_and_is_an_image() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let kit = policy().canonicalize().unwrap();
    let checked = run(&[
        "packages",
        "check",
        "--json",
        "--policy",
        kit.to_str().unwrap(),
    ]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stdout));
    let modules = text(&checked.stdout).lines().count();
    assert!(modules >= 10, "{modules}");

    let mine = path("mine.toml");
    let extended = format!("version = 1\nextends = {kit:?}\n");
    fs::write(&mine, &extended).unwrap();
    let image = path("kit.image");
    let built = run(&[
        "image", "build", "--json", "--policy", &mine, "--out", &image,
    ]);
    assert_eq!(built.status.code(), Some(0), "{}", text(&built.stderr));
    let built: Value = serde_json::from_slice(&built.stdout).unwrap();
    assert!(built["packages"].as_array().unwrap().len() >= 10, "{built}");
}

//! Machine code comes from the build, and from nowhere else.

use std::fs;
use std::path::Path;

use wardian::Runtime;
use wardian_guest::{CODE, CODE_SHA256, IMAGE, IMAGE_SHA256, RUSTPYTHON_VERSION, SOURCES_SHA256};

#[test]
fn what_is_linked_in_is_what_was_built() {
    assert_eq!(wardian_abi::sha256(CODE), CODE_SHA256);
    assert_eq!(wardian_abi::sha256(IMAGE), IMAGE_SHA256);
    let versions = Runtime::versions();
    assert_eq!(
        (versions.code_sha256, versions.image_sha256),
        (CODE_SHA256, IMAGE_SHA256)
    );
}

/// A package of `wardian-guest-wasm`, which has no sources of the guest, says by this which it
/// takes one of. `UPDATE_EXPECT=1` records them anew.
#[test]
fn the_sources_of_the_guest_are_on_record() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/wardian-guest-wasm/sources.json");
    let sources = serde_json::json!({ "rustpython": RUSTPYTHON_VERSION, "sha256": SOURCES_SHA256 });
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&file, format!("{sources:#}\n")).unwrap();
    }
    let recorded: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(
        recorded, sources,
        "UPDATE_EXPECT=1 records the sources anew"
    );
}

/// The engine has no compiler, and what makes a module of bytes is called in one place, with bytes
/// that are linked in.
#[test]
fn only_the_builds_own_code_is_loaded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let engine = manifest
        .lines()
        .find(|line| line.starts_with("wasmtime = "));
    let engine = engine.unwrap();
    assert!(engine.contains("default-features = false"), "{engine}");
    for compiler in ["cranelift", "winch", "wat"] {
        assert!(!engine.contains(compiler), "{engine}");
    }
    let mut found = Vec::new();
    sources(&root.join("crates"), &mut |path, text| {
        for (at, line) in text.lines().enumerate() {
            let makes = ["Module::deserialize", "Module::new", "Module::from_"];
            if makes.iter().any(|call| line.contains(call)) {
                found.push(format!("{}:{}", path.display(), at + 1));
            }
        }
    });
    assert!(
        found.len() == 1 && found[0].contains("wardian-engine/src/mapping/mod.rs"),
        "{found:?}"
    );
}

fn sources(dir: &Path, each: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "build") {
            sources(&path, each);
        } else if path.extension().is_some_and(|end| end == "rs")
            && path.iter().any(|name| name == "src")
        {
            each(&path, &fs::read_to_string(&path).unwrap());
        }
    }
}

//! Freezes the part of Python's standard library that makes sense without an operating system.
//!
//! What is left out is absent from the guest's bytes, not merely hidden.

use std::path::PathBuf;

use rustpython_compiler_core::frozen::FrozenLib;

include!("src/excluded.rs");

/// The shadow stack in linear memory, in bytes. RustPython watches it and raises
/// `RecursionError` when it runs low; the wasm stack that the host allows is larger, so that
/// this comes first.
const STACK_BYTES: usize = 1 << 20;

fn main() {
    let library: Vec<_> = rustpython_pylib::FROZEN_STDLIB
        .decode()
        .filter(|(name, _)| !is_excluded(name))
        .collect();
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    std::fs::write(out.join("stdlib.frozen"), FrozenLib::encode(library).bytes)
        .expect("OUT_DIR is writable");
    println!("cargo:rustc-link-arg=-zstack-size={STACK_BYTES}");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/excluded.rs");
}

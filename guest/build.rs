//! Freezes the part of Python's standard library that makes sense without an operating system, and
//! the modules of `library/`.
//!
//! What is left out is absent from the guest's bytes, not merely hidden.

use std::path::PathBuf;

use rustpython_compiler::{CompileOpts, Mode, compile};
use rustpython_compiler_core::frozen::{FrozenCodeObject, FrozenLib, FrozenModule};

include!("src/excluded.rs");

/// The shadow stack in linear memory, in bytes. RustPython watches it and raises
/// `RecursionError` when it runs low; the wasm stack that the host allows is larger, so that
/// this comes first.
const STACK_BYTES: usize = 1 << 20;

/// Modules beside Python's own, which are unpacked when they are imported: a run without them pays
/// nothing for them.
const LIBRARY: [(&str, &str); 8] = [
    ("IPython", "library/IPython/__init__.py"),
    ("IPython.display", "library/IPython/display.py"),
    ("matplotlib", "library/matplotlib/__init__.py"),
    ("matplotlib.pyplot", "library/matplotlib/pyplot.py"),
    ("wardian._figure", "library/wardian/_figure.py"),
    ("wardian._values", "library/wardian/_values.py"),
    ("wardian.plot", "library/wardian/plot.py"),
    ("wardian.sheets", "library/wardian/sheets.py"),
];

fn main() {
    let own = LIBRARY.map(|(name, path)| {
        println!("cargo:rerun-if-changed={path}");
        let source = std::fs::read_to_string(path).expect("it is part of the repository");
        let code = compile(&source, Mode::Exec, name, CompileOpts::default());
        let code = code.unwrap_or_else(|error| panic!("{path}: {error}"));
        (name, path, FrozenCodeObject::encode(&code))
    });
    let own = own.iter().map(|(name, path, code)| {
        let code = FrozenCodeObject {
            bytes: code.bytes.as_slice(),
        };
        let package = path.ends_with("/__init__.py");
        (*name, FrozenModule { code, package })
    });
    let library: Vec<_> = rustpython_pylib::FROZEN_STDLIB
        .decode()
        .filter(|(name, _)| !is_excluded(name))
        .chain(own)
        .collect();
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    std::fs::write(out.join("stdlib.frozen"), FrozenLib::encode(library).bytes)
        .expect("OUT_DIR is writable");
    println!("cargo:rustc-link-arg=-zstack-size={STACK_BYTES}");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/excluded.rs");
}

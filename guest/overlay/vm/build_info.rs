//! Crate: rustpython-vm 0.6.0
//! File: build.rs
//! Item: main = aab7c34cf677747c
//! Item: get_build_info = 58099503dd4e34bd
//! Test: tests/python/version_text.py
//!
//! Reason: `sys.version` and `sys._git` held the time of the build and the state of whatever repository it lay in, so the
//! same sources gave other bytes; and the script ran with every build, and the crate was compiled with it.
//!
//! Upstream: The text of the version ignores `SOURCE_DATE_EPOCH`, and the build script watches a file that there is not
//!
//! The build script asks git about the directory that it lies in, which is another project's if the crate is vendored,
//! and takes the time of the build where there is none. A `rerun-if-changed` of a file that is missing, as
//! `../../Lib/importlib/_bootstrap.py` is outside of RustPython's repository, makes cargo run the script every time.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=Lib");
    // = 3.14.0alpha
    python_version(3, 14, 0, "alpha", 0);
    for name in ["HASH", "TIMESTAMP", "TAG", "BRANCH", "IDENTIFIER"] {
        println!("cargo:rustc-env=RUSTPYTHON_GIT_{name}=");
    }
    println!("cargo:rustc-env=RUSTPYTHON_BUILD_INFO={}", get_build_info());
    println!("cargo:rustc-env=RUSTC_VERSION={}", rustc_version());
    println!("cargo:rustc-env=RUSTPYTHON_RELEASE_LEVEL=alpha");
    println!(
        "cargo:rustc-env=RUSTPYTHON_RELEASE_LEVEL_N={}",
        release_to_n("alpha")
    );
    println!("cargo:rustc-env=RUSTPYTHON_RELEASE_SERIAL=0");
    println!(
        "cargo:rustc-env=RUSTPYTHON_TARGET_TRIPLE={}",
        env::var("TARGET").unwrap()
    );
}

#[must_use]
fn get_build_info() -> String {
    "Wardian".to_owned()
}

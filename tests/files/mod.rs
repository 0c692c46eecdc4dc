//! Nothing of the host but what a policy grants: the rows FS-01 to FS-26 of the catalogue of
//! attacks, each by its number.

mod contents;
mod links;
mod paths;
mod quotas;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wardian::{
    Error, Limits, Policy, Sandbox, Verdict,
    policy::{Access, Grant, Limit, Permission},
};

use crate::runtime;
use crate::world::{HIDDEN, REFUSED, World};

#[test]
fn everything_holds_without_openat2() {
    if std::env::var_os("WARDIAN_TEST_WITHOUT_OPENAT2").is_some() {
        return;
    }
    let tests = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "files::",
            "grants::",
            "--skip",
            "files::everything_holds_without_openat2",
        ])
        .env("WARDIAN_TEST_WITHOUT_OPENAT2", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&tests.stdout);
    assert!(tests.status.success(), "{said}");
    assert!(said.contains("fs_07_symlinks ... ok"), "{said}");
}

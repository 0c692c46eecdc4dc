//! `read_file`, `write_file` and `list_dir`: a script's tools reach the files that the script
//! itself may reach, by the same handles, and no others.

use std::fs;

use serde_json::{Value, json};
use wardian::policy::Allowance::AtMost;
use wardian::{
    Policy, Sandbox,
    policy::{Limit, Permission, ToolRules},
};

use crate::runtime;
use crate::world::World;

const BOTH: Permission = Permission::READ_FILE.union(Permission::WRITE_FILE);

/// Makes calls, and returns the value of each, or the exception's name.
fn calls(world: &World, policy: Policy, calls: &[&str]) -> Value {
    let names = ["read_file", "write_file", "list_dir"];
    let policy = names.into_iter().fold(policy, |policy, name| {
        policy.with_tool(name, ToolRules::default())
    });
    let tools = wardian_tools::ready(&policy).unwrap();
    let sandbox = Sandbox::new(runtime(), policy)
        .unwrap()
        .with_tools(tools)
        .unwrap();
    let calls: Vec<_> = calls
        .iter()
        .map(|call| format!("t(lambda: tools.{call})"))
        .collect();
    let code = format!(
        "from wardian import tools\ndef t(call):\n    try: return call()\n    \
         except Exception as error: return type(error).__name__\n\
         [{}]",
        calls.join(", ")
    );
    let outcome = sandbox.run_blocking(code).unwrap();
    assert!(outcome.success(), "{}", outcome.stderr.text());
    assert!(!outcome.json().to_string().contains(world.canary.secret()));
    outcome.json()["value"].clone()
}

/// The permissions, each with and without.
#[test]
fn file_tools_with_and_without_permission() {
    let all = [
        "read_file('/ro/file.txt')",
        "write_file('/wo/new', 'x')",
        "list_dir('/ro/sub')",
    ];
    let listed = json!([{"name": "inner.txt", "is_dir": false, "bytes": 5}]);
    for (permissions, expected) in [
        (BOTH, json!(["content", 1, listed])),
        (
            Permission::READ_FILE,
            json!(["content", "AttributeError", listed]),
        ),
        (
            Permission::WRITE_FILE,
            json!(["AttributeError", 1, "AttributeError"]),
        ),
        (
            Permission::NONE,
            json!(["AttributeError", "AttributeError", "AttributeError"]),
        ),
    ] {
        let world = World::new();
        let found = calls(
            &world,
            world.policy(permissions | Permission::EXECUTE_CODE),
            &all,
        );
        assert_eq!(found, expected, "{permissions:?}");
        let written = permissions.contains(Permission::WRITE_FILE);
        assert_eq!(fs::read_to_string(world.path("wo/new")).is_ok(), written);
    }
}

/// Row FS-11, and all that is true of a script's own files.
#[test]
fn fs_11_file_tools_stay_inside() {
    let world = World::new();
    let policy = || world.policy(BOTH | Permission::EXECUTE_CODE);
    let refused = [
        "read_file('/etc/passwd')",
        "read_file('/ro/../outside/canary.txt')",
        "read_file('/ro/out')",
        "read_file('/ro/out-abs')",
        "read_file('/ro/out-dir/canary.txt')",
        "read_file('/ro/proc')",
        "read_file('/wo/old.txt')",
        "write_file('/ro/file.txt', 'x')",
        "write_file('/ro/new', 'x')",
        "write_file('/rw/out', 'x')",
        "write_file('/rw/out-missing', 'x')",
        "write_file('/rw/out-dir/new', 'x')",
        "list_dir('/')",
        "list_dir('/wo')",
        "list_dir('/ro/out-dir')",
        "read_file('')",
        "read_file('ro/file.txt')",
        "read_file('/ro/\\0')",
    ];
    let found = calls(&world, policy(), &refused);
    for (call, found) in refused.iter().zip(found.as_array().unwrap()) {
        assert_eq!(found, "PermissionError", "{call}");
    }
    let failed = [
        "read_file('/ro/missing')",
        "read_file('/ro/sub')",
        "list_dir('/ro/file.txt')",
        "write_file('/rw/sub', 'x')",
    ];
    assert_eq!(
        calls(&world, policy(), &failed),
        json!(["ToolError", "ToolError", "ToolError", "ToolError"])
    );
    let listed = calls(&world, policy(), &["list_dir('/ro')"]);
    let names: Vec<_> = listed[0]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["name"].as_str().unwrap())
        .collect();
    assert!(
        names.contains(&"file.txt") && names.contains(&"sub") && names.is_sorted(),
        "{names:?}"
    );
}

/// The limits of the run are those of its tools: just under, just over.
#[test]
fn file_tools_are_within_the_limits_of_the_run() {
    let world = World::new()
        .with(Limit::FileSize, 100)
        .with(Limit::BytesWritten, 150)
        .with(Limit::FilesCreated, 2);
    fs::write(world.path("rw/100"), "x".repeat(100)).unwrap();
    fs::write(world.path("rw/101"), "x".repeat(101)).unwrap();
    let policy = world.policy(BOTH | Permission::EXECUTE_CODE);
    let found = calls(
        &world,
        policy,
        &[
            "read_file('/rw/100')[:1]",
            "read_file('/rw/101')",
            "write_file('/rw/a', 'x' * 100)",
            "write_file('/rw/a', 'x', append=True)",
            "write_file('/rw/b', 'x' * 50)",
            "write_file('/rw/b', 'y', append=True)",
            "write_file('/rw/c', '')",
        ],
    );
    assert_eq!(
        found,
        json!([
            "x",
            "ToolError",
            100,
            "ToolError",
            50,
            "ToolError",
            "ToolError"
        ])
    );
    assert!(!world.path("rw/c").exists());
    // A script's own writes count with its tools'.
    let limits = wardian::Limits::default()
        .with(Limit::BytesWritten, AtMost(10))
        .unwrap();
    let policy = world
        .policy(BOTH | Permission::EXECUTE_CODE)
        .with_limits(limits);
    let found = calls(
        &world,
        policy,
        &[
            "write_file('/rw/a', 'x' * 8)",
            "write_file('/rw/b', 'x' * 8)",
        ],
    );
    assert_eq!(found, json!([8, "ToolError"]));
}

//! Policy files: what they mean, and what is said about those that are wrong.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use indoc::indoc;
use wardian_policy::{
    Access, Action, Allowance, Base, Limit, Permission, Policy, Problems, Profile, Source, Wheel,
    schema,
};

fn source(text: &str) -> Source {
    Source {
        path: Some("/srv/agent/policy.toml".into()),
        home: Some("/home/ada".into()),
        ..Source::text("policy.toml", text)
    }
}

#[track_caller]
fn parse(text: &str) -> Policy {
    Policy::parse(&source(text)).unwrap()
}

fn problems(text: &str) -> Vec<String> {
    match Policy::parse(&source(text)) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

/// The file has these problems, each of which says this somewhere.
#[track_caller]
fn check(text: &str, said: &[&str]) {
    let problems = problems(text);
    assert_eq!(problems.len(), said.len(), "{problems:#?}");
    for (problem, said) in problems.iter().zip(said) {
        assert!(problem.contains(said), "{problem}\ndoes not say\n{said}");
    }
}

const EVERYTHING: &str = r#"
version = 1
agent = "analyst"
description = "Everything that a file can say."
permissions = ["READONLY", "WRITE_FILE", "EXECUTE_CODE"]
allowed_paths = [
    "/data/faq",
    "shared",
    { path = "/in", host = "data/in", access = "read" },
    { path = "/out", host = "/var/out", access = "write" },
]
allowed_domains = ["api.example.com", "*.example.org"]
max_file_size = "1MiB"
image = { file = "app.image", setup = "setup.py" }

[limits]
source = 1000
timeout = "2s"
fuel = 5e9
memory = "128MiB"
stdout = "64KiB"
stderr = 65536
value = "1KiB"
value_depth = 8
bytes_written = "unlimited"
files_created = 10
open_files = 4
tool_calls = 7
tool_bytes = "2MiB"
tool_wait = "3s"
records = 200
record_bytes = "2MiB"
host_memory = "32MiB"
displays = 20
display_bytes = "4MiB"

[limits.session]
calls = 500
fuel = 2e12
time = "30m"
age = "12h"
idle = "10m"
memory = "64MiB"
bytes_written = "128MiB"

[work]
path = "/home/work"
size = "8MiB"
files = 50

[packages]
directories = ["helpers"]

[[packages.wheels]]
file = "vendor/a-1.0-py3-none-any.whl"
sha256 = "1111111111111111111111111111111111111111111111111111111111111111"

[source]
profile = "standard"
allow_imports = ["numpy.linalg"]
forbid_imports = ["random"]
allow_calls = ["compile"]
forbid_calls = ["print"]

[env]
TZ = "UTC"

[tools.read_file]
max_calls = 3
approval = true
args.path = { prefix = "/in/" }
args.mode = { equals = "text" }
args.limit = { min = 1, max = 2.5 }
args.kind = { one_of = ["a", 1, true] }

[tools.read_file.config]
nested = { list = [1, "x"] }
"#;

#[test]
fn a_file_says_everything() {
    let policy = parse(EVERYTHING);
    assert_eq!(policy.agent(), "analyst");
    assert_eq!(
        policy.permissions(),
        Permission::READ_FILE
            | Permission::DATABASE_READ
            | Permission::WRITE_FILE
            | Permission::EXECUTE_CODE
    );
    let grants: Vec<_> = policy
        .grants()
        .map(|grant| (grant.guest().as_str(), grant.host(), policy.access(grant)))
        .collect();
    assert_eq!(
        grants,
        [
            ("/data/faq", Path::new("/data/faq"), Access::READ_WRITE),
            ("/in", Path::new("/srv/agent/data/in"), Access::READ),
            ("/out", Path::new("/var/out"), Access::WRITE),
            (
                "/shared",
                Path::new("/srv/agent/shared"),
                Access::READ_WRITE
            ),
        ]
    );
    let limits = policy.limits();
    for (limit, amount) in [
        (Limit::Source, 1000),
        (Limit::Timeout, 2_000_000_000),
        (Limit::Fuel, 5_000_000_000),
        (Limit::Memory, 128 << 20),
        (Limit::Stderr, 65536),
        (Limit::ValueDepth, 8),
        (Limit::FileSize, 1 << 20),
        (Limit::FilesCreated, 10),
        (Limit::OpenFiles, 4),
        (Limit::Displays, 20),
        (Limit::DisplayBytes, 4 << 20),
        (Limit::ToolCalls, 7),
        (Limit::ToolBytes, 2 << 20),
        (Limit::ToolWait, 3_000_000_000),
        (Limit::Records, 200),
    ] {
        assert_eq!(limits.get(limit), Allowance::AtMost(amount), "{limit}");
    }
    assert_eq!(limits.get(Limit::BytesWritten), Allowance::Unlimited);
    assert_eq!(limits.get(Limit::WorkSize), Allowance::AtMost(8 << 20));
    assert_eq!(limits.get(Limit::WorkFiles), Allowance::AtMost(50));
    let works: Vec<_> = policy
        .work_directories()
        .map(wardian_policy::GuestPath::as_str)
        .collect();
    assert_eq!(works, ["/home/work", "/tmp"]);
    let packages = policy.packages();
    let wheels: Vec<_> = packages.wheels().iter().map(Wheel::file).collect();
    assert_eq!(
        wheels,
        [Path::new("/srv/agent/vendor/a-1.0-py3-none-any.whl")]
    );
    assert_eq!(packages.directories(), [Path::new("/srv/agent/helpers")]);
    let image = policy.image().unwrap();
    assert_eq!(
        (image.file(), image.setup()),
        (
            Path::new("/srv/agent/app.image"),
            Some(Path::new("/srv/agent/setup.py"))
        )
    );
    let code = policy.source_rules();
    assert_eq!(code.profile, Profile::Standard);
    assert!(
        code.rules
            .allowed_imports
            .as_ref()
            .unwrap()
            .contains("numpy.linalg")
    );
    assert!(code.rules.forbidden_imports.contains("random"));
    assert!(
        code.rules.forbidden_calls.contains("print")
            && !code.rules.forbidden_calls.contains("compile")
    );
    assert_eq!(policy.env()["TZ"], "UTC");
    let tool = &policy.tools()["read_file"];
    assert_eq!((tool.max_calls, tool.approval), (Some(3), true));
    let args: Vec<_> = tool.args.iter().collect();
    let shown: Vec<_> = args
        .iter()
        .map(|(name, constraint)| format!("{name}: {constraint}"))
        .collect();
    assert_eq!(
        shown,
        [
            "kind: one of \"a\", 1, true",
            "limit: 1 to 2.5",
            "mode: \"text\"",
            "path: text that starts with \"/in/\""
        ]
    );
    assert_eq!(
        serde_json::Value::from(tool.config.clone()),
        serde_json::json!({"nested": {"list": [1, "x"]}})
    );
}

#[test]
fn what_is_absent_grants_nothing() {
    let policy = parse("version = 1");
    assert_eq!(policy.permissions(), Permission::NONE);
    for action in Action::ALL {
        for resource in ["/", "/data/x", "https://example.com", ""] {
            assert!(
                !policy.check(action, resource).allowed(),
                "{action} {resource}"
            );
        }
    }
    assert_eq!(policy.agent(), "policy");
    let everything_but_lists = parse("version = 1\npermissions = [\"FULL\"]");
    for (action, resource) in [
        (Action::ReadFile, "/data/x"),
        (Action::WriteFile, "/data/x"),
        (Action::HttpRequest, "https://example.com"),
    ] {
        assert!(!everything_but_lists.check(action, resource).allowed());
    }
}

/// With and without: every permission decides about its own action, and about no other.
#[test]
fn every_permission_has_its_effect() {
    let with = |permission: Permission| {
        let names: Vec<_> = permission
            .iter_names()
            .map(|(name, _)| format!("{name:?}"))
            .collect();
        parse(&format!(
            "version = 1\npermissions = [{}]\nallowed_paths = [\"/data\"]\nallowed_domains = [\"*\"]",
            names.join(", ")
        ))
    };
    let resource = |action| match action {
        Action::ReadFile | Action::WriteFile => "/data/x",
        Action::HttpRequest => "https://example.com/",
        _ => "x",
    };
    for action in Action::ALL {
        let only = with(action.permission());
        let but = with(Permission::FULL - action.permission());
        for other in Action::ALL {
            let decided = only.check(other, resource(other)).allowed();
            assert_eq!(decided, other == action, "{action} {other}");
            let decided = but.check(other, resource(other)).allowed();
            assert_eq!(decided, other != action, "{action} {other}");
        }
    }
}

#[test]
fn a_policy_for_customer_service() {
    let policy = parse(
        r#"
version = 1
agent = "customer_service"
permissions = ["READONLY", "NETWORK_ACCESS"]
allowed_paths = ["/data/faq", "/data/products"]
allowed_domains = ["api.internal.com"]
"#,
    );
    for (action, resource, allowed, line) in [
        (Action::ReadFile, "/data/faq/guide.md", true, 5),
        (Action::WriteFile, "/etc/passwd", false, 4),
        (Action::Execute, "", false, 4),
        (Action::HttpRequest, "https://api.internal.com/", true, 6),
        // What `startswith` gets wrong.
        (Action::ReadFile, "/data/faq/../../etc/passwd", false, 5),
        (Action::ReadFile, "/data/faqs/x", false, 5),
        (
            Action::HttpRequest,
            "https://api.internal.com.evil.com/",
            false,
            6,
        ),
    ] {
        let decision = policy.check(action, resource);
        assert_eq!(decision.allowed(), allowed, "{action} {resource}");
        assert_eq!(
            decision.location().unwrap().line,
            line,
            "{resource}: {decision}"
        );
    }
    let userinfo = policy.check(Action::HttpRequest, "https://api.internal.com@evil.com/");
    assert!(!userinfo.allowed());
    assert_eq!(
        userinfo.to_string(),
        "the URL holds a user name or a password"
    );
}

#[test]
fn fs_01_to_fs_14_are_decided_by_their_text() {
    let policy = parse(indoc! {r#"
        version = 1
        permissions = ["READ_FILE"]
        allowed_paths = ["/data"]"#});
    for path in [
        "/data",
        "/data/",
        "/data/.",
        "/data/x/../y",
        "/data/..\\..\\x",
        "/data/ünï/\u{202e}x",
    ] {
        assert!(policy.check(Action::ReadFile, path).allowed(), "{path}");
    }
    for path in [
        &b"/data/../etc/passwd"[..],
        b"/data/a/../../..//etc/passwd",
        b"//data//..",
        b"/",
        b"/proc/self/environ",
        b"/proc/self/fd/3",
        b"/dev/tcp/1.2.3.4",
        b"~",
        b"~/.ssh/id",
        b"file:///data/x",
        b"data/x",
        b"",
        b".",
        b"\\\\?\\C:\\",
        b"NUL",
        b"/database/x",
        b"/data-old",
        b"/DATA/x",
        "/data\u{301}/x".as_bytes(),
        b"/data/x\0",
        b"/data/\0/../../etc",
        b"/data/\xc0\xae\xc0\xae/etc",
        b"/data/\xed\xb2\x80",
    ] {
        let decision = policy.check(Action::ReadFile, path);
        assert!(!decision.allowed(), "{:?}", String::from_utf8_lossy(path));
        assert!(!policy.check(Action::WriteFile, b"/data/x").allowed());
    }
}

#[test]
fn a_decision_says_which_rule_and_why() {
    let policy = parse(indoc! {r#"
            version = 1
            permissions = ["READ_FILE", "WRITE_FILE"]
            allowed_paths = [
              { path = "/in", access = "read" },
              "/out",
            ]"#});
    for (action, resource, rule, line, reason) in [
        (
            Action::ReadFile,
            "/in/x",
            "allowed_paths[\"/in\"]",
            4,
            "/in/x is in /in, which is granted for reading",
        ),
        (
            Action::WriteFile,
            "/in/x",
            "allowed_paths[\"/in\"]",
            4,
            "/in/x is in /in, which is granted for reading only",
        ),
        (
            Action::WriteFile,
            "/out/x",
            "allowed_paths[\"/out\"]",
            5,
            "/out/x is in /out, which is granted for writing",
        ),
        (
            Action::ReadFile,
            "/x\n",
            "allowed_paths",
            3,
            "no entry of allowed_paths holds /x\\n",
        ),
        (
            Action::HttpRequest,
            "https://example.com",
            "permissions",
            2,
            "permissions lack NETWORK_ACCESS",
        ),
    ] {
        let decision = policy.check(action, resource);
        assert_eq!(decision.rule(), rule);
        assert_eq!(decision.location().unwrap().line, line);
        assert_eq!(decision.to_string(), reason);
    }
}

#[test]
fn every_mistake_is_told_at_once() {
    check(
        indoc! {r#"
            version = 2
            permisions = []
            permissions = ["READ_FLIE", 3]
            allowed_domains = "x"
            max_file_size = "big"
            [limits]
            timeout = 10
            memory = "1KiB"
            memery = 1
        "#},
        &[
            "policy.toml:1:11: version: there is no version 2; this program reads version 1",
            "policy.toml:2:1: permisions: unknown key; did you mean `permissions`?",
            "policy.toml:3:16: permissions[0]: there is no \"READ_FLIE\"; did you mean `READ_FILE`?",
            "policy.toml:3:29: permissions[1]: this is a number, not a string",
            "policy.toml:4:19: allowed_domains: this is a string, not a list",
            "policy.toml:5:17: max_file_size: this is not a size; write a size: \"512KiB\", \"10MiB\", or a \
             number of bytes",
            "policy.toml:7:11: limits.timeout: this is not a time; write a time with its unit: \"500ms\", \
             \"10s\", \"2m\"",
            "policy.toml:8:10: limits.memory: 1 KiB is out of bounds; it can be 64 MiB to 2 GiB",
            "policy.toml:9:1: limits.memery: unknown key; did you mean `memory`?",
        ],
    );
    check(
        "",
        &["policy.toml:1:1: version: is missing; start the file with `version = 1`"],
    );
    for (image, said) in [
        (
            "3",
            "policy.toml:2:9: image: this is a number, not a string",
        ),
        (
            "{}",
            "policy.toml:2:9: image.file: is missing; write `image = \"app.image\"`",
        ),
        (
            "{ file = \"x\", setop = \"y\" }",
            "image.setop: unknown key; did you mean `setup`?",
        ),
    ] {
        check(&format!("version = 1\nimage = {image}"), &[said]);
    }
    check(
        "version = 1\nversion = 1\n",
        &["policy.toml:2:1: duplicate key"],
    );
    check("version = 1\nagent = \n", &["policy.toml:2"]);
    check(
        "version = 1\nzzz = 1",
        &["zzz: unknown key; the keys here are version, agent,"],
    );
    check(
        "version = 1\n[limits]\nmemory = \"unlimited\"",
        &["limits.memory: unlimited is out of bounds"],
    );
    check("version = -1", &["not a whole number"]);
    check(
        "version = 1\n[source]\nprofile = \"stric\"",
        &["did you mean `strict`?"],
    );
    check(
        "version = 1\n[source]\nforbid_calls = [\"a b\"]",
        &["not a name that Python knows"],
    );
    check(
        "version = 1\n[env]\n\"A=B\" = \"x\"\nC = 1",
        &["no variable can be this", "not a string"],
    );
    check(
        "version = 1\n[tools.x]\nmax_call = 1\napproval = 1",
        &["did you mean `max_calls`?", "not true or false"],
    );
    check(
        "version = 1\nextends = \"base.toml\"",
        &["this text can't extend another file"],
    );
}

#[test]
fn what_can_not_be_granted() {
    let granting = |entry: &str| {
        format!("version = 1\npermissions = [\"READ_FILE\"]\nallowed_paths = [{entry}]")
    };
    for (entry, said) in [
        ("\"/\"", "can't be granted as a whole"),
        ("\"/data/..\"", "can't be granted as a whole"),
        (
            "{ path = \"/x\", host = \"/\" }",
            "`/` can't be granted as a whole",
        ),
        (
            "{ path = \"/\", host = \"/x\" }",
            "the guest's `/` can't be granted",
        ),
        ("\"/home/ada\"", "holds the home directory"),
        (
            "{ path = \"/x\", host = \"/home\" }",
            "holds the home directory",
        ),
        ("\"/srv/agent\"", "holds the policy file"),
        ("{ path = \"/x\", host = \".\" }", "holds the policy file"),
        (
            "\"..\"",
            "does not say under which path the script finds it",
        ),
        ("\"/data\", \"/data\"", "/data overlaps /data"),
        ("\"/data\", \"/data/tmp\"", "/data/tmp overlaps /data"),
        (
            "\"/data\", { path = \"/x\", host = \"/data/x\" }",
            "/data/x overlaps /data",
        ),
        (
            "{ path = \"/x\", access = \"write\" }",
            "asks for write, but `permissions` lack WRITE_FILE; an entry can only narrow them",
        ),
        (
            "{ path = \"/x\", access = \"raed\" }",
            "did you mean `read`?",
        ),
        (
            "{ path = \"/x\", acess = \"read\" }",
            "allowed_paths[0].acess: unknown key; did you mean `access`?",
        ),
        ("{ host = \"/x\" }", "allowed_paths[0].path: is missing"),
        ("\"/data/\\u0000\"", "NUL"),
        ("7", "this is a number, not a string"),
    ] {
        check(&granting(entry), &[said]);
    }
}

#[test]
fn size_and_depth_of_a_file_are_bounded() {
    let long = format!("version = 1\n#{}", "x".repeat(256 << 10));
    check(&long, &["at most 262144 are read"]);
    assert!(!problems(&format!("version = 1\nx = {}", "[".repeat(100_000))).is_empty());
    assert!(
        !problems(&format!(
            "version = 1\nx = {}1{}",
            "[".repeat(1_000),
            "]".repeat(1_000)
        ))
        .is_empty()
    );
    assert!(!problems(&format!("version = 1\n{} = 1", vec!["a"; 10_000].join("."))).is_empty());
    let many: Vec<_> = (0..1001).map(|i| format!("\"h{i}.example\"")).collect();
    check(
        &format!("version = 1\nallowed_domains = [{}]", many.join(",")),
        &["has 1001 entries; at most 1000 are read"],
    );
}

#[test]
fn the_hash_is_of_the_meaning() {
    let a = parse(indoc! {r#"
            version = 1
            agent = "a"
            permissions = ["READONLY"]
            allowed_paths = ["/a", "/b"]
            allowed_domains = ["b.example", "a.example:443"]"#});
    let b = parse(indoc! {r#"
            version = 1 # the same
            description = "x"
            allowed_domains = ["https://a.example", "B.example"]
            allowed_paths = [{path = "/b", access = "read"}, { host = "/a", path = "/x/../a/"}]
            permissions = ["DATABASE_READ", "READ_FILE"]
            agent = "a"
            max_file_size = 10485760
            [limits]
            timeout = "10000ms""#});
    assert_eq!(a.sha256(), b.sha256());
    assert_eq!(a.sha256().len(), 64);
    for change in [
        "agent = \"b\"",
        "agent = \"a\"\n[env]\nX = \"1\"",
        "agent = \"a\"\n[limits]\nfuel = 5e9",
        "agent = \"a\"\n[tools.x]",
        "agent = \"a\"\n[work]",
        "agent = \"a\"\n[packages]\ndirectories = [\"x\"]",
        "agent = \"a\"\nimage = \"x.image\"",
        "agent = \"a\"\n[source]\nprofile = \"strict\"",
    ] {
        let other = parse(&format!(
            "version = 1\npermissions = [\"READONLY\"]\n{change}"
        ));
        let plain = parse("version = 1\npermissions = [\"READONLY\"]\nagent = \"a\"");
        assert_ne!(other.sha256(), plain.sha256(), "{change}");
    }
    // A change of this value is a change of what old audit trails mean.
    assert_eq!(
        Policy::computing()
            .with_source_rules(Profile::Open)
            .sha256(),
        "7f1bd1abf0fcede5c9057ab9ddb453ed8c5b0683349d94e42cb964e3b1ec3e3a"
    );
}

const BASE: &str = r#"
version = 1
agent = "base"
permissions = ["READONLY", "WRITE_FILE", "EXECUTE_CODE", "NETWORK_ACCESS"]
allowed_paths = ["/data", { path = "/in", host = "in", access = "read" }]
allowed_domains = ["*.example.com"]
[limits]
timeout = "5s"
[source]
profile = "standard"
[env]
TZ = "UTC"
[tools.read_file]
max_calls = 5
approval = true
[tools.fetch]
args.url = { prefix = "https://a/v1/" }
args.count = { min = 1, max = 5 }
"#;

fn extending(text: &str) -> Result<Policy, Problems> {
    let text = format!("version = 1\nextends = \"base.toml\"\n{text}");
    Policy::parse_with(&source(&text), |path| {
        assert_eq!(path, Path::new("/srv/agent/base.toml"));
        let base = Source {
            path: Some(PathBuf::from("/srv/agent/base.toml")),
            ..Source::text("base.toml", BASE)
        };
        Policy::parse(&base).map_err(Base::Problems)
    })
}

#[test]
fn extends_keeps_what_is_absent_and_narrows_what_is_there() {
    let same = extending("").unwrap();
    let base = parse(BASE);
    assert_eq!(same.sha256(), base.sha256());
    let narrower = extending(indoc! {r#"
            permissions = ["READ_FILE"]
            allowed_paths = ["/data/faq", { path = "/in/x", host = "in/x" }]
            allowed_domains = ["a.example.com"]
            max_file_size = 1
            [limits]
            timeout = "1s"
            fuel = 1e9
            [source]
            profile = "strict"
            [env]
            [tools.read_file]
            max_calls = 1
            approval = true"#})
    .unwrap();
    assert_eq!(narrower.widenings(&base), []);
    assert!(!base.widenings(&narrower).is_empty());
    assert!(narrower.check(Action::ReadFile, "/data/faq/x").allowed());
    assert!(!narrower.check(Action::ReadFile, "/data/x").allowed());
    assert!(!narrower.check(Action::WriteFile, "/data/faq/x").allowed());
    assert_eq!(narrower.agent(), "base");
}

#[test]
fn a_widening_is_an_error_that_names_the_key() {
    for (text, said) in [
        (
            "permissions = [\"SEND_EMAIL\"]",
            "policy.toml:3:1: permissions: allows more than the file that it extends: SEND_EMAIL is permitted; \
             a file may only narrow what it extends; see base.toml:4",
        ),
        ("allowed_paths = [\"/\"]", "as a whole"),
        (
            "allowed_paths = [\"/etc\"]",
            "allowed_paths: allows more than the file that it extends: /etc (/etc on the host) is granted for \
             read_write",
        ),
        (
            "allowed_paths = [{ path = \"/data\", host = \"/etc\" }]",
            "(/etc on the host)",
        ),
        (
            "allowed_paths = [{ path = \"/in\", host = \"in\", access = \"read_write\" }]",
            "granted for read_write",
        ),
        (
            "allowed_domains = [\"example.com\"]",
            "https://example.com:443 is granted",
        ),
        ("allowed_domains = [\"*\"]", "* is granted"),
        (
            "max_file_size = \"11MiB\"",
            "max_file_size: allows more than the file that it extends: 11 MiB instead of 10 MiB",
        ),
        (
            "[limits]\ntimeout = \"6s\"",
            "limits.timeout: allows more than the file that it extends: 6s instead of 5s; a file may only \
             narrow what it extends; see base.toml:8",
        ),
        (
            "[limits]\nfuel = \"unlimited\"",
            "limits.fuel: allows more than the file that it extends: unlimited instead of 100e9",
        ),
        (
            "[source]\nallow_imports = [\"ctypes\"]",
            "source: allows more than the file that it extends: `ctypes` can be imported",
        ),
        (
            "[source]\nallow_calls = [\"eval\"]",
            "`eval()` is not forbidden",
        ),
        (
            "[env]\nTZ = \"CET\"",
            "env.TZ: allows more than the file that it extends: the variable is set",
        ),
        (
            "[env]\nLANG = \"C\"",
            "env.LANG: allows more than the file that it extends: the variable is set",
        ),
        (
            "image = \"x.image\"",
            "image: allows more than the file that it extends: scripts start from /srv/agent/x.image",
        ),
        (
            "[tools.other]",
            "tools.other: allows more than the file that it extends: the tool can be called",
        ),
        (
            "[tools.read_file]\nmax_calls = 6\napproval = true",
            "tools.read_file.max_calls: allows more than the file that it extends: it can be called more often",
        ),
        (
            "[tools.read_file]\nmax_calls = 5",
            "tools.read_file.approval: allows more than the file that it extends: no approval is needed",
        ),
        (
            "[tools.fetch]\nargs.url = { prefix = \"https://a/v1/\" }",
            "tools.fetch.args.count: allows more than the file that it extends: the argument can be other than 1 to 5",
        ),
        (
            indoc! {r#"
                [tools.fetch]
                args.url = { prefix = "https://a/" }
                args.count = { min = 2, max = 2 }"#},
            "tools.fetch.args.url: allows more than the file that it extends: the argument can be other than \
             text that starts with",
        ),
        (
            indoc! {r#"
                [tools.fetch]
                args.url = { equals = "https://a/v1/x" }
                args.count = { max = 5, min = 1 }
                config = { a = 1 }"#},
            "tools.fetch.config.a: allows more than the file that it extends: 1, which is new",
        ),
    ] {
        let problems = extending(text).unwrap_err();
        assert_eq!(problems.iter().count(), 1, "{problems}");
        assert!(
            problems.to_string().contains(said),
            "{problems}\ndoes not say\n{said}"
        );
    }
}

#[test]
fn the_schema_knows_every_key() {
    let schema = schema();
    let keys = |schema: &serde_json::Value| -> Vec<String> {
        schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    };
    let document: toml::Table = toml::from_str(EVERYTHING).unwrap();
    let mut written: Vec<_> = document
        .keys()
        .cloned()
        .chain(["extends".to_owned()])
        .collect();
    written.sort();
    assert_eq!(keys(&schema), written);
    let sections = &schema["properties"];
    for section in ["limits", "source"] {
        let written: Vec<_> = document[section]
            .as_table()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        assert_eq!(keys(&sections[section]), written, "{section}");
    }
    let of_session: Vec<_> = document["limits"]["session"]
        .as_table()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(
        keys(&sections["limits"]["properties"]["session"]),
        of_session
    );
    assert_eq!(
        keys(&sections["tools"]["additionalProperties"]),
        ["approval", "args", "config", "max_calls"]
    );
    let constraint = &sections["tools"]["additionalProperties"]["properties"]["args"];
    assert_eq!(
        keys(&constraint["additionalProperties"]),
        ["equals", "max", "min", "one_of", "prefix"]
    );
    for (key, schema) in sections.as_object().unwrap() {
        assert!(schema["description"].is_string(), "{key} is not described");
    }
    assert_eq!(schema["required"], serde_json::json!(["version"]));
}

/// A module that a policy forbids is forbidden with all its parts, unless the policy itself allows
/// one of them.
#[test]
fn what_a_policy_forbids_has_no_allowed_parts() {
    let source = indoc! {r#"
        version = 1
        [source]
        forbid_imports = ["sys", "urllib", "concurrent", "os"]
        allow_imports = ["os.path"]
    "#};
    let policy = parse(source);
    let rules = &policy.source_rules().rules;
    for module in [
        "sys",
        "sys.maxsize",
        "urllib.parse",
        "concurrent.futures",
        "os",
        "os.sep",
    ] {
        let refusal = rules.import_refusal(module);
        assert_eq!(refusal, Some(format!("Forbidden import: {module}")));
    }
    assert_eq!(rules.import_refusal("os.path"), None);
    assert_eq!(rules.import_refusal("json"), None);
}

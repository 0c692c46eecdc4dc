//! Decisions of policies and gates that take more than a script: many forms of one thing.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use wardian::{
    Gate, Log, Policy, Sandbox, Tool, Verdict,
    policy::{Action, DomainRule, Permission, Profile, Source, parse_url},
};

use super::{Result, computing, ensure, text};
use crate::test_bed::TestBed;
use wardian_testkit::runtime;

fn parse(policy: &str) -> Result<Policy> {
    Policy::parse(&Source::text("policy.toml", policy)).map_err(text)
}

/// WASI has no way to set a mode, and new files can't be run.
pub(super) fn mode_bits(bed: &TestBed) -> Result {
    let code = "import os\nfor name in ('new', 'file.txt'):\n    open(WRITE + '/' + name, 'a').close()\n    \
                try: os.chmod(WRITE + '/' + name, 0o4777)\n    except Exception: pass\n\
                f = os.open(WRITE + '/opened', os.O_CREAT | os.O_WRONLY, 0o6777)\nos.mkdir(WRITE + '/made', 0o7777)";
    let outcome = bed
        .sandbox(Log::memory().0)?
        .run_blocking(bed.script(code))
        .map_err(text)?;
    ensure(
        outcome.verdict == Verdict::Completed,
        outcome.verdict.to_string(),
    )?;
    let (_, write) = bed.writable().ok_or("nothing can be written to")?;
    for (name, most) in [
        ("new", 0o640),
        ("file.txt", 0o666),
        ("opened", 0o640),
        ("made", 0o750),
    ] {
        let mode = write
            .join(name)
            .metadata()
            .map_err(text)?
            .permissions()
            .mode()
            & 0o7777;
        ensure(mode & !most == 0, format!("{name} has mode {mode:o}"))?;
    }
    Ok(())
}

/// A query changes nothing, a change changes rows: SQLite decides, whatever the statement looks
/// like. Its benign twins are statements that are what their tool is for.
pub(super) fn statements() -> Result {
    let dir = tempfile::tempdir().map_err(text)?;
    let file = dir.path().join("shop.db");
    std::fs::File::create(&file).map_err(text)?;
    let policy = parse(&format!(
        "version = 1\npermissions = [\"DATABASE_READ\", \"DATABASE_WRITE\"]\n[tools.db_query.config.databases]\n\
         x = {{ sqlite = {file:?} }}\n\
         [tools.db_execute.config.databases]\nx = {{ sqlite = {file:?} }}"
    ))?;
    let tools = wardian_tools::ready(&policy).map_err(text)?;
    let gate = Gate::new(policy)
        .and_then(|gate| gate.with_tools(tools))
        .map_err(text)?;
    let call = |tool: &str, sql: &str| {
        let tool = gate.tool(tool).ok_or("the tool is not there")?;
        let args = json!({"database": "x", "sql": sql});
        tool.call_blocking(&args).map_err(text)
    };
    ensure(
        call("db_query", "select 6 * 7")?.pointer("/rows/0/0") == Some(&json!(42)),
        "a query gets nothing",
    )?;
    let before = std::fs::read(&file).map_err(text)?;
    for sql in [
        "create table t (a)",
        "/* select */ create table t (a)",
        "with x as (select 1) insert into t select * from x",
        "pragma journal_mode = wal",
        "attach 'y.db' as y",
        "vacuum into 'y.db'",
        "select 1; create table t (a)",
        "select load_extension('x')",
        "explain create table t (a)",
        "begin; create table t (a); commit",
    ] {
        for tool in ["db_query", "db_execute"] {
            ensure(call(tool, sql).is_err(), format!("{tool} takes {sql}"))?;
        }
    }
    let after = std::fs::read(&file).map_err(text)?;
    ensure(before == after, "the database has changed")
}

/// A prefix of the policy's is compared with the URL that would be fetched, without dots.
pub(super) fn url_prefixes() -> Result {
    let policy = parse(
        "version = 1\npermissions = [\"NETWORK_ACCESS\"]\nallowed_domains = [\"api.example.com\"]\n\
         [tools.probe]\nargs.url = { prefix = \"https://api.example.com/v1/\" }",
    )?;
    let tool = Tool::mock("probe", Action::HttpRequest, &["url"], |args| {
        Ok(args.get("url").cloned().unwrap_or_default())
    })
    .and_then(|tool| tool.resource("url"))
    .map_err(text)?;
    let gate = Gate::new(policy)
        .and_then(|gate| gate.with_tools([tool]))
        .map_err(text)?;
    let probe = gate.tool("probe").ok_or("the tool is not there")?;
    for bad in [
        "/v1/../admin",
        "/v1/%2e%2e/admin",
        "//admin",
        "/V1/x",
        "/v1",
        "/v1%2f../admin",
        "/v1/..%2fadmin/../../admin",
        "/v1/..%2fadmin",
        "/v1/..%5cadmin",
        "/v1/..%252fadmin",
        "/v1/..;/admin",
        "/admin?/v1/",
        "/admin#/v1/",
    ] {
        let url = format!("https://api.example.com{bad}");
        ensure(
            probe.call_blocking(&json!({ "url": url })).is_err(),
            format!("{url} starts with /v1/"),
        )?;
    }
    let good = json!({ "url": "https://api.example.com/v1/x?y" });
    probe.call_blocking(&good).map(drop).map_err(text)
}

/// A request is what `http_request` writes: no name, value or verb makes it another.
pub(super) fn http_headers() -> Result {
    let policy = parse(
        "version = 1\npermissions = [\"EXECUTE_CODE\", \"NETWORK_ACCESS\"]\n\
         allowed_domains = [\"http://127.0.0.1:9\"]\n[tools.http_request.config]\n\
         private_networks = [\"127.0.0.1/32\"]",
    )?;
    let tools = wardian_tools::ready(&policy).map_err(text)?;
    let sandbox = Sandbox::new(runtime(), policy.with_source_rules(Profile::Open))
        .and_then(|sandbox| sandbox.with_tools(tools))
        .map_err(text)?;
    for bad in [
        "headers={'Host': 'evil.com'}",
        "headers={'X': 'a\\r\\nY: b'}",
        "headers={'X\\r\\nY': 'b'}",
        "headers={'Content-Length': '0'}",
        "headers={'Transfer-Encoding': 'chunked'}",
        "method='GET\\r\\nX: y'",
        "method='CONNECT'",
        "headers={'': 'x'}",
        "headers={'Connection': 'upgrade'}",
    ] {
        let code = format!(
            "import wardian\ntry:\n    wardian.tools.http_request('http://127.0.0.1:9/', {bad})\n\
             except (ValueError, TypeError, PermissionError): refused = True\n\
             except wardian.ToolError: refused = False\nrefused"
        );
        let outcome = sandbox.run_blocking(code).map_err(text)?;
        ensure(
            outcome.json().get("value") == Some(&json!(true)),
            format!("{bad}: {}", outcome.verdict),
        )?;
    }
    Ok(())
}

/// The host that is decided on is the one that would be connected to.
pub(super) fn url_forms() -> Result {
    let policy = Policy::new(Permission::NETWORK_ACCESS, wardian::Limits::default())
        .with_domain("api.example.com")
        .and_then(|policy| policy.with_domain("*.example.org"))
        .map_err(text)?;
    let hosts = [
        "api.example.com",
        "API.example.COM.",
        "evil.com",
        "x.example.org",
        "example.org",
        "127.0.0.1",
        "[::1]",
        "аpi.example.com",
        "xn--pi-8cd.example.com",
        "api%2eexample.com",
        "api.example.com\u{ad}",
    ];
    let fronts = [
        "https://",
        "https:/",
        "https:",
        "//",
        "HTTPS://",
        "http://",
        "https:\\\\",
        "\thttps://",
        "https://user@",
        "https://:@",
        "https://evil.com@",
        "https:///",
        "ftp://",
    ];
    let backs = [
        "",
        "/",
        ":443/",
        ":0443",
        ":80/",
        "?x",
        "#x",
        "\\x",
        "@evil.com/",
        ".evil.com/",
        " /",
        "\n/",
        "/\u{0}",
        ":443@evil.com",
    ];
    let rules = ["api.example.com", "*.example.org"].map(DomainRule::new);
    let mut allowed = 0;
    for front in fronts {
        for host in hosts {
            for back in backs {
                let url = format!("{front}{host}{back}");
                if !policy.check(Action::HttpRequest, &url).allowed() {
                    continue;
                }
                allowed += 1;
                let parsed =
                    parse_url(&url).map_err(|_| format!("{url:?} is allowed, and no URL"))?;
                let connects = parsed
                    .host_str()
                    .unwrap_or_default()
                    .trim_end_matches('.')
                    .to_owned();
                let right = connects == "api.example.com" || connects.ends_with(".example.org");
                let rule = rules.iter().flatten().any(|rule| rule.allows(&parsed));
                ensure(
                    right
                        && rule
                        && parsed.scheme() == "https"
                        && parsed.port().is_none()
                        && parsed.username().is_empty(),
                    format!("{url:?} is allowed, and leads to {parsed}"),
                )?;
            }
        }
    }
    ensure(
        allowed > 20,
        format!("only {allowed} forms of allowed URLs are allowed"),
    )
}

/// Names of tools are compared byte by byte, and most are no names.
pub(super) fn names_spelling() -> Result {
    let make = |name: &str| Tool::mock(name, Action::Execute, &[], |_| Ok(json!(null)));
    make("delete_user").map_err(text)?;
    for bad in [
        "Delete",
        "DELETE",
        "d-e-l",
        "del\u{435}te",
        "\u{ff44}elete",
        "delete\u{200b}",
        "deleteUser",
        "user.delete",
        "ns::delete",
        "l\u{f6}schen",
        "_x",
        "1x",
        "",
        "class",
        "x y",
        &"x".repeat(65),
    ] {
        ensure(make(bad).is_err(), format!("{bad:?} is a tool's name"))?;
    }
    for (name, action) in [
        ("deleteUser", Action::DbWrite),
        ("user.delete", Action::DbWrite),
        ("ns::delete", Action::DbWrite),
        ("DELETE", Action::DbWrite),
    ] {
        ensure(
            Action::infer(name).is_ok_and(|is| is == action),
            format!("{name} is not seen to delete"),
        )?;
    }
    for unclear in [
        "de_lete",
        "d-e-l-e-t-e",
        "del\u{435}te",
        "\u{ff44}elete",
        "delete\u{200b}",
        "l\u{f6}schen",
        "rm",
        "drop",
    ] {
        ensure(
            Action::infer(unclear).is_err(),
            format!("{unclear:?} has an action by its name"),
        )?;
    }
    Ok(())
}

/// Arguments are parsed once, strictly, and what the rules see is what the tool gets.
pub(super) fn argument_forms(bed: &TestBed) -> Result {
    let gate = bed.fixture().gate(Log::memory().0).map_err(text)?;
    let call = |name: &str, args: serde_json::Value| {
        let tool = gate.tool(name).ok_or(format!("{name} is not there"))?;
        tool.call_blocking(&args).map_err(text)
    };
    for bad in [
        json!({"text": "x", "extra": 1}),
        json!({"TEXT": "yes"}),
        json!({"text": null}),
        json!({"text": ["yes"]}),
        json!({"text": {"text": "yes"}}),
        json!({}),
        json!([]),
        json!("yes"),
        json!(null),
        json!({"text": "yes", "count": 1.5}),
        json!({"text": "yes", "count": "1"}),
        json!({"text": "no"}),
        json!({"text": "yes\u{0}"}),
        json!({"text": "YES"}),
        json!({"text": "yes", "count": 1e30}),
    ] {
        ensure(
            call("probe_args", bad.clone()).is_err(),
            format!("{bad} was let through"),
        )?;
    }
    for bad in [
        "/data/../etc",
        "/etc/passwd",
        "",
        "data",
        "/data\u{0}/../etc",
        "/../etc/passwd",
    ] {
        ensure(
            call("probe_path", json!({ "path": bad })).is_err(),
            format!("{bad:?} was let through"),
        )?;
    }
    call(
        "probe_args",
        json!({"text": "yes", "count": 9_007_199_254_740_993_i64}),
    )
    .map(drop)
}

/// Absent keys grant nothing, and "everything" has to be written.
pub(super) fn open_defaults() -> Result {
    let asks = [
        (Action::ReadFile, "/data/x"),
        (Action::WriteFile, "/data/x"),
        (Action::HttpRequest, "https://example.com/"),
        (Action::DbRead, ""),
        (Action::DbWrite, ""),
        (Action::SendEmail, "a@example.com"),
        (Action::Execute, ""),
    ];
    let grants_nothing = |policy: &Policy| {
        asks.iter()
            .find(|(action, on)| policy.check(*action, on).allowed())
            .map(|(action, _)| *action)
    };
    for empty in [
        "version = 1",
        "version = 1\npermissions = []",
        "version = 1\nallowed_paths = []\nallowed_domains = []",
        "version = 1\nallowed_domains = [\"*\"]\nallowed_paths = [\"/data\"]",
    ] {
        ensure(
            grants_nothing(&parse(empty)?).is_none(),
            format!("{empty:?} grants something"),
        )?;
    }
    let permitted =
        parse("version = 1\npermissions = [\"READ_FILE\", \"WRITE_FILE\", \"NETWORK_ACCESS\"]")?;
    ensure(
        grants_nothing(&permitted).is_none(),
        "permissions without lists grant something",
    )?;
    for wrong in [
        "version = 1\nallowed_domains = \"*\"",
        "version = 1\npermissions = [\"EVERYTHING\"]",
        "version = 1\nallowed_paths = [\"*\"]",
        "version = 1\nallowed_domains = [\"\"]",
        "version = 1\nallowed_domains = null",
        "version = \"1\"",
        "version = 1\npermissions = [\"READ_FILE\",,]",
    ] {
        ensure(parse(wrong).is_err(), format!("{wrong:?} is a policy"))?;
    }
    let computing = computing()?;
    ensure(
        computing.permissions() == Permission::EXECUTE_CODE,
        "computing grants more than that",
    )
}

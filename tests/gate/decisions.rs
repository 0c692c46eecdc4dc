//! Decisions: only what the policy grants is called, with the arguments that its rules allow.

use super::*;
use indoc::indoc;

/// Row TOOL-07: no name finds what is not granted. Row TOOL-22: neither shows that there is more.
#[test]
fn tool_07_tool_22_only_granted_tools_are_there() {
    let granted = json!([
        "big", "block", "echo", "fail", "greet", "nested", "panic", "read", "sleep"
    ]);
    let can_read = policy().with_permissions(Permission::READ_FILE);
    assert_eq!(value_of(&run_under(can_read, "dir(tools)")), granted);
    // Without the permission for what it does, a tool is not there.
    assert_eq!(value("'read' in dir(tools)"), false);
    for name in [
        "never",
        "nothing",
        "read",
        "Greet",
        "greet ",
        "__import__",
        "eval",
        "*",
    ] {
        raises(
            &format!("getattr_(tools, {name:?})").replace("getattr_", "tools.__getattr__.__func__"),
            "AttributeError",
            &format!("no tool is called '{name}' here"),
        );
    }
    let outcome = Sandbox::new(runtime(), Policy::computing()).unwrap();
    let outcome = outcome
        .run_blocking("from wardian import tools\ndir(tools)")
        .unwrap();
    assert_eq!(value_of(&outcome), json!([]));
}

/// Objects that a script can dig up beneath the functions get it no further: the gate is on the
/// host.
#[test]
fn tool_07_names_are_compared_as_they_are() {
    let code = indoc! {r#"
        import wardian
        call = tools.__dict__['_call']
        def t(name, args):
            try:
                return call(name, args)
            except Exception as error:
                return type(error).__name__ + ': ' + str(error)[:40]
        [t('never', {'value': 1}), t('../greet', {}), t('', {}), t('x' * 10**5, {}), t('gr\u200beet', {'name': 'a'}), t('read\n{"event": 1}', {}), t('greet', {'name': 'a'}), t('greet', {'name': 'a', 'NAME': 'b'}), t('read', {'path': '/etc/passwd'})]"#};
    let (log, memory) = Log::memory();
    let policy = policy().with_source_rules(Profile::Open);
    let outcome = sandbox(policy)
        .with_audit(log)
        .unwrap()
        .run_blocking(format!("from wardian import tools\n{code}"))
        .unwrap();
    let ended = value_of(&outcome);
    for (at, start) in [
        (0, "PermissionError: there is no tool \"never\""),
        (1, "PermissionError: there is no tool \"../greet\""),
        (2, "PermissionError: there is no tool \"\""),
        (3, "PermissionError: there is no tool \"xxx"),
        (4, "PermissionError: there is no tool \"gr\\u{200b}eet\""),
        (5, "PermissionError: there is no tool \"read\\n{\\\"even"),
        (6, "hello a"),
        (7, "TypeError: greet: there is no argument \"NAME\""),
        (8, "PermissionError: there is no tool \"read\""),
    ] {
        assert!(
            ended[at].as_str().unwrap().starts_with(start),
            "{at} {ended}"
        );
    }
    let refused = recorded(&memory)
        .into_iter()
        .filter(|record| record.event.allowed() == Some(false));
    assert_eq!(refused.count(), 8);
    assert_eq!(outcome.refusals.count, 8);
}

/// The permission, with and without: the action that a tool declares decides, on the resource that
/// its arguments name.
#[test]
fn the_policy_decides_on_what_arguments_name() {
    let world = World::new();
    let with = || {
        world
            .policy(Permission::EXECUTE_CODE | Permission::READ_FILE)
            .with_tool("read", ToolRules::default())
    };
    assert_eq!(
        value_of(&run_under(with(), "tools.read('/ro/file.txt')")),
        "content"
    );
    for path in [
        "/etc/passwd",
        "/ro/../etc/passwd",
        "/ro-x",
        "ro/file.txt",
        "",
        "/ro/\\0",
    ] {
        let raised = raised(with(), &format!("tools.read(\"{path}\")"));
        assert_eq!(raised.0, "PermissionError", "{path}");
        assert!(
            raised
                .1
                .starts_with("read: no entry of allowed_paths holds /")
                || raised.1.starts_with("read: the path "),
            "{}",
            raised.1
        );
    }
    // Row FS-11: tools get handles. A link that leads out is found when it is opened.
    for path in [
        "/ro/out",
        "/ro/out-abs",
        "/ro/out-dir/canary.txt",
        "/ro/proc",
    ] {
        let raised = raised(with(), &format!("tools.read({path:?})"));
        assert_eq!(
            (raised.0.as_str(), raised.1.as_str()),
            (
                "PermissionError",
                format!("access to {path} is denied").as_str()
            ),
        );
    }
    assert_eq!(
        raised(with(), "tools.read('/ro/missing.txt')").0,
        "ToolError"
    );
    let without = world
        .policy(Permission::EXECUTE_CODE)
        .with_tool("read", ToolRules::default());
    assert_eq!(
        raised(without, "tools.read('/ro/file.txt')").0,
        "AttributeError"
    );
}

/// The rules of the policy for a tool, each just inside and just outside.
#[test]
fn rules_of_the_policy_hold() {
    let rules = || {
        parsed(indoc! {r#"
                [tools.greet]
                max_calls = 2
                [tools.greet.args]
                name = { prefix = "A" }
                times = { min = 1, max = 3 }
                title = { one_of = ["Dr", "Prof"] }
                [tools.echo]
                max_calls = 0"#})
    };
    for (expression, kind) in [
        ("tools.greet('Ada', 3, 'Dr')", ""),
        ("tools.greet('Ada', 4, 'Dr')", "PermissionError"),
        ("tools.greet('Ada', 0, 'Dr')", "PermissionError"),
        ("tools.greet('ada', 3, 'Dr')", "PermissionError"),
        ("tools.greet('Ada', 3, 'dr')", "PermissionError"),
        // What is absent has its default, and that has to be allowed too.
        ("tools.greet('Ada', title='Dr')", ""),
        ("tools.greet('Ada')", "PermissionError"),
        ("tools.echo(1)", "PermissionError"),
        (
            "tools.greet('Ada', title='Dr'); tools.greet('Ada', title='Dr')",
            "",
        ),
        (
            "[tools.greet('Ada', title='Dr') for i in range(3)]",
            "PermissionError",
        ),
    ] {
        assert_eq!(raised(rules(), expression).0, kind, "{expression}");
    }
    // Refused calls count.
    let code = indoc! {"
        for i in range(2):
            try: tools.greet('x')
            except PermissionError: pass
        tools.greet('Ada', title='Dr')"};
    let outcome = run_under(rules(), code);
    assert!(
        matches!(outcome.verdict, Verdict::Raised(_)),
        "{:?}",
        outcome.verdict
    );
    assert_eq!(outcome.refusals.first[1].rule, "tools.greet.max_calls");
    assert_eq!(
        outcome.refusals.first[1]
            .location
            .as_ref()
            .unwrap()
            .to_string(),
        "policy.toml:5"
    );
}

/// Row TOOL-08: a prefix of a path or a URL is compared in the normal form.
#[test]
fn tool_08_url_16_a_prefix_is_compared_without_dots() {
    let fetch = |args: PathOnly, _: Call| async move { Ok(args.path) };
    let tool = Tool::new("fetch", Action::HttpRequest, fetch)
        .unwrap()
        .resource("path")
        .unwrap();
    let rules = ToolRules::default();
    let mut policy = Policy::new(Permission::NETWORK_ACCESS, Limits::default())
        .with_domain("api.example.com")
        .unwrap();
    let mut narrow = rules;
    narrow.args.insert(
        "path".to_owned(),
        Constraint::Prefix("https://api.example.com/v1/".to_owned()),
    );
    policy = policy.with_tool("fetch", narrow);
    let gate = Gate::new(policy).unwrap().with_tools([tool]).unwrap();
    let fetch = gate.tool("fetch").unwrap();
    for (path, allowed) in [
        ("/v1/x", true),
        ("/v1/../v1/x", true),
        ("/v1/../admin", false),
        ("/v1/%2e%2e/admin", false),
        ("/v1;/../x", false),
        ("//admin", false),
        ("/V1/x", false),
        ("/v1%2fx", false),
        ("?/v1/", false),
    ] {
        let url = format!("https://api.example.com{path}");
        let called = fetch.call_blocking(&json!({"path": url}));
        assert_eq!(called.is_ok(), allowed, "{url} {called:?}");
    }
}

#[test]
fn a_policy_and_its_tools_fit() {
    let offered = |text: &str| {
        let sandbox = Sandbox::new(runtime(), parsed(text)).unwrap();
        match sandbox.with_tools(tools()) {
            Err(Error::Tool { tool, location, .. }) => {
                (tool, location.map_or_else(String::new, |at| at.to_string()))
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        offered("[tools.gret]"),
        ("gret".to_owned(), "policy.toml:4".to_owned())
    );
    assert_eq!(
        offered("[tools.greet]\nargs.nam = { equals = 1 }"),
        ("greet".to_owned(), "policy.toml:5".to_owned())
    );
    let twice = tools().into_iter().chain(tools());
    assert!(
        Sandbox::new(runtime(), policy())
            .unwrap()
            .with_tools(twice)
            .is_err()
    );
}

/// Row TOOL-20: what is granted is what was granted when the gate was made.
#[test]
fn tool_20_a_policy_is_read_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("policy.toml");
    let text = "version = 1\npermissions = [\"EXECUTE_CODE\"]\n";
    std::fs::write(&file, format!("{text}[tools.greet]")).unwrap();
    let sandbox = sandbox(wardian::load_policy(&file).unwrap());
    std::fs::write(&file, format!("{text}[tools.greet]\n[tools.echo]")).unwrap();
    let outcome = sandbox
        .run_blocking("from wardian import tools\ndir(tools)")
        .unwrap();
    assert_eq!(value_of(&outcome), json!(["greet"]));
}

/// Row TOOL-21: what is not said grants nothing, and what is said wrongly is an error that names
/// it.
#[test]
fn tool_21_nothing_is_open_by_default() {
    for text in ["", "[tools]", "allowed_domains = []"] {
        assert_eq!(
            value_of(&run_under(parsed(text), "dir(tools)")),
            json!([]),
            "{text}"
        );
    }
    for (text, key) in [
        ("tools = [\"greet\"]", "tools"),
        ("tools = \"*\"", "tools"),
        ("[tools]\ngreet = true", "tools.greet"),
        ("[tools.\"*\"]", "tools.*"),
        ("[tools.Greet]", "tools.Greet"),
        ("[tools.greet]\nmax_calls = -1", "tools.greet.max_calls"),
        (
            "[tools.greet]\nmax_calls = \"unlimited\"",
            "tools.greet.max_calls",
        ),
        ("[tools.greet]\nalow = true", "tools.greet.alow"),
        ("[tools.greet]\nargs.name = \"A\"", "tools.greet.args.name"),
        ("[tools.greet]\nargs.name = {}", "tools.greet.args.name"),
        (
            "[tools.greet]\nargs.name = { regex = \".*\" }",
            "tools.greet.args.name.regex",
        ),
        (
            "[tools.greet]\nargs.name = { equals = 1, min = 1 }",
            "tools.greet.args.name",
        ),
        ("[limits]\ntool_calls = \"unlimited\"", "limits.tool_calls"),
        ("[limits]\ntool_bytes = \"1GiB\"", "limits.tool_bytes"),
    ] {
        let source = Source::text("policy.toml", &format!("version = 1\n{text}"));
        let problems = Policy::parse(&source).unwrap_err();
        assert!(
            problems.iter().any(|problem| problem.key == key),
            "{text}: {problems}"
        );
    }
}

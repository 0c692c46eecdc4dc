//! Signatures and arguments: tools are Python functions, and values cross as they are.

use super::*;
use indoc::indoc;

#[test]
fn tools_are_functions() {
    assert_eq!(value("tools.greet('Ada')"), "hello Ada");
    assert_eq!(
        value("tools.greet(name='Ada', times=2)"),
        "hello Adahello Ada"
    );
    assert_eq!(
        value("tools.greet('Ada', 1, 'Countess')"),
        "hello Countess Ada"
    );
    assert_eq!(
        value("from wardian.tools import greet\ngreet('Ada')"),
        "hello Ada"
    );
    assert_eq!(
        value("import wardian\nwardian.tools.greet('Ada')"),
        "hello Ada"
    );
    assert_eq!(
        value("import inspect\nstr(inspect.signature(tools.greet))"),
        "(name: str, times: int = 1, title: str | None = None) -> str"
    );
    assert_eq!(
        value("tools.greet.__doc__"),
        indoc! {"
            Greets somebody.

            Args:
                name: Whom.
                times: The count of repetitions."}
    );
    let help = run("help(tools.greet)").stdout.text().into_owned();
    assert!(
        help.contains("greet(name: str") && help.contains("Greets somebody."),
        "{help}{}",
        run("help(tools.greet)").stderr.text()
    );
}

#[test]
fn values_go_there_and_back() {
    for text in [
        "None",
        "True",
        "-5",
        "2**63",
        "1.5",
        "-0.0",
        "'ö\\n\\0\\u2028'",
        "[1, ['a'], {}]",
        "{'a': {'b': None}}",
    ] {
        let code = format!("v = {text}\n(tools.echo(v) == v, type(tools.echo(v)) is type(v))");
        assert_eq!(value(&code), json!([true, true]), "{text}");
    }
    assert_eq!(value("tools.echo((1, 2))"), json!([1, 2]));
}

/// Row TOOL-09, from Python.
#[test]
fn tool_09_arguments_are_those_of_the_tool() {
    for (expression, kind, message) in [
        (
            "tools.greet()",
            "TypeError",
            "greet() missing 1 required positional argument: 'name'",
        ),
        (
            "tools.greet('a', more=1)",
            "TypeError",
            "greet() got an unexpected keyword argument 'more'",
        ),
        (
            "tools.greet(1)",
            "TypeError",
            "greet: argument `name`: invalid type: integer `1`, expected a string",
        ),
        (
            "tools.greet('a', 'b')",
            "TypeError",
            "greet: argument `times`: invalid type: string \"b\", expected u8",
        ),
        (
            "tools.greet('a', 256)",
            "ValueError",
            "greet: argument `times`: invalid value: integer `256`, expected u8",
        ),
        (
            "tools.greet('a', None)",
            "TypeError",
            "greet: argument `times`: invalid type: None, expected u8",
        ),
        (
            "tools.greet('')",
            "ValueError",
            "greet: argument `name`: is empty",
        ),
        (
            "tools.echo(object())",
            "TypeError",
            "argument \"value\" can't be passed on: 'object' is not a JSON type",
        ),
        (
            "tools.echo({1: 2})",
            "TypeError",
            "argument \"value\" can't be passed on: a key of type 'int' is not a string",
        ),
        (
            "tools.echo(2**64)",
            "ValueError",
            "echo: argument `value`: an integer does not fit in 64 bits",
        ),
        (
            "tools.echo(float('inf'))",
            "ValueError",
            "echo: argument `value`: infinity and NaN are not JSON numbers",
        ),
        (
            "tools.echo('\\ud800')",
            "ValueError",
            "argument \"value\" can't be passed on: a string holds a lone surrogate",
        ),
    ] {
        raises(expression, kind, message);
    }
}

#[test]
fn errors_are_python_s() {
    raises("tools.fail('no such order')", "ToolError", "no such order");
    raises("tools.panic()", "ToolError", "panic failed unexpectedly");
    assert_eq!(value("issubclass(ToolError, Exception)"), true);
    let outcome = run("tools.fail('no such order')");
    let Verdict::Raised(raised) = &outcome.verdict else {
        panic!("{:?}", outcome.verdict)
    };
    assert_eq!(
        (raised.r#type.as_str(), raised.line),
        ("wardian.ToolError", Some(2))
    );
    assert!(
        !raised.traceback.contains("<wardian>"),
        "{}",
        raised.traceback
    );
}

/// Row TOOL-06.
#[test]
fn tool_06_a_tool_has_a_plain_name() {
    for name in [
        "Delete",
        "de-lete",
        "del\u{435}te",
        "\u{ff44}elete",
        "delete\u{200b}",
        "user.delete",
        "ns::delete",
        "",
        "1a",
        "_a",
    ] {
        assert!(Tool::new(name, Action::Execute, echo).is_err(), "{name}");
    }
    assert!(Tool::new(&"a".repeat(64), Action::Execute, echo).is_ok());
    assert!(Tool::new(&"a".repeat(65), Action::Execute, echo).is_err());
    assert!(Tool::new("import", Action::Execute, echo).is_err());
    assert!(
        Tool::new("echo", Action::Execute, echo)
            .unwrap()
            .resource("path")
            .is_err()
    );
    let scalar = |_: String, _: Call| async { Ok(()) };
    assert!(Tool::new("scalar", Action::Execute, scalar).is_err());
}

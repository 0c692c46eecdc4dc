//! Secrets of tools.

use super::*;
use indoc::indoc;

/// A secret that a tool knows does not come back, whatever the tool says.
#[test]
fn secrets_stay_on_the_host() {
    let secret = "s3cr\"et-value";
    let leak = move |args: Any, _: Call| async move {
        match args.value.as_bool() {
            Some(true) => Err(ToolError::failed(format!("refused for {secret}"))),
            _ => Ok(json!({"echoed": [secret, {"in": format!("a {secret} b")}]})),
        }
    };
    let tool = Tool::new("leak", Action::Execute, leak)
        .unwrap()
        .with_secret(secret);
    let policy = Policy::computing().with_tool("leak", ToolRules::default());
    let (log, memory) = Log::memory();
    let sandbox = Sandbox::new(runtime(), policy)
        .unwrap()
        .with_tools([tool])
        .unwrap()
        .with_audit(log)
        .unwrap();
    let code = indoc! {"
        from wardian import tools
        try: tools.leak(True)
        except Exception as error: e = str(error)
        [tools.leak(None), e]"};
    let outcome = sandbox.run_blocking(code).unwrap();
    assert_eq!(
        value_of(&outcome),
        json!([{"echoed": ["[redacted]", {"in": "a [redacted] b"}]}, "refused for [redacted]"])
    );
    assert!(!memory.text().contains("s3cr"));
}

//! Host code that calls tools by the same gate.

use super::*;

/// `SecureTool`: an allowed call, a refused one with its JSON, a failing one that is
/// recorded and raised.
#[test]
fn host_code_calls_through_the_same_gate() {
    let world = World::new();
    let (log, memory) = Log::memory();
    let policy = world
        .policy(Permission::EXECUTE_CODE | Permission::READ_FILE)
        .with_tool("read", ToolRules::default())
        .with_tool("fail", ToolRules::default());
    let gate = Gate::new(policy)
        .unwrap()
        .with_tools(tools())
        .unwrap()
        .with_audit(log)
        .unwrap();
    let read = gate.tool("read").unwrap();
    assert_eq!(
        read.call_blocking(&json!({"path": "/ro/file.txt"}))
            .unwrap(),
        "content"
    );
    let refused = read
        .call_blocking(&json!({"path": "/etc/passwd"}))
        .unwrap_err();
    assert_eq!(
        refused.json(),
        json!({
            "error": "read: no entry of allowed_paths holds /etc/passwd; allowed_paths has /ro, /rw, /wo",
            "allowed": false,
        })
    );
    assert!(
        matches!(&refused, CallError::Denied { reason, .. } if reason == "no entry of allowed_paths holds /etc/passwd")
    );
    let failed = gate
        .tool("fail")
        .unwrap()
        .call_blocking(&json!({"value": "broken"}))
        .unwrap_err();
    assert_eq!(failed, CallError::Failed("broken".to_owned()));
    assert!(gate.tool("greet").is_none());
    drop(read);
    let events: Vec<_> = recorded(&memory)
        .iter()
        .map(|record| record.event.name())
        .collect();
    assert_eq!(
        events,
        [
            "run_started",
            "tool_started",
            "file",
            "tool_finished",
            "tool_finished",
            "run_started",
            "tool_started",
            "tool_finished",
            "run_finished",
            "run_finished",
        ]
    );
    let outcomes: Vec<_> = recorded(&memory)
        .into_iter()
        .filter_map(|record| match record.event {
            Event::ToolFinished {
                allowed, success, ..
            } => Some((allowed, success, record.data.error)),
            _ => None,
        })
        .collect();
    assert_eq!(
        outcomes,
        [
            (true, true, None),
            (
                false,
                false,
                Some("no entry of allowed_paths holds /etc/passwd".to_owned())
            ),
            (true, false, Some("broken".to_owned())),
        ]
    );
}

//! Approval by people.

use super::*;
use indoc::indoc;

#[test]
fn somebody_approves() {
    let asks = || parsed("[tools.greet]\napproval = true\n[tools.echo]");
    let approver = |answer: fn(&str) -> Approval| {
        Arc::new(move |request: wardian::tool::ApprovalRequest| async move {
            answer(request.args["name"].as_str().unwrap())
        })
    };
    let only_ada = |name: &str| match name {
        "Ada" => Approval::Approved {
            by: "Grace".to_owned(),
        },
        "panic" => panic!("asked too much"),
        _ => Approval::Denied {
            reason: "Grace refused".to_owned(),
        },
    };
    let (log, memory) = Log::memory();
    let sandbox = sandbox(asks())
        .with_approver(approver(only_ada))
        .with_audit(log)
        .unwrap();
    let code = indoc! {"
        from wardian import tools
        def t(name):
            try: return tools.greet(name)
            except PermissionError as error: return str(error)
        [t('Ada'), t('Bob'), t('panic'), tools.echo(1)]"};
    let outcome = sandbox.run_blocking(code).unwrap();
    assert_eq!(
        value_of(&outcome),
        json!([
            "hello Ada",
            "greet was not approved: Grace refused",
            "greet was not approved: the approver failed",
            1
        ])
    );
    let approved: Vec<_> = recorded(&memory)
        .into_iter()
        .filter_map(|record| match record.event {
            Event::ToolStarted {
                approved_by, tool, ..
            } => Some((tool, approved_by)),
            _ => None,
        })
        .collect();
    assert_eq!(
        approved,
        [
            ("greet".to_owned(), Some("Grace".to_owned())),
            ("echo".to_owned(), None)
        ]
    );
    // Nobody to ask, nobody who answers.
    let (kind, message) = raised(asks(), "tools.greet('Ada')");
    assert_eq!(
        (kind.as_str(), message.as_str()),
        (
            "PermissionError",
            "greet was not approved: there is nobody to ask"
        )
    );
    let hour = Arc::new(|_: ApprovalRequest| async {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        Approval::Approved {
            by: "late".to_owned(),
        }
    });
    let limits = Limits::default()
        .with(Limit::ToolWait, AtMost(100_000_000))
        .unwrap();
    let late = self::sandbox(asks().with_limits(limits)).with_approver(hour);
    let outcome = late
        .run_blocking("from wardian import tools\ntools.greet('Ada')")
        .unwrap();
    assert!(
        outcome.stderr.text().contains("nobody answered in time"),
        "{}",
        outcome.stderr.text()
    );
}

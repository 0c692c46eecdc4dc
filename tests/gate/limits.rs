//! Limits of calls: their number, their size, their time.

use super::*;
use indoc::indoc;

/// Row TOOL-11.
#[test]
fn tool_11_arguments_are_bounded() {
    assert_eq!(value("len(tools.echo('x' * 1_000_000))"), 1_000_000);
    let (kind, message) = raised(policy(), "tools.echo('x' * 1_100_000)");
    assert_eq!(kind, "ValueError");
    assert!(
        message.contains("at most 1048576 are passed on"),
        "{message}"
    );
    assert_eq!(
        raised(policy(), "tools.echo('x' * 20_000_000)").0,
        "ValueError"
    );
    let deep = indoc! {"
        v = []
        for i in range(100000): v = [v]
        try: tools.echo(v)
        except ValueError as error: ended = str(error)
        ended"};
    assert_eq!(
        value(deep),
        "argument \"value\" can't be passed on: nested deeper than 64"
    );
    assert_eq!(
        value("len(tools.echo({str(i): i for i in range(50_000)}))"),
        50_000
    );
}

/// Row TOOL-13: the limit counts refused calls too, and can't be caught.
#[test]
fn tool_13_the_number_of_calls_is_limited() {
    let limits = |calls| {
        Limits::default()
            .with(Limit::ToolCalls, AtMost(calls))
            .unwrap()
    };
    let code = indoc! {"
        n = 0
        while n < 10:
            n += 1
            try: tools.greet('a' if n % 2 else 5)
            except BaseException: pass
        n"};
    let just = run_under(policy().with_limits(limits(10)), code);
    assert_eq!(value_of(&just), 10);
    let over = run_under(policy().with_limits(limits(9)), code);
    let stopped = matches!(
        over.verdict,
        Verdict::Limit {
            limit: Limit::ToolCalls,
            used: 9,
            allowed: 9,
            ..
        }
    );
    assert!(stopped, "{:?}", over.verdict);
    assert_eq!((over.usage.tool_calls, just.usage.tool_calls), (10, 10));
    let none = run_under(policy().with_limits(limits(0)), "tools.greet('a')");
    assert!(matches!(none.verdict, Verdict::Limit { .. }));
}

/// A run can't fill the log without end.
#[test]
fn tool_13_the_number_of_records_is_limited() {
    let limits = Limits::default().with(Limit::Records, AtMost(100)).unwrap();
    let (log, memory) = Log::memory();
    let sandbox = sandbox(policy().with_limits(limits))
        .with_audit(log)
        .unwrap();
    let code = indoc! {"
            for i in range(10**6):
                try: open('/etc/passwd')
                except BaseException: pass"};
    let outcome = sandbox.run_blocking(code).unwrap();
    let Verdict::Limit {
        limit: Limit::Records,
        ..
    } = outcome.verdict
    else {
        panic!("{:?}", outcome.verdict)
    };
    // With its start, the limit and its end.
    assert_eq!(recorded(&memory).len(), 103);
}

/// Row TOOL-14.
#[test]
fn tool_14_slow_tools_end() {
    let limits = |key, ms: u64| Limits::default().with(key, AtMost(ms * 1_000_000)).unwrap();
    for tool in ["sleep", "block"] {
        let wait = policy().with_limits(limits(Limit::ToolWait, 100));
        let (kind, message) = raised(wait, &format!("tools.{tool}(800)"));
        assert_eq!(
            (kind.as_str(), message),
            ("TimeoutError", format!("{tool} took longer than 100ms"))
        );
        let wall = policy().with_limits(limits(Limit::Timeout, 300));
        let outcome = run_under(
            wall,
            &format!("try: tools.{tool}(5000)\nexcept BaseException: pass"),
        );
        assert!(
            matches!(
                outcome.verdict,
                Verdict::Limit {
                    limit: Limit::Timeout,
                    ..
                }
            ),
            "{:?}",
            outcome.verdict
        );
    }
    assert_eq!(value("tools.sleep(5)"), 5);
}

/// Row TOOL-15.
#[test]
fn tool_15_what_tools_return_is_bounded() {
    assert_eq!(value("len(tools.big(1_000_000))"), 1_000_000);
    raises(
        "tools.big(2_000_000)",
        "ToolError",
        "its reply takes more than 1048576 bytes",
    );
    assert_eq!(
        value(indoc! {"
            v = tools.nested(100)
            n = 0
            while v: v = v[0]; n += 1
            n"}),
        100
    );
    raises(
        "tools.nested(101)",
        "ToolError",
        "its reply is nested deeper than 100",
    );
}

/// Row TOOL-15: a panic is caught, and what it says is for the record alone.
#[test]
fn tool_15_a_panic_is_on_the_record_only() {
    let (log, memory) = Log::memory();
    let outcome = sandbox(policy())
        .with_audit(log)
        .unwrap()
        .run_blocking("from wardian import tools\ntools.panic()")
        .unwrap();
    assert!(!outcome.json().to_string().contains("secret.rs"));
    let ended = &recorded(&memory)[2];
    assert_eq!(
        ended.data.error.as_deref(),
        Some("it panicked: the host's own business at /srv/secret.rs")
    );
}

/// Row TOOL-16: tools that run scripts that call tools.
#[test]
fn tool_16_runs_within_tools_end() {
    type Nested = Pin<Box<dyn Future<Output = Result<Value, ToolError>> + Send>>;
    fn nesting(depth: Arc<AtomicU32>) -> Sandbox {
        let nest = move |_: Nothing, _: Call| {
            let depth = depth.clone();
            // The type of a future can't hold itself.
            let nested: Nested = Box::pin(async move {
                if depth.fetch_add(1, Ordering::Relaxed) >= 30 {
                    return Ok(Value::from("deep"));
                }
                let outcome = nesting(depth)
                    .run("from wardian import tools\ntools.nest()")
                    .await;
                Ok(outcome
                    .map_err(|error| ToolError::failed(error.to_string()))?
                    .json()["value"]
                    .clone())
            });
            nested
        };
        let tool = Tool::new("nest", Action::Execute, nest).unwrap();
        let policy = Policy::computing().with_tool("nest", ToolRules::default());
        Sandbox::new(runtime(), policy)
            .unwrap()
            .with_tools([tool])
            .unwrap()
    }
    let deepest = Arc::new(AtomicU32::new(0));
    let outcome = nesting(deepest.clone())
        .run_blocking("from wardian import tools\ntools.nest()")
        .unwrap();
    assert_eq!(value_of(&outcome), "deep");
    assert_eq!(deepest.load(Ordering::Relaxed), 31);
}

/// Row TOOL-17: what a script leaves behind can't call.
#[test]
fn tool_17_nothing_is_called_after_the_end() {
    let (log, memory) = Log::memory();
    let code = indoc! {"
        import atexit
        from wardian import tools
        def late():
            try: tools.greet('late')
            except PermissionError as error: print(error)
        class Last:
            def __del__(self): late()
        last = Last()
        atexit.register(late)
        tools.greet('in time')"};
    let policy = policy().with_source_rules(Profile::Open);
    let outcome = sandbox(policy)
        .with_audit(log)
        .unwrap()
        .run_blocking(code)
        .unwrap();
    assert_eq!(outcome.stdout.text(), "the run is over\nthe run is over\n");
    assert_eq!(value_of(&outcome), "hello in time");
    let refused = recorded(&memory)
        .into_iter()
        .filter(|record| record.event.allowed() == Some(false));
    assert_eq!(refused.count(), 2);
}

#[test]
fn calls_run_at_once() {
    // None of these returns before all are there.
    let meeting = Arc::new(tokio::sync::Barrier::new(20));
    let meet = move |_: Nothing, _: Call| {
        let meeting = meeting.clone();
        async move {
            meeting.wait().await;
            Ok("met")
        }
    };
    let meet = Tool::new("meet", Action::Execute, meet).unwrap();
    let policy = Policy::computing().with_tool("meet", ToolRules::default());
    let sandbox = Sandbox::new(runtime(), policy).unwrap();
    let outcome = sandbox
        .with_tools([meet])
        .unwrap()
        .run_blocking(indoc! {"
                import asyncio
                from wardian import aio
                await asyncio.gather(*(aio.meet() for i in range(20)))"})
        .unwrap();
    assert_eq!(value_of(&outcome), json!(vec!["met"; 20]));
    // More than can be under way, some that fail, a call in between, and one that nobody waits for.
    let code = indoc! {"
        import asyncio
        async def one(i):
            if i % 10 == 0:
                return type((await asyncio.gather(aio.fail('x'), return_exceptions=True))[0]).__name__
            return await aio.echo(i)
        async def main():
            tasks = [asyncio.create_task(one(i)) for i in range(200)]
            await asyncio.sleep(0)
            between = tools.greet('between')
            forgotten = asyncio.create_task(aio.sleep(60000))
            await asyncio.sleep(0)
            return between, await asyncio.gather(*tasks)
        between, all = await main()
        [between, all == ['ToolError' if i % 10 == 0 else i for i in range(200)]]"};
    assert_eq!(value(code), json!(["hello between", true]));
    let code = indoc! {"
        import asyncio
        try:
            await asyncio.wait_for(aio.sleep(5000), 0.05)
        except TimeoutError:
            ended = 'late'
        ended"};
    assert_eq!(value(code), "late");
}

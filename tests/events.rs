//! Runs as streams of events: in order, as they come, no faster than they are read.

use std::fs;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indoc::indoc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wardian::event::{RunEvent, RunEvents};
use wardian::outcome::Stream;
use wardian::policy::{Access, Action, Allowance, Grant, Limit, Permission, ToolRules};
use wardian::session::SessionOptions;
use wardian::{Call, Error, Limits, Policy, Sandbox, Tool, ToolError, Verdict};
use wardian_testkit::runtime;

use crate::session::{call, session};
use crate::unscreened;

#[derive(Serialize, Deserialize, JsonSchema)]
struct Nothing {}

/// Shows the events of a run, one in a line: output of one stream that follows each other is one.
fn show_all(mut events: RunEvents) -> Vec<String> {
    let mut shown: Vec<String> = Vec::new();
    let mut last = None;
    for event in events.blocking() {
        match (&event, shown.last_mut()) {
            (RunEvent::Output { stream, bytes }, Some(line)) if last == Some(*stream) => {
                line.push_str(&String::from_utf8_lossy(bytes));
            }
            _ => shown.push(show(&event)),
        }
        last = match event {
            RunEvent::Output { stream, .. } => Some(stream),
            _ => None,
        };
    }
    shown.push(events.wait().unwrap().verdict.ending().to_owned());
    shown
}

fn show(event: &RunEvent) -> String {
    match event {
        RunEvent::Output { stream, bytes } => {
            let name = match stream {
                Stream::Stdout => "stdout",
                Stream::Stderr => "stderr",
            };
            format!("{name} {}", String::from_utf8_lossy(bytes))
        }
        RunEvent::ToolStarted {
            call,
            tool,
            resource,
        } => format!("started {call} {tool} {resource:?}"),
        RunEvent::ToolFinished {
            call,
            tool,
            allowed,
            error,
        } => format!("finished {call} {tool} {allowed} {error:?}"),
        RunEvent::File {
            operation,
            path,
            denied,
            ..
        } => format!("{operation:?} {path} {}", denied.is_none()),
        RunEvent::Ended => "ended".to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn events_come_in_their_order() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("x"), "1").unwrap();
    let grant = Grant::new("/data", directory.path(), Access::READ).unwrap();
    let policy = unscreened()
        .with_permissions(Permission::READ_FILE)
        .with_grant(grant)
        .unwrap()
        .with_tool("check", ToolRules::default());
    let check = |_: Nothing, _: Call| async { Err::<(), _>(ToolError::failed("it is late")) };
    let check = Tool::new("check", Action::Execute, check).unwrap();
    let sandbox = Sandbox::new(runtime(), policy)
        .unwrap()
        .with_tools([check])
        .unwrap();
    let script = indoc! {"
        import sys
        from wardian import tools
        print('one')
        open('/data/x').read()
        sys.stderr.write('two')
        try: tools.check()
        except Exception as error: print('three')
        try: open('/etc/passwd')
        except OSError: print('four')
    "};
    assert_eq!(
        show_all(sandbox.start(script)),
        [
            "stdout one\n",
            "Read /data/x true",
            "stderr two",
            "started 1 check []",
            "finished 1 check true Some(\"it is late\")",
            "stdout three\n",
            "Read /etc/passwd false",
            "stdout four\n",
            "ended",
            "completed",
        ]
    );
}

/// A tool's start is heard while the tool works: it ends only after that.
#[test]
fn events_come_while_the_run_goes_on() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let hold = move |_: Nothing, _: Call| {
        let wait = wait.clone();
        async move {
            let heard = wait.lock().unwrap().recv_timeout(Duration::from_secs(20));
            heard.map_err(|_| ToolError::failed("nobody has heard of it"))
        }
    };
    let hold = Tool::new("hold", Action::Execute, hold).unwrap();
    let sandbox = Sandbox::new(
        runtime(),
        unscreened().with_tool("hold", ToolRules::default()),
    );
    let sandbox = sandbox.unwrap().with_tools([hold]).unwrap();
    let mut events = sandbox.start("from wardian import tools\ntools.hold()");
    for event in events.blocking() {
        if let RunEvent::ToolStarted { .. } = event {
            go.send(()).unwrap();
        }
    }
    assert_eq!(events.wait().unwrap().verdict, Verdict::Completed);
}

/// The bytes that are read of a run's output after it was cancelled at its first piece.
#[test]
fn output_waits_for_its_reader() {
    let limits = Limits::default()
        .with(Limit::Stdout, Allowance::AtMost(64 << 20))
        .unwrap();
    let sandbox = Sandbox::new(runtime(), unscreened().with_limits(limits)).unwrap();
    let mut events = sandbox.start("import sys\nsys.stdout.write('x' * (16 << 20))");
    let mut read = 0;
    let cancel = events.cancel_handle();
    for event in events.blocking() {
        if let RunEvent::Output { bytes, .. } = event {
            read += bytes.len();
            cancel.cancel();
        }
    }
    let ended = events.wait();
    assert!(matches!(ended, Err(Error::Cancelled)), "{ended:?}");
    assert!(read <= 65 * 4096, "{read} bytes were waiting");
}

#[test]
fn a_slow_reader_gets_everything() {
    let script = "for i in range(3000): print(i)";
    let mut text = Vec::new();
    let mut events = Sandbox::new(runtime(), unscreened()).unwrap().start(script);
    for event in events.blocking() {
        std::thread::sleep(Duration::from_micros(100));
        if let RunEvent::Output { bytes, .. } = event {
            text.extend(bytes);
        }
    }
    assert_eq!(events.wait().unwrap().stdout.bytes, text);
}

/// Output comes before the end, and so does the mark of a cut.
#[test]
fn the_end_of_a_flood_is_told() {
    let limits = Limits::default()
        .with(Limit::Stdout, Allowance::AtMost(1 << 10))
        .and_then(|limits| limits.with_timeout(Allowance::AtMost(Duration::from_millis(300))))
        .unwrap();
    let sandbox = Sandbox::new(runtime(), unscreened().with_limits(limits)).unwrap();
    let script = "print('a' * 512 + 'b' * 1000 + 'c' * 511, flush=True)\nwhile True: pass";
    assert_eq!(
        show_all(sandbox.start(script)),
        [
            format!(
                "stdout {}\n[... 1000 bytes cut ...]\n{}\n",
                "a".repeat(512),
                "c".repeat(511)
            ),
            "ended".to_owned(),
            "time".to_owned(),
        ]
    );
}

#[test]
fn a_cancelled_call_is_undone() {
    let session = session();
    call(&session, "n = 1");
    let mut events = session.start("n = 2\nprint(n)\nwhile True: pass");
    let cancel = events.cancel_handle();
    let seen: Vec<_> = events.blocking().inspect(|_| cancel.cancel()).collect();
    let [RunEvent::Output { .. }, .., RunEvent::Ended] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert!(matches!(events.wait(), Err(Error::Cancelled)));
    assert_eq!(call(&session, "n"), 1);
}

/// Nothing is wrong with a handle that outlives its run.
#[test]
fn cancelling_after_the_end_does_nothing() {
    let sandbox = Sandbox::new(runtime(), Policy::computing()).unwrap();
    let session = sandbox.session(SessionOptions::default());
    let mut events = session.start("n = 1");
    let cancel = events.cancel_handle();
    let last = pollster::block_on(events.next());
    assert!(matches!(last, Some(RunEvent::Ended)), "{last:?}");
    cancel.cancel();
    assert!(pollster::block_on(events.next()).is_none());
    assert!(events.wait().unwrap().success());
    assert_eq!(call(&session, "n"), 1);
}

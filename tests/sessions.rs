//! Many sessions: suspended, brought back, expired, found again after a crash.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use wardian::event::RunEvent;
use wardian::policy::Allowance::AtMost;
use wardian::policy::Limit;
use wardian::session::{DirectoryStore, MemoryStore, SessionStore, Sessions, SessionsOptions};
use wardian::{Error, Limits, Sandbox};
use wardian_testkit::runtime;

use crate::{little_fuel, unscreened};

fn sandbox(limits: Limits) -> Sandbox {
    Sandbox::new(runtime(), unscreened().with_limits(limits)).unwrap()
}

fn options(store: Arc<dyn SessionStore>, max_live: usize) -> SessionsOptions {
    let mut options = SessionsOptions::default();
    (options.store, options.max_live) = (store, max_live);
    options
}

#[track_caller]
fn call(sessions: &Sessions, id: &str, source: &str) -> Json {
    let outcome = sessions.run(id, source).wait().unwrap();
    assert!(outcome.success(), "{source}: {outcome:?}");
    outcome.json()["value"].clone()
}

#[test]
fn the_least_recently_used_are_suspended_and_nobody_notices() {
    let store = Arc::new(MemoryStore::default());
    let sessions = Sessions::new(sandbox(little_fuel()), options(store.clone(), 3)).unwrap();
    let ids: Vec<_> = (0..10).map(|_| sessions.open()).collect();
    for (i, id) in ids.iter().enumerate() {
        call(
            &sessions,
            id,
            &format!("def f(): yield {i}; yield {i} * 10\nsource = f()\nnext(source)"),
        );
    }
    let live = || sessions.list().iter().filter(|info| info.is_live).count();
    assert_eq!(live(), 3);
    assert!(store.bytes() > 0);
    for (i, id) in ids.iter().enumerate() {
        assert_eq!(call(&sessions, id, "next(source)"), json!(i * 10));
        assert_eq!(live(), 3);
    }
    let mut events = sessions.start(&ids[0], "print(i := 5)");
    let first = events.blocking().next();
    assert!(matches!(first, Some(RunEvent::Output { .. })), "{first:?}");
    assert!(events.wait().unwrap().success());
    assert_eq!(sessions.list().len(), 10);
    // One that somebody has stays live.
    let first = sessions.find(&ids[0]).wait().unwrap();
    for id in &ids[1..] {
        call(&sessions, id, "1");
    }
    let is_live = |id: &str| {
        sessions
            .list()
            .iter()
            .any(|info| info.id == id && info.is_live)
    };
    assert!(is_live(&ids[0]));
    drop(first);
    sessions.close(&ids[4]).wait().unwrap();
    let gone = sessions.run(&ids[4], "1").wait();
    assert!(matches!(gone, Err(Error::NoSession { .. })), "{gone:?}");
    sessions.suspend_all().wait().unwrap();
    assert_eq!((live(), sessions.list().len()), (0, 9));
}

#[test]
fn sessions_expire_wherever_they_are() {
    let limits = little_fuel()
        .with(Limit::SessionIdle, AtMost(3_000_000_000))
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(DirectoryStore::new(directory.path()).unwrap());
    let sessions = Sessions::new(sandbox(limits), options(store, 1)).unwrap();
    let ids: Vec<_> = (0..3).map(|_| sessions.open()).collect();
    for id in &ids {
        call(&sessions, id, "1");
    }
    std::thread::sleep(std::time::Duration::from_millis(3_100));
    let last = sessions.open();
    call(&sessions, &last, "1");
    let left: Vec<_> = sessions.list().into_iter().map(|info| info.id).collect();
    assert_eq!(left, std::slice::from_ref(&last));
    let files = std::fs::read_dir(directory.path()).unwrap();
    let files: Vec<_> = files
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        files
            .iter()
            .filter(|name| name.ends_with(".snapshot"))
            .count(),
        1,
        "{files:?}"
    );
}

/// As if the process had been killed: nothing is dropped in order.
#[test]
fn a_crash_loses_the_call_in_flight_and_says_which() {
    let directory = tempfile::tempdir().unwrap();
    let store = || Arc::new(DirectoryStore::new(directory.path()).unwrap());
    let key: Arc<[u8]> = b"key".as_slice().into();
    let begun = |store| {
        let mut options = options(store, 10);
        options.key = Some(key.clone());
        Sessions::new(sandbox(little_fuel()), options).unwrap()
    };
    let sessions = begun(store());
    let [one, two] = [sessions.open(), sessions.open()];
    call(&sessions, &one, "n = 1");
    call(&sessions, &one, "n += 1");
    call(&sessions, &two, "n = 'two'");
    let in_use = DirectoryStore::new(directory.path()).unwrap_err();
    assert_eq!(in_use.kind(), std::io::ErrorKind::WouldBlock);
    let executor = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    executor.block_on(async {
        let run = sessions.run(&one, "n = 99\nimport time\ntime.sleep(60)");
        let _ = tokio::time::timeout(std::time::Duration::from_millis(300), run).await;
    });
    drop(sessions);
    let sessions = begun(store());
    let listed = sessions.list();
    let lost = |id: &str| listed.iter().find(|info| info.id == id).unwrap().lost_call;
    assert_eq!((listed.len(), lost(&one), lost(&two)), (2, Some(3), None));
    assert_eq!(call(&sessions, &one, "n"), 2);
    assert_eq!(call(&sessions, &two, "n"), "two");
    assert!(sessions.list().iter().all(|info| info.lost_call.is_none()));
    // A file that somebody has changed is refused, and stays.
    drop(sessions);
    let file = directory.path().join(format!("{one}.snapshot"));
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let sessions = begun(store());
    let refused = sessions.run(&one, "n").wait();
    assert!(matches!(refused, Err(Error::Snapshot(_))), "{refused:?}");
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    assert_eq!(call(&sessions, &two, "n"), "two");
}

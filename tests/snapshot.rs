//! Snapshots and forks: the state of a session in other hands.

use indoc::indoc;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use wardian::policy::Allowance::AtMost;
use wardian::policy::{Access, Grant, Limit, Permission};
use wardian::session::{SessionOptions, Snapshot, SnapshotError, SnapshotForm};
use wardian::{Error, Policy, Sandbox, Session, Verdict};
use wardian_testkit::runtime;

use crate::session::{call, session, session_under, stopped_by};
use crate::{little_fuel, unscreened};

fn start(snapshot: &Snapshot, session: &Session) -> Session {
    let started = snapshot.start(session.sandbox(), SessionOptions::default());
    started.wait().unwrap()
}

fn bytes_of(session: &Session) -> Vec<u8> {
    session.snapshot().wait().unwrap().to_bytes()
}

#[track_caller]
fn error_of(bytes: &[u8]) -> SnapshotError {
    match Snapshot::from_bytes(bytes).unwrap_err() {
        Error::Snapshot(error) => error,
        other => panic!("{other}"),
    }
}

/// State that can't be pickled.
const STATE: &str = indoc! {"
    import random, asyncio, re
    class Node:
        def __init__(self, value):
            self.value, self.next = value, self
    def numbers():
        n = 0
        while True:
            n += (yield n) or 1
    node, source, plus = Node(1), numbers(), (lambda k: lambda x: x + k)(2)
    next(source), next(source)
    pattern, lines = re.compile('a+'), iter(['one', 'two'])
    async def late():
        await asyncio.sleep(0)
        return 'late'
    task = asyncio.ensure_future(late())
    await asyncio.sleep(0)
"};

const LOOK: &str =
    "[node.next is node, next(source), plus(40), pattern.findall('aab'), next(lines), await task]";

#[test]
fn a_snapshot_goes_on_with_everything() {
    let session = session();
    call(&session, STATE);
    let snapshot = session.snapshot().wait().unwrap();
    let expected = json!([true, 2, 42, ["aa"], "one", "late"]);
    for _ in 0..2 {
        let again = Snapshot::from_bytes(&snapshot.to_bytes()).unwrap();
        assert_eq!(call(&start(&again, &session), LOOK), expected);
    }
    // The session itself goes on too, and is not what was saved.
    assert_eq!(call(&session, LOOK), expected);
    assert_eq!(call(&start(&snapshot, &session), LOOK), expected);
}

#[test]
fn a_resumed_session_is_the_same_and_a_started_one_is_another() {
    let session = session();
    call(&session, "import random\nx = random.random()");
    let snapshot = session.snapshot().wait().unwrap();
    let resumed = snapshot.resume(session.sandbox(), SessionOptions::default());
    let resumed = resumed.wait().unwrap();
    assert_eq!(resumed.id(), session.id());
    let next = "random.random()";
    assert_eq!(call(&resumed, next), call(&session, next));
    let started = start(&snapshot, &session);
    assert_ne!(started.id(), session.id());
    // Calls are numbered on, and the lines of those before are known.
    let outcome = started.run_blocking("1/0").unwrap();
    assert!(outcome.stderr.text().contains("File \"<call 2>\", line 1"));
    assert_eq!(started.usage().calls, 2);
}

/// Every source of randomness that a script has, drawn from before and after.
const DRAW: &str = indoc! {"
    import os, random, secrets, tempfile, uuid
    own = random.Random()
    def draw():
        names = tempfile._get_candidate_names()
        return [random.random(), random.getrandbits(64), random.gauss(0, 1), own.random(), own.gauss(0, 1),
                random.SystemRandom().random(), os.urandom(8).hex(), secrets.token_hex(8), next(names),
                str(uuid.uuid1()), str(uuid.uuid4()), random.sample(range(10**9), 3)]
    before = draw()
    seeded = random.Random(7)
"};

#[test]
fn forks_share_no_random_number() {
    let session = session();
    call(&session, DRAW);
    let snapshot = session.snapshot().wait().unwrap();
    let fork = session.fork().wait().unwrap();
    let fork_of_fork = fork.fork().wait().unwrap();
    let sessions = [
        session.clone(),
        fork,
        fork_of_fork,
        session.fork().wait().unwrap(),
        start(&snapshot, &session),
        start(&snapshot, &session),
    ];
    let mut drawn = Vec::new();
    for session in &sessions {
        for _ in 0..2 {
            let numbers = call(session, "draw()");
            drawn.extend(numbers.as_array().unwrap().iter().map(Json::to_string));
        }
        // A seed that the script has given stays.
        assert_eq!(
            call(session, "seeded.random()"),
            json!(0.323_832_764_833_162_37)
        );
    }
    let count = drawn.len();
    drawn.sort();
    drawn.dedup();
    assert_eq!(drawn.len(), count, "{drawn:?}");
}

#[test]
fn forks_go_their_own_ways() {
    let session = session();
    call(&session, "rows, n = list(range(100_000)), 0");
    let forks: Vec<_> = (0..20).map(|_| session.fork().wait().unwrap()).collect();
    for (i, fork) in forks.iter().enumerate() {
        call(fork, &format!("rows[{i}] = n = -{i}"));
    }
    assert_eq!(stopped_by(&forks[0], "n = 5\nwhile True: pass"), "fuel");
    call(&session, "n = 'parent'");
    for (i, fork) in forks.iter().enumerate() {
        let sum: i64 = (0..100_000).sum::<i64>() - 2 * i as i64;
        assert_eq!(call(fork, "[n, sum(rows)]"), json!([-(i as i64), sum]));
    }
    assert_eq!(call(&session, "[n, rows[7]]"), json!(["parent", 7]));
    // Forks of forks, beyond the count of memory files that are kept apart.
    let mut last = session.clone();
    for i in 0..30 {
        last = last.fork().wait().unwrap();
        call(&last, &format!("rows[{i}] = 'x'\nn = {i}"));
    }
    assert_eq!(
        call(&last, "[n, rows.count('x'), len(rows)]"),
        json!([29, 30, 100_000])
    );
}

/// A text that a script has had and let go of, thousands of times. What is left of it is in unused
/// room of tables that are in use, which nobody clears: that is a page or two.
#[test]
fn memory_that_is_free_is_cleared_in_a_snapshot() {
    let session = session();
    let marker = "MARKER-e4fd9c31";
    // In pieces in the source, whose lines and constants stay. Large and small, in cycles, in what
    // was cut.
    call(
        &session,
        indoc! {"
            import io, gc
            secret = ''.join(['MARKER-', 'e4fd9c31'])
            large = [secret * 100 for _ in range(2000)]
            cycle = [secret + '!']
            cycle.append(cycle)
            text = ''.join(large)
            table = {secret + str(i): bytearray(secret.encode()) * 9 for i in range(500)}
            def recurse(n, local):
                return recurse(n - 1, local + 'x') if n else len(local)
            recurse(100, secret)
            del secret, large, cycle, text, table
        "},
    );
    let find = |pages: &[Page]| {
        let found = pages.iter().filter(|(number, difference)| {
            let image = wardian_guest::IMAGE.iter().skip(*number as usize * 4096);
            let image = image.chain(std::iter::repeat(&0));
            let page: Vec<u8> = difference.iter().zip(image).map(|(a, b)| a ^ b).collect();
            let mut windows = page.windows(marker.len());
            windows.any(|window| window == marker.as_bytes())
        });
        found.count()
    };
    let snapshot = session.snapshot().wait().unwrap();
    let (_, pages) = unpack(&snapshot.to_bytes());
    let left = find(&pages);
    assert!(left <= 2, "{left}");
    // The witness: what is kept is found. On more pages than what may be left.
    call(
        &session,
        "kept = ''.join(['MARKER-', 'e4fd9c31'])\nothers = [kept + str(i) for i in range(500)]",
    );
    let (_, pages) = unpack(&bytes_of(&session));
    let found = find(&pages);
    assert!(found > left, "{found} {left}");
    assert_eq!(call(&session, "kept"), json!(marker));
}

#[test]
fn a_small_session_is_small_and_a_large_one_in_proportion() {
    let session = session();
    call(
        &session,
        "import json\nrows = [{'n': i} for i in range(100)]",
    );
    let small = bytes_of(&session).len();
    assert!(small < 128 << 10, "{small}");
    call(&session, "numbers = list(range(1_000_000))");
    let large = bytes_of(&session).len();
    call(&session, "del numbers");
    let after = bytes_of(&session).len();
    assert!(large < 64 << 20, "{large}");
    // The links between free blocks stay.
    assert!(after < large / 2, "{small} {large} {after}");
}

#[test]
fn finalizers_do_not_keep_a_session_from_being_saved() {
    let session = session();
    call(
        &session,
        indoc! {"
            class Stubborn:
                def __del__(self):
                    while True: pass
            class Loud:
                def __del__(self):
                    log.append('gone')
            log, a, b = [], Stubborn(), Loud()
            a.a, b.b = a, b
            del b
        "},
    );
    // What garbage does when it is collected is a part of the state, if it comes to an end.
    let first = session.snapshot().wait().unwrap();
    assert_eq!(call(&start(&first, &session), "log"), json!(["gone"]));
    call(&session, "del a");
    let second = session.snapshot().wait().unwrap();
    assert_eq!(call(&start(&second, &session), "log"), json!(["gone"]));
    assert_eq!(second.parent(), Some(first.sha256()));
    assert_eq!(second.usage().calls, 2);
}

fn with_files(directory: &std::path::Path, access: Access) -> Policy {
    let grant = Grant::new("/data", directory, access).unwrap();
    let mut permissions = Permission::READ_FILE;
    if access.contains(Access::WRITE) {
        permissions |= Permission::WRITE_FILE;
    }
    unscreened()
        .with_permissions(permissions)
        .with_limits(little_fuel())
        .with_grant(grant)
        .unwrap()
}

#[test]
fn open_files_are_opened_again_where_they_were() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("in"), "0123456789").unwrap();
    let session = session_under(with_files(directory.path(), Access::READ_WRITE));
    call(
        &session,
        indoc! {"
            f = open('/data/in', 'rb', buffering=0)
            out, log = open('/data/out', 'wb', buffering=0), open('/data/log', 'ab', buffering=0)
            f.read(3), out.write(b'abc'), log.write(b'1')
        "},
    );
    let snapshot = session.snapshot().wait().unwrap();
    let mut paths: Vec<_> = snapshot.open_files().collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/data/in", "/data/log", "/data/out"]);
    for fork in [start(&snapshot, &session), session.fork().wait().unwrap()] {
        assert_eq!(call(&fork, "f.read(2).decode()"), "34");
        call(&fork, "out.write(b'd'), log.write(b'2')");
        assert_eq!(call(&fork, "f.read(2).decode()"), "56");
    }
    // Positions are not shared.
    assert_eq!(call(&session, "f.read(2).decode()"), "34");
    assert_eq!(
        call(&session, "out.write(b'X'), log.write(b'3'), out.tell()")[2],
        4
    );
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    assert_eq!(
        (read("out"), read("log")),
        ("abcX".to_owned(), "1223".to_owned())
    );

    // A policy that does not grant what is open, and a file that is gone.
    let narrow = Sandbox::new(runtime(), with_files(directory.path(), Access::READ)).unwrap();
    let started = snapshot.start(&narrow, SessionOptions::default()).wait();
    let Err(Error::Snapshot(SnapshotError::File { path, reason })) = started else {
        panic!("{started:?}")
    };
    assert!(
        path != "/data/in" && reason.contains("WRITE_FILE"),
        "{path}: {reason}"
    );
    let fork = session.fork().wait().unwrap();
    std::fs::remove_file(directory.path().join("in")).unwrap();
    let gone = fork.run_blocking("1");
    let Err(Error::Snapshot(SnapshotError::File { path, .. })) = gone else {
        panic!("{gone:?}")
    };
    assert_eq!(path, "/data/in");
    // Nothing has changed: when the file is back, the session goes on.
    std::fs::write(directory.path().join("in"), "0123456789").unwrap();
    assert_eq!(call(&fork, "f.read(1).decode()"), "5");
}

#[test]
fn a_wider_policy_takes_an_explicit_word() {
    let session = session_under(unscreened().with_limits(little_fuel()));
    call(&session, "x = 1");
    let snapshot = session.snapshot().wait().unwrap();
    let wider = Sandbox::new(runtime(), unscreened()).unwrap();
    let started = snapshot.start(&wider, SessionOptions::default()).wait();
    let Err(Error::Snapshot(SnapshotError::Wider { wider: grants })) = started else {
        panic!("{started:?}")
    };
    assert!(grants[0].starts_with("limits.fuel: "), "{grants:?}");
    let mut options = SessionOptions::default();
    options.allow_wider_policy = true;
    let started = snapshot.start(&wider, options).wait().unwrap();
    assert_eq!(call(&started, "x"), 1);
    let fuel = little_fuel().with_fuel(AtMost(50_000_000)).unwrap();
    let narrower = Sandbox::new(runtime(), unscreened().with_limits(fuel)).unwrap();
    let started = snapshot.start(&narrower, SessionOptions::default());
    assert_eq!(call(&started.wait().unwrap(), "x"), 1);
}

#[test]
fn a_snapshot_takes_no_more_memory_than_the_policy_allows() {
    let session = session();
    call(&session, "x = bytearray(100 << 20)");
    let snapshot = session.snapshot().wait().unwrap();
    let limits = little_fuel().with_memory_bytes(96 << 20).unwrap();
    let small = Sandbox::new(runtime(), unscreened().with_limits(limits)).unwrap();
    let started = snapshot.start(&small, SessionOptions::default()).wait();
    let Err(Error::Snapshot(SnapshotError::Memory { limit, .. })) = started else {
        panic!("{started:?}")
    };
    assert_eq!(limit, Limit::Memory);
}

#[test]
fn a_signature_is_that_of_the_key() {
    let session = session();
    call(&session, "x = 1");
    let snapshot = session.snapshot().wait().unwrap();
    let form = SnapshotForm::default().signed(b"key");
    let (signed, plain) = (form.write(&snapshot).unwrap(), snapshot.to_bytes());
    let read = form.read(&signed).unwrap();
    assert_eq!(read.sha256(), snapshot.sha256());
    assert_eq!(call(&start(&read, &session), "x"), 1);
    let mut edited = signed.clone();
    *edited.iter_mut().rev().nth(100).unwrap() ^= 1;
    for (bytes, key) in [
        (&signed, Some(&b"other"[..])),
        (&signed, None),
        (&plain, Some(b"key")),
        (&edited, Some(b"key")),
    ] {
        let read = match key {
            Some(key) => SnapshotForm::default().signed(key).read(bytes),
            None => Snapshot::from_bytes(bytes),
        };
        let is_refused = matches!(read, Err(Error::Snapshot(SnapshotError::Signature(_))));
        assert!(is_refused, "{read:?}");
    }
}

#[test]
fn a_snapshot_can_be_what_has_changed() {
    let session = session();
    call(&session, "numbers = list(range(200_000)); text = 'a'");
    let first = session.snapshot().wait().unwrap();
    call(&session, "text = 'b'; numbers[7] = 0");
    let second = session.snapshot().wait().unwrap();
    let form = SnapshotForm::default().since(&first);
    let bytes = form.write(&second).unwrap();
    let (len, of_whole) = (bytes.len(), second.to_bytes().len());
    assert!(len < of_whole / 2, "{len} bytes of {of_whole}");
    let read = form.read(&bytes).unwrap();
    assert_eq!(read.to_bytes(), second.to_bytes());
    assert_eq!(
        call(&start(&read, &session), "[text, sum(numbers[:9])]"),
        json!(["b", 29])
    );
    // In the other direction too, though the memory of a session does not shrink.
    let back = SnapshotForm::default().since(&second);
    let bytes_back = back.write(&first).unwrap();
    assert_eq!(back.read(&bytes_back).unwrap().sha256(), first.sha256());
    // A whole one is read by any form that asks for nothing else.
    let whole = form.read(&second.to_bytes()).unwrap();
    assert_eq!(whole.sha256(), second.sha256());

    for (read, what) in [
        (SnapshotForm::default().read(&bytes), "no other one"),
        (back.read(&bytes), "another one"),
        (Snapshot::from_bytes(&bytes), "as a whole one"),
    ] {
        let Err(Error::Snapshot(SnapshotError::Base { sha256 })) = read else {
            panic!("{what}: {read:?}")
        };
        assert_eq!(sha256, first.sha256());
    }
}

/// A difference that does not make the snapshot that it says is refused.
#[test]
fn a_forged_difference_is_refused() {
    let session = session();
    call(&session, "x = 1");
    let first = session.snapshot().wait().unwrap();
    call(&session, "x = 2");
    let second = session.snapshot().wait().unwrap();
    let form = SnapshotForm::default().since(&first);
    let bytes = form.write(&second).unwrap();
    type Change<'c> = &'c dyn Fn(&mut Json, &mut Vec<Page>);
    let changes: [(&str, Change<'_>); 5] = [
        ("another whole", &|head, _| {
            head["since"]["whole"] = first.sha256().into();
        }),
        ("another page", &|_, pages| pages[0].1[7] ^= 1),
        ("a page that is nowhere", &|_, pages| {
            pages.last_mut().unwrap().0 = u32::MAX;
        }),
        ("a page beyond the end", &|_, pages| {
            pages.last_mut().unwrap().0 = (1 << 20) - 1;
        }),
        ("another size", &|head, _| {
            head["memory_bytes"] = u64::MAX.into();
        }),
    ];
    for (what, change) in changes {
        let read = form.read(&forge(&bytes, change));
        let is_refused = matches!(read, Err(Error::Snapshot(SnapshotError::Damaged(_))));
        assert!(is_refused, "{what}: {read:?}");
    }
}

#[test]
fn bytes_that_are_no_snapshot_are_told_apart() {
    let session = session();
    call(&session, "x = 1");
    let bytes = bytes_of(&session);
    assert!(matches!(error_of(b""), SnapshotError::NotOne));
    assert!(matches!(
        error_of(&vec![0; bytes.len()]),
        SnapshotError::NotOne
    ));
    assert!(matches!(
        error_of(b"PK\x03\x04 and so on"),
        SnapshotError::NotOne
    ));
    for len in (8..bytes.len())
        .step_by(bytes.len() / 50)
        .chain([bytes.len() - 1])
    {
        let error = error_of(&bytes[..len]);
        assert!(
            matches!(
                error,
                SnapshotError::Length { .. } | SnapshotError::Damaged(_)
            ),
            "{len}: {error}"
        );
    }
    let longer = [&bytes[..], b"x"].concat();
    assert!(matches!(error_of(&longer), SnapshotError::Length { .. }));
    for at in (8..bytes.len()).step_by(bytes.len() / 100) {
        let mut edited = bytes.clone();
        edited[at] ^= 0x10;
        assert!(Snapshot::from_bytes(&edited).is_err(), "byte {at}");
    }
    let foreign = forge(&bytes, |head, _| head["build"]["wardian"] = json!("9.9.9"));
    let SnapshotError::Build { wrote, reads } = error_of(&foreign) else {
        panic!()
    };
    assert!(
        wrote.starts_with("9.9.9 ") && reads.starts_with("0."),
        "{wrote} {reads}"
    );
    let unknown = forge(&bytes, |head, _| head["surprise"] = json!(1));
    assert!(error_of(&unknown).to_string().contains("surprise"));
    assert!(Snapshot::read_from(&bytes[..]).is_ok());
}

/// A page: its number and its bytes, XOR those of the image.
type Page = (u32, Vec<u8>);

/// Takes a snapshot apart: its head, and its pages.
fn unpack(bytes: &[u8]) -> (Json, Vec<Page>) {
    let len = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let end = 16 + len(12);
    let head = serde_json::from_slice(&bytes[16..end]).unwrap();
    // Without files of a working directory.
    let frame = &bytes[end + 16..bytes.len() - 32];
    let mut records = Vec::new();
    let mut decoder = ruzstd::decoding::StreamingDecoder::new(frame).unwrap();
    std::io::Read::read_to_end(&mut decoder, &mut records).unwrap();
    let pages = records.chunks(4 + 4096).map(|record| {
        let (number, page) = record.split_first_chunk().unwrap();
        (u32::from_le_bytes(*number), page.to_vec())
    });
    (head, pages.collect())
}

/// Makes a snapshot of another one, with a hash that fits.
fn forge(bytes: &[u8], change: impl FnOnce(&mut Json, &mut Vec<Page>)) -> Vec<u8> {
    let (mut head, mut pages) = unpack(bytes);
    change(&mut head, &mut pages);
    let records: Vec<u8> = pages
        .iter()
        .flat_map(|(number, page)| number.to_le_bytes().into_iter().chain(page.iter().copied()))
        .collect();
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    let frame = ruzstd::encoding::compress_to_vec(&records[..], level);
    let head = serde_json::to_vec(&head).unwrap();
    let mut forged = bytes[..12].to_vec();
    forged.extend(u32::try_from(head.len()).unwrap().to_le_bytes());
    forged.extend(head);
    forged.extend((frame.len() as u64).to_le_bytes());
    forged.extend(0_u64.to_le_bytes());
    forged.extend(frame);
    let seal = Sha256::digest(&forged);
    forged.extend(seal);
    forged
}

/// Snapshots that were made by hand, with a hash that fits: each is refused, or is a guest like any
/// hostile one. P13.
#[test]
fn forged_snapshots_are_refused_or_harmless() {
    let session = session();
    call(&session, "x = 1");
    let bytes = bytes_of(&session);
    type Change = fn(&mut Json, &mut Vec<Page>);
    let refused: [(&str, Change); 9] = [
        ("more pages than it says", |head, _| {
            head["pages"] = json!(1)
        }),
        ("fewer pages than it says", |head, _| {
            head["pages"] = json!(100_000)
        }),
        ("pages in another order", |_, pages| pages.reverse()),
        ("a page twice", |_, pages| pages[1] = pages[0].clone()),
        ("a page beyond the end", |_, pages| {
            pages.last_mut().unwrap().0 = u32::MAX
        }),
        ("no memory", |head, _| head["memory_bytes"] = json!(0)),
        ("an odd size", |head, _| {
            head["memory_bytes"] = json!((41 << 20) + 1)
        }),
        ("all memory there is", |head, _| {
            head["memory_bytes"] = json!(u64::MAX)
        }),
        ("a policy that is none", |head, _| {
            head["policy"]["version"] = json!(99)
        }),
    ];
    for (what, change) in refused {
        let forged = forge(&bytes, change);
        let started = Snapshot::from_bytes(&forged).and_then(|snapshot| {
            let started = snapshot.start(session.sandbox(), SessionOptions::default());
            started.wait()
        });
        assert!(
            matches!(started, Err(Error::Snapshot(_))),
            "{what}: {started:?}"
        );
    }
    // Descriptors and paths that the policy does not grant.
    for file in [
        json!({"fd": 4, "path": "/etc/passwd", "file": {"read": true, "write": false, "append": false, "position": 0}}),
        json!({"fd": 3, "path": "/", "file": null}),
        json!({"fd": 1, "path": "/../..", "file": null}),
        json!({"fd": 5, "path": "relative", "file": null}),
    ] {
        let forged = forge(&bytes, |head, _| head["files"] = json!([file.clone()]));
        let started = Snapshot::from_bytes(&forged).and_then(|snapshot| {
            let started = snapshot.start(session.sandbox(), SessionOptions::default());
            started.wait()?.run_blocking("import os\nos.read(4, 10)")
        });
        let is_safe = match &started {
            Err(Error::Snapshot(_)) => true,
            Ok(outcome) => outcome.verdict != Verdict::Completed,
            Err(_) => false,
        };
        assert!(is_safe, "{file}: {started:?}");
    }
}

/// Memory that nobody's interpreter has left: noise in some pages, then in all.
#[test]
fn hostile_memory_is_a_hostile_guest() {
    use rand::{RngExt as _, SeedableRng as _};
    let fuel = little_fuel().with_fuel(AtMost(100_000_000)).unwrap();
    let session = session_under(Policy::computing().with_limits(fuel));
    call(&session, "rows = [1, 2, 3]\nimport json");
    let bytes = bytes_of(&session);
    let mut rng = rand::rngs::StdRng::seed_from_u64(13);
    for round in 0..30 {
        let forged = forge(&bytes, |_, pages| {
            let count = if round < 25 {
                rng.random_range(1..20)
            } else {
                pages.len()
            };
            for _ in 0..count {
                let page = rng.random_range(0..pages.len());
                let page = &mut pages[page].1;
                let len = if round % 2 == 0 { 8 } else { page.len() };
                let at = rng.random_range(0..=page.len() - len);
                rng.fill(&mut page[at..at + len]);
            }
        });
        let snapshot = Snapshot::from_bytes(&forged).unwrap();
        let hostile = start(&snapshot, &session);
        for source in [
            "json.dumps(rows)",
            "open('/etc/passwd').read()",
            "import socket",
        ] {
            match hostile.run_blocking(source) {
                Ok(outcome) => assert!(
                    source.starts_with("json") || outcome.verdict != Verdict::Completed,
                    "{round}: {outcome:?}"
                ),
                Err(error) => assert!(matches!(error, Error::SessionEnded { .. }), "{error}"),
            }
        }
        let _ = hostile.globals().wait();
        let _ = hostile.snapshot().wait();
    }
}

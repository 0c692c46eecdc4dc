//! Images: state that runs and sessions start from, and that none of them changes.

use std::collections::BTreeSet;
use std::fs;
use std::thread;

use indoc::indoc;
use serde_json::{Value, json};
use wardian::policy::{Access, Grant, ImageFile, Permission, Profile};
use wardian::session::{BuiltImage, Image, SessionOptions, Snapshot, SnapshotForm};
use wardian::{Error, Limits, Log, Policy, Sandbox, Script, Verdict, load_policy};
use wardian_testkit::runtime;

use crate::packages::Vendor;

fn open() -> Policy {
    Policy::computing().with_source_rules(Profile::Open)
}

fn sandbox(policy: Policy) -> Sandbox {
    Sandbox::new(runtime(), policy).unwrap()
}

#[track_caller]
fn build(sandbox: &Sandbox, setup: &str) -> BuiltImage {
    Image::build(sandbox, Some(setup.into())).wait().unwrap()
}

/// A sandbox that starts from an image of this setup.
#[track_caller]
fn started(policy: Policy, setup: &str) -> Sandbox {
    let sandbox = sandbox(policy);
    let image = build(&sandbox, setup).image;
    sandbox.with_image(&image).unwrap()
}

#[track_caller]
fn value(sandbox: &Sandbox, script: impl Into<Script>) -> Value {
    let outcome = sandbox.run_blocking(script).unwrap();
    assert!(outcome.success(), "{:?}", outcome.verdict);
    outcome.json()["value"].clone()
}

#[test]
fn every_run_starts_from_it_and_changes_nothing() {
    let sandbox = started(
        open().with_work(Policy::WORK).unwrap(),
        indoc! {"
            import json, random, uuid
            table = [list(range(100)) for _ in range(2000)]
            open('prepared.txt', 'w').write('by the setup')
            def divide(a, b):
                return a / b
            class Counter:
                made = 0
        "},
    );
    for round in 0..3 {
        let script = indoc! {"
            import sys
            seen = [len(table), Counter.made, open('prepared.txt').read(), 'json' in sys.modules]
            Counter.made += 1
            for row in table: row.append(0)
            open('prepared.txt', 'w').write('changed')
            seen
        "};
        let outcome = sandbox.run_blocking(script).unwrap();
        let expected = json!([2000, 0, "by the setup", true]);
        assert_eq!(outcome.json()["value"], expected, "{round}");
        let changed: Vec<_> = outcome.files.iter().map(|file| &*file.name).collect();
        assert_eq!(changed, ["prepared.txt"]);
    }
    // Each is a program of its own.
    let script = Script::from("import sys, os\n[sys.argv[1:], os.environ['X'], given, __name__]")
        .arg("a")
        .env("X", "y")
        .input("given", 1);
    assert_eq!(value(&sandbox, script), json!([["a"], "y", 1, "__main__"]));
    let exits = "import atexit\natexit.register(print, 'at exit')\n1";
    let outcome = sandbox.run_blocking(exits).unwrap();
    assert_eq!(outcome.stdout.text(), "at exit\n");
    // A traceback shows the setup's lines.
    let outcome = sandbox.run_blocking("divide(1, 0)").unwrap();
    let Verdict::Raised(raised) = &outcome.verdict else {
        panic!("{:?}", outcome.verdict)
    };
    assert!(
        raised.traceback.contains("return a / b") && raised.traceback.contains("divide(1, 0)"),
        "{}",
        raised.traceback
    );
    assert_eq!(raised.line, Some(1));
    // A limit stops it, and says where.
    let outcome = sandbox.run_blocking("x = 1\nwhile True: pass").unwrap();
    let Verdict::Limit { line, .. } = outcome.verdict else {
        panic!("{:?}", outcome.verdict)
    };
    assert_eq!(line, Some(2));
}

#[test]
fn runs_at_once_share_it_and_draw_their_own_random_numbers() {
    let sandbox = started(
        open(),
        "import random, uuid\nbefore = random.random()\nshared = {}",
    );
    let script = "shared[len(shared)] = 1\n[before, random.random(), str(uuid.uuid4()), hash('x'), len(shared)]";
    let runs: Vec<_> = (0..8)
        .map(|_| {
            let sandbox = sandbox.clone();
            thread::spawn(move || (0..5).map(|_| value(&sandbox, script)).collect::<Vec<_>>())
        })
        .collect();
    let drawn: Vec<_> = runs
        .into_iter()
        .flat_map(|run| run.join().unwrap())
        .collect();
    let distinct = |at: usize| {
        let all: BTreeSet<_> = drawn.iter().map(|drawn| drawn[at].to_string()).collect();
        all.len()
    };
    assert_eq!([0, 1, 2, 4].map(distinct), [1, 40, 40, 1]);
}

#[test]
fn a_session_goes_on_from_it() {
    let sandbox = started(
        open(),
        "state = ['setup']\ndef add(x): state.append(x); return state",
    );
    let session = sandbox.session(SessionOptions::default());
    let run = |code: &str| session.run_blocking(code).unwrap().json()["value"].clone();
    assert_eq!(run("add(1)"), json!(["setup", 1]));
    assert_eq!(run("add(2)\nwhile True: pass"), json!(null));
    assert_eq!(run("add(3)"), json!(["setup", 1, 3]));
    let fork = session.fork().wait().unwrap();
    assert_eq!(
        fork.run_blocking("add(4)").unwrap().json()["value"],
        json!(["setup", 1, 3, 4])
    );
    assert_eq!(run("state"), json!(["setup", 1, 3]));
    assert_eq!(
        value(&sandbox, "state"),
        json!(["setup"]),
        "others start anew"
    );
    // Its snapshot is whole: whoever has not the image goes on too.
    let snapshot = session.snapshot().wait().unwrap();
    let snapshot = Snapshot::from_bytes(&snapshot.to_bytes()).unwrap();
    assert!(matches!(
        Image::from_snapshot(snapshot.clone()),
        Err(Error::Snapshot(error)) if error.to_string().contains("no image")
    ));
    for sandbox in [sandbox.without_image(), sandbox] {
        let again = snapshot
            .start(&sandbox, SessionOptions::default())
            .wait()
            .unwrap();
        assert_eq!(
            again.run_blocking("add(5)").unwrap().json()["value"],
            json!(["setup", 1, 3, 5])
        );
    }
}

/// A snapshot of a session as what has changed since the image that it began from.
#[test]
fn a_snapshot_can_leave_out_the_image() {
    let plain = sandbox(open());
    let setup = "import decimal, json, statistics\ntable = [str(n) for n in range(100_000)]";
    let image = build(&plain, setup).image;
    let session = plain
        .with_image(&image)
        .unwrap()
        .session(SessionOptions::default());
    session.run_blocking("table.append('x')").unwrap();
    let snapshot = session.snapshot().wait().unwrap();
    assert_eq!(snapshot.parent(), Some(image.sha256()));
    let form = SnapshotForm::default().since(image.snapshot());
    let bytes = form.write(&snapshot).unwrap();
    assert!(
        bytes.len() < snapshot.to_bytes().len() / 2,
        "{}",
        bytes.len()
    );
    assert_eq!(form.read(&bytes).unwrap().sha256(), snapshot.sha256());
}

#[test]
fn packages_are_imported_once() {
    let vendor = Vendor::new();
    let broken = vendor.wheel(
        "broken",
        "",
        &[("broken.py", b"import socketserver, nothing")],
    );
    let policy = open()
        .with_wheel(vendor.shapes())
        .unwrap()
        .with_wheel(broken)
        .unwrap();
    let sandbox = sandbox(policy);
    let built = Image::build(&sandbox, None).wait().unwrap();
    let [(module, reason)] = &built.not_imported[..] else {
        panic!("{:?}", built.not_imported)
    };
    assert_eq!(module, "broken");
    assert!(reason.contains("Error"), "{reason}");
    let names: Vec<_> = built
        .image
        .packages()
        .iter()
        .map(|package| &*package.name)
        .collect();
    assert_eq!(
        names,
        ["shapes-1.2-py3-none-any.whl", "broken-1.2-py3-none-any.whl"]
    );
    assert_eq!(built.image.setup_sha256(), None);
    let (log, records) = Log::memory();
    let started = sandbox
        .with_audit(log)
        .unwrap()
        .with_image(&built.image)
        .unwrap();
    assert_eq!(
        value(
            &started,
            "import sys\n['shapes' in sys.modules, 'shapes' in globals()]"
        ),
        json!([true, false])
    );
    assert_eq!(
        value(
            &started.without_image(),
            "import sys\n'shapes' in sys.modules"
        ),
        json!(false)
    );
    let begun: Vec<_> = records
        .records()
        .into_iter()
        .filter(|record| record["event"] == "run_started")
        .map(|record| record["image_sha256"].clone())
        .collect();
    assert_eq!(begun, [json!(built.image.sha256()), json!(null)]);
}

/// A setup that does not come to its end, or leaves something that no image can have, makes none.
#[test]
fn a_setup_that_fails_makes_no_image() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("x"), "x").unwrap();
    let grant = Grant::new("/data", directory.path(), Access::READ).unwrap();
    let policy = Policy::computing()
        .with_permissions(Permission::READ_FILE)
        .with_grant(grant)
        .unwrap();
    let sandbox = sandbox(policy);
    for (setup, said) in [
        (
            "x = 1\n1 / 0",
            "the setup did not complete, so that no image is made: ZeroDivisionError: division by zero (line 2)",
        ),
        (
            "while True: pass",
            "the setup did not complete, so that no image is made: ",
        ),
        ("raise SystemExit(0)", "the setup did not complete"),
        ("import subprocess", "the setup did not complete"),
        (
            "f = open('/data/x')",
            "the setup has left /data/x open, so that no image is made: close it there",
        ),
    ] {
        let error = Image::build(&sandbox, Some(setup.into()))
            .wait()
            .unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
}

/// A policy names the image. One that is not what the policy wants is an error that says why.
#[test]
fn a_policy_names_an_image() {
    let vendor = Vendor::new();
    let shapes = vendor.shapes();
    let other = vendor.wheel("other", "", &[("other.py", b"")]);
    let setup = "import shapes\nready = True\n";
    fs::write(vendor.path("setup.py"), setup).unwrap();
    let [image, setup_file] = ["app.image", "setup.py"].map(|name| vendor.path(name));
    let named = ImageFile::new(&image).unwrap();
    let policy = |wheels: &[_]| {
        let wheels = wheels.iter().cloned();
        wheels.fold(open(), |policy, wheel| policy.with_wheel(wheel).unwrap())
    };
    let plain = policy(std::slice::from_ref(&shapes));
    let with = |policy: &Policy| policy.clone().with_image(Some(named.clone()));
    let refused = |policy: Policy| {
        let error = Sandbox::new(runtime(), policy).unwrap_err();
        assert!(matches!(error, Error::Image { .. }), "{error}");
        error.to_string()
    };
    assert!(refused(with(&plain)).contains("app.image: it is not there; build it"));
    let built = build(&sandbox(plain.clone()), setup);
    built.image.snapshot().save(&image).unwrap();
    assert_eq!(value(&sandbox(with(&plain)), "ready"), json!(true));

    // From a file, with its setup.
    let file = vendor.path("policy.toml");
    let write = |image: &str| {
        let [name, hash] = [
            shapes.file().file_name().unwrap().to_str().unwrap(),
            shapes.sha256(),
        ];
        let text = format!(
            "version = 1\npermissions = [\"EXECUTE_CODE\"]\nimage = {image}\n[packages]\n\
             wheels = [{{ file = {name:?}, sha256 = {hash:?} }}]\n"
        );
        fs::write(&file, text).unwrap();
        load_policy(&file).unwrap()
    };
    write("\"app.image\"");
    let by_file = write("{ file = \"app.image\", setup = \"setup.py\" }");
    assert_eq!(by_file.image().unwrap().setup(), Some(&*setup_file));
    assert_eq!(value(&sandbox(by_file.clone()), "ready"), json!(true));
    let again: Policy = serde_json::from_value(serde_json::to_value(&by_file).unwrap()).unwrap();
    assert_eq!(again.image(), by_file.image());
    fs::write(&setup_file, "ready = 2").unwrap();
    let said = refused(by_file);
    assert!(
        said.contains("stale: the setup has changed; build it again"),
        "{said}"
    );
    assert!(said.contains("policy.toml:3"), "{said}");
    fs::remove_file(&setup_file).unwrap();
    assert!(
        refused(write("{ file = \"app.image\", setup = \"setup.py\" }")).contains("can't be read")
    );

    // Other packages.
    let changed = vendor.wheel("shapes", "", &[("shapes.py", b"")]);
    for (wheels, said) in [
        (vec![], "shapes-1.2-py3-none-any.whl was taken out"),
        (
            vec![changed, other],
            "shapes-1.2-py3-none-any.whl has changed, other-1.2-py3-none-any.whl was added",
        ),
    ] {
        let error = refused(with(&policy(&wheels)));
        assert!(
            error.contains("the image is stale: ") && error.contains(said),
            "{error}"
        );
    }

    // What is in a directory that scripts write to is not what others start from.
    let grant = Grant::new("/out", image.parent().unwrap(), Access::WRITE).unwrap();
    let granted = open()
        .with_permissions(Permission::WRITE_FILE)
        .with_grant(grant)
        .unwrap();
    let said = refused(with(&granted));
    assert!(said.contains("app.image"), "{said}");

    // Damaged, cut, and something else.
    let bytes = fs::read(&image).unwrap();
    let mut damaged = bytes.clone();
    damaged[bytes.len() / 2] ^= 1;
    for (bytes, said) in [
        (&damaged[..], "damaged"),
        (&bytes[..bytes.len() - 1], "bytes, and should have"),
        (&b"nothing"[..], "this is no snapshot"),
    ] {
        fs::write(&image, bytes).unwrap();
        let error = refused(with(&open()));
        assert!(error.contains(said), "{error}");
    }
}

/// An image that takes more memory than the policy allows is none.
#[test]
fn an_image_is_within_the_memory_limit() {
    let wide = open();
    let image = build(&sandbox(wide.clone()), "x = bytearray(64 << 20)").image;
    let narrow = Limits::default().with_memory_bytes(64 << 20).unwrap();
    let error = sandbox(wide.with_limits(narrow))
        .with_image(&image)
        .unwrap_err();
    assert!(
        error.to_string().contains("limits.memory allows"),
        "{error}"
    );
}

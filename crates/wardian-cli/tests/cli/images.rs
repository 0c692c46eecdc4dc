//! `wardian image`: built, shown, started from, and stale.

use std::fs;

use indoc::indoc;
use serde_json::{Value, json};

use crate::harness::attack_under;
use crate::packages::wheel;
use crate::{run, text};

#[test]
fn an_image_is_built_shown_and_started_from() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path().canonicalize().unwrap();
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    wheel(&dir, "good", "x = 40");
    wheel(&dir, "bad", "import nothing");
    let policy = path("policy.toml");
    let plain = indoc! {r#"
        version = 1
        permissions = ["EXECUTE_CODE"]
    "#};
    fs::write(&policy, plain).unwrap();
    let added = run(&[
        "packages",
        "add",
        &path("good-1-py3-none-any.whl"),
        "--policy",
        &policy,
    ]);
    assert_eq!(added.status.code(), Some(0), "{}", text(&added.stderr));
    let build = |more: &[&str]| run(&[&["image", "build", "--policy", &policy], more].concat());
    let said = text(&build(&[]).stderr).to_owned();
    assert!(
        said.contains(
            "there is no file for the image: give --out, or write `image = \"app.image\"`"
        ),
        "{said}"
    );

    // What stands in the policy is enough.
    let with_packages = fs::read_to_string(&policy).unwrap();
    let named = with_packages.replace(
        "version = 1\n",
        "version = 1\nimage = { file = \"app.image\", setup = \"setup.py\" }\n",
    );
    fs::write(&policy, named).unwrap();
    fs::write(
        path("setup.py"),
        "import good\ntable = [good.x, 2]\nprint('set up')\n",
    )
    .unwrap();
    let missing = run(&["run", "--policy", &policy, "-c", "1"]);
    assert_eq!(missing.status.code(), Some(2), "{missing:?}");
    let said = text(&missing.stderr);
    assert!(
        said.contains("app.image") && said.contains("policy.toml:2"),
        "{said}"
    );
    let built = build(&[]);
    assert_eq!(built.status.code(), Some(0), "{}", text(&built.stderr));
    assert!(
        text(&built.stderr).contains("app.image has the image now: 1 packages"),
        "{}",
        text(&built.stderr)
    );
    let outcome = run(&["run", "--policy", &policy, "-c", "print(sum(table))"]);
    assert_eq!(
        (outcome.status.code(), text(&outcome.stdout)),
        (Some(0), "42\n"),
        "{outcome:?}"
    );
    let checked = run(&["policy", "check", &policy]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    assert!(text(&run(&["policy", "show", &policy]).stdout).contains("setup.py"));

    let shown = run(&["image", "show", &path("app.image")]);
    let shown = text(&shown.stdout).to_owned();
    assert!(
        shown.contains("good-1-py3-none-any.whl") && shown.contains("table"),
        "{shown}"
    );
    let shown = run(&["image", "show", "--json", &path("app.image")]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["packages"][0]["name"], "good-1-py3-none-any.whl");
    let again: Value = serde_json::from_slice(&build(&["--json"]).stdout).unwrap();
    assert_eq!(again["setup_sha256"], shown["setup_sha256"]);

    // Nothing but a file is replaced.
    let null = build(&["--out", "/dev/null"]);
    assert_eq!(null.status.code(), Some(125), "{null:?}");
    assert!(
        text(&null.stderr).contains("is not a regular file"),
        "{null:?}"
    );

    // Sessions of files begin with it too.
    let session = path("s.session");
    for (code, printed) in [("table.append(1)", ""), ("print(table)", "[40, 2, 1]\n")] {
        let outcome = run(&[
            "run",
            "--policy",
            &policy,
            "--session",
            &session,
            "-c",
            code,
        ]);
        assert_eq!(
            (outcome.status.code(), text(&outcome.stdout)),
            (Some(0), printed),
            "{outcome:?}"
        );
    }
    let shown = run(&["image", "show", &session]);
    assert_eq!(shown.status.code(), Some(125), "{shown:?}");
    assert!(text(&shown.stderr).contains("this is a snapshot of a session, and no image"));

    // Another setup, another package: it says what has changed, and builds again.
    fs::write(path("setup.py"), "table = 1").unwrap();
    for args in [
        &["run", "--policy", &policy, "-c", "1"][..],
        &["policy", "check", &policy],
    ] {
        let stale = run(args);
        let said = text(&stale.stderr);
        assert!(
            said.contains(
                "the image is stale: the setup has changed; build it again: `wardian image build"
            ),
            "{said}"
        );
        assert_eq!(stale.status.code(), Some(2), "{stale:?}");
    }
    let added = run(&[
        "packages",
        "add",
        &path("bad-1-py3-none-any.whl"),
        "--policy",
        &policy,
    ]);
    assert_eq!(added.status.code(), Some(0), "{}", text(&added.stderr));
    assert!(
        text(&added.stderr)
            .contains("app.image is without it: build it again, `wardian image build")
    );
    let said = text(&run(&["run", "--policy", &policy, "-c", "1"]).stderr).to_owned();
    assert!(
        said.contains("stale: bad-1-py3-none-any.whl was added, the setup has changed"),
        "{said}"
    );
    // What can't be imported is left out, and said.
    let built = build(&[]);
    assert_eq!(built.status.code(), Some(0), "{}", text(&built.stderr));
    let said = text(&built.stderr);
    assert!(
        said.contains("the image is without bad: ModuleNotFoundError"),
        "{said}"
    );

    // What fails leaves the old one.
    let before = fs::read(path("app.image")).unwrap();
    fs::write(path("setup.py"), "x = 1\n1 / 0").unwrap();
    let failed = build(&[]);
    assert_eq!(failed.status.code(), Some(125), "{failed:?}");
    let said = text(&failed.stderr);
    assert!(
        said.contains("so that no image is made: ZeroDivisionError: division by zero (line 2)"),
        "{said}"
    );
    assert!(fs::read(path("app.image")).unwrap() == before);
    let failed = build(&["--setup", &path("none.py")]);
    assert_eq!(failed.status.code(), Some(2), "{failed:?}");
    assert_eq!(
        json!(text(&failed.stderr).contains("cannot read")),
        json!(true)
    );
}

/// Scripts that start from an image get no more than others.
#[test]
fn hostile_code_gets_nothing_from_an_image() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path().canonicalize().unwrap();
    let file = dir.join("policy.toml");
    let policy = file.to_str().unwrap();
    fs::create_dir(dir.join("data")).unwrap();
    let text = indoc! {r#"
        version = 1
        image = "app.image"
        permissions = ["READ_FILE", "EXECUTE_CODE"]
        allowed_paths = [{ path = "/data", host = "data", access = "read" }]
        [work]
        [source]
        profile = "open"
    "#};
    fs::write(policy, text).unwrap();
    fs::write(dir.join("setup.py"), "import json, os, re, sys\n").unwrap();
    let setup = dir.join("setup.py");
    let built = run(&[
        "image",
        "build",
        "--policy",
        policy,
        "--setup",
        setup.to_str().unwrap(),
    ]);
    assert_eq!(built.status.code(), Some(0), "{built:?}");
    attack_under(&file);
}

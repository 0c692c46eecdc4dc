//! `wardian packages`: added to a policy, imported.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use indoc::indoc;
use serde_json::Value;
use wardian::audit::sha256;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::{run, text};

/// Writes a wheel with one module.
pub(crate) fn wheel(directory: &Path, name: &str, code: &str) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let metadata = format!("Name: {name}\nVersion: 1\n");
    for (path, body) in [
        (format!("{name}.py"), code),
        (format!("{name}-1.dist-info/METADATA"), &metadata),
    ] {
        zip.start_file(path, SimpleFileOptions::default()).unwrap();
        zip.write_all(body.as_bytes()).unwrap();
    }
    let bytes = zip.finish().unwrap().into_inner();
    fs::write(directory.join(format!("{name}-1-py3-none-any.whl")), &bytes).unwrap();
    bytes
}

#[test]
fn packages_are_added_with_their_hashes_and_tried() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path();
    let (policy, vendor) = (dir.join("policy.toml"), dir.join("vendor"));
    fs::create_dir_all(vendor.join("lib")).unwrap();
    fs::write(vendor.join("lib/own.py"), "x = 2").unwrap();
    let good = wheel(&vendor, "good", "x = 40");
    let before = indoc! {r#"
        # Why this policy is as it is.
        version = 1
        permissions = ["EXECUTE_CODE"]   # nothing else

        [limits]
        timeout = "5s" # short
    "#};
    fs::write(&policy, before).unwrap();
    let policy = policy.to_str().unwrap();
    let add = |names: &[&str]| {
        let files = names
            .iter()
            .map(|name| vendor.join(name).to_str().unwrap().to_owned());
        let files: Vec<_> = files.collect();
        let files: Vec<_> = files.iter().map(String::as_str).collect();
        run(&[&["packages", "add", "--policy", policy], &files[..]].concat())
    };
    let added = add(&["good-1-py3-none-any.whl", "lib"]);
    assert_eq!(added.status.code(), Some(0), "{}", text(&added.stderr));
    assert!(text(&added.stderr).contains(&format!(
        "added vendor/good-1-py3-none-any.whl, SHA-256 {}",
        sha256(&good)
    )));
    let after = fs::read_to_string(policy).unwrap();
    assert!(after.starts_with(before), "{after}");
    let entry = format!(
        "{{ file = \"vendor/good-1-py3-none-any.whl\", sha256 = \"{}\" }},\n",
        sha256(&good)
    );
    assert!(
        after.contains(&entry) && after.contains("directories = [\"vendor/lib\"]"),
        "{after}"
    );
    let output = run(&[
        "run",
        "--policy",
        policy,
        "-c",
        "import good, own\nprint(good.x + own.x)",
    ]);
    assert_eq!(text(&output.stdout), "42\n", "{}", text(&output.stderr));
    let screened = dir.join("script.py");
    fs::write(&screened, "import good").unwrap();
    let screened = run(&["screen", "--policy", policy, screened.to_str().unwrap()]);
    assert_eq!(
        screened.status.code(),
        Some(0),
        "{}",
        text(&screened.stderr)
    );
    let shown = run(&["policy", "show", policy]);
    let shown = text(&shown.stdout);
    assert!(
        shown
            .split_whitespace()
            .collect::<String>()
            .contains(&sha256(&good))
            && shown.contains("vendor/lib"),
        "{shown}"
    );

    // Another one, in its place.
    let changed = wheel(&vendor, "good", "x = 41");
    let output = run(&["run", "--policy", policy, "-c", "1"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains(&sha256(&changed)) && said.contains("good-1-py3-none-any.whl"),
        "{said}"
    );
    let again = add(&["good-1-py3-none-any.whl"]);
    assert!(
        text(&again.stderr).contains("has SHA-256"),
        "{}",
        text(&again.stderr)
    );
    let after = fs::read_to_string(policy).unwrap();
    assert_eq!(after.matches("good-1").count(), 1, "{after}");

    wheel(&vendor, "broken", "import there_is_none");
    assert_eq!(add(&["broken-1-py3-none-any.whl"]).status.code(), Some(0));
    let checked = run(&["packages", "check", "--policy", policy]);
    let shown = text(&checked.stdout);
    assert_eq!(checked.status.code(), Some(1), "{shown}");
    assert!(
        shown.contains("ModuleNotFoundError: No module named 'there_is_none'"),
        "{shown}"
    );
    let checked = run(&["packages", "check", "--json", "--policy", policy]);
    let lines = text(&checked.stdout);
    let ok = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ok: Vec<_> = ok
        .map(|module| (module["module"].clone(), module["ok"].clone()))
        .collect();
    assert_eq!(
        ok,
        [
            ("broken".into(), false.into()),
            ("good".into(), true.into()),
            ("own".into(), true.into())
        ]
    );
}

/// A file that is no package leaves the policy as it was.
#[test]
fn what_is_no_package_is_not_added() {
    let directory = tempfile::Builder::new()
        .prefix("packages")
        .tempdir()
        .unwrap();
    let dir = directory.path();
    let policy = dir.join("policy.toml");
    let before = "version = 1\npermissions = [\"EXECUTE_CODE\"]\n";
    fs::write(dir.join("bad-1-py3-none-any.whl"), "no zip").unwrap();
    fs::write(dir.join("broken.toml"), "version = ").unwrap();
    for (file, policy_name, why) in [
        ("bad-1-py3-none-any.whl", "policy.toml", "is no wheel"),
        ("absent.whl", "policy.toml", "cannot add"),
        ("bad-1-py3-none-any.whl", "broken.toml", "broken.toml"),
        ("bad-1-py3-none-any.whl", "absent.toml", "can't be read"),
    ] {
        fs::write(&policy, before).unwrap();
        let [file, policy_name] =
            [file, policy_name].map(|name| dir.join(name).to_str().unwrap().to_owned());
        let output = run(&["packages", "add", &file, "--policy", &policy_name]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(why) && !said.contains(".tmp"), "{said}");
        assert_eq!(fs::read_to_string(&policy).unwrap(), before);
    }
    // Nothing is left beside it.
    assert_eq!(fs::read_dir(dir).unwrap().count(), 3);
}

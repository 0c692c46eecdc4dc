//! Packages: wheels and directories that scripts can import and nobody changes.

use std::fs;
use std::io::{Cursor, Write};
use std::path::PathBuf;

use indoc::{formatdoc, indoc};
use serde_json::json;
use tempfile::TempDir;
use wardian::audit::sha256;
use wardian::policy::{Access, Action, Grant, Profile, Wheel};
use wardian::session::{SessionOptions, Snapshot};
use wardian::{Error, Limits, Outcome, Policy, Sandbox, Verdict, load_policy};
use wardian_testkit::runtime;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A directory with wheels in it.
pub(crate) struct Vendor(TempDir);

/// An archive of these files.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The text of a distribution's metadata.
fn metadata(name: &str, more: &str) -> String {
    format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n{more}\nAbout: nothing\n")
}

impl Vendor {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(name)
    }

    /// Writes a file, and returns it as a wheel.
    fn raw(&self, name: &str, bytes: &[u8]) -> Wheel {
        fs::write(self.path(name), bytes).unwrap();
        Wheel::new(self.path(name), &sha256(bytes)).unwrap()
    }

    /// Writes the wheel of a distribution that has these files.
    pub(crate) fn wheel(&self, name: &str, requires: &str, files: &[(&str, &[u8])]) -> Wheel {
        let metadata = metadata(name, requires);
        let path = format!("{name}-1.2.dist-info/METADATA");
        let all = [files, &[(path.as_str(), metadata.as_bytes())]].concat();
        self.raw(&format!("{name}-1.2-py3-none-any.whl"), &archive(&all))
    }

    /// The wheel that most of these tests are about.
    pub(crate) fn shapes(&self) -> Wheel {
        let init = indoc! {"
            import os, sys, subprocess
            from ._area import area
            def listed(): return sorted(os.listdir('/packages'))
        "};
        self.wheel(
            "shapes",
            "",
            &[
                ("shapes/__init__.py", init.as_bytes()),
                ("shapes/_area.py", b"def area(r): return 3 * r * r\n"),
                ("shapes/data/table.txt", b"a,b\n1,2\n"),
                ("shapes-1.2.data/purelib/extra.py", b"x = 'purelib'\n"),
                ("shapes-1.2.data/scripts/run", b"not here\n"),
            ],
        )
    }
}

fn with(wheels: impl IntoIterator<Item = Wheel>) -> Policy {
    let add = |policy: Policy, wheel| policy.with_wheel(wheel).unwrap();
    wheels.into_iter().fold(Policy::computing(), add)
}

#[track_caller]
fn run(policy: Policy, code: &str) -> Outcome {
    let sandbox = Sandbox::new(runtime(), policy).unwrap();
    let outcome = sandbox.run_blocking(code).unwrap();
    assert_eq!(outcome.verdict, Verdict::Completed, "{outcome:?}");
    outcome
}

/// The reason for which a policy can't be used.
fn refusal(policy: Policy) -> String {
    match Sandbox::new(runtime(), policy) {
        Err(error @ Error::Package { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn wheels_are_imported_under_every_profile() {
    let vendor = Vendor::new();
    let shapes = vendor.shapes();
    for profile in Profile::ALL {
        let policy = with([shapes.clone()]).with_source_rules(profile);
        let code =
            "import shapes, extra\nfrom shapes import listed\n[shapes.area(2), extra.x, listed()]";
        let names = ["extra.py", "shapes", "shapes-1.2.dist-info"];
        assert_eq!(
            run(policy, code).json()["value"],
            json!([12, "purelib", names]),
            "{profile:?}"
        );
    }
    // What the package imports, a script may not: under `standard`, `subprocess` is forbidden.
    let sandbox = Sandbox::new(runtime(), with([shapes])).unwrap();
    for code in [
        "import subprocess",
        "import shapes\n__import__('subprocess')",
        "import shape",
    ] {
        assert!(!sandbox.run_blocking(code).unwrap().success(), "{code}");
    }
}

/// `importlib.metadata`, `importlib.resources`, `pkgutil` and tracebacks know them.
#[test]
fn a_package_is_one_for_the_standard_library() {
    let vendor = Vendor::new();
    let failing = vendor.wheel(
        "failing",
        "",
        &[("failing.py", b"def go():\n    return 1 / 0\n")],
    );
    let policy = with([vendor.shapes(), failing]).with_source_rules(Profile::Open);
    let outcome = run(
        policy.clone(),
        indoc! {"
            import importlib.metadata, importlib.resources, inspect, pkgutil, shapes
            found = [importlib.metadata.version('shapes'),
                     importlib.resources.files('shapes').joinpath('data/table.txt').read_text(),
                     sorted(module.name for module in pkgutil.iter_modules(shapes.__path__)),
                     shapes.__file__, inspect.getsource(shapes.area)]
            found
        "},
    );
    assert_eq!(
        outcome.json()["value"],
        json!([
            "1.2",
            "a,b\n1,2\n",
            ["_area"],
            "/packages/shapes/__init__.py",
            "def area(r): return 3 * r * r\n"
        ])
    );
    let sandbox = Sandbox::new(runtime(), policy).unwrap();
    let outcome = sandbox
        .run_blocking("import failing\nfailing.go()")
        .unwrap();
    let said = outcome.stderr.text();
    assert!(
        said.contains("/packages/failing.py\", line 2, in go\n    return 1 / 0"),
        "{said}"
    );
}

/// Nobody changes them: not a script, not a package, not from run to run.
#[test]
fn they_are_for_reading_only() {
    let vendor = Vendor::new();
    let policy = with([vendor.shapes()]).with_source_rules(Profile::Open);
    assert!(
        policy
            .check(Action::ReadFile, "/packages/shapes/__init__.py")
            .allowed()
    );
    let denied = policy.check(Action::WriteFile, "/packages/x");
    assert!(!denied.allowed());
    assert_eq!(denied.rule(), "packages");
    let outcome = run(
        policy.clone(),
        indoc! {"
            import os
            def fails(f, *args):
                try: f(*args)
                except OSError as error: return type(error).__name__
                return 'did not fail'
            file = '/packages/shapes/_area.py'
            [fails(open, file, 'w'), fails(open, file, 'r+'), fails(os.remove, file), fails(os.mkdir, '/packages/x'),
             fails(os.rename, file, '/packages/y'), fails(os.link, file, '/packages/y'), fails(os.utime, file, (0, 0)),
             fails(os.rmdir, '/packages'), fails(os.truncate, file, 0), fails(open, '/packages/../etc/passwd'),
             fails(open, '/packages/none')]
        "},
    );
    let expected = [["PermissionError"; 9].as_slice(), &["FileNotFoundError"; 2]].concat();
    assert_eq!(outcome.json()["value"], json!(expected));
    let again = run(policy, "open('/packages/shapes/_area.py').read()");
    assert_eq!(again.json()["value"], "def area(r): return 3 * r * r\n");
    assert!(again.files.is_empty());
}

#[test]
fn sessions_and_snapshots_go_on_with_them() {
    let vendor = Vendor::new();
    let policy = with([vendor.shapes()]).with_source_rules(Profile::Open);
    let policy = policy.with_work(Policy::WORK).unwrap();
    let sandbox = Sandbox::new(runtime(), policy).unwrap();
    let session = sandbox.session(SessionOptions::default());
    session
        .run_blocking("import shapes\nf = open('/packages/shapes/data/table.txt')\nf.readline()")
        .unwrap();
    let bytes = session.snapshot().wait().unwrap().to_bytes();
    let back = Snapshot::from_bytes(&bytes).unwrap();
    let back = back
        .start(&sandbox, SessionOptions::default())
        .wait()
        .unwrap();
    let code = "import extra\n[shapes.area(1), f.read(), extra.x]";
    for session in [session.fork().wait().unwrap(), back, session] {
        let outcome = session.run_blocking(code).unwrap();
        assert_eq!(
            outcome.json()["value"],
            json!([3, "1,2\n", "purelib"]),
            "{outcome:?}"
        );
    }
}

#[test]
fn directories_are_packages_too() {
    let vendor = Vendor::new();
    let lib = vendor.path("lib");
    fs::create_dir_all(lib.join("tool/__pycache__")).unwrap();
    fs::write(lib.join("tool/__init__.py"), "x = 1").unwrap();
    fs::write(lib.join("tool/__pycache__/x.pyc"), "?").unwrap();
    fs::write(lib.join("single.py"), "y = 2").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", lib.join("link.py")).unwrap();
    let policy = Policy::computing().with_package_directory(&lib).unwrap();
    let sandbox = Sandbox::new(runtime(), policy.clone()).unwrap();
    // It is as it was when the sandbox was made.
    fs::write(lib.join("single.py"), "y = 3").unwrap();
    let outcome = sandbox
        .run_blocking("import single, tool\n[tool.x, single.y]")
        .unwrap();
    assert_eq!(outcome.json()["value"], json!([1, 2]));
    let outcome = run(
        policy.with_source_rules(Profile::Open),
        "import os\nsorted(os.listdir('/packages'))",
    );
    assert_eq!(outcome.json()["value"], json!(["single.py", "tool"]));
}

/// Wheels that are wrong, or not what they seem.
#[test]
fn wheels_are_not_believed() {
    let vendor = Vendor::new();
    let named = |name: &str, files: &[(&str, &[u8])]| vendor.wheel(name, "", files);
    for (path, why) in [
        ("../evil.py", "no path that stays in it"),
        ("/etc/evil.py", "no path that stays in it"),
        ("a/../../evil.py", "no path that stays in it"),
        ("a\\..\\evil.py", "no path that stays in it"),
        (
            "fast/_speed.cpython-314-x86_64-linux-gnu.so",
            "has native code, \"fast/_speed.cpython-314",
        ),
        ("fast/x.pyd", "has native code"),
        ("fast/libx.so.3", "has native code"),
    ] {
        let reason = refusal(with([named("evil", &[(path, b"x")])]));
        assert!(reason.contains(why), "{path}: {reason}");
    }
    // Zeros that take little room until they are unpacked.
    let zeros = vec![0; 300 << 20];
    let reason = refusal(with([named("bomb", &[("zeros.bin", &zeros)])]));
    assert!(
        reason.contains("takes more than 268435456 bytes, unpacked"),
        "{reason}"
    );
    let many: Vec<String> = (0..20_001).map(|i| format!("m/f{i}.py")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert!(refusal(with([named("many", &many)])).contains("has more than 20000 files"));
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.add_symlink("link.py", "/etc/passwd", SimpleFileOptions::default())
        .unwrap();
    let linked = zip.finish().unwrap().into_inner();
    let reason = refusal(with([vendor.raw("linked-1-py3-none-any.whl", &linked)]));
    assert!(reason.contains("which is a link"), "{reason}");
    // A name that stands there twice: the second one is renamed in the bytes.
    let twice = archive(&[("aaaa.py", b"1"), ("bbbb.py", b"2")]);
    let twice = String::from_utf8_lossy(&twice)
        .into_owned()
        .replace("bbbb", "aaaa");
    let plain = archive(&[("aaaa.py", b"1")]);
    for bytes in [
        b"".to_vec(),
        b"PK".to_vec(),
        plain[..40].to_vec(),
        twice.into_bytes(),
        plain,
    ] {
        let reason = refusal(with([vendor.raw("broken-1-py3-none-any.whl", &bytes)]));
        assert!(reason.contains("is no wheel"), "{reason}");
    }
    let native = archive(&[("x.py", b"")]);
    for name in [
        "x-1-cp314-cp314-manylinux_2_28_x86_64.whl",
        "x-1-py2-none-any.whl",
        "x.whl",
    ] {
        let reason = refusal(with([vendor.raw(name, &native)]));
        assert!(
            reason.contains("is for one kind of machine"),
            "{name}: {reason}"
        );
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let vendor = Vendor::new();
    let shapes = vendor.shapes();
    let other = "0".repeat(64);
    let changed = Wheel::new(shapes.file(), &other).unwrap();
    let reason = refusal(with([changed]));
    assert!(
        reason.contains(shapes.sha256()) && reason.contains(&other),
        "{reason}"
    );
    let absent = Wheel::new(vendor.path("absent-1-py3-none-any.whl"), &other).unwrap();
    assert!(refusal(with([absent])).contains("can't be read"));
    let twin = vendor.wheel("twin", "", &[("shapes/_area.py", b"")]);
    let reason = refusal(with([shapes.clone(), twin]));
    assert!(reason.contains("which another package has too"), "{reason}");
    // What a wheel needs; not what it needs elsewhere.
    let requires = "Requires-Dist: Shapes >=1\nRequires-Dist: colour; extra == 'colour'\nRequires-Dist: More_Things";
    let user = vendor.wheel("user", requires, &[("user.py", b"import shapes")]);
    let reason = refusal(with([shapes, user]));
    assert!(
        reason.contains("user-1.2-py3-none-any.whl needs more-things"),
        "{reason}"
    );
    // A directory with a module of that name will do.
    let own = vendor.path("own");
    fs::create_dir(&own).unwrap();
    fs::write(own.join("more_things.py"), "").unwrap();
    let user = vendor.wheel("user", "Requires-Dist: More-Things", &[]);
    let policy = with([user]).with_package_directory(own).unwrap();
    assert!(Sandbox::new(runtime(), policy).is_ok());
    for wrong in ["", "12", &"g".repeat(64)] {
        assert!(Wheel::new("/x.whl", wrong).is_err());
    }
    assert!(Wheel::new("x.whl", &other).is_err());
}

/// In a policy file: read relative to it, told where they are wrong, wider than none.
#[test]
fn a_policy_file_has_them() {
    let vendor = Vendor::new();
    let shapes = vendor.shapes();
    let file = vendor.path("policy.toml");
    let write = |packages: &str| {
        let text = format!("version = 1\npermissions = [\"EXECUTE_CODE\"]\n{packages}");
        fs::write(&file, text).unwrap();
        load_policy(&file)
    };
    fs::create_dir(vendor.path("lib")).unwrap();
    let text = formatdoc! {r#"
        [packages]
        wheels = [{{ file = "shapes-1.2-py3-none-any.whl", sha256 = "{}" }}]
        directories = ["lib"]
    "#, shapes.sha256()};
    let policy = write(&text).unwrap();
    assert_eq!(policy.packages().wheels(), [shapes]);
    assert_eq!(policy.packages().directories(), [vendor.path("lib")]);
    assert_eq!(
        run(policy.clone(), "import shapes\nshapes.area(1)").json()["value"],
        3
    );
    let keys: Vec<_> = policy
        .widenings(&Policy::computing())
        .into_iter()
        .map(|wider| wider.key)
        .collect();
    assert_eq!(keys, ["packages.wheels", "packages.directories"]);
    let form: Policy = serde_json::from_value(json!(policy)).unwrap();
    assert_eq!(form.sha256(), policy.sha256());
    for (packages, why) in [
        ("[packages]\nwheel = []", "wheel"),
        ("[packages]\nwheels = [\"x.whl\"]", "packages.wheels[0]"),
        ("[packages]\nwheels = [{ file = \"x.whl\" }]", "sha256"),
        (
            "[packages]\nwheels = [{ file = \"x.whl\", sha256 = \"12\" }]",
            "64 hexadecimal digits",
        ),
        ("[packages]\ndirectories = [1]", "packages.directories[0]"),
        ("[work]\npath = \"/packages/x\"", "/packages"),
    ] {
        let error = write(packages).unwrap_err().to_string();
        assert!(error.contains(why), "{packages}: {error}");
    }
    // Nothing else lies there, and no script changes where they come from.
    let data = vendor.path("data");
    fs::create_dir(&data).unwrap();
    let grant = Grant::new("/packages/data", &data, Access::READ).unwrap();
    assert!(policy.clone().with_grant(grant).is_err());
    let policy = Policy::new(
        wardian::policy::Permission::EXECUTE_CODE | wardian::policy::Permission::WRITE_FILE,
        Limits::default(),
    );
    let vendored = Grant::new("/v", vendor.path(""), Access::WRITE).unwrap();
    let policy = policy
        .with_grant(vendored)
        .unwrap()
        .with_wheel(vendor.shapes())
        .unwrap();
    assert!(refusal(policy).contains("keep the two apart"));
}

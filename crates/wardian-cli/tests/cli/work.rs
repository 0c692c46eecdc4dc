//! Files that go into a script's working directory, and come out of it.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::*;

const COUNT: &str = "n = len(open('in.txt').read())\nimport pathlib\npathlib.Path('a/b').mkdir(parents=True)\n\
                     pathlib.Path('a/b/count.txt').write_text(str(n))\nopen('top.txt', 'w').write('top')";

/// A directory with a file to hand over.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("in.txt"), "12345").unwrap();
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn run(&self, code: &str, flags: &[&str]) -> Output {
        let file = self.path("in.txt");
        let out = self.path("out");
        let args = [
            "run",
            "--file",
            file.to_str().unwrap(),
            "--out",
            out.to_str().unwrap(),
        ];
        run(&[&args, flags, &["-c", code]].concat())
    }
}

#[test]
fn files_go_in_and_come_out() {
    let place = Place::new();
    let output = place.run(COUNT, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(
        fs::read_to_string(place.path("out/a/b/count.txt")).unwrap(),
        "5"
    );
    assert_eq!(
        fs::read_to_string(place.path("out/top.txt")).unwrap(),
        "top"
    );
    assert!(!place.path("out/in.txt").exists(), "it was not changed");
    let told = text(&output.stderr);
    assert!(told.contains("out/a/b/count.txt (1 B)"), "{told}");
    // Nobody is asked without a terminal, and nothing is written.
    fs::write(place.path("out/top.txt"), "mine").unwrap();
    fs::remove_file(place.path("out/a/b/count.txt")).unwrap();
    let output = place.run(COUNT, &["-q"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("--force"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(
        fs::read_to_string(place.path("out/top.txt")).unwrap(),
        "mine"
    );
    assert!(!place.path("out/a/b/count.txt").exists());
    let output = place.run(COUNT, &["-q", "--force"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    assert_eq!(
        fs::read_to_string(place.path("out/top.txt")).unwrap(),
        "top"
    );
}

/// Links in the directory lead nowhere: the last name is replaced, one on the way is an error.
#[test]
fn no_link_is_followed() {
    let place = Place::new();
    for name in ["out", "elsewhere"] {
        fs::create_dir(place.path(name)).unwrap();
    }
    symlink(place.path("in.txt"), place.path("out/top.txt")).unwrap();
    let output = place.run("open('top.txt', 'w').write('top')", &["--force"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(fs::read_to_string(place.path("in.txt")).unwrap(), "12345");
    assert!(
        !fs::symlink_metadata(place.path("out/top.txt"))
            .unwrap()
            .is_symlink()
    );
    symlink(place.path("elsewhere"), place.path("out/a")).unwrap();
    let output = place.run(COUNT, &["--force"]);
    assert_ne!(output.status.code(), Some(0));
    assert!(
        text(&output.stderr).contains("a/b/count.txt"),
        "{}",
        text(&output.stderr)
    );
    assert!(
        fs::read_dir(place.path("elsewhere"))
            .unwrap()
            .next()
            .is_none()
    );
}

#[test]
fn what_can_not_be_is_told() {
    let place = Place::new();
    let file = place.path("in.txt");
    let file = file.to_str().unwrap();
    let policy = place.path("p.toml");
    fs::write(&policy, "version = 1\npermissions = [\"EXECUTE_CODE\"]\n").unwrap();
    let policy = policy.to_str().unwrap();
    let up = format!("../x={file}");
    for (args, reason) in [
        (&["--file", &up][..], "no path that stays in it"),
        (&["--file", "/missing"], "/missing"),
        (
            &["--file", file, "--policy", policy],
            "gives no working directory",
        ),
        (&["--out", "x", "--policy", policy], "`[work]`"),
        (&["--force"], "--out"),
    ] {
        let output = run(&[&["run"], args, &["-c", "1"]].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let told = text(&output.stderr);
        assert!(told.contains(reason), "{args:?}: {told}");
    }
}

#[test]
fn a_session_file_has_it() {
    let place = Place::new();
    let session = place.path("s");
    let flags = ["--session", session.to_str().unwrap()];
    place.run("open('x', 'w').write('1')", &flags);
    fs::remove_dir_all(place.path("out")).unwrap();
    let output = place.run("print(open('x').read()); open('y', 'w').close()", &flags);
    assert_eq!(text(&output.stdout), "1\n", "{}", text(&output.stderr));
    let written: Vec<_> = fs::read_dir(place.path("out")).unwrap().collect();
    assert_eq!(written.len(), 1, "only that of this call");
}

//! Programs as models write them, under `policies/interpreter.toml` with its packages: they print
//! what CPython prints with the same packages, and leave the same files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wardian::session::Image;
use wardian::{Policy, Sandbox, Script, load_policy};
use wardian_testkit::runtime;

/// The files that a program leaves, by their names, and what it has printed.
type Results = (String, BTreeMap<String, Vec<u8>>);

/// Files that hold what differs from run to run and from zlib to zlib: when they were written, how
/// they are packed. What is in them is printed.
const PACKED: [&str; 2] = ["report.xlsx", "data.xlsx"];

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn policy() -> Policy {
    load_policy(here("../policies/interpreter.toml")).unwrap()
}

/// A sandbox with the packages.
fn sandbox() -> Sandbox {
    let made = Sandbox::new(runtime(), policy());
    made.unwrap_or_else(|error| panic!("{error}; policies/interpreter/fetch gets the packages"))
}

fn programs() -> Vec<(String, String)> {
    let files = fs::read_dir(here("kit")).unwrap();
    let mut programs: Vec<_> = files
        .map(|file| {
            let file = file.unwrap().path();
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(&file).unwrap())
        })
        .collect();
    programs.sort();
    programs
}

fn sales() -> Vec<u8> {
    fs::read(here("../policies/interpreter/sales.csv")).unwrap()
}

/// Runs a program in the sandbox.
fn run(sandbox: &Sandbox, name: &str, program: &str) -> Results {
    let script = Script::new(program).file("sales.csv", sales());
    let outcome = sandbox.run_blocking(script).unwrap();
    assert!(
        outcome.success(),
        "{name}: {:?}\n{}",
        outcome.verdict,
        outcome.stderr.text()
    );
    let files = outcome.files.into_iter();
    let files = files.map(|file| (file.name, file.bytes)).collect();
    (outcome.stdout.text().into_owned(), files)
}

/// Runs a program in CPython, in a directory of its own.
fn run_in_cpython(name: &str, program: &str) -> Results {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::write(path.join("sales.csv"), sales()).unwrap();
    let policy = policy();
    let packages = std::env::join_paths(policy.packages().paths()).unwrap();
    let output = Command::new("python3")
        // Without packages of the machine's own.
        .args(["-S", "-B", "-c", program])
        .current_dir(path)
        .env("PYTHONPATH", packages)
        .env("PYTHONUTF8", "1")
        .env("TMPDIR", "/tmp")
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {error}");
    let mut files = BTreeMap::new();
    collect(path, path, &mut files);
    files.remove("sales.csv");
    (String::from_utf8(output.stdout).unwrap(), files)
}

fn collect(root: &Path, directory: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            files.insert(name.to_owned(), fs::read(&path).unwrap());
        }
    }
}

#[test]
fn twenty_programs_do_what_they_do_in_cpython() {
    let sandbox = sandbox();
    let image = Image::build(&sandbox, None).wait().unwrap();
    assert_eq!(image.not_imported, []);
    let from_image = sandbox.clone().with_image(&image.image).unwrap();
    let programs = programs();
    assert_eq!(programs.len(), 20);
    for (name, program) in programs {
        let (printed, files) = run_in_cpython(&name, &program);
        for sandbox in [&sandbox, &from_image] {
            let (own_printed, own_files) = run(sandbox, &name, &program);
            assert_eq!(own_printed, printed, "{name}");
            let names = |files: &BTreeMap<String, _>| files.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&own_files), names(&files), "{name}");
            for (file, bytes) in &files {
                let is_same = own_files[file] == *bytes || PACKED.contains(&&**file);
                assert!(is_same, "{name}: {file} differs");
            }
        }
    }
}

/// The example makes the picture that the README shows.
#[test]
fn the_example_makes_the_picture_in_readme() {
    let program = fs::read_to_string(here("../policies/interpreter/report.py")).unwrap();
    let (printed, files) = run(&sandbox(), "report.py", &program);
    assert!(include_str!("../README.md").contains(&printed), "{printed}");
    let picture = fs::read(here("../docs/revenue.svg")).unwrap();
    assert!(files["revenue.svg"] == picture, "copy revenue.svg to docs/");
    assert!(files["report.md"].starts_with(b"# Sales of 2025\n"));
}

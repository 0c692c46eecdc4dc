//! Sessions on the command line: their files, and the prompt.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;

fn in_file(file: &Path, code: &str) -> Output {
    run(&["run", "--session", file.to_str().unwrap(), "-c", code])
}

#[track_caller]
fn prints(file: &Path, code: &str, expected: &str) {
    let output = in_file(file, code);
    assert_eq!(text(&output.stderr), "", "{code}");
    assert_eq!(text(&output.stdout), expected, "{code}");
    assert_eq!(output.status.code(), Some(0));
}

fn session(args: &[&str]) -> Output {
    run(&[&["session"], args].concat())
}

#[test]
fn state_goes_on_from_process_to_process() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("work.session");
    prints(
        &file,
        "def numbers():\n    yield from range(9)\nsource = numbers()\nprint(next(source))",
        "0\n",
    );
    prints(&file, "print(next(source))", "1\n");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // A call that is stopped changes nothing, and one that raises does.
    let path = file.to_str().unwrap();
    let stopped = run(&[
        "run",
        "--session",
        path,
        "--fuel",
        "100e6",
        "--allow-wider-policy",
        "-c",
        "next(source)\nwhile True: pass",
    ]);
    assert_eq!(
        stopped.status.code(),
        Some(123),
        "{}",
        text(&stopped.stderr)
    );
    let allowed = run(&[
        "run",
        "--session",
        path,
        "--allow-wider-policy",
        "-c",
        "print(next(source))",
    ]);
    assert_eq!(text(&allowed.stdout), "2\n", "{}", text(&allowed.stderr));
    let raised = in_file(&file, "next(source)\n1/0");
    assert_eq!(raised.status.code(), Some(1));
    assert!(
        text(&raised.stderr).contains("File \"<call 5>\", line 2"),
        "{}",
        text(&raised.stderr)
    );
    prints(&file, "print(next(source))", "4\n");
    let names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn a_session_goes_on_only_under_its_policy() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("work.session");
    let path = file.to_str().unwrap();
    let first = run(&["run", "--session", path, "--fuel", "1e9", "-c", "x = 1"]);
    assert_eq!(first.status.code(), Some(0));
    let wider = run(&["run", "--session", path, "-c", "x"]);
    assert_eq!(wider.status.code(), Some(125));
    let message = text(&wider.stderr);
    assert!(
        message.contains("limits.fuel: 100e9 instead of 1e9"),
        "{message}"
    );
    assert!(message.contains("allow_wider_policy"), "{message}");
    let data = directory.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("in"), "hello").unwrap();
    let file = directory.path().join("files.session");
    let path = file.to_str().unwrap();
    let grant = format!("/in={}", data.display());
    let opened = run(&[
        "run",
        "--session",
        path,
        "--read",
        &grant,
        "-c",
        "f = open('/in/in')\nf.read(2)",
    ]);
    assert_eq!(opened.status.code(), Some(0), "{}", text(&opened.stderr));
    let goes_on = run(&[
        "run",
        "--session",
        path,
        "--read",
        &grant,
        "-q",
        "-c",
        "print(f.read())",
    ]);
    assert_eq!(text(&goes_on.stdout), "llo\n", "{}", text(&goes_on.stderr));
    let flags = ["--session", path, "--allow-wider-policy"];
    let without = run(&[&["run"], &flags[..], &["-c", "1"]].concat());
    assert!(
        text(&without.stderr).contains("/in/in, which is open in the session"),
        "{}",
        text(&without.stderr)
    );
}

#[test]
fn sessions_are_shown_listed_forked_and_compared() {
    let directory = tempfile::tempdir().unwrap();
    let [one, two] = ["one.session", "two.session"].map(|name| directory.path().join(name));
    let [first, second] = [one.to_str().unwrap(), two.to_str().unwrap()];
    prints(&one, "rows = [1, 2, 3]\nname = 'x'", "");
    let shown = session(&["show", first]);
    assert!(
        text(&shown.stdout).contains("rows      list"),
        "{}",
        text(&shown.stdout)
    );
    let json: Value = serde_json::from_slice(&session(&["show", first, "--json"]).stdout).unwrap();
    assert_eq!(
        (&json["calls"], &json["globals"][0]["name"]),
        (&json!(1), &json!("rows"))
    );
    assert!(json["file_bytes"].as_u64().unwrap() < 128 << 10, "{json}");

    assert_eq!(session(&["fork", first, second]).status.code(), Some(0));
    let again = session(&["fork", first, second]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("is there already"));
    assert_eq!(session(&["diff", first, second]).status.code(), Some(0));
    prints(&two, "rows.extend(range(100))\nother = 1.5", "");
    let diff = session(&["diff", first, second, "--json"]);
    assert_eq!(diff.status.code(), Some(1));
    let diff: Value = serde_json::from_slice(&diff.stdout).unwrap();
    assert_eq!(diff["globals"][0]["name"], "other");
    assert_eq!(diff["globals"][1]["name"], "rows");
    let listed = session(&["list", directory.path().to_str().unwrap()]);
    let rows: Vec<_> = text(&listed.stdout).lines().collect();
    assert_eq!(rows.len(), 3, "{rows:?}");
    prints(&one, "print(len(rows))", "3\n");
}

#[test]
fn files_that_are_no_sessions_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("x");
    let path = file.to_str().unwrap();
    prints(&file, "x = 1", "");
    let whole = fs::read(&file).unwrap();
    for (bytes, message) in [
        (b"something else".to_vec(), "does not begin as one"),
        (vec![0; 5000], "does not begin as one"),
        (whole[..whole.len() - 5].to_vec(), "it was cut"),
        (Vec::new(), "does not begin as one"),
    ] {
        fs::write(&file, &bytes).unwrap();
        for args in [
            &["session", "show", path][..],
            &["run", "--session", path, "-c", "1"],
        ] {
            let output = run(args);
            assert_eq!(output.status.code(), Some(125), "{args:?}");
            assert!(
                text(&output.stderr).contains(message),
                "{}",
                text(&output.stderr)
            );
        }
        assert_eq!(fs::read(&file).unwrap(), bytes);
    }
    // One that can't be saved: the old one stays. The file beside it has a longer name than is
    // possible.
    let long = directory.path().join("x".repeat(250));
    fs::write(&long, &whole).unwrap();
    let unsaved = in_file(&long, "x = 2");
    assert_eq!(unsaved.status.code(), Some(125));
    let message = text(&unsaved.stderr);
    assert!(message.contains("which is as it was before"), "{message}");
    assert_eq!(fs::read(&long).unwrap(), whole);
    fs::write(&file, &whole).unwrap();
    prints(&file, "print(x)", "1\n");
}

#[test]
fn two_processes_do_not_have_one_session() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("x.session");
    let path = file.to_str().unwrap();
    let mut first = wardian(&[
        "run",
        "--session",
        path,
        "-c",
        "print('here')\nimport time\ntime.sleep(60)",
    ])
    .spawn()
    .unwrap();
    let mut line = String::new();
    BufReader::new(first.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let second = in_file(&file, "1");
    assert_eq!(second.status.code(), Some(2));
    assert!(
        text(&second.stderr).contains("is in use by another process"),
        "{}",
        text(&second.stderr)
    );
    first.kill().unwrap();
    first.wait().unwrap();
    prints(&file, "print('mine')", "mine\n");
}

/// Types into the prompt, and returns what it shows.
fn type_into(args: &[&str], input: &str) -> Output {
    let mut child = wardian(&[&["repl"], args].concat())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_prompt_is_a_session() {
    let directory = tempfile::tempdir().unwrap();
    let saved = directory.path().join("saved");
    let input = format!(
        "x = 20\nx * 2\n_ + 2\n(1, 'two', None)\nNone\n'text'\ndef f(n):\n    return n + 1\n\nf(x)\n1/0\n\
         for i in range(2):\n    print(i)\n\n:globals\n:save {}\n:undo\n:undo\n:nonsense\nimport socket\n[1,\n2]\n",
        saved.display()
    );
    let output = type_into(&[], &input);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    for shown in [
        "40\n",
        "42\n",
        "(1, 'two', None)\n",
        "'text'\n",
        "21\n",
        "0\n1\n",
        "x         int",
        "f         function",
        "[1, 2]\n",
    ] {
        assert!(stdout.contains(shown), "{shown:?} in {stdout}");
    }
    assert!(!stdout.contains("None\nNone"), "{stdout}");
    for said in [
        "ZeroDivisionError",
        "undone",
        "there is no command `:nonsense`",
        "Forbidden import: socket",
    ] {
        assert!(stderr.contains(said), "{said:?} in {stderr}");
    }
    prints(&saved, "print(f(x), i)", "21 1\n");
}

#[test]
fn a_prompt_goes_on_in_a_file_and_survives_an_interrupt() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("work.session");
    let path = file.to_str().unwrap();
    let mut child = wardian(&["repl", "--session", path])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    stdin
        .write_all(b"x = 1\nprint('here'); x = 2; import time; time.sleep(60)\n")
        .unwrap();
    let here = lines.find(|line| line.as_ref().unwrap().contains("here"));
    assert!(here.is_some());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    stdin.write_all(b"print('x is', x)\n").unwrap();
    drop(stdin);
    let rest: Vec<_> = lines.map(Result::unwrap).collect();
    assert!(rest.iter().any(|line| line.contains("x is 1")), "{rest:?}");
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(
        said.contains("the session is as before this input"),
        "{said}"
    );
    assert_eq!(child.wait().unwrap().code(), Some(0));
    prints(&file, "print(x)", "1\n");
}

/// The prompt in README.md is what a terminal shows.
#[test]
fn the_prompt_in_readme_is_real() {
    let readme = include_str!("../../../../README.md");
    let shown = readme
        .split("```console\n")
        .find(|block| block.starts_with("$ wardian repl"));
    let shown = shown.unwrap().split("```").next().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (command, shown) = shown[2..].split_once('\n').unwrap();
    let command = command.replacen("wardian", env!("CARGO_BIN_EXE_wardian"), 1);
    let mut child = Command::new("script")
        .args(["--quiet", "--command", &command, "/dev/null"])
        .current_dir(directory.path())
        .env("TERM", "dumb")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keys = child.stdin.take().unwrap();
    let mut screen = child.stdout.take().unwrap();
    let mut inputs = shown.lines().filter_map(|line| line.strip_prefix(">>> "));
    let (mut seen, mut piece) = (String::new(), [0; 1024]);
    // The terminal would show what is typed before it is asked for, and so twice.
    while let Ok(count @ 1..) = screen.read(&mut piece) {
        seen.push_str(text(&piece[..count]));
        if seen.ends_with(">>> ") {
            let input = inputs
                .next()
                .map_or("\u{4}".to_owned(), |input| format!("{input}\r"));
            keys.write_all(input.as_bytes()).unwrap();
        }
    }
    assert!(child.wait().unwrap().success());
    assert_eq!(seen.replace('\r', ""), format!("{shown}>>> \n"));
}

//! Exit codes, wrong usage, and where scripts come from.

use super::*;

#[test]
fn every_exit_code() {
    check(&["run", "-c", "print(6*7)"], 0, "42\n", "");
    check(
        &["run", "-c", "print('a'); 1/0"],
        1,
        "a\n",
        "ZeroDivisionError: division by zero\n",
    );
    check(&["run", "-c", "raise SystemExit(3)"], 3, "", "");
    check(&["run", "-c", "raise SystemExit(-1)"], 255, "", "");
    check(
        &["run", "-c", "import os"],
        120,
        "",
        "error: Forbidden import: os\n",
    );
    check(&["run"], 2, "", "Usage:");
    let deep = "t = ()\nfor _ in range(300000): t = (t,)\nhash(t)";
    let output = run(&["run", "-c", deep]);
    assert!(
        matches!(output.status.code(), Some(0 | 1 | 122)),
        "{output:?}"
    );
    let fuel = ["run", "--fuel", "50e6", "-c", "while True: pass"];
    check(
        &fuel,
        123,
        "",
        "wardian: stopped at the fuel limit of 50000000 instructions, in line 1\n",
    );
    let time = [
        "run",
        "--timeout",
        "200ms",
        "-c",
        "import time; time.sleep(60)",
    ];
    check(
        &time,
        124,
        "",
        "wardian: stopped at the time limit of 200ms, in line 1\n",
    );
    let memory = "x = []\nwhile True: x.append('x' * 100000)";
    let output = run(&["run", "--memory", "64MiB", "-c", memory]);
    assert!(matches!(output.status.code(), Some(1 | 126)), "{output:?}");
}

#[test]
fn a_script_that_is_too_large_is_rejected() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "#".repeat((1 << 20) + 1)).unwrap();
    let path = file.path().to_str().unwrap();
    check(
        &["run", path],
        120,
        "",
        "the source takes 1048577 bytes; at most 1048576 are allowed",
    );
}

#[test]
fn exit_codes_stand_in_the_help() {
    let output = run(&["run", "--help"]);
    let help = text(&output.stdout);
    for code in [
        "  0  ", "  1  ", "  2  ", "120  ", "121  ", "122  ", "123  ", "124  ", "125  ", "126  ",
        "127  ", "130  ",
    ] {
        assert!(help.contains(code), "{help}");
    }
}

#[test]
fn scripts_come_from_files_arguments_and_standard_input() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script.py");
    fs::write(
        &script,
        "import sys\nprint(sys.argv, x, y, sys.stdin.read())",
    )
    .unwrap();
    let inputs = dir.path().join("inputs.json");
    fs::write(&inputs, r#"{"x": [1], "y": "from the file"}"#).unwrap();
    let data = dir.path().join("data.txt");
    fs::write(&data, "data").unwrap();
    let [script, inputs, data] = [&script, &inputs, &data].map(|path| path.to_str().unwrap());
    check(
        &[
            "run",
            script,
            "--profile",
            "open",
            "--inputs",
            inputs,
            "--input",
            "y=\"typed\"",
            "--stdin",
            data,
            "--",
            "-a",
            "b",
        ],
        0,
        "['<snippet>', '-a', 'b'] [1] typed data\n",
        "",
    );
    let mut child = wardian(&["run", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"print('from stdin')")
        .unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"from stdin\n");
    let mut child = wardian(&["run", "-c", "print(input())", "--stdin", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"typed\n").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"typed\n");
}

#[test]
fn wrong_usage_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let binary = dir.path().join("binary.py");
    fs::write(&binary, b"x = '\xff'").unwrap();
    let list = dir.path().join("list.json");
    fs::write(&list, "[1]").unwrap();
    let [binary, list] = [&binary, &list].map(|path| path.to_str().unwrap());
    for (args, message) in [
        (
            &["run", "/no/such.py"][..],
            "cannot read /no/such.py: No such file",
        ),
        (&["run", "/"], "/ has no main.py, which is what is run"),
        (
            &["run", binary],
            "is not UTF-8: byte 5 belongs to no character",
        ),
        (&["run", "-c", "1", "file.py"], "cannot be used with"),
        (
            &["run", "-c", "1", "--memory", "1MiB"],
            "for '--memory <SIZE>': it can be 64 MiB to 2 GiB",
        ),
        (
            &["run", "-c", "1", "--timeout", "0s"],
            "for '--timeout <TIME>': it can be 1ms to 1day",
        ),
        (
            &["run", "-c", "1", "--timeout", "soon"],
            "write a time with its unit: \"500ms\", \"10s\", \"2m\"",
        ),
        (
            &["run", "-c", "1", "--fuel", "lots"],
            "write a whole number: 1000, 1e9",
        ),
        (&["run", "-c", "1", "--input", "x"], "write it as NAME=JSON"),
        (
            &["run", "-c", "1", "--input", "x=abc"],
            "a string needs quotes: x='\"text\"'",
        ),
        (
            &["run", "-c", "1", "--input", "a b=1"],
            "\"a b\" is not a name that a Python variable can have",
        ),
        (
            &["run", "-c", "1", "--inputs", list],
            "is not a JSON object",
        ),
        (&["run", "-", "--stdin", "-"], "can't be both"),
        (&["run", "-c", "1", "--timout", "1s"], "--timeout"),
        (&["rum"], "run"),
        (&["script.py"], "to run a script: wardian run script.py"),
        (
            &["run"],
            "name a file, `-` for standard input, or give the source with -c",
        ),
        (
            &["run", "x.py", "extra"],
            "what is for the script comes after `--`: wardian run FILE -- extra",
        ),
        (&["run", "--net", "x.py"], "a script has no network"),
        (
            &["run", "--allow-read", "x.py"],
            "--read DIR grants a directory",
        ),
        (&["run", "-c", "1", "--fuel", "-5"], "write a whole number"),
        (
            &["run", "-c", "1", "--fuel", "1e30"],
            "it can be 1e6 to 1e18, or unlimited",
        ),
    ] {
        check(args, 2, "", message);
    }
}

/// REVIEW A 28.
#[test]
fn a_28_an_input_is_given_once() {
    check(
        &["run", "--input", "x=1", "--input", "x=2", "-c", "print(x)"],
        2,
        "",
        "--input x is given twice",
    );
}

#[test]
fn version_completions_and_manual() {
    let version = run(&["version"]);
    for part in [
        "wardian",
        "wasmtime      48.",
        "rustpython    0.6.",
        "module",
        "snapshot",
        "machine code",
    ] {
        assert!(text(&version.stdout).contains(part), "{part}");
    }
    let json: Value = serde_json::from_slice(&run(&["version", "--json"]).stdout).unwrap();
    assert_eq!(json["image_sha256"].as_str().unwrap().len(), 64);
    for shell in ["bash", "fish", "zsh"] {
        assert!(
            text(&run(&["completions", shell]).stdout).contains("timeout"),
            "{shell}"
        );
    }
    let manual = run(&["man", "run"]);
    assert!(text(&manual.stdout).contains("timeout"));
    // Every page that a page refers to is there.
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path();
    assert!(
        run(&["man", "--out", pages.to_str().unwrap()])
            .status
            .success()
    );
    let mut references = 0;
    for page in fs::read_dir(pages).unwrap() {
        let page = fs::read_to_string(page.unwrap().path()).unwrap();
        for line in page.lines() {
            let name = line
                .strip_suffix("(1)")
                .filter(|name| name.starts_with("wardian"));
            if let Some(name) = name {
                let name = name.replace("\\-", "-");
                assert!(pages.join(format!("{name}.1")).is_file(), "{name}");
                references += 1;
            }
        }
    }
    assert!(references > 10, "{references}");
}

#[test]
fn nothing_of_this_machine_is_visible() {
    let code =
        "import os\nprint(dict(os.environ), os.path.exists('/etc'), os.path.exists('/proc'))";
    let output = wardian(&["run", "--profile", "open", "-c", code])
        .env("SECRET", "seen")
        .output()
        .unwrap();
    assert_eq!(text(&output.stdout), "{} False False\n");
}

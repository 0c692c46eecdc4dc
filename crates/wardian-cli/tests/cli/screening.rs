//! `wardian screen`.

use super::*;

/// Two forbidden sources, and everything that `check` is for.
#[test]
fn sources_are_checked_without_being_run() {
    let files = Files::new(&[
        (
            "good.py",
            "import math\nprint(math.pi)\nprint(math.sqrt(16))\n",
        ),
        ("bad.py", "import os\nx = eval(input())\nos.system('ls')\n"),
        ("broken.py", "def f(:\n"),
        ("evil.py", "import os # \u{1b}]0;pwned\u{7}\n"),
    ]);
    let [good, bad, broken, evil] =
        ["good.py", "bad.py", "broken.py", "evil.py"].map(|name| files.path(name));
    check(&["screen", &good], 0, "", "");
    check(&["run", &good], 0, "3.141592653589793\n4.0\n", "");
    let output = run(&["screen", &good, &bad, &broken]);
    assert_eq!(output.status.code(), Some(120));
    let stderr = text(&output.stderr);
    for said in [
        format!("error: Forbidden import: os\n --> {bad}:1:8\n"),
        "1 | import os\n  |        ^^\n".to_owned(),
        format!("error: Forbidden call: eval()\n --> {bad}:2:5\n"),
        format!("error: Syntax error: '(' was never closed\n --> {broken}:1:6\n"),
    ] {
        assert!(stderr.contains(&said), "{stderr}\ndoes not say\n{said}");
    }
    // A run says the same, and what to do about it.
    let output = run(&["run", &bad]);
    assert_eq!(output.status.code(), Some(120));
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("error: Forbidden call: eval()\n"),
        "{stderr}"
    );
    assert!(
        stderr.contains("wardian: the profile `standard` forbids the call"),
        "{stderr}"
    );
    check(&["screen", "--profile", "open", &bad], 0, "", "");
    check(&["screen", "--profile", "strict", &good], 0, "", "");
    check(&["screen", &files.path("none.py")], 2, "", "No such file");
    check(&["screen", "--profile", "stric", &good], 2, "", "strict");
    check(
        &["screen", "--policy", &example("strict"), &bad],
        120,
        "",
        "Forbidden import: os",
    );
    let output = run(&["screen", "--json", &good, &bad]);
    let lines: Vec<Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&lines[0]["ok"], &lines[1]["ok"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(lines[1]["violations"][0]["text"], "os");
    assert_eq!(lines[1]["violations"][1]["line"], 2);
    let output = run(&["screen", &evil]);
    assert!(
        !output.stderr.contains(&0x1b) && !output.stderr.contains(&7),
        "{output:?}"
    );
    let mut child = wardian(&["screen", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"import os").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(120));
    assert!(text(&output.stderr).contains(" --> <snippet>:1:8"));
}

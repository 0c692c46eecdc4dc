//! Nothing of the host is visible, and nothing of one run is visible to another.

use serde_json::json;
use wardian::{Sandbox, Script, Verdict};

use crate::{printed, raised, run, runtime, unscreened, value};

#[test]
fn no_file_of_the_host_is_visible() {
    for code in [
        "open('/etc/passwd')",
        "open('/proc/self/environ')",
        "open('../../etc/passwd')",
        "open('/tmp/x', 'w')",
        "open('x', 'w')",
        "import os; os.mkdir('/tmp/y')",
        "import os; os.stat('/tmp')",
        "import os; os.listdir('/etc')",
    ] {
        let outcome = run(format!(
            "try:\n    {}\nexcept OSError as e:\n    print('refused')",
            code.replace("; ", "\n    ")
        ));
        assert_eq!(
            outcome.stdout.text(),
            "refused\n",
            "{code}: {:?}",
            outcome.verdict
        );
    }
    assert_eq!(
        value("import os\n[os.path.exists('/etc/passwd'), os.listdir('/'), os.listdir('.')]"),
        json!([false, [], []])
    );
}

#[test]
fn existing_and_missing_files_look_the_same() {
    let error = |path: &str| {
        value(format!(
            "try: open({path:?})\nexcept OSError as e: x = [type(e).__name__, e.errno]\nx"
        ))
    };
    assert_eq!(error("/etc/passwd"), error("/etc/there-is-no-such-file"));
    assert_eq!(error("/proc/self/fd/0"), error("/proc/self/fd/9999"));
}

#[test]
fn the_environment_is_empty() {
    assert_eq!(value("import os\ndict(os.environ)"), json!({}));
    assert_eq!(
        value("import os\n[os.getenv('PATH'), os.getenv('HOME')]"),
        json!([null, null])
    );
}

#[test]
fn there_are_no_processes_no_sockets_no_threads() {
    for (code, expected) in [
        ("import subprocess", "ModuleNotFoundError"),
        ("import socket", "ModuleNotFoundError"),
        ("import _socket", "ModuleNotFoundError"),
        ("import ctypes", "ModuleNotFoundError"),
        ("import multiprocessing", "ModuleNotFoundError"),
        ("import mmap", "ModuleNotFoundError"),
        ("import urllib.request", "ModuleNotFoundError"),
        ("import os; os.fork()", "AttributeError"),
        ("import os; os.execv('/bin/sh', ['sh'])", "AttributeError"),
        (
            "import threading\nthreading.Thread(target=print).start()",
            "RuntimeError",
        ),
        (
            "import _thread\n_thread.start_new_thread(print, ())",
            "RuntimeError",
        ),
    ] {
        assert_eq!(raised(code).0, expected, "{code}");
    }
    let outcome = run("import os\nos.system('id')");
    assert!(
        matches!(outcome.verdict, Verdict::Raised(_)),
        "{:?}",
        outcome.verdict
    );
}

#[test]
fn no_path_of_the_building_machine_is_visible() {
    let code = "import sys, json, os\nprint(sys.path, sys.prefix, sys.executable, json.__file__ if hasattr(json, '__file__') \
                else '', sys._stdlib_dir if hasattr(sys, '_stdlib_dir') else '', json.loads.__code__.co_filename, os.getcwd())";
    let text = printed(code);
    for part in ["/root", ".cargo", "registry", "/home", "/work", "/target"] {
        assert!(!text.contains(part), "{text}");
    }
}

#[test]
fn what_a_run_leaves_behind_is_gone() {
    let sandbox = Sandbox::new(runtime(), unscreened()).unwrap();
    let spoil = "import builtins, sys, json, os, random\nbuiltins.marker = 1\njson.loads = None\n\
                 sys.modules['math'] = 'broken'\nos.environ['LEFT'] = 'x'\nrandom.seed(1)\nx = 1\n\
                 del builtins.print";
    assert_eq!(
        sandbox.run_blocking(spoil).unwrap().verdict,
        Verdict::Completed
    );
    let look = "import builtins, json, math, os\n\
                [hasattr(builtins, 'marker'), json.loads('[1]'), math.floor(1.5), dict(os.environ), 'x' in globals()]";
    let outcome = sandbox.run_blocking(look).unwrap();
    assert_eq!(outcome.json()["value"], json!([false, [1], 1, {}, false]));
}

#[test]
fn no_two_runs_share_a_random_number() {
    for code in [
        "import random\nrandom.random()",
        "import random\nrandom.SystemRandom().random()",
        "import uuid\nstr(uuid.uuid4())",
        "import secrets\nsecrets.token_hex(8)",
        "import os\nos.urandom(8).hex()",
        "import tempfile\nnext(tempfile._get_candidate_names())",
        "import random\nrandom.Random().random()",
    ] {
        assert_ne!(value(code), value(code), "{code}");
    }
}

#[test]
fn the_clock_runs() {
    assert!(
        value("import time\ntime.time() > 1_700_000_000 and time.time() < 10_000_000_000")
            == json!(true)
    );
    assert_eq!(
        value(
            "import time\na = time.monotonic()\ntime.sleep(0.01)\nround(time.monotonic() - a, 2) >= 0.01"
        ),
        json!(true)
    );
    assert_eq!(
        value("import datetime\ndatetime.datetime.now().year >= 2024"),
        json!(true)
    );
    assert_eq!(
        value("import time\n[time.tzname[0], time.timezone]"),
        json!(["UTC", 0])
    );
}

#[test]
fn the_object_graph_leads_nowhere() {
    for code in [
        "[c for c in ().__class__.__base__.__subclasses__() if 'wrap_close' in c.__name__][0].__init__.__globals__['system']('id')",
        "(lambda:0).__globals__['__builtins__'].open('/etc/passwd')",
        "g = (g.gi_frame.f_back.f_back for _ in [1]); [*g][0].f_globals['__builtins__']['open']('/etc/passwd')",
        "import pickle; pickle.loads(b\"cos\\nsystem\\n(S'id'\\ntR.\")",
        "eval(chr(0xd800))",
    ] {
        let verdict = run(code).verdict;
        assert!(matches!(verdict, Verdict::Raised(_)), "{code}: {verdict:?}");
    }
}

/// A crash of the interpreter is confined, and its message shows nothing of the machine.
#[test]
fn a_panic_of_the_interpreter_is_a_crash_and_silent() {
    for code in [
        "import types\nf = lambda: 0\nf.__code__ = f.__code__.replace(co_code=b'\\x64\\xff' * 9)\nf()",
        "import marshal\nmarshal.loads(b'c' + bytes(range(200)))",
        "import _md5\n_md5.md5()",
    ] {
        let outcome = run(Script::new(code));
        let confined = matches!(
            outcome.verdict,
            Verdict::Raised(_) | Verdict::Crashed { .. } | Verdict::Completed
        );
        assert!(confined, "{code}: {:?}", outcome.verdict);
        assert!(
            !outcome.stderr.text().contains("panicked"),
            "{}",
            outcome.stderr.text()
        );
        assert_eq!(printed("print('next')"), "next\n");
    }
}

//! Nothing of the host is visible, and nothing of one run is visible to another.

use std::time::Duration;

use indoc::indoc;
use serde_json::json;
use wardian::{
    Limits, Runtime, Sandbox, Script, Verdict,
    policy::{Access, Allowance, Grant, Permission},
};

use crate::{little_fuel, printed, raised, run, runtime, unscreened, value};

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
        ("import subprocess; subprocess.run(['id'])", "OSError"),
        (
            "import socket; socket.create_connection(('127.0.0.1', 80))",
            "OSError",
        ),
        ("import _socket", "ModuleNotFoundError"),
        ("import ctypes; ctypes.CDLL(None)", "OSError"),
        ("import multiprocessing", "ModuleNotFoundError"),
        ("import mmap; mmap.mmap(-1, 1)", "OSError"),
        (
            "import urllib.request; urllib.request.urlopen('http://127.0.0.1')",
            "OSError",
        ),
        ("import os; os.fork()", "AttributeError"),
        ("import os; os.execv('/bin/sh', ['sh'])", "AttributeError"),
        // Threads are the guest's own: a lock that nobody can release is an error, not a wait.
        (
            indoc! {"
                import threading
                lock = threading.Lock()
                lock.acquire()
                lock.acquire()"},
            "RuntimeError",
        ),
        (
            indoc! {"
                import threading, queue
                threading.Thread(target=queue.Queue().get).start()
                queue.Queue().get()"},
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
    let code = "import sys, json, os\nprint(sys.path, sys.prefix, sys.executable, json.__file__ if \
                hasattr(json, '__file__') \
                else '', sys._stdlib_dir if hasattr(sys, '_stdlib_dir') else '', \
                json.loads.__code__.co_filename, os.getcwd())";
    let text = printed(code);
    for part in ["/root", ".cargo", "registry", "/home", "/work", "/target"] {
        assert!(!text.contains(part), "{text}");
    }
}

#[test]
fn what_a_run_leaves_behind_is_gone() {
    let sandbox = Sandbox::new(runtime(), unscreened()).unwrap();
    let spoil = indoc! {"
        import builtins, sys, json, os, random
        builtins.marker = 1
        json.loads = None
        sys.modules['math'] = 'broken'
        os.environ['LEFT'] = 'x'
        random.seed(1)
        x = 1
        del builtins.print"};
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
        value(indoc! {"
                import time
                a = time.monotonic()
                time.sleep(0.01)
                round(time.monotonic() - a, 2) >= 0.01"}),
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
        "[c for c in ().__class__.__base__.__subclasses__() if 'wrap_close' in \
         c.__name__][0].__init__.__globals__['system']('id')",
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
        indoc! {r"
            import types
            f = lambda: 0
            f.__code__ = f.__code__.replace(co_code=b'\x64\xff' * 9)
            f()"},
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

/// Puts a marker wherever a script can: the heap, tables of the interpreter and its modules,
/// buffers.
const FILL: &str = "
import atexit, builtins, codecs, functools, io, linecache, logging, os, random, re, sys, warnings
m = 'marker-' + 'm' * 50
heap = [m + str(i) for i in range(5000)] + [bytearray(m.encode() * 1000)] + [{m + str(i): i for i in range(999)}]
setattr(builtins, m, m); sys.modules[m] = heap; os.environ[m] = m; sys.path.append(m); sys.argv.append(m)
sys.intern(m); re.compile(m); random.seed(m); warnings.filterwarnings('ignore', m); linecache.cache[m] = (1, 1, [m], m)
logging.getLogger(m).addHandler(logging.StreamHandler(io.StringIO(m)))
codecs.register(lambda name: None); atexit.register(print, m); functools.lru_cache(len)(m)
type(m, (Exception,), {m: m}); exec(compile('def f(): return m', m, 'exec'))
sys.stdout.write(m); sys.stderr.write(m); file = open('/d/' + m, 'w'); file.write(m)
";

/// Whatever ends a run, the memory of the next one is the snapshot again, byte by byte.
#[test]
fn nothing_of_a_run_is_in_the_memory_of_the_next() {
    let runtime = Runtime::new().unwrap();
    runtime.verify_memory();
    let directory = tempfile::tempdir().unwrap();
    let short = Allowance::AtMost(Duration::from_millis(300));
    let limits = Limits::default().with_timeout(short).unwrap();
    let sandbox = |limits: Limits| {
        let policy = unscreened()
            .with_limits(limits)
            .with_permissions(Permission::READ_FILE | Permission::WRITE_FILE)
            .with_grant(Grant::new("/d", directory.path(), Access::READ_WRITE).unwrap());
        Sandbox::new(&runtime, policy.unwrap()).unwrap()
    };
    let within_time = sandbox(little_fuel());
    let in_time = sandbox(limits.with_fuel(Allowance::Unlimited).unwrap());
    let is_new = || {
        let looked =
            within_time.run_blocking("import sys\n[m for m in sys.modules if 'marker' in m]");
        assert_eq!(looked.unwrap().json()["value"], json!([]));
    };
    for (sandbox, end, ending) in [
        (&within_time, "1", "completed"),
        (&within_time, "raise ValueError(m)", "raised"),
        (&within_time, "sys.exit(m)", "exited"),
        (&within_time, "eval('-' * 100000 + '1')", "crashed"),
        (
            &within_time,
            "f.__code__ = f.__code__.replace(co_code=b'\\x64\\xff' * 9); f()",
            "crashed",
        ),
        (
            &within_time,
            "while True: heap.append(bytearray(1 << 20))",
            "memory",
        ),
        (&within_time, "while True: pass", "fuel"),
        (&in_time, "while True: pass", "time"),
        (&in_time, "import time; time.sleep(9)", "time"),
    ] {
        for _ in 0..2 {
            let outcome = sandbox.run_blocking(format!("{FILL}\n{end}")).unwrap();
            assert_eq!(
                outcome.verdict.ending(),
                ending,
                "{end}: {}",
                outcome.stderr.text()
            );
            is_new();
        }
    }
    let timers = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let timers = timers.unwrap();
    for wait in [0, 1, 2, 5, 10, 20, 50] {
        let run = in_time.run(format!("{FILL}\nwhile True: heap.append(m)"));
        let given_up = async { tokio::time::timeout(Duration::from_millis(wait), run).await };
        assert!(timers.block_on(given_up).is_err());
        is_new();
    }
}

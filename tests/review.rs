//! Findings of a review, once more: each test is named after its line, `a_10_…` after A 10. Those
//! of databases, HTTP, mail and the command line are beside the tests of these.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indoc::indoc;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wardian::audit::{Chain, Draft, FileSink, Sink, Sync, verify};
use wardian::policy::Allowance::AtMost;
use wardian::{
    Call, Error, Gate, Limits, Log, Policy, Sandbox, Script, Tool, ToolError, Verdict, load_policy,
    outcome::Trap,
    policy::{Access, Action, Allowance, Grant, Limit, Permission, Profile, ToolRules},
    tool::{Approval, ApprovalRequest, CallError},
};

use crate::runtime;
use crate::world::World;

#[derive(Serialize, Deserialize, JsonSchema)]
struct Any {
    value: Value,
}

fn tool<Working: Future<Output = Result<Value, ToolError>> + Send + 'static>(
    name: &str,
    handler: impl Fn(Any, Call) -> Working + Send + std::marker::Sync + 'static,
) -> Tool {
    Tool::new(name, Action::Execute, handler).unwrap()
}

fn open_policy(limits: Limits) -> Policy {
    Policy::new(Permission::EXECUTE_CODE, limits)
        .with_source_rules(Profile::Open)
        .with_tool("work", ToolRules::default())
}

fn sandbox(policy: Policy, tools: impl IntoIterator<Item = Tool>) -> Sandbox {
    Sandbox::new(runtime(), policy)
        .unwrap()
        .with_tools(tools)
        .unwrap()
}

fn limits(limit: Limit, amount: u64) -> Limits {
    Limits::default().with(limit, AtMost(amount)).unwrap()
}

/// Small as text, large when it is parsed.
#[test]
fn a_7_arguments_are_weighed_before_they_are_parsed() {
    let work = tool("work", async |args: Any, _| {
        Ok(args.value.as_array().map_or(0, Vec::len).into())
    });
    let policy = open_policy(limits(Limit::HostMemory, 64 << 20));
    let outcome = sandbox(policy, [work])
        .run_blocking(indoc! {"
                from wardian import tools
                def t(value):
                    try: return tools.work(value)
                    except ValueError as error: return str(error)
                [t([{'a': 0}] * 20), t(['x' * 1_000_000]), t([{'a': 0}] * 130_000)]"})
        .unwrap();
    let value = &outcome.json()["value"];
    assert_eq!((&value[0], &value[1]), (&json!(20), &json!(1)), "{value}");
    assert!(
        value[2].as_str().unwrap().contains("limits.host_memory"),
        "{value}"
    );
}

/// Calls that would take more than there is wait for each other, and all come to their end.
#[test]
fn a_7_calls_wait_for_memory() {
    let most = Arc::new(AtomicUsize::new(0));
    let (at_once, peak) = (Arc::new(AtomicUsize::new(0)), most.clone());
    let work = tool("work", move |_: Any, _| {
        let (at_once, peak) = (at_once.clone(), peak.clone());
        async move {
            peak.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            at_once.fetch_sub(1, Ordering::SeqCst);
            Ok(json!("y".repeat(900_000)))
        }
    });
    // A call takes 2 MiB for its reply, and what its arguments take.
    let policy = open_policy(limits(Limit::HostMemory, 16 << 20));
    let code = indoc! {"
        import asyncio
        from wardian import aio
        async def all(): return await asyncio.gather(*(aio.work(i) for i in range(64)))
        [len(reply) for reply in asyncio.run(all())] == [900_000] * 64"};
    let outcome = sandbox(policy, [work]).run_blocking(code).unwrap();
    assert_eq!(outcome.json()["value"], true, "{}", outcome.stderr.text());
    let peak = most.load(Ordering::SeqCst);
    assert!((2..=8).contains(&peak), "{peak}");
}

/// A file that can't be returned is not read.
#[test]
fn a_7_files_are_read_by_their_size() {
    let world = World::new();
    fs::write(world.path("rw/large"), vec![b'x'; 2 << 20]).unwrap();
    fs::write(world.path("rw/small"), vec![b'x'; 1_000_000]).unwrap();
    let files = Permission::READ_FILE | Permission::EXECUTE_CODE;
    let policy = world
        .policy(files)
        .with_tool("read_file", ToolRules::default());
    let tools = wardian_tools::ready(&policy).unwrap();
    let gate = Gate::new(policy).unwrap().with_tools(tools).unwrap();
    let read = |path: &str| {
        let tool = gate.tool("read_file").unwrap();
        tool.call_blocking(&json!({ "path": path }))
    };
    assert_eq!(
        read("/rw/small").unwrap().as_str().unwrap().len(),
        1_000_000
    );
    assert!(
        matches!(read("/rw/large"), Err(CallError::Failed(why)) if why.contains("2097152 bytes"))
    );
}

/// Amounts that are asked for and counted at once do not go over together.
#[test]
fn a_10_quotas_hold_for_calls_at_once() {
    let world = World::new();
    let limits = limits(Limit::BytesWritten, 2 << 20)
        .with(Limit::FilesCreated, AtMost(10))
        .unwrap();
    let files = Permission::WRITE_FILE | Permission::EXECUTE_CODE;
    let policy = world
        .policy(files)
        .with_limits(limits)
        .with_tool("write_file", ToolRules::default());
    let tools = wardian_tools::ready(&policy).unwrap();
    let code = "import asyncio\nfrom wardian import aio\nasync def one(i):\n    \
                try: return await aio.write_file(f'/rw/q{i}', 'x' * 900_000)\n\
                \x20   except Exception as error: return type(error).__name__\n\
                async def all(): return await asyncio.gather(*(one(i) for i in range(64)))\n\
                sum(isinstance(n, int) for n in asyncio.run(all()))";
    let outcome = sandbox(policy, tools).run_blocking(code).unwrap();
    let written: Vec<u64> = fs::read_dir(world.path("rw"))
        .unwrap()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with('q'))
        .map(|entry| entry.metadata().unwrap().len())
        .collect();
    assert!(written.len() <= 10, "{written:?}");
    assert!(written.iter().sum::<u64>() <= 2 << 20, "{written:?}");
    assert!(outcome.usage.bytes_written <= 2 << 20);
    assert_eq!(outcome.json()["value"], 2, "{}", outcome.stderr.text());
}

/// `max_calls` too, and the questions that go with calls.
#[test]
fn a_10_calls_and_questions_are_counted_before() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let mut rules = ToolRules::default();
    (rules.max_calls, rules.approval) = (Some(3), true);
    let policy = open_policy(Limits::default()).with_tool("work", rules);
    let approver = Arc::new(move |_: ApprovalRequest| {
        counted.fetch_add(1, Ordering::SeqCst);
        async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Approval::Approved {
                by: "test".to_owned(),
            }
        }
    });
    let code = indoc! {"
        import asyncio
        from wardian import aio
        async def one(i):
            try: return await aio.work(i)
            except PermissionError: return 'no'
        async def all(): return await asyncio.gather(*(one(i) for i in range(20)))
        asyncio.run(all()).count('no')"};
    let outcome = sandbox(policy, [tool("work", async |_: Any, _| Ok(json!("yes")))])
        .with_approver(approver)
        .run_blocking(code)
        .unwrap();
    assert_eq!(outcome.json()["value"], 17, "{}", outcome.stderr.text());
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[test]
fn a_11_the_log_of_a_run_is_bounded_in_bytes() {
    let (log, memory) = Log::memory();
    let policy = open_policy(limits(Limit::RecordBytes, 1 << 20));
    let work = tool("work", async |_: Any, _| Ok(Value::Null));
    let code = indoc! {"
        from wardian import tools
        while True:
            try: tools.work('x' * 5_000)
            except BaseException: pass"};
    let outcome = sandbox(policy, [work])
        .with_audit(log)
        .unwrap()
        .run_blocking(code)
        .unwrap();
    assert!(
        matches!(
            outcome.verdict,
            Verdict::Limit {
                limit: Limit::RecordBytes,
                ..
            }
        ),
        "{:?}",
        outcome.verdict
    );
    let text = memory.text();
    assert!((600 << 10..1 << 20).contains(&text.len()), "{}", text.len());
    assert_eq!(verify(text.as_bytes()).unwrap().open_calls, []);
}

/// A script can't write where the log is: neither beside it nor on the way to it.
#[test]
fn a_18_no_log_lies_where_scripts_may_write() {
    let world = World::new();
    fs::create_dir(world.path("rw/logs")).unwrap();
    fs::create_dir(world.path("logs")).unwrap();
    symlink(world.path("logs"), world.path("rw/linked")).unwrap();
    for (path, is_fine) in [
        ("rw/audit.jsonl", false),
        ("rw/logs/audit.jsonl", false),
        ("wo/audit.jsonl", false),
        ("rw/linked/audit.jsonl", false),
        ("ro/../rw/audit.jsonl", false),
        ("ro/audit.jsonl", true),
        ("logs/audit.jsonl", true),
    ] {
        let log = Log::file(world.path(path)).unwrap();
        let with_audit = world.sandbox().with_audit(log);
        assert_eq!(with_audit.is_ok(), is_fine, "{path}");
        if let Err(error) = with_audit {
            assert!(matches!(error, Error::Audit(_)), "{error}");
        }
    }
    let paired = Log::new((
        wardian::audit::Memory::default(),
        FileSink::open(world.path("rw/audit.jsonl"), Sync::Never).unwrap(),
    ));
    assert!(world.sandbox().with_audit(paired).is_err());
}

/// A log from which records are gone ends the run, and no new chain starts.
#[test]
fn a_18_a_log_that_has_shrunk_ends_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let sandbox = Sandbox::new(runtime(), open_policy(Limits::default()))
        .unwrap()
        .with_tools([tool("work", async |_: Any, _| Ok(Value::Null))])
        .unwrap()
        .with_audit(Log::file(&path).unwrap())
        .unwrap();
    sandbox.run_blocking("1").unwrap();
    let whole = fs::read_to_string(&path).unwrap();
    let first = whole.split_inclusive('\n').next().unwrap().to_owned();
    let other = whole.replace(&first, "");
    for tampered in [
        "",
        first.as_str(),
        other.as_str(),
        &format!("{other}{first}{first}"),
    ] {
        fs::write(&path, tampered).unwrap();
        let ended = sandbox.run_blocking("1");
        assert!(
            matches!(&ended, Err(Error::Audit(_))),
            "{tampered} {ended:?}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), tampered);
    }
    // As it was, and as another process has gone on with it.
    fs::write(&path, &whole).unwrap();
    sandbox.run_blocking("1").unwrap();
    let elsewhere = Log::file(&path).unwrap();
    let other = Sandbox::new(runtime(), Policy::computing()).unwrap();
    other
        .with_audit(elsewhere)
        .unwrap()
        .run_blocking("1")
        .unwrap();
    sandbox.run_blocking("1").unwrap();
    assert_eq!(
        verify(fs::read(&path).unwrap().as_slice()).unwrap().records,
        8
    );
}

/// A sink that fails once leaves a chain that can be gone on with.
#[test]
fn a_19_a_failure_ends_the_run_and_not_the_chain() {
    struct FailingOnce(Chain, wardian::audit::Memory, usize, usize);
    impl Sink for FailingOnce {
        fn append(&mut self, draft: &Draft<'_>) -> io::Result<()> {
            self.3 += 1;
            if self.3 == self.2 {
                return self
                    .0
                    .append(draft, |_| Err(io::ErrorKind::StorageFull.into()));
            }
            self.1.append(draft)
        }
    }
    for fails_at in 1..=4 {
        let memory = wardian::audit::Memory::default();
        let log = Log::new(FailingOnce(Chain::default(), memory.clone(), fails_at, 0));
        let work = tool("work", async |_: Any, _| Ok(Value::Null));
        let sandbox = sandbox(open_policy(Limits::default()), [work]);
        let sandbox = sandbox.with_audit(log).unwrap();
        let code = "from wardian import tools\ntools.work(1)";
        let ended = sandbox.run_blocking(code);
        assert!(
            matches!(ended, Err(Error::Audit(_))),
            "{fails_at} {ended:?}"
        );
        sandbox.run_blocking(code).unwrap();
        let verified = verify(memory.text().as_bytes());
        assert!(verified.is_ok(), "{fails_at} {verified:?}");
    }
}

#[test]
fn a_21_a_crash_after_a_caught_memory_error_is_a_crash() {
    // RustPython panics over code that no compiler has made.
    let panics = indoc! {r"
            import types
            f = lambda: 0
            f.__code__ = f.__code__.replace(co_code=b'\x64\xff' * 9)
        "};
    let outcome = crate::run(format!("{panics}f()"));
    assert_eq!(outcome.verdict, Verdict::Crashed { trap: Trap::Panic });
    let outcome = crate::run(format!(
        "{panics}try: x = 'x' * (400 << 20)\nexcept MemoryError: pass\nfor i in range(1_000_000): pass\nf()"
    ));
    assert_eq!(outcome.verdict, Verdict::Crashed { trap: Trap::Panic });
    let outcome = crate::run("x = []\nwhile True: x.append('x' * 100_000)");
    assert!(
        matches!(
            outcome.verdict,
            Verdict::Limit {
                limit: Limit::Memory,
                ..
            }
        ),
        "{:?}",
        outcome.verdict
    );
}

/// Policies in folders of their own.
struct Policies(tempfile::TempDir);

impl Policies {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["base/data/inner", "child", "elsewhere", "links"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        for name in ["base/shop.db", "child/shop.db", "base/key", "child/key"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        Self(dir)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), format!("version = 1\n{text}")).unwrap();
    }

    fn load(&self, name: &str) -> Result<Policy, String> {
        load_policy(self.path(name)).map_err(|error| error.to_string())
    }
}

#[test]
fn a_22_extends_compares_what_paths_lead_to() {
    let policies = Policies::new();
    let granting = |path: &str| {
        format!(
            "permissions = [\"EXECUTE_CODE\", \"READ_FILE\"]\nallowed_paths = [{{ path = \"/in\", host = \"{path}\" }}]"
        )
    };
    policies.write("base/policy.toml", &granting("data"));
    symlink(policies.path("elsewhere"), policies.path("base/data/out")).unwrap();
    symlink("inner", policies.path("base/data/in")).unwrap();
    for (inside, is_narrower) in [("inner", true), ("in", true), ("out", false)] {
        let text = format!(
            "extends = \"../base/policy.toml\"\nallowed_paths = [{{ path = \"/in/{inside}\", host = \
             \"../base/data/{inside}\" }}]"
        );
        policies.write("child/policy.toml", &text);
        let loaded = policies.load("child/policy.toml");
        // A link inside of the grant leads to where the script would find it by its real name
        // alone.
        let expected = is_narrower && inside != "in";
        assert_eq!(loaded.is_ok(), expected, "{inside} {loaded:?}");
    }
}

#[test]
fn a_23_paths_of_tools_are_those_of_the_file_that_says_them() {
    let policies = Policies::new();
    let tools = indoc! {r#"
        permissions = ["DATABASE_READ", "EXECUTE_CODE"]
        [tools.db_query.config.databases]
        shop = { sqlite = "shop.db" }
        books = { postgres = { file = "key" } }"#};
    policies.write("base/policy.toml", tools);
    policies.write(
        "child/policy.toml",
        &format!("extends = \"../base/policy.toml\"\n{tools}"),
    );
    let widened = policies.load("child/policy.toml").unwrap_err();
    assert!(widened.contains("tools.db_query.config"), "{widened}");
    policies.write("child/policy.toml", "extends = \"../base/policy.toml\"");
    let config = |policy: &Policy| policy.tools()["db_query"].config.clone();
    let base = policies.load("base/policy.toml").unwrap();
    assert_eq!(
        config(&policies.load("child/policy.toml").unwrap()),
        config(&base)
    );
    // Through a link, all paths are still those beside the file itself.
    symlink("../base/policy.toml", policies.path("links/policy.toml")).unwrap();
    let linked = policies.load("links/policy.toml").unwrap();
    assert_eq!(config(&linked), config(&base));
    let real = policies.path("base/shop.db").canonicalize().unwrap();
    assert_eq!(config(&base)["databases"]["shop"]["sqlite"], json!(real));
}

#[test]
fn a_24_nothing_that_decides_lies_where_scripts_may_write() {
    let policies = Policies::new();
    let text = "permissions = [\"EXECUTE_CODE\", \"READ_FILE\", \"WRITE_FILE\"]\n\
                allowed_paths = [{ path = \"/links\", host = \"LINKS\" }]";
    let text = text.replace("LINKS", policies.path("links").to_str().unwrap());
    policies.write("base/policy.toml", &text);
    assert!(policies.load("base/policy.toml").is_ok());
    // The same file, by a link that the script could replace.
    symlink("../base/policy.toml", policies.path("links/policy.toml")).unwrap();
    let loaded = policies
        .load("links/policy.toml")
        .and_then(|policy| Sandbox::new(runtime(), policy).map_err(|error| error.to_string()));
    assert!(loaded.is_err_and(|why| why.contains("policy")), "by a link");
    symlink("../base", policies.path("links/way")).unwrap();
    let loaded = policies
        .load("links/way/policy.toml")
        .and_then(|policy| Sandbox::new(runtime(), policy).map_err(|error| error.to_string()));
    assert!(loaded.is_err(), "through a directory that is a link");

    // Databases and secrets.
    for (database, is_fine) in [
        ("sqlite = \"shop.db\"", true),
        ("sqlite = \"../links/shop.db\"", false),
        ("sqlite = \"../links/way/shop.db\"", true),
        ("postgres = { file = \"../links/dsn\" }", false),
    ] {
        fs::write(policies.path("links/shop.db"), "").unwrap();
        fs::write(policies.path("links/dsn"), "host=/nowhere user=x").unwrap();
        let text = format!("{text}\n[tools.db_query.config.databases]\nshop = {{ {database} }}")
            .replace("\"EXECUTE_CODE\",", "\"EXECUTE_CODE\", \"DATABASE_READ\",");
        policies.write("base/policy.toml", &text);
        let policy = policies.load("base/policy.toml").unwrap();
        let tools = wardian_tools::ready(&policy).unwrap();
        let gate = Gate::new(policy).unwrap().with_tools(tools);
        assert_eq!(gate.is_ok(), is_fine, "{database} {:?}", gate.err());
    }
}

/// A directory that has become another one since the policy was read is not opened.
#[test]
fn a_24_what_was_resolved_is_what_is_opened() {
    let policies = Policies::new();
    policies.write(
        "base/policy.toml",
        "permissions = [\"EXECUTE_CODE\", \"READ_FILE\"]\nallowed_paths = [{ path = \"/in\", host = \"data\" }]",
    );
    let policy = policies.load("base/policy.toml").unwrap();
    fs::rename(policies.path("base/data"), policies.path("base/old")).unwrap();
    symlink("/etc", policies.path("base/data")).unwrap();
    let error = Sandbox::new(runtime(), policy).unwrap_err();
    assert!(error.to_string().contains("leads elsewhere"), "{error}");
}

#[test]
fn a_25_the_kernels_file_systems_are_no_grants() {
    let dir = tempfile::tempdir().unwrap();
    symlink("/proc/self", dir.path().join("linked")).unwrap();
    let linked = dir.path().join("linked");
    for host in ["/proc", "/proc/self/fd", "/sys", "/dev", "/dev/shm"]
        .map(Path::new)
        .into_iter()
        .chain([linked.as_path()])
    {
        let grant = Grant::new("/in", host, Access::READ).unwrap();
        let policy = Policy::new(
            Permission::EXECUTE_CODE | Permission::READ_FILE,
            Limits::default(),
        );
        let sandbox = Sandbox::new(runtime(), policy.with_grant(grant).unwrap());
        assert!(matches!(sandbox, Err(Error::Grant { .. })), "{host:?}");
    }
}

#[test]
fn a_26_rules_that_say_nothing_are_no_rules() {
    let policies = Policies::new();
    for (rule, is_fine) in [
        ("one_of = []", false),
        ("prefix = \"\"", false),
        ("prefix = []", false),
        ("equals = []", true),
        ("one_of = [1]", true),
    ] {
        policies.write(
            "child/policy.toml",
            &format!("[tools.work.args]\nvalue = {{ {rule} }}"),
        );
        assert_eq!(
            policies.load("child/policy.toml").is_ok(),
            is_fine,
            "{rule}"
        );
    }
    // An empty list is not one of anything.
    policies.write(
        "child/policy.toml",
        indoc! {r#"
            permissions = ["EXECUTE_CODE"]
            [tools.work.args]
            value = { one_of = [1] }"#},
    );
    let policy = policies.load("child/policy.toml").unwrap();
    let gate = Gate::new(policy).unwrap();
    let gate = gate
        .with_tools([tool("work", async |_: Any, _| Ok(Value::Null))])
        .unwrap();
    let call = |value: Value| {
        gate.tool("work")
            .unwrap()
            .call_blocking(&json!({ "value": value }))
    };
    assert!(call(json!([1])).is_ok() && call(json!(1)).is_ok());
    for value in [json!([]), json!([1, 2]), json!(null)] {
        assert!(
            matches!(call(value.clone()), Err(CallError::Denied { .. })),
            "{value}"
        );
    }
}

#[test]
fn a_28_inputs_arrive_as_they_were_given() {
    let script = Script::new("import math\n[math.isnan(a), b == -math.inf, c, d, e]")
        .input("a", f64::NAN)
        .input("b", f64::NEG_INFINITY)
        .input("c", json!({"$decimal": "1"}))
        .input("d", vec![Some(1.5), None])
        .input("e", u64::MAX);
    let outcome = crate::run(script);
    let expected = json!([true, true, {"$decimal": "1"}, [1.5, null], u64::MAX]);
    assert_eq!(
        outcome.json()["value"],
        expected,
        "{}",
        outcome.stderr.text()
    );
}

#[test]
fn a_28_a_secret_that_is_too_long_is_an_error() {
    let policies = Policies::new();
    let text = indoc! {r#"
        permissions = ["DATABASE_READ"]
        [tools.db_query.config.databases]
        shop = { postgres = { file = "key" } }"#};
    policies.write("child/policy.toml", text);
    for (bytes, is_too_long) in [(64 << 10, false), ((64 << 10) + 1, true)] {
        fs::write(policies.path("child/key"), "x".repeat(bytes)).unwrap();
        let policy = policies.load("child/policy.toml").unwrap();
        let error = wardian_tools::ready(&policy).unwrap_err();
        assert_eq!(error.to_string().contains("longer"), is_too_long, "{error}");
    }
}

/// Work of the host for a script is paid for: a loop of it ends, also without a time limit.
#[test]
fn a_29_calls_of_the_host_cost_fuel() {
    let fuel = |code: &str| crate::run(code).usage.fuel;
    let base = fuel("import os");
    let random = fuel("import os\nx = os.urandom(1 << 20)");
    assert!(random - base > 16 << 20, "{base} {random}");
    let endless = Limits::default()
        .with_timeout(Allowance::Unlimited)
        .and_then(|limits| limits.with_fuel(AtMost(2_000_000_000)))
        .unwrap();
    let started = Instant::now();
    let outcome = crate::run_within("import os\nwhile True: os.urandom(8 << 20)", endless);
    assert!(matches!(
        outcome.verdict,
        Verdict::Limit {
            limit: Limit::Fuel,
            ..
        }
    ));
    assert!(started.elapsed() < Duration::from_secs(30));
    // The price of a call is the same every time.
    assert_eq!(random, fuel("import os\nx = os.urandom(1 << 20)"));
}

#[test]
fn a_30_no_words_of_rusts_own_are_shown() {
    for code in [
        "x = 'ab' * 80_000_001\ny = x + x",
        "x = 'x' * 160_000_002\ny = x * 2",
        "x = []\nwhile True: x.append('x' * 100_000)",
        "x = bytearray(150 << 20)\ny = bytes(x) + bytes(x)",
    ] {
        let outcome = crate::run(code);
        let stderr = outcome.stderr.text();
        assert!(
            !stderr.contains("RUST") && !stderr.contains("memory allocation"),
            "{code} {stderr}"
        );
    }
    // What a script prints by itself is its own.
    let printed =
        crate::run("import sys\nprint('a memory allocation of 5 bytes failed', file=sys.stderr)");
    assert_eq!(
        printed.stderr.text(),
        "a memory allocation of 5 bytes failed\n"
    );
}

/// REVIEW B 13: people's time is not the run's.
#[test]
fn b_13_a_run_is_not_stopped_while_somebody_thinks() {
    let mut rules = ToolRules::default();
    rules.approval = true;
    let limits = limits(Limit::Timeout, 400_000_000);
    let policy = open_policy(limits).with_tool("work", rules);
    let approver = Arc::new(|request: ApprovalRequest| async move {
        assert_eq!(request.wait, Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(900)).await;
        Approval::Approved {
            by: "test".to_owned(),
        }
    });
    let work = tool("work", async |_: Any, _| Ok(json!("done")));
    let sandbox = sandbox(policy, [work]).with_approver(approver);
    let outcome = sandbox
        .run_blocking("from wardian import tools\ntools.work(1)")
        .unwrap();
    assert_eq!(outcome.json()["value"], "done", "{:?}", outcome.verdict);
    let outcome = sandbox
        .run_blocking(indoc! {"
            from wardian import tools
            tools.work(1)
            while True: pass"})
        .unwrap();
    assert!(matches!(
        outcome.verdict,
        Verdict::Limit {
            limit: Limit::Timeout,
            ..
        }
    ));
}

/// REVIEW B 14: people are asked last, after the tool's own rules.
#[test]
fn b_14_nobody_is_asked_for_what_is_refused_anyway() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let approver = Arc::new(move |_: ApprovalRequest| {
        counted.fetch_add(1, Ordering::SeqCst);
        async {
            Approval::Approved {
                by: "test".to_owned(),
            }
        }
    });
    let policies = Policies::new();
    policies.write(
        "child/policy.toml",
        indoc! {r#"
            permissions = ["SEND_EMAIL", "DATABASE_READ"]
            [tools.send_email]
            approval = true
            [tools.send_email.config]
            server = "127.0.0.1"
            port = 1
            encryption = "none"
            from = "shop@example.com"
            recipients = ["ada@example.com"]
            [tools.db_query]
            approval = true
            config.databases.shop = { sqlite = "shop.db" }"#},
    );
    let policy = policies.load("child/policy.toml").unwrap();
    let tools = wardian_tools::ready(&policy).unwrap();
    let gate = Gate::new(policy)
        .unwrap()
        .with_tools(tools)
        .unwrap()
        .with_approver(approver);
    let call = |tool: &str, args: Value| gate.tool(tool).unwrap().call_blocking(&args);
    let mail = |to: &str| json!({"to": [to], "subject": "s", "body": "b"});
    assert!(matches!(
        call("send_email", mail("bob@example.com")),
        Err(CallError::Denied { .. })
    ));
    assert!(matches!(
        call("send_email", mail("x%y@example.com")),
        Err(CallError::Value(_))
    ));
    assert!(matches!(
        call("db_query", json!({"database": "nosuch", "sql": "select 1"})),
        Err(CallError::Value(_))
    ));
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    assert!(matches!(
        call("send_email", mail("ada@example.com")),
        Err(CallError::Failed(_))
    ));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

/// Runs a test of this file once more, in a process of its own; whether this is that process.
#[expect(clippy::print_stdout, reason = "`--nocapture` shows what was measured")]
fn is_child(test: &str) -> bool {
    const CHILD: &str = "WARDIAN_TEST_REVIEW";
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args([&format!("review::{test}"), "--exact", "--nocapture"])
        .env(CHILD, "1")
        // Otherwise glibc keeps up to 100 MiB of what was freed, more or less by chance.
        .env("MALLOC_MMAP_THRESHOLD_", "262144")
        .output()
        .unwrap();
    let told = [child.stdout, child.stderr]
        .map(|text| String::from_utf8(text).unwrap())
        .concat();
    assert!(child.status.success(), "{told}");
    print!("{told}");
    false
}

#[test]
fn a_14_a_start_that_failed_is_tried_again() {
    if !is_child("a_14_a_start_that_failed_is_tried_again") {
        return;
    }
    let before = getrlimit(Resource::Nofile);
    let short = Rlimit {
        current: Some(7),
        maximum: before.maximum,
    };
    setrlimit(Resource::Nofile, short).unwrap();
    for _ in 0..3 {
        let error = wardian::Runtime::new().unwrap_err();
        assert!(error.to_string().contains("descriptors"), "{error}");
    }
    setrlimit(Resource::Nofile, before).unwrap();
    let sandbox = Sandbox::new(&wardian::Runtime::new().unwrap(), Policy::computing()).unwrap();
    assert_eq!(
        sandbox.run_blocking("1").unwrap().verdict,
        Verdict::Completed
    );
}

/// A line of `/proc/self/status`, in its unit.
fn status(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap(),
    )
}

/// The most that one run takes of its host under the defaults, with everything at once, and that
/// nothing of it is left 1 s after its end. The figures are those of SECURITY.md.
#[test]
fn a_7_a_8_a_9_the_most_that_one_run_takes() {
    if !is_child("a_7_a_8_a_9_the_most_that_one_run_takes") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("files")).unwrap();
    for i in 0..64 {
        fs::write(dir.path().join(format!("files/{i}")), vec![b'x'; 10 << 20]).unwrap();
        fs::write(
            dir.path().join(format!("files/s{i}")),
            vec![b'x'; 1_000_000],
        )
        .unwrap();
    }
    let connection = rusqlite::Connection::open(dir.path().join("shop.db")).unwrap();
    connection.execute_batch("create table t (a)").unwrap();
    drop(connection);
    let text = indoc! {r#"
        version = 1
        permissions = ["EXECUTE_CODE", "READ_FILE", "WRITE_FILE", "DATABASE_READ", "DATABASE_WRITE"]
        allowed_paths = ["files"]
        [tools.read_file]
        [tools.write_file]
        [tools.list_dir]
        [tools.db_query.config.databases]
        shop = { sqlite = "shop.db" }
        [tools.db_execute.config.databases]
        shop = { sqlite = "shop.db" }
    "#};
    fs::write(dir.path().join("policy.toml"), text).unwrap();
    let policy = load_policy(dir.path().join("policy.toml")).unwrap();
    let limits = policy
        .limits()
        .clone()
        .with_timeout(AtMost(Duration::from_secs(6)))
        .unwrap();
    let tools = wardian_tools::ready(&policy).unwrap();
    let sandbox = Sandbox::new(runtime(), policy.with_limits(limits))
        .unwrap()
        .with_tools(tools)
        .unwrap();
    sandbox.run_blocking("1").unwrap();
    let (memory, threads) = (status("VmHWM:"), status("Threads:"));
    let numbers = "with recursive n(i) as (select 1 union all select i + 1 from n)";
    let hostile = [
        format!("select {}", vec!["randomblob(1000000)"; 499].join(", ")),
        format!(
            "{numbers} select group_concat(hex(randomblob(1000))) from (select i from n limit 100000)"
        ),
        format!("{numbers} select i, randomblob(1000) as r from n order by r"),
        format!("{numbers} select count(distinct randomblob(100)) from n"),
        format!(
            "select {}",
            vec!["instr(hex(zeroblob(500000)), hex(zeroblob(200000)) || 'x')"; 400].join(" + ")
        ),
        format!(
            "select {}",
            vec!["trim(hex(zeroblob(500000)), hex(randomblob(200000)))"; 400].join(" || ")
        ),
        "select replace(hex(zeroblob(400000)), '0', hex(zeroblob(400000)))".to_owned(),
        "select hex(zeroblob(400000)) like '%0%0%0%0%0%0%0%0%0%0%0%0%0%0%0%0%0%0x'".to_owned(),
    ];
    let change = format!("{numbers} insert into t select randomblob(10000) from n");
    let code = format!(
        "import asyncio\nfrom wardian import aio\nhostile = {hostile:?}\nchange = {change:?}\n\
         async def one(i):\n    while True:\n        try:\n            k = i % 8\n\
         \x20           if k < 3: await aio.db_query('shop', hostile[i % len(hostile)])\n            \
         elif k == 3: await aio.db_execute('shop', change)\n\
         \x20           elif k == 4: await aio.read_file(f'/files/{{i}}')\n            \
         elif k == 5: await aio.read_file(f'/files/s{{i}}')\n\
         \x20           elif k == 6: await aio.write_file(f'/files/w{{i}}', 'x' * 1_000_000)\n            \
         else: await aio.db_query('shop', 'select 1', [{{'a': 0}}] * 900)\n\
         \x20       except Exception: pass\nasync def all(): await asyncio.gather(*(one(i) for i in \
         range(64)))\nasyncio.run(all())"
    );
    let before = processor_time();
    let outcome = sandbox.run_blocking(code).unwrap();
    let ended = Instant::now();
    assert!(
        matches!(
            outcome.verdict,
            Verdict::Limit {
                limit: Limit::Timeout | Limit::ToolCalls | Limit::Fuel,
                ..
            }
        ),
        "{:?} {}",
        outcome.verdict,
        outcome.stderr.text()
    );
    let peak = status("VmHWM:");
    // The sandbox's own memory, as far as it was not counted at first.
    let beside = (peak - memory).saturating_sub(outcome.usage.memory_peak_bytes >> 10) / 1024;
    std::thread::sleep(Duration::from_secs(1).saturating_sub(ended.elapsed()));
    let (at_end, left) = (processor_time(), status("Threads:"));
    std::thread::sleep(Duration::from_millis(500));
    let after = processor_time() - at_end;
    let on_disk = fs::metadata(dir.path().join("shop.db")).unwrap().len() >> 20;
    println!(
        "memory beside the sandbox's own: {beside} MiB (the process: {} MiB at its peak); threads: {threads} \
         before, {left} 1 s after; \
         processor: {:.1} s in all, {after:?} in half a second after; the database has grown to {on_disk} MiB",
        peak >> 10,
        (at_end - before).as_secs_f64()
    );
    assert!(beside <= 256, "{beside} MiB");
    assert!(left <= threads + 3, "{left} threads where {threads} were");
    assert!(after < Duration::from_millis(50), "{after:?}");
    assert!(on_disk <= 65, "{on_disk}");
}

//! `db_query` and `db_execute` on SQLite files, and on a PostgreSQL server that the tests start.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use wardian::{CallError, Gate, Sandbox, load_policy};

use crate::runtime;

/// A policy, and the databases that it names.
struct Setup {
    dir: TempDir,
}

const BOTH: &str = "DATABASE_READ\", \"DATABASE_WRITE";

impl Setup {
    fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let connection = rusqlite::Connection::open(dir.path().join("shop.db")).unwrap();
        connection
            .execute_batch(
                "create table orders (id integer primary key, name text, price real, blob blob);
                 insert into orders values (1, 'a', 1.5, x'ff00'), (2, 'b', null, null);
                 create index by_name on orders (name);
                 create table big (n integer);
                 with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000) insert into big select i from n;",
            )
            .unwrap();
        Self { dir }
    }

    fn gate(&self, permissions: &str, database: &str, more: &str) -> Gate {
        let file = self.dir.path().join("policy.toml");
        let text = format!(
            "version = 1\npermissions = [\"EXECUTE_CODE\", \"{permissions}\"]\n{more}\n[tools.db_query.config.databases]\n{database}\n\
             [tools.db_execute.config.databases]\n{database}\n"
        );
        fs::write(&file, text).unwrap();
        let policy = load_policy(&file).unwrap();
        let tools = wardian_tools::ready(&policy).unwrap();
        Gate::new(policy).unwrap().with_tools(tools).unwrap()
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.dir.path().join("shop.db")).unwrap()
    }
}

const SQLITE: &str = "shop = { sqlite = \"shop.db\" }";

fn call(gate: &Gate, tool: &str, sql: &str, params: Value) -> Result<Value, CallError> {
    let args = json!({"database": "shop", "sql": sql, "params": params});
    gate.tool(tool).unwrap().call_blocking(&args)
}

fn query(gate: &Gate, sql: &str) -> Result<Value, CallError> {
    call(gate, "db_query", sql, json!([]))
}

fn execute(gate: &Gate, sql: &str) -> Result<Value, CallError> {
    call(gate, "db_execute", sql, json!([]))
}

/// The permissions, each with and without, from Python.
fn with_and_without(setup: &Setup, database: &str, insert: &str) {
    let code = format!(
        "from wardian import tools\ndef t(name, *args):\n    try: return getattr_(name)(*args)\n    except Exception as error: \
         return type(error).__name__\ndef getattr_(name): return tools.__getattr__(name)\n\
         [t('db_execute', 'shop', {insert:?}, [3, 'c']), t('db_query', 'shop', 'select name from orders where id = 3')]"
    );
    for (permissions, execute, read) in [
        (BOTH, json!(1), json!([["c"]])),
        ("DATABASE_READ", json!("AttributeError"), json!([["c"]])),
        (
            "DATABASE_WRITE",
            json!("ToolError"),
            json!("AttributeError"),
        ),
        (
            "READ_FILE",
            json!("AttributeError"),
            json!("AttributeError"),
        ),
    ] {
        let gate = setup.gate(permissions, database, "");
        let outcome = Sandbox::behind(runtime(), gate)
            .run_blocking(code.as_str())
            .unwrap();
        let found = outcome.json()["value"].clone();
        assert_eq!(found[0], execute, "{permissions} {}", outcome.stderr.text());
        let rows = found[1].get("rows").unwrap_or(&found[1]);
        assert_eq!(*rows, read, "{permissions}");
    }
}

#[test]
fn sqlite_with_and_without_permission() {
    let setup = Setup::sqlite();
    with_and_without(
        &setup,
        SQLITE,
        "insert into orders (id, name) values (?1, ?2)",
    );
}

#[test]
fn sqlite_rows_are_values() {
    let setup = Setup::sqlite();
    let gate = setup.gate(BOTH, SQLITE, "");
    assert_eq!(
        query(&gate, "select * from orders order by id").unwrap(),
        json!({
            "columns": ["id", "name", "price", "blob"],
            "rows": [[1, "a", 1.5, "/wA="], [2, "b", null, null]],
            "truncated": false,
        })
    );
    let params = json!([null, true, 7, 1.5, "x'; drop table orders; --", u64::MAX]);
    let echoed = call(&gate, "db_query", "select ?1, ?2, ?3, ?4, ?5, ?6", params).unwrap();
    assert_eq!(
        echoed["rows"][0],
        json!([
            null,
            1,
            7,
            1.5,
            "x'; drop table orders; --",
            1.844_674_407_370_955_2e19
        ])
    );
    let many = query(&gate, "select n from big").unwrap();
    assert_eq!(
        (many["rows"].as_array().unwrap().len(), &many["truncated"]),
        (1000, &json!(true))
    );
    for (sql, params) in [
        ("select ?1", json!([])),
        ("select 1", json!([1])),
        ("select ?1", json!([[1]])),
        ("", json!([])),
        ("-- nothing", json!([])),
        ("select 1; select 2", json!([])),
        ("select 1\0", json!([])),
    ] {
        let ended = call(&gate, "db_query", sql, params);
        assert!(matches!(ended, Err(CallError::Value(_))), "{sql} {ended:?}");
    }
    assert!(
        matches!(query(&gate, "selec 1"), Err(CallError::Failed(why)) if why.contains("syntax error"))
    );
    let other = gate
        .tool("db_query")
        .unwrap()
        .call_blocking(&json!({"database": "other", "sql": "select 1"}));
    assert_eq!(
        other,
        Err(CallError::Value(
            "db_query: argument `database`: there is no database \"other\"; there are shop"
                .to_owned()
        ))
    );
}

/// A query can't write, whatever it is called.
#[test]
fn sqlite_queries_do_not_write() {
    let setup = Setup::sqlite();
    let before = setup.bytes();
    let other = setup.dir.path().join("other.db");
    let gate = setup.gate(BOTH, SQLITE, "");
    let attach = format!("attach '{}' as o", other.display());
    let vacuum = format!("vacuum into '{}'", other.display());
    for sql in [
        "delete from orders",
        "insert into orders (id) values (9) returning id",
        "with x as (select 1) delete from orders",
        "update orders set name = 'x'",
        "replace into orders (id) values (1)",
        "drop table orders",
        "create table t (a)",
        "create temp table t (a)",
        "create trigger t after insert on orders begin select 1; end",
        "create virtual table t using fts5(a)",
        "alter table orders rename to o",
        "pragma user_version = 1",
        "pragma query_only = off",
        "pragma writable_schema = on",
        "pragma journal_mode = wal",
        &attach,
        &vacuum,
        "vacuum",
        "analyze",
        "reindex",
        "begin immediate",
        "savepoint a",
        "select load_extension('/tmp/x.so')",
        "select writefile('/tmp/x', 'y')",
        "select readfile('/etc/passwd')",
        "explain delete from orders",
    ] {
        let ended = query(&gate, sql);
        assert!(
            matches!(ended, Err(CallError::Refused { .. } | CallError::Failed(_))),
            "{sql} {ended:?}"
        );
    }
    assert!(setup.bytes() == before && !other.exists());
    let entries: Vec<_> = fs::read_dir(setup.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(entries.len(), 2, "{entries:?}");
}

/// A change changes rows, and nothing else.
#[test]
fn sqlite_changes_are_of_rows() {
    let setup = Setup::sqlite();
    let gate = setup.gate(BOTH, SQLITE, "");
    assert_eq!(execute(&gate, "update orders set name = 'x'").unwrap(), 2);
    assert_eq!(
        execute(&gate, "delete from orders where id = 1").unwrap(),
        1
    );
    assert_eq!(
        query(&gate, "select name from orders").unwrap()["rows"],
        json!([["x"]])
    );
    for sql in [
        "drop table orders",
        "create table t (a)",
        "pragma user_version = 1",
        "attach 'x.db' as o",
        "insert into sqlite_sequence values ('a', 1)",
        "delete from sqlite_schema",
        "vacuum into 'x.db'",
    ] {
        let ended = execute(&gate, sql);
        assert!(
            matches!(ended, Err(CallError::Refused { .. } | CallError::Failed(_))),
            "{sql} {ended:?}"
        );
    }
}

/// Row TOOL-10: an argument is data: no shell, no flag, no file name.
#[test]
fn tool_10_arguments_are_data() {
    let setup = Setup::sqlite();
    let gate = setup.gate(BOTH, SQLITE, "");
    for text in [
        "--output=/etc/x",
        "-rf",
        "$(id)",
        ";",
        "`id`",
        "a\nb",
        "file:x?mode=rwc",
        "'; drop table orders; --",
    ] {
        let echoed = call(&gate, "db_query", "select ?1", json!([text])).unwrap();
        assert_eq!(echoed["rows"][0][0], text);
        let as_name = gate
            .tool("db_query")
            .unwrap()
            .call_blocking(&json!({"database": text, "sql": "select 1"}));
        assert!(matches!(as_name, Err(CallError::Value(_))), "{text}");
    }
    assert_eq!(
        query(&gate, "select count(*) from orders").unwrap()["rows"][0][0],
        2
    );
}

#[test]
fn sqlite_time_and_size_are_bounded() {
    let setup = Setup::sqlite();
    let gate = setup.gate(BOTH, SQLITE, "limits.tool_wait = \"300ms\"");
    let endless =
        "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n";
    assert!(matches!(query(&gate, endless), Err(CallError::TimedOut(_))));
    for sql in [
        "select zeroblob(100000000)",
        "select printf('%.*c', 100000000, 'x')",
        "select hex(zeroblob(900000))",
        "select group_concat(a.n) from big a, big b",
        "select zeroblob(700000), zeroblob(700000)",
        "select zeroblob(900000) from big",
    ] {
        let ended = query(&gate, sql);
        assert!(
            matches!(ended, Err(CallError::Failed(_) | CallError::TimedOut(_))),
            "{sql} {:?}",
            ended.map(|_| ())
        );
    }
    // Another process has locked it.
    let lock = rusqlite::Connection::open(setup.dir.path().join("shop.db")).unwrap();
    lock.execute_batch("begin exclusive").unwrap();
    assert!(query(&gate, "select 1 from orders").is_err());
}

#[test]
fn a_database_that_is_not_there() {
    let setup = Setup::sqlite();
    let gate = setup.gate(BOTH, "shop = { sqlite = \"missing.db\" }", "");
    for ended in [query(&gate, "select 1"), execute(&gate, "delete from x")] {
        assert_eq!(
            ended,
            Err(CallError::Failed("the database can't be opened".to_owned()))
        );
    }
    assert!(!setup.dir.path().join("missing.db").exists());
    fs::write(
        setup.dir.path().join("missing.db"),
        "not a database, but long enough to be read as the head of one",
    )
    .unwrap();
    assert!(query(&gate, "select 1 from x").is_err());
}

/// A PostgreSQL server of the tests' own, which ends with them.
struct Postgres {
    socket: PathBuf,
    _dir: TempDir,
    server: Child,
}

/// Where Debian, and others, have the server's programs.
fn program(name: &str) -> Command {
    let installed = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<PathBuf> = installed
        .map(|version| version.path().join("bin").join(name))
        .collect();
    found.retain(|path| path.exists());
    found.sort();
    let path = found.pop().unwrap_or_else(|| name.into());
    // The server refuses to run as root.
    let mut command = match rustix::process::geteuid().is_root() {
        true => {
            let mut command = Command::new("setpriv");
            command
                .args([
                    "--reuid=postgres",
                    "--regid=postgres",
                    "--clear-groups",
                    "--pdeathsig=KILL",
                ])
                .arg(path);
            command
        }
        false => Command::new(path),
    };
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

impl Postgres {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        for path in [dir.path(), &data] {
            fs::set_permissions(path, PermissionsExt::from_mode(0o700)).unwrap();
            if rustix::process::geteuid().is_root() {
                let ids = Command::new("id")
                    .args(["-u", "postgres"])
                    .output()
                    .unwrap();
                let id = String::from_utf8(ids.stdout).unwrap().trim().parse().ok();
                assert!(
                    id.is_some(),
                    "these tests need PostgreSQL: apt-get install postgresql"
                );
                chown(path, id, None).unwrap();
            }
        }
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let password = dir.path().join("password");
        fs::write(&password, PASSWORD).unwrap();
        fs::set_permissions(&password, PermissionsExt::from_mode(0o644)).unwrap();
        let made = program("initdb")
            .args([
                "--auth=scram-sha-256",
                "--username=owner",
                "--no-sync",
                "--locale=C",
                "--encoding=UTF8",
            ])
            .arg(format!("--pwfile={}", password.display()))
            .arg("--pgdata")
            .arg(&data)
            .current_dir(dir.path())
            .status();
        assert!(
            made.is_ok_and(|made| made.success()),
            "these tests need PostgreSQL: apt-get install postgresql"
        );
        let server = program("postgres")
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-k"])
            .arg(&data)
            .arg("-D")
            .arg(&data)
            .current_dir(dir.path())
            .spawn()
            .unwrap();
        let this = Self {
            socket: data,
            _dir: dir,
            server,
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !this.socket.join(".s.PGSQL.5432").exists() {
            assert!(Instant::now() < deadline, "the server did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        this
    }

    fn dsn(&self) -> String {
        format!(
            "host={} user=owner password={PASSWORD} dbname=postgres sslmode=disable",
            self.socket.display()
        )
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

const PASSWORD: &str = "pg-s3cret-password";

/// One test for all, because a server takes a second to start.
#[test]
fn postgres() {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    let server = SERVER.get_or_init(Postgres::start);
    let setup = Setup {
        dir: tempfile::tempdir().unwrap(),
    };
    fs::write(setup.dir.path().join("dsn"), server.dsn()).unwrap();
    let database = "shop = { postgres = { file = \"dsn\" } }";
    let gate = setup.gate(BOTH, database, "");
    let deadline = Instant::now() + Duration::from_secs(30);
    // Its socket is there before it takes connections.
    while execute(&gate, "create table orders (id int primary key, name text, price float8, at timestamptz, j jsonb)").is_err() {
        assert!(Instant::now() < deadline, "{:?}", execute(&gate, "select 1"));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(execute(&gate, "insert into orders values (1, 'a', 1.5, now(), '{\"k\": [1]}'), (2, 'b', null, null, null)").unwrap(), 2);

    with_and_without(
        &setup,
        database,
        "insert into orders (id, name) values ($1, $2)",
    );
    let gate = setup.gate(BOTH, database, "");
    assert_eq!(
        query(
            &gate,
            "select id, name, price, j from orders order by id limit 2"
        )
        .unwrap(),
        json!({
            "columns": ["id", "name", "price", "j"],
            "rows": [[1, "a", 1.5, {"k": [1]}], [2, "b", null, null]],
            "truncated": false,
        })
    );
    let params = json!([7, "x'; drop table orders; --", 1.5, true, null]);
    let echoed = call(
        &gate,
        "db_query",
        "select $1::int8, $2::text, $3::float8, $4::bool, $5::text",
        params.clone(),
    )
    .unwrap();
    assert_eq!(echoed["rows"][0], params);
    let many = query(&gate, "select generate_series(1, 100000)").unwrap();
    assert_eq!(
        (many["rows"].as_array().unwrap().len(), &many["truncated"]),
        (1000, &json!(true))
    );
    for (sql, why) in [
        ("select at from orders", "cast it"),
        ("select 1.5::numeric", "cast it"),
        ("selec 1", "syntax error"),
        ("select repeat('x', 2000000)", "the rows take more than"),
    ] {
        let ended = query(&gate, sql);
        assert!(
            matches!(&ended, Err(CallError::Failed(text)) if text.contains(why)),
            "{sql} {ended:?}"
        );
    }
    queries_of_postgres_do_not_write(&gate);

    let gate = setup.gate(BOTH, database, "limits.tool_wait = \"500ms\"");
    assert!(matches!(
        query(&gate, "select pg_sleep(60)::text"),
        Err(CallError::TimedOut(_))
    ));

    // What is wrong with a connection says nothing of it.
    let wrong = Path::new(setup.dir.path()).join("dsn");
    fs::write(&wrong, server.dsn().replace(PASSWORD, "wr0ng-password")).unwrap();
    let ended = query(&setup.gate(BOTH, database, ""), "select 1");
    assert_eq!(
        ended,
        Err(CallError::Failed(
            "the database can't be reached".to_owned()
        ))
    );
    fs::write(
        &wrong,
        "host=/nowhere user=x password=pg-s3cret-password sslmode=disable",
    )
    .unwrap();
    let ended = query(&setup.gate(BOTH, database, ""), "select 1");
    assert_eq!(
        ended,
        Err(CallError::Failed(
            "the database can't be reached".to_owned()
        ))
    );
}

fn queries_of_postgres_do_not_write(gate: &Gate) {
    let count = || query(gate, "select count(*), sum(id) from orders").unwrap()["rows"].clone();
    let before = count();
    for sql in [
        "delete from orders",
        "insert into orders (id) values (9) returning id",
        "with gone as (delete from orders returning id) select * from gone",
        "with off as (select set_config('transaction_read_only', 'off', true)), n as (insert into orders (id) values (9) returning id) \
         select * from n, off",
        "update orders set name = 'x'",
        "drop table orders",
        "truncate orders",
        "create table t (a int)",
        "set transaction read write",
        "set default_transaction_read_only = off",
        "begin read write",
        "commit",
        "commit; delete from orders",
        "select 1; delete from orders",
        "do $$ begin perform set_config('transaction_read_only', 'off', true); delete from orders; end $$",
        "do $$ begin commit; delete from orders; end $$",
        "copy orders to '/tmp/wardian-orders'",
        "select nextval('s') from (select 1) x",
        "explain analyze delete from orders",
        "lock table orders in exclusive mode",
        "select lo_create(0)",
    ] {
        // Refused, failed, or without effect.
        let _ = query(gate, sql);
        assert_eq!(count(), before, "{sql}");
    }
    for sql in [
        "delete from orders",
        "drop table orders",
        "create table t (a int)",
    ] {
        assert!(
            matches!(query(gate, sql), Err(CallError::Refused { .. })),
            "{sql}"
        );
    }
}

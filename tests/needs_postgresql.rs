//! `db_query` and `db_execute` on a PostgreSQL server that the tests start, with a superuser, an
//! owner and a reader.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use wardian::{Gate, Sandbox, Verdict, tool::CallError};

use crate::database::{BOTH, SQLITE, Setup, call, execute, query, with_and_without};
use crate::runtime;

const PASSWORD: &str = "pg-s3cret-password";

const PORT: u16 = 54_329;

/// The roles, each with what it may do.
const SUPERUSER: &str = "root";
const OWNER: &str = "shop_owner";
const READER: &str = "shop_reader";

const SCHEMA: &str = "
    create role shop_owner login password 'PASSWORD';
    create role shop_reader login password 'PASSWORD';
    create role file_reader login password 'PASSWORD';
    grant pg_read_server_files to file_reader;
    grant create on schema public to shop_owner;
    set role shop_owner;
    create table orders (id int primary key, name text, price float8, at timestamptz, j jsonb);
    insert into orders values (1, 'a', 1.5, '2026-11-25 21:00:00.5+00', '{\"k\": [1]}'), (2, 'b', null, null, null);
    create sequence counter;
    create function wipe() returns int language plpgsql as $$ begin delete from orders; return 1; end $$;
    create procedure wipe_all() language plpgsql as $$ begin delete from orders; end $$;
    create type mood as enum ('glad', 'sad');
    create domain percent as int check (value between 0 and 100);
    grant select on orders to shop_reader;
    grant usage on sequence counter to shop_reader;
";

/// A PostgreSQL server of the tests' own, which ends with them.
pub(crate) struct Postgres {
    pub(crate) socket: PathBuf,
    _dir: TempDir,
    server: Child,
}

/// Finds the server's programs, where Debian and others have them.
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
    let mut command = if rustix::process::geteuid().is_root() {
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
    } else {
        Command::new(path)
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
                "--username=root",
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
            .args([
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                &format!("port={PORT}"),
                "-c",
                "fsync=off",
                "-k",
            ])
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
        while !this.socket.join(".s.PGSQL.54329").exists() {
            assert!(Instant::now() < deadline, "the server did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        // Its socket is there before it takes connections.
        while this.psql("select 1").is_err() {
            assert!(Instant::now() < deadline, "{:?}", this.psql("select 1"));
            std::thread::sleep(Duration::from_millis(50));
        }
        this.psql(&SCHEMA.replace("PASSWORD", PASSWORD)).unwrap();
        this
    }

    fn dsn(&self, role: &str) -> String {
        format!(
            "host={} port={PORT} user={role} password={PASSWORD} dbname=postgres",
            self.socket.display()
        )
    }

    /// Runs a statement as the superuser.
    fn psql(&self, sql: &str) -> Result<String, String> {
        let psql = Command::new("psql")
            .args([
                "--no-psqlrc",
                "--tuples-only",
                "--no-align",
                "--set=ON_ERROR_STOP=1",
                "--command",
                sql,
            ])
            .arg(self.dsn(SUPERUSER))
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        if psql.status.success() {
            Ok(text(psql.stdout).trim().to_owned())
        } else {
            Err(text(psql.stderr))
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| {
        let (started, server) = mpsc::channel();
        // It ends with the thread that has started it.
        std::thread::spawn(move || {
            started.send(Postgres::start()).unwrap();
            loop {
                std::thread::park();
            }
        });
        server.recv().unwrap()
    })
}

/// Held by tests that change rows, or that look at rows which others change.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A policy for the database by a role.
fn setup(role: &str) -> (Setup, String) {
    let setup = Setup {
        dir: tempfile::tempdir().unwrap(),
    };
    fs::write(setup.dir.path().join("dsn"), server().dsn(role)).unwrap();
    let trusted = role == SUPERUSER;
    let database =
        format!("shop = {{ postgres = {{ file = \"dsn\" }}, trusted_role = {trusted} }}");
    (setup, database)
}

fn gate(role: &str) -> Gate {
    let (setup, database) = setup(role);
    setup.gate(BOTH, &database, "")
}

#[test]
fn postgres_with_and_without_permission() {
    let _alone = alone();
    let (setup, database) = setup(OWNER);
    let insert = "insert into orders (id, name) values ($1, $2)";
    with_and_without(&setup, &database, insert);
    server().psql("delete from orders where id = 3").unwrap();
}

#[test]
fn postgres_rows_are_values() {
    let _alone = alone();
    let gate = gate(READER);
    let rows = query(
        &gate,
        "select id, name, price, at, j from orders where id < 3 order by id",
    );
    assert_eq!(
        rows.unwrap(),
        json!({
            "columns": ["id", "name", "price", "at", "j"],
            "rows": [
                [1, "a", 1.5, {"$datetime": "2026-11-25T21:00:00.500000+00:00"}, {"k": [1]}],
                [2, "b", null, null, null]
            ],
            "truncated": false,
        })
    );
    let many = query(&gate, "select generate_series(1, 100000)").unwrap();
    assert_eq!(
        (many["rows"].as_array().unwrap().len(), &many["truncated"]),
        (1000, &json!(true))
    );
    for (sql, why) in [
        ("selec 1", "syntax error"),
        ("select 1 +", "syntax error"),
        ("select nothing from orders", "does not exist"),
        (
            "select date 'infinity' as due",
            "column \"due\" is \"infinity\", which Python has no date for",
        ),
        ("select interval '1 month' as every", "column \"every\""),
        ("select repeat('x', 1100000)", "the rows take more than"),
        ("select repeat('x', 500000000)", "a row takes more bytes"),
    ] {
        let ended = query(&gate, sql);
        assert!(
            matches!(&ended, Err(CallError::Failed(text)) if text.contains(why)),
            "{sql} {ended:?}"
        );
    }
    for (sql, params) in [
        ("select $1::int", json!([])),
        ("select $1::int", json!([1, 2])),
        ("select $1::text", json!([5])),
        ("select $1::int", json!([{"a": 1}])),
    ] {
        let ended = call(&gate, "db_query", sql, params);
        let is_wrong = matches!(ended, Err(CallError::Value(_) | CallError::Failed(_)));
        assert!(is_wrong, "{sql} {ended:?}");
    }
}

/// REVIEW C 1, A 28: what people have in their tables arrives as Python's own, and goes back as it
/// came.
#[test]
fn c_1_types_cross_exactly_both_ways() {
    let code = r#"
import datetime, decimal, uuid, math
from wardian import tools
D, UTC = decimal.Decimal, datetime.timezone.utc
def back(value, ty):
    return tools.db_query("shop", f"select $1::{ty}", [value])["rows"][0][0]
cases = [
    (D("1.50"), "numeric"), (D("NaN"), "numeric"), (D("-Infinity"), "numeric"), (D("1e-20"), "numeric"),
    (D("123456789012345678901234567890.123456789"), "numeric"), (10**40, "numeric"),
    (2**63 - 1, "int8"), (-(2**63), "int8"), (True, "bool"), (0.1, "float8"), (math.inf, "float8"), (-math.inf, "float8"),
    (math.nan, "float8"), (5e-324, "float8"), (1.7976931348623157e308, "float8"),
    (datetime.date(2026, 11, 25), "date"), (datetime.date(1, 1, 1), "date"), (datetime.date(9999, 12, 31), "date"),
    (datetime.time(21, 0, 0, 1), "time"), (datetime.time(21, 0, tzinfo=datetime.timezone(datetime.timedelta(hours=-3.5))), "timetz"),
    (datetime.datetime(2026, 11, 25, 21, 0, 0, 123456), "timestamp"),
    (datetime.datetime(2026, 11, 25, 21, 0, tzinfo=UTC), "timestamptz"),
    (datetime.timedelta(days=-1, seconds=3, microseconds=4), "interval"), (datetime.timedelta(0), "interval"),
    (uuid.UUID("12345678-1234-5678-1234-567812345678"), "uuid"), (b"\x00\xff'", "bytea"), (bytearray(b"ab"), "bytea"),
    ([1, None, 3], "int[]"), ([["a\"\\", "NULL"], ["", "{,}"]], "text[]"), ([D("1.5")], "numeric[]"), ([], "int[]"),
    ([datetime.date(2026, 1, 1)], "date[]"), ([b"x"], "bytea[]"),
    ({"$decimal": "1", "n": [1, None]}, "jsonb"), ({"$int": "7"}, "json"), ([1, {"a": "b"}], "jsonb"),
    ("glad", "mood"), (50, "percent"), ("10.0.0.0/8", "cidr"), ("[1,5)", "int4range"), ("line\n\u00e4\U0001f600", "text"),
    (None, "text"),
]
wrong = []
for value, ty in cases:
    got = back(value, ty)
    expected = D(value) if ty == "numeric" else bytes(value) if isinstance(value, bytearray) else value
    same = got == expected or (got != got and expected != expected)
    if not same or type(got) is not type(expected):
        wrong.append((ty, repr(value), repr(got)))
refused = []
for value, ty in [(D("1.5"), "text"), (5, "text"), (b"x", "text"), ({1, 2}, "int[]"), (object(), "int")]:
    try: back(value, ty); refused.append((ty, repr(value)))
    except (TypeError, ValueError): pass
[wrong, refused]
"#;
    let outcome = Sandbox::with_gate(runtime(), gate(READER))
        .unwrap()
        .run_blocking(code)
        .unwrap();
    assert_eq!(
        outcome.verdict,
        Verdict::Completed,
        "{}",
        outcome.stderr.text()
    );
    assert_eq!(outcome.json()["value"], json!([[], []]));
}

/// REVIEW A 1.
#[test]
fn a_1_roles_that_can_do_more_than_rows_are_refused() {
    for role in [SUPERUSER, "file_reader"] {
        let (setup, database) = setup(role);
        let untrusted = database.replace("true", "false");
        let gate = setup.gate(BOTH, &untrusted, "");
        for ended in [
            query(&gate, "select 1"),
            execute(&gate, "delete from orders"),
        ] {
            let Err(CallError::Denied { message, reason }) = ended else {
                panic!("{role}: {ended:?}");
            };
            let expected = if role == SUPERUSER {
                "superuser"
            } else {
                "pg_read_server_files"
            };
            assert!(
                reason.contains(expected) && reason.contains("CREATE ROLE"),
                "{reason}"
            );
            assert!(!message.contains(expected), "{message}");
        }
        let trusted = setup.gate(BOTH, &untrusted.replace("false", "true"), "");
        assert!(query(&trusted, "select 1").is_ok());
    }
}

/// REVIEW A 6: whoever is on the way can say that there is no encryption.
#[test]
fn a_6_other_machines_are_reached_by_tls_alone() {
    let address = local_address();
    let Some(address) = address else { return };
    let server = std::net::TcpListener::bind((address, 0)).unwrap();
    let port = server.local_addr().unwrap().port();
    let asked = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = server.accept().unwrap();
        let mut request = [0; 8];
        stream.read_exact(&mut request).unwrap();
        // No TLS here.
        stream.write_all(b"N").unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        (request, rest)
    });
    let setup = Setup {
        dir: tempfile::tempdir().unwrap(),
    };
    let dsn = format!("host={address} port={port} user=x password={PASSWORD} dbname=x");
    fs::write(setup.dir.path().join("dsn"), dsn).unwrap();
    let gate = setup.gate(BOTH, "shop = { postgres = { file = \"dsn\" } }", "");
    let ended = query(&gate, "select 1");
    assert!(
        matches!(&ended, Err(CallError::Failed(why)) if why.contains("TLS")),
        "{ended:?}"
    );
    let (request, rest) = asked.join().unwrap();
    // SSLRequest, and not a word in the clear after it.
    assert_eq!(request[4..], 80_877_103_u32.to_be_bytes());
    assert_eq!(rest, b"");
}

/// An address of this machine that is no loopback, if it has one.
fn local_address() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent; the kernel looks for a way.
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback()).then_some(address)
}

#[test]
fn postgres_time_is_bounded_and_nothing_goes_on() {
    let (setup, database) = setup(READER);
    let gate = setup.gate(BOTH, &database, "limits.tool_wait = \"700ms\"");
    let sql = "select pg_sleep(61)::text, set_config('statement_timeout', '0', false)";
    assert!(matches!(query(&gate, sql), Err(CallError::TimedOut(_))));
    let busy = "select count(*) from pg_stat_activity where query like '%pg_sleep(61)%' and pid <> pg_backend_pid()";
    let deadline = Instant::now() + Duration::from_secs(5);
    while server().psql(busy).unwrap() != "0" {
        assert!(Instant::now() < deadline, "the server still works for it");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Errors of a connection say nothing of it.
#[test]
fn postgres_connections_that_fail() {
    let (setup, database) = setup(READER);
    let dsn = Path::new(setup.dir.path()).join("dsn");
    for wrong in [
        server().dsn(READER).replace(PASSWORD, "wr0ng-password"),
        format!("host=/nowhere user=x password={PASSWORD}"),
        format!("host=127.0.0.1 port=1 user=x password={PASSWORD}"),
        format!("host=nowhere.invalid user=x password={PASSWORD}"),
    ] {
        fs::write(&dsn, &wrong).unwrap();
        let ended = query(&setup.gate(BOTH, &database, ""), "select 1");
        let Err(CallError::Failed(why)) = ended else {
            panic!("{wrong} {ended:?}");
        };
        let is_quiet = |word: &str| !why.contains(word);
        assert!(
            [PASSWORD, "127.0", "nowhere", "wr0ng", "user"]
                .into_iter()
                .all(is_quiet),
            "{why}"
        );
    }
}

/// Statements of every kind.
const STATEMENTS: &[&str] = &[
    "select id from orders where id < 3",
    "values (1), (2)",
    "table orders",
    "with o as (select id from orders) select count(*) from o",
    "select id from orders for update",
    "select * into copied from orders",
    "with gone as (delete from orders returning id) select * from gone",
    "insert into orders (id) values (91)",
    "insert into orders (id) select 92",
    "insert into orders (id) values (93) returning id",
    "insert into orders (id) values (1) on conflict (id) do nothing",
    "update orders set name = 'c' where id = 2",
    "delete from orders where id = 90",
    "merge into orders o using (select 94 as id) n on o.id = n.id when not matched then insert (id) values (n.id)",
    "with n as (select 95 as id) insert into orders (id) select id from n",
    "create table t (a int)",
    "create temporary table t (a int)",
    "create table t as select * from orders",
    "create view v as select 1",
    "create index on orders (name)",
    "create function f() returns int language sql as 'select 1'",
    "create role r superuser",
    "alter table orders add column x int",
    "alter system set work_mem = '1MB'",
    "drop table orders",
    "truncate orders",
    "grant all on orders to public",
    "copy orders to stdout",
    "copy orders from stdin",
    "copy (select 1) to '/tmp/wardian-copied'",
    "copy (select 1) to program 'touch /tmp/wardian-ran'",
    "do $$ begin delete from orders; end $$",
    "call wipe_all()",
    "select wipe()",
    "select nextval('counter')",
    "select lo_create(0)",
    "select pg_read_file('/etc/hostname')",
    "select pg_reload_conf()",
    "select set_config('transaction_read_only', 'off', false)",
    "set statement_timeout = 0",
    "reset all",
    "show work_mem",
    "listen x",
    "notify x",
    "begin",
    "commit",
    "rollback",
    "savepoint a",
    "select 1; delete from orders",
    "commit; delete from orders",
    "explain select 1",
    "explain analyze delete from orders",
    "vacuum",
    "analyze orders",
    "lock table orders",
    "prepare x as select 1",
    "execute x",
    "deallocate all",
    "declare c cursor for select 1",
    "-- nothing",
];

/// The same for SQLite, in its own words where they differ.
const SQLITE_STATEMENTS: &[&str] = &[
    "select id from orders where id < 3",
    "values (1), (2)",
    "with o as (select id from orders) select count(*) from o",
    "insert into orders (id) values (91)",
    "insert into orders (id) select 92",
    "insert into orders (id) values (93) returning id",
    "insert into orders (id) values (1) on conflict (id) do nothing",
    "replace into orders (id) values (94)",
    "update orders set name = 'c' where id = 2",
    "delete from orders where id = 90",
    "create table t (a int)",
    "create temporary table t (a int)",
    "create view v as select 1",
    "create trigger g after insert on orders begin select 1; end",
    "alter table orders add column x int",
    "drop table orders",
    "attach 'x.db' as x",
    "vacuum",
    "vacuum into 'x.db'",
    "analyze",
    "reindex",
    "pragma user_version = 1",
    "pragma journal_mode = wal",
    "begin",
    "commit",
    "savepoint a",
    "select 1; delete from orders",
    "explain delete from orders",
    "select load_extension('x')",
    "select randomblob(2000000)",
    "-- nothing",
];

/// Names the result of a statement, in a word.
fn word(ended: &Result<Value, CallError>) -> String {
    match ended {
        Ok(Value::Number(changed)) => format!("{changed} changed"),
        Ok(rows) => format!("{} rows", rows["rows"].as_array().map_or(0, Vec::len)),
        Err(CallError::Denied { .. }) => "denied".to_owned(),
        Err(CallError::Value(_) | CallError::Failed(_)) => "error".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

/// REVIEW A 1, A 2: `docs/databases.md` is what each role gets for each statement, and nothing but
/// rows has changed.
#[test]
fn a_1_a_2_what_statements_get_is_written_down() {
    let _alone = alone();
    let gates = [READER, OWNER, SUPERUSER].map(gate);
    let state = || {
        server()
            .psql(
                "select (select string_agg(relname || coalesce(relacl::text, ''), ',' order by relname) from \
                 pg_class where relnamespace \
                 = 'public'::regnamespace), (select count(*) from pg_proc where pronamespace = \
                 'public'::regnamespace), \
                 (select count(*) from pg_roles), (select count(*) from pg_largeobject_metadata), \
                 (select count(*) from pg_attribute where attrelid = 'orders'::regclass)",
            )
            .unwrap()
    };
    let rows = || {
        server()
            .psql("select count(*), max(id), min(name) from orders")
            .unwrap()
    };
    let reset = "delete from orders where id > 2; update orders set name = 'b' where id = 2";
    let (first_state, first_rows) = (state(), rows());
    let mut table = String::new();
    for sql in STATEMENTS {
        let mut cells = Vec::new();
        for gate in &gates {
            for (tool, changes) in [("db_query", false), ("db_execute", true)] {
                let ended = call(gate, tool, sql, json!([]));
                let allowed = changes && matches!(&ended, Ok(changed) if *changed != 0);
                assert!(
                    allowed || rows() == first_rows,
                    "{tool} {sql} has changed rows"
                );
                assert_eq!(
                    state(),
                    first_state,
                    "{tool} {sql} has changed more than rows"
                );
                if rows() != first_rows {
                    server().psql(reset).unwrap();
                    assert_eq!(rows(), first_rows, "{tool} {sql}");
                }
                cells.push(word(&ended));
            }
        }
        let sql = sql.replace('|', "\\|");
        let _ = writeln!(table, "| `{sql}` | {} |", cells.join(" | "));
    }
    for file in ["/tmp/wardian-copied", "/tmp/wardian-ran"] {
        assert!(!Path::new(file).exists(), "{file}");
    }
    let mut sqlite = String::new();
    for sql in SQLITE_STATEMENTS {
        let cells = ["db_query", "db_execute"].map(|tool| {
            let setup = Setup::sqlite();
            word(&call(&setup.gate(BOTH, SQLITE, ""), tool, sql, json!([])))
        });
        let _ = writeln!(sqlite, "| `{sql}` | {} |", cells.join(" | "));
    }
    let page = include_str!("databases.md")
        .replace("POSTGRES\n", &table)
        .replace("SQLITE\n", &sqlite);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/databases.md");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/databases.md is not what statements get; UPDATE_EXPECT=1 writes it"
    );
}

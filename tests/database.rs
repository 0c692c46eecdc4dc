//! `db_query` and `db_execute` on SQLite files.

use std::fs;

use indoc::indoc;
use serde_json::{Value, json};
use tempfile::TempDir;
use wardian::{Gate, Sandbox, load_policy, tool::CallError};

use crate::runtime;

/// A policy, and the databases that it names.
pub(crate) struct Setup {
    pub(crate) dir: TempDir,
}

pub(crate) const BOTH: &str = "DATABASE_READ\", \"DATABASE_WRITE";

impl Setup {
    pub(crate) fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let connection = rusqlite::Connection::open(dir.path().join("shop.db")).unwrap();
        connection
            .execute_batch(
                "create table orders (id integer primary key, name text, price real, blob blob);
                 insert into orders values (1, 'a', 1.5, x'ff00'), (2, 'b', null, null);
                 create index by_name on orders (name);
                 create table big (n integer);
                 with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000) insert into big \
                 select i from n;",
            )
            .unwrap();
        Self { dir }
    }

    pub(crate) fn gate(&self, permissions: &str, database: &str, more: &str) -> Gate {
        let file = self.dir.path().join("policy.toml");
        let text = format!(
            "version = 1\npermissions = [\"EXECUTE_CODE\", \"{permissions}\"]\n{more}\n\
             [tools.db_query.config.databases]\n{database}\n\
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

pub(crate) const SQLITE: &str = "shop = { sqlite = \"shop.db\" }";

pub(crate) fn call(gate: &Gate, tool: &str, sql: &str, params: Value) -> Result<Value, CallError> {
    let args = json!({"database": "shop", "sql": sql, "params": params});
    gate.tool(tool).unwrap().call_blocking(&args)
}

pub(crate) fn query(gate: &Gate, sql: &str) -> Result<Value, CallError> {
    call(gate, "db_query", sql, json!([]))
}

pub(crate) fn execute(gate: &Gate, sql: &str) -> Result<Value, CallError> {
    call(gate, "db_execute", sql, json!([]))
}

/// The permissions, each with and without, from Python.
pub(crate) fn with_and_without(setup: &Setup, database: &str, insert: &str) {
    let code = format!(
        "from wardian import tools\ndef t(name, *args):\n    try: return getattr_(name)(*args)\n    \
         except Exception as error: \
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
        let outcome = Sandbox::with_gate(runtime(), gate)
            .unwrap()
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
            "rows": [[1, "a", 1.5, {"$bytes": "/wA="}], [2, "b", null, null]],
            "truncated": false,
        })
    );
    let params = json!([null, true, 7, 1.5, "x'; drop table orders; --", {"$float": "-inf"}]);
    let echoed = call(&gate, "db_query", "select ?1, ?2, ?3, ?4, ?5, ?6", params).unwrap();
    assert_eq!(
        echoed["rows"][0],
        json!([
            null,
            1,
            7,
            1.5,
            "x'; drop table orders; --",
            {"$float": "-inf"}
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
        // REVIEW A 28: nothing changes on the way.
        ("select ?1", json!([u64::MAX])),
        ("select ?1", json!([{"$int": "99999999999999999999"}])),
        ("select ?1", json!([{"$float": "nan"}])),
        ("select ?1", json!([{"$decimal": "1.5"}])),
        ("select ?1", json!([{"a": 1}])),
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
            matches!(ended, Err(CallError::Denied { .. } | CallError::Failed(_))),
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
            matches!(ended, Err(CallError::Denied { .. } | CallError::Failed(_))),
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

/// REVIEW A 6: a query leaves nothing beside a database in WAL mode, and does not disturb who
/// writes to it.
#[test]
fn a_6_a_query_leaves_nothing_beside_a_database() {
    let setup = Setup::sqlite();
    let path = setup.dir.path().join("shop.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    let mode: String = connection
        .query_row("pragma journal_mode = wal", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
    drop(connection);
    let gate = setup.gate(BOTH, SQLITE, "");
    let entries = || {
        let entries = fs::read_dir(setup.dir.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = entries();
    assert_eq!(
        query(&gate, "select count(*) from big").unwrap()["rows"],
        json!([[5000]])
    );
    assert_eq!(entries(), before);
    // While somebody else has it open, what is theirs stays.
    let writer = rusqlite::Connection::open(&path).unwrap();
    writer.execute_batch("insert into big values (1)").unwrap();
    assert_eq!(
        query(&gate, "select count(*) from big").unwrap()["rows"],
        json!([[5001]])
    );
    assert_ne!(entries(), before);
    writer.execute_batch("insert into big values (1)").unwrap();
    drop(writer);
    assert_eq!(entries(), before);
}

/// REVIEW A 8: a database does not grow beyond what a run may write, and that is counted.
#[test]
fn a_8_what_a_database_grows_by_is_counted() {
    let setup = Setup::sqlite();
    let gate = setup.gate(BOTH, SQLITE, "limits.bytes_written = \"1MiB\"");
    let before = setup.bytes().len();
    let endless = "with recursive n(i) as (select 1 union all select i + 1 from n) insert into big select \
                   randomblob(1000) from n";
    let ended = execute(&gate, endless);
    assert!(
        matches!(&ended, Err(CallError::Failed(why)) if why.contains("limits.bytes_written")),
        "{ended:?}"
    );
    assert!(setup.bytes().len() - before <= 1 << 20);
    // One call after the other.
    let code = indoc! {"
        from wardian import tools
        done = 0
        for i in range(100):
            try: done += tools.db_execute('shop', 'insert into big values (?1)', [b'x' * 200_000])
            except Exception: pass
        done"};
    let outcome = Sandbox::with_gate(runtime(), gate)
        .unwrap()
        .run_blocking(code)
        .unwrap();
    let done = outcome.json()["value"].as_u64().unwrap();
    assert!((2..6).contains(&done), "{done} {}", outcome.stderr.text());
    assert!(setup.bytes().len() - before <= 1 << 20);
    assert!(
        (200_000..=1 << 20).contains(&outcome.usage.bytes_written),
        "{}",
        outcome.usage.bytes_written
    );
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

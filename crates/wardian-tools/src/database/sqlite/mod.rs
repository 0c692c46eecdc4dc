//! SQLite. What a statement may do is decided by SQLite itself, while it compiles it: by its
//! authorizer, on a connection that is opened read-only for queries.
//!
//! What it may take: SQLite has so much memory for all statements of the process, temporary storage
//! included, so that one that needs more fails; values have a length at which a single step of it
//! is short; between two steps it looks whether somebody still waits for it.

mod functions;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rusqlite::config::DbConfig;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::{Value as SqlValue, ValueRef};
use rusqlite::{Batch, Connection, ErrorCode, OpenFlags, Statement};
use serde_json::Value;
use tokio::sync::Semaphore;
use wardian::{Call, ToolError, tool::exact};

use super::{Collecting, RowBudget, Rows, SQL_BYTES};

/// The longest wait of a statement for another process's.
const BUSY: Duration = Duration::from_secs(2);

/// The most statements of the process that work at once. Others wait, and keep nobody else waiting.
const AT_ONCE: u32 = 4;

static SLOTS: Semaphore = Semaphore::const_new(AT_ONCE as usize);

/// SQLite's part of the host's memory, in bytes, for all statements of the process and all that
/// they hold: rows, sorted and intermediate results, pages. It is SQLite's own limit, which holds
/// for a host's own use of the library too.
const HEAP_BYTES: u64 = 64 << 20;

/// The most pages of a database that SQLite knows.
const MAX_PAGES: u64 = 0xffff_fffe;

/// The longest value, in bytes.
pub(super) const VALUE_BYTES: usize = 1 << 20;

/// Functions that reach beyond the database. They are not in this build; they are refused all the
/// same.
const FUNCTIONS: &[&str] = &[
    "edit",
    "fts3_tokenizer",
    "load_extension",
    "readfile",
    "writefile",
];

pub(super) async fn query(
    file: PathBuf,
    sql: String,
    params: Vec<Value>,
    room: RowBudget,
    call: &Call,
) -> Result<Rows, ToolError> {
    let work = Arc::new(move |stop: &Stop| {
        let tidying = Tidying::of(&file);
        let rows = read(&file, &sql, &params, room, stop);
        tidying.tidy(&file);
        rows
    });
    working(call, work).await
}

fn read(
    file: &Path,
    sql: &str,
    params: &[Value],
    room: RowBudget,
    stop: &Stop,
) -> Result<Rows, ToolError> {
    let mut connection = open(file, OpenFlags::SQLITE_OPEN_READ_ONLY, room, stop)?;
    authorize(&mut connection, reading)?;
    let mut statement = only(&connection, sql)?;
    if !statement.readonly() {
        return Err(super::exceeds("it would change the database"));
    }
    let columns: Vec<String> = statement.column_names().map(ToOwned::to_owned).collect();
    bind(&mut statement, params)?;
    let mut collecting = Collecting::new(room);
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(|error| failed(&error))? {
        let values = columns.iter().enumerate().map(|(at, column)| {
            let value = row.get_ref(at).map_err(|error| failed(&error))?;
            json(value).map_err(|why| ToolError::failed(format!("column {column:?} {why}")))
        });
        if !collecting.push(values.collect::<Result<_, _>>()?)? {
            break;
        }
    }
    Ok(Rows {
        columns,
        rows: collecting.rows,
        truncated: collecting.truncated,
    })
}

pub(super) async fn execute(
    file: PathBuf,
    sql: String,
    params: Vec<Value>,
    room: RowBudget,
    call: &Call,
) -> Result<u64, ToolError> {
    let call_ = call.clone();
    let work = Arc::new(move |stop: &Stop| change(&file, &sql, &params, room, stop, &call_));
    working(call, work).await
}

/// Changes rows. By what the database's file grows counts as written.
fn change(
    file: &Path,
    sql: &str,
    params: &[Value],
    room: RowBudget,
    stop: &Stop,
    call: &Call,
) -> Result<u64, ToolError> {
    let mut connection = open(file, OpenFlags::SQLITE_OPEN_READ_WRITE, room, stop)?;
    let (page, before) = (
        number(&connection, "page_size")?.max(1),
        number(&connection, "page_count")?,
    );
    let growth = call.write_room();
    let most = before.saturating_add(growth.bytes() / page);
    let most = most.clamp(1, MAX_PAGES);
    number(&connection, &format!("max_page_count = {most}"))?;
    authorize(&mut connection, writing)?;
    let changed = only(&connection, sql).and_then(|mut statement| {
        bind(&mut statement, params)?;
        statement.raw_execute().map_err(|error| failed(&error))
    });
    // Our own questions are not the script's.
    authorize(&mut connection, |_| Authorization::Allow)?;
    let after = number(&connection, "page_count").unwrap_or(most);
    growth.settle(after.saturating_sub(before).saturating_mul(page));
    Ok(changed? as u64)
}

/// Reads a number from a pragma.
fn number(connection: &Connection, pragma: &str) -> Result<u64, ToolError> {
    let sql = format!("PRAGMA {pragma}");
    let number = connection.query_row(&sql, [], |row| row.get::<_, i64>(0));
    let number = number.map_err(|error| failed(&error))?;
    Ok(u64::try_from(number).unwrap_or_default())
}

/// Works on a thread that may wait, until it is done or nobody waits for it. If SQLite's memory is
/// used up while others work too, it works once more, alone.
async fn working<T: Send + 'static>(
    call: &Call,
    work: Arc<impl Fn(&Stop) -> Result<T, ToolError> + Send + Sync + 'static>,
) -> Result<T, ToolError> {
    struct Abandoned(Arc<AtomicBool>);
    impl Drop for Abandoned {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let abandoned = Abandoned(Arc::default());
    let mut worked = Err(no_memory());
    for slots in [1, AT_ONCE] {
        // It is never closed.
        let slots = SLOTS.acquire_many(slots).await;
        let (work, stop) = (work.clone(), Stop(abandoned.0.clone()));
        worked = call.blocking(move || work(&stop)).await?;
        drop(slots);
        match &worked {
            Err(error) if *error == no_memory() => {}
            _ => break,
        }
    }
    worked
}

/// Set once nobody waits for a statement any more.
#[derive(Clone)]
struct Stop(Arc<AtomicBool>);

fn open(
    file: &Path,
    flags: OpenFlags,
    room: RowBudget,
    stop: &Stop,
) -> Result<Connection, ToolError> {
    let stop = stop.clone();
    let prepared = || {
        // No URI: nothing in the file's name means anything.
        let mut connection =
            Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        let set = |pragma: String| {
            connection
                .query_row(&pragma, [], |_| Ok(()))
                .or_else(nothing)
        };
        set(format!("PRAGMA hard_heap_limit = {HEAP_BYTES}"))?;
        set("PRAGMA temp_store = MEMORY".to_owned())?;
        set("PRAGMA mmap_size = 0".to_owned())?;
        functions::replace_slow(&connection)?;
        let bytes = |bytes: usize| i32::try_from(bytes).unwrap_or(i32::MAX);
        for (limit, most) in [
            (
                Limit::SQLITE_LIMIT_LENGTH,
                bytes(room.bytes.min(VALUE_BYTES)),
            ),
            (Limit::SQLITE_LIMIT_SQL_LENGTH, bytes(SQL_BYTES)),
            (Limit::SQLITE_LIMIT_COLUMN, 500),
            (Limit::SQLITE_LIMIT_EXPR_DEPTH, 100),
            (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50),
            (Limit::SQLITE_LIMIT_ATTACHED, 0),
            (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100),
        ] {
            connection.set_limit(limit, most)?;
        }
        connection.progress_handler(1, Some(move || stop.0.load(Ordering::Relaxed)))?;
        Ok(connection)
    };
    prepared().map_err(|error| failed(&error))
}

/// A pragma that says nothing is set.
fn nothing(error: rusqlite::Error) -> rusqlite::Result<()> {
    match error {
        rusqlite::Error::QueryReturnedNoRows => Ok(()),
        error => Err(error),
    }
}

fn authorize(
    connection: &mut Connection,
    may: fn(AuthContext<'_>) -> Authorization,
) -> Result<(), ToolError> {
    connection
        .authorizer(Some(may))
        .map_err(|error| failed(&error))
}

/// Files beside a database in WAL mode. A query that makes them leaves them, if it can't write.
struct Tidying {
    were_there: bool,
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn is_there(file: &Path) -> bool {
    ["-wal", "-shm"]
        .iter()
        .any(|suffix| fs::exists(beside(file, suffix)).unwrap_or(true))
}

impl Tidying {
    fn of(file: &Path) -> Self {
        let were_there = is_there(file);
        Self { were_there }
    }

    /// Has SQLite take away what the query has made, unless others use it by now.
    fn tidy(self, file: &Path) {
        if self.were_there || !is_there(file) {
            return;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // If that fails, they stay: they are of no harm.
        let _ = Connection::open_with_flags(file, flags)
            .and_then(|connection| connection.execute_batch("SELECT 1 FROM sqlite_schema"));
    }
}

fn reading(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => {
            Authorization::Allow
        }
        AuthAction::Function { function_name } => {
            if FUNCTIONS.contains(&function_name.to_ascii_lowercase().as_str()) {
                Authorization::Deny
            } else {
                Authorization::Allow
            }
        }
        _ => Authorization::Deny,
    }
}

/// Rows may change. Tables, settings, other files may not.
fn writing(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Insert { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Delete { table_name } => {
            if table_name.starts_with("sqlite_") {
                Authorization::Deny
            } else {
                Authorization::Allow
            }
        }
        _ => reading(context),
    }
}

/// The one statement of `sql`.
fn only<'c>(connection: &'c Connection, sql: &str) -> Result<Statement<'c>, ToolError> {
    let mut batch = Batch::new(connection, sql);
    let statement = batch.next().map_err(|error| failed(&error))?;
    let statement = statement.ok_or_else(|| ToolError::argument("sql", "holds no statement"))?;
    match batch.next() {
        Ok(None) => Ok(statement),
        _ => Err(ToolError::argument("sql", "holds more than one statement")),
    }
}

fn bind(statement: &mut Statement<'_>, params: &[Value]) -> Result<(), ToolError> {
    let expected = statement.parameter_count();
    if expected != params.len() {
        let why = format!("are {}, where the statement has {expected}", params.len());
        return Err(ToolError::argument("params", why));
    }
    for (i, value) in params.iter().enumerate() {
        let value = param(value)
            .map_err(|why| ToolError::argument("params", format!("{} {why}", i + 1)))?;
        statement
            .raw_bind_parameter(i + 1, value)
            .map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// A parameter, exactly; or why not.
fn param(value: &Value) -> Result<SqlValue, String> {
    let refused = |what: &str| {
        Err(format!(
            "is {what}, which SQLite does not have; pass str(x) or float(x)"
        ))
    };
    Ok(match value {
        Value::Null => SqlValue::Null,
        Value::Bool(bool) => SqlValue::Integer((*bool).into()),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => SqlValue::Integer(number),
            (None, _) if number.is_u64() => return refused("an integer of more than 64 bits"),
            (None, number) => SqlValue::Real(number.unwrap_or_default()),
        },
        Value::String(text) => SqlValue::Text(text.clone()),
        Value::Array(_) => return refused("a list"),
        Value::Object(_) => match exact::tag(value) {
            Some(("$float", float)) => match float.as_str() {
                Some("inf") => SqlValue::Real(f64::INFINITY),
                Some("-inf") => SqlValue::Real(f64::NEG_INFINITY),
                // It would be stored as null.
                _ => return refused("NaN"),
            },
            Some(("$bytes", text)) => {
                let bytes = BASE64_STANDARD.decode(text.as_str().unwrap_or_default());
                SqlValue::Blob(bytes.map_err(|_| "is not base64".to_owned())?)
            }
            Some(("$int", _)) => return refused("an integer of more than 64 bits"),
            Some((exact::OBJECT, _)) | None => return refused("a dict"),
            Some((tag, _)) => return refused(&format!("a {}", tag.trim_start_matches('$'))),
        },
    })
}

/// A value of a row, exactly; or why not.
fn json(value: ValueRef<'_>) -> Result<Value, &'static str> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => exact::float(number),
        ValueRef::Text(text) => str::from_utf8(text)
            .map_err(|_| "holds text that is not UTF-8; write cast(column as blob)")?
            .into(),
        ValueRef::Blob(bytes) => exact::tagged("$bytes", BASE64_STANDARD.encode(bytes)),
    })
}

fn no_memory() -> ToolError {
    let mib = HEAP_BYTES >> 20;
    ToolError::failed(format!(
        "the statement needs more than the {mib} MiB that SQLite has; ask for less at once"
    ))
}

/// Makes the message for a script of SQLite's error: it is about its statement, never about a path.
fn failed(error: &rusqlite::Error) -> ToolError {
    match error.sqlite_error_code() {
        Some(ErrorCode::AuthorizationForStatementDenied | ErrorCode::ReadOnly) => {
            super::exceeds("SQLite's authorizer has refused it")
        }
        Some(ErrorCode::OperationInterrupted) => {
            ToolError::TimedOut("the statement took too long".to_owned())
        }
        Some(ErrorCode::CannotOpen | ErrorCode::NotADatabase) => {
            ToolError::failed("the database can't be opened")
        }
        Some(ErrorCode::TooBig) => ToolError::failed("a value is too long"),
        Some(ErrorCode::OutOfMemory) => no_memory(),
        Some(ErrorCode::DiskFull) => ToolError::failed(
            "the database can't grow: the disk is full, or the run has written all that limits.bytes_written allows",
        ),
        _ => ToolError::failed(error.to_string()),
    }
}

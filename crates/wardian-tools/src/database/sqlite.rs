//! SQLite. What a statement may do is decided by SQLite itself, while it compiles it: by its
//! authorizer, on a connection that is opened read-only for queries.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rusqlite::config::DbConfig;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::{ToSqlOutput, Value as SqlValue, ValueRef};
use rusqlite::{Batch, Connection, ErrorCode, OpenFlags, Statement, ToSql};
use serde_json::Value;
use wardian::ToolError;

use super::{Collecting, Room, Rows, SQL_BYTES};

/// How long a statement waits for another process's.
const BUSY: Duration = Duration::from_secs(2);

/// How many of SQLite's steps go by between two looks at the clock.
const STEPS: i32 = 1_000;

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
    room: Room,
) -> Result<Rows, ToolError> {
    working(room.time, move |stop| {
        let connection = open(&file, OpenFlags::SQLITE_OPEN_READ_ONLY, room, stop, reading)?;
        let mut statement = only(&connection, &sql)?;
        if !statement.readonly() {
            return Err(super::exceeds("it would change the database"));
        }
        let columns: Vec<String> = statement.column_names().map(ToOwned::to_owned).collect();
        bind(&mut statement, &params)?;
        let mut collecting = Collecting::new(room);
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(|error| failed(&error))? {
            let values = (0..columns.len())
                .map(|at| row.get_ref(at).map(json).map_err(|error| failed(&error)));
            if !collecting.push(values.collect::<Result<_, _>>()?)? {
                break;
            }
        }
        Ok(Rows {
            columns,
            rows: collecting.rows,
            truncated: collecting.truncated,
        })
    })
    .await
}

pub(super) async fn execute(
    file: PathBuf,
    sql: String,
    params: Vec<Value>,
    room: Room,
) -> Result<u64, ToolError> {
    working(room.time, move |stop| {
        let connection = open(
            &file,
            OpenFlags::SQLITE_OPEN_READ_WRITE,
            room,
            stop,
            writing,
        )?;
        let mut statement = only(&connection, &sql)?;
        bind(&mut statement, &params)?;
        let changed = statement.raw_execute().map_err(|error| failed(&error))?;
        Ok(changed as u64)
    })
    .await
}

/// Works on a thread that may wait, until it is done or nobody waits for it.
async fn working<T: Send + 'static>(
    time: Duration,
    work: impl FnOnce(Stop) -> Result<T, ToolError> + Send + 'static,
) -> Result<T, ToolError> {
    struct Abandoned(Arc<AtomicBool>);
    impl Drop for Abandoned {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let abandoned = Abandoned(Arc::default());
    let stop = Stop {
        abandoned: abandoned.0.clone(),
        deadline: Instant::now() + time,
    };
    let worked = tokio::task::spawn_blocking(move || work(stop)).await;
    drop(abandoned);
    worked.map_err(|_| ToolError::failed("the database broke"))?
}

struct Stop {
    abandoned: Arc<AtomicBool>,
    deadline: Instant,
}

impl Stop {
    fn is_over(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed) || Instant::now() >= self.deadline
    }
}

fn open(
    file: &PathBuf,
    flags: OpenFlags,
    room: Room,
    stop: Stop,
    may: fn(AuthContext<'_>) -> Authorization,
) -> Result<Connection, ToolError> {
    let prepared = || {
        // No URI: nothing in the file's name means anything.
        let mut connection =
            Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        let bytes = |bytes: usize| i32::try_from(bytes).unwrap_or(i32::MAX);
        for (limit, most) in [
            (Limit::SQLITE_LIMIT_LENGTH, bytes(room.bytes)),
            (Limit::SQLITE_LIMIT_SQL_LENGTH, bytes(SQL_BYTES)),
            (Limit::SQLITE_LIMIT_EXPR_DEPTH, 100),
            (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50),
            (Limit::SQLITE_LIMIT_ATTACHED, 0),
            (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1_000),
        ] {
            connection.set_limit(limit, most)?;
        }
        connection.authorizer(Some(may))?;
        connection.progress_handler(STEPS, Some(move || stop.is_over()))?;
        Ok(connection)
    };
    prepared().map_err(|error| failed(&error))
}

fn reading(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => {
            Authorization::Allow
        }
        AuthAction::Function { function_name } => {
            match FUNCTIONS.contains(&function_name.to_ascii_lowercase().as_str()) {
                true => Authorization::Deny,
                false => Authorization::Allow,
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
        | AuthAction::Delete { table_name } => match table_name.starts_with("sqlite_") {
            true => Authorization::Deny,
            false => Authorization::Allow,
        },
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
    for (i, param) in params.iter().enumerate() {
        statement
            .raw_bind_parameter(i + 1, Param(param))
            .map_err(|error| failed(&error))?;
    }
    Ok(())
}

struct Param<'v>(&'v Value);

impl ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Bool(bool) => i64::from(*bool).into(),
            Value::Number(number) => match number.as_i64() {
                Some(number) => number.into(),
                None => ToSqlOutput::Owned(SqlValue::Real(number.as_f64().unwrap_or(f64::NAN))),
            },
            Value::String(text) => text.as_str().into(),
            _ => ToSqlOutput::Owned(SqlValue::Null),
        })
    }
}

fn json(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(bytes) => BASE64_STANDARD.encode(bytes).into(),
    }
}

/// What a script is told of SQLite's error: it is about its statement, never about a path.
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
        _ => ToolError::failed(error.to_string()),
    }
}

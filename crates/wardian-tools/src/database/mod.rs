//! Databases, by the names that a policy gives them.
//!
//! What a statement may do is judged by the system that does it: a query is what SQLite's
//! authorizer lets through on a connection that can't write, and what PostgreSQL takes as a cursor;
//! a change is what they say changes rows. Its text is never looked at. Values cross exactly, as
//! [`exact`](wardian::tool::exact) has them.

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wardian::{
    Call, Tool, ToolError,
    policy::{Access, Action, Limit},
};

use crate::config::{SecretSource, ToolConfig};
use crate::{ConfigError, Secret};

/// The longest statement, in bytes.
const SQL_BYTES: usize = 64 << 10;

/// The most parameters of a statement.
const PARAMETERS: usize = 1_000;

/// `[tools.db_query.config]` and `[tools.db_execute.config]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    databases: BTreeMap<String, DatabaseConfig>,
    /// The most rows that a query returns.
    #[serde(default = "max_rows")]
    max_rows: usize,
}

fn max_rows() -> usize {
    1_000
}

/// A database: one of the two.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DatabaseConfig {
    /// A file, relative to the policy's. It has to exist.
    sqlite: Option<PathBuf>,
    /// The source of the connection string: `postgres://user:password@host/database`.
    postgres: Option<SecretSource>,
    /// Set if the role may be one that can do more than read and change rows.
    #[serde(default)]
    trusted_role: bool,
}

/// The message for a database whose feature is off.
#[cfg(not(all(feature = "sqlite", feature = "postgres")))]
const UNKNOWN: &str = "this build knows no such database";

enum Database {
    #[cfg(feature = "sqlite")]
    Sqlite(PathBuf),
    #[cfg(feature = "postgres")]
    Postgres(Box<postgres::Server>),
}

/// The arguments of both tools.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Statement {
    /// The database's name.
    database: String,
    /// One statement, with `?1`, `?2` (SQLite) or `$1`, `$2` (PostgreSQL) for its parameters.
    sql: String,
    /// The parameters: None, bool, int, float, str, bytes; for PostgreSQL also Decimal, date, time,
    /// datetime, timedelta, UUID, lists for arrays, and lists and dicts for JSON.
    #[serde(default)]
    params: Vec<Value>,
}

/// The result of a query.
#[derive(Debug, Serialize, JsonSchema)]
struct Rows {
    /// The names of the columns.
    columns: Vec<String>,
    /// The rows, a value for each column, as Python's own type: also Decimal, date, time, datetime,
    /// timedelta, UUID, bytes.
    rows: Vec<Vec<Value>>,
    /// True if there were more rows than are returned.
    truncated: bool,
}

/// The room for a query.
#[derive(Clone, Copy)]
struct RowBudget {
    rows: usize,
    bytes: usize,
    time: Duration,
}

impl RowBudget {
    fn of(call: &Call, rows: usize) -> Self {
        let time = call.policy().limits().get(Limit::ToolWait).or_max();
        Self {
            rows,
            bytes: call.reply_bytes(),
            time: Duration::from_nanos(time),
        }
    }
}

pub(crate) fn db_query(setting: ToolConfig<'_>) -> Result<Tool, ConfigError> {
    let databases = Databases::new(setting)?;
    let shared = databases.clone();
    let handler = move |args: Statement, call: Call| {
        let databases = shared.clone();
        async move {
            let (database, room) = databases.of(&args, &call)?;
            database.query(args, room, &call).await
        }
    };
    let what = "Asks a database. Returns the rows; it can't change anything.";
    let tool = Tool::new(setting.tool, Action::DbRead, handler);
    tool_of(databases, setting, tool, what)
}

pub(crate) fn db_execute(setting: ToolConfig<'_>) -> Result<Tool, ConfigError> {
    let databases = Databases::new(setting)?;
    let shared = databases.clone();
    let handler = move |args: Statement, call: Call| {
        let databases = shared.clone();
        async move {
            let (database, room) = databases.of(&args, &call)?;
            database.execute(args, room, &call).await
        }
    };
    let what = "Changes rows of a database. Returns how many.";
    let tool = Tool::new(setting.tool, Action::DbWrite, handler);
    tool_of(databases, setting, tool, what)
}

impl Database {
    async fn query(
        &self,
        statement: Statement,
        room: RowBudget,
        call: &Call,
    ) -> Result<Rows, ToolError> {
        let Statement { sql, params, .. } = statement;
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(file) => sqlite::query(file.clone(), sql, params, room, call).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(server) => server.query(&sql, &params, room, call).await,
        }
    }

    async fn execute(
        &self,
        statement: Statement,
        room: RowBudget,
        call: &Call,
    ) -> Result<u64, ToolError> {
        let Statement { sql, params, .. } = statement;
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(file) => sqlite::execute(file.clone(), sql, params, room, call).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(server) => server.execute(&sql, &params, room, call).await,
        }
    }
}

/// The databases of a tool.
struct Databases {
    named: BTreeMap<String, Database>,
    max_rows: usize,
    secrets: Vec<Secret>,
    secret_files: Vec<PathBuf>,
}

impl Databases {
    fn new(setting: ToolConfig<'_>) -> Result<Arc<Self>, ConfigError> {
        let config: Config = setting.config()?;
        let mut databases = Self {
            named: BTreeMap::new(),
            max_rows: config.max_rows,
            secrets: Vec::new(),
            secret_files: Vec::new(),
        };
        for (name, database) in config.databases {
            let key = format!("databases.{name}");
            let database = match (database.sqlite, database.postgres) {
                #[cfg(feature = "sqlite")]
                (Some(file), None) => Database::Sqlite(file),
                #[cfg(feature = "postgres")]
                (None, Some(source)) => {
                    let secret = setting.secret(&source, &key)?;
                    databases
                        .secret_files
                        .extend(source.file().map(Path::to_owned));
                    let server = postgres::Server::new(secret.reveal(), database.trusted_role)
                        .map_err(|why| setting.wrong(&key, why))?;
                    databases.secrets.extend(server.password().map(Secret::new));
                    databases.secrets.push(secret);
                    Database::Postgres(Box::new(server))
                }
                #[cfg(not(all(feature = "sqlite", feature = "postgres")))]
                (Some(_), None) | (None, Some(_)) => return Err(setting.wrong(&key, UNKNOWN)),
                _ => return Err(setting.wrong(&key, "has to name one of `sqlite` and `postgres`")),
            };
            databases.named.insert(name, database);
        }
        Ok(Arc::new(databases))
    }

    /// The database of a statement, and what the statement may take.
    fn of(&self, args: &Statement, call: &Call) -> Result<(&Database, RowBudget), ToolError> {
        check(&args.sql, &args.params)?;
        let database = self.named(&args.database)?;
        Ok((database, RowBudget::of(call, self.max_rows)))
    }

    fn named(&self, name: &str) -> Result<&Database, ToolError> {
        self.named.get(name).ok_or_else(|| {
            let known = self.named.keys().cloned().collect::<Vec<_>>().join(", ");
            let message = format!("there is no database {name:?}; there are {known}");
            ToolError::argument("database", message)
        })
    }
}

/// The tool of these databases, as `tool` has been declared.
fn tool_of(
    databases: Arc<Databases>,
    setting: ToolConfig<'_>,
    tool: Result<Tool, wardian::tool::ToolDefinitionError>,
    what: &str,
) -> Result<Tool, ConfigError> {
    let mut tool = tool
        .and_then(|tool| tool.describe(what).resource("database"))
        .map_err(|error| setting.undeclared(error))?
        .exact();
    for secret in &databases.secrets {
        tool = tool.with_secret(secret.reveal());
    }
    for file in &databases.secret_files {
        tool = tool.relies_on(file, Access::READ_WRITE);
    }
    for database in databases.named.values() {
        #[cfg(feature = "sqlite")]
        if let Database::Sqlite(file) = database {
            tool = tool.relies_on(file, Access::WRITE);
        }
    }
    Ok(tool.checked_by(move |args| {
        let text = |name: &str| args.get(name).and_then(Value::as_str).unwrap_or_default();
        databases.named(text("database"))?;
        let params = args.get("params").and_then(Value::as_array);
        check(text("sql"), params.map_or(&[], Vec::as_slice))
    }))
}

fn check(sql: &str, params: &[Value]) -> Result<(), ToolError> {
    if sql.len() > SQL_BYTES || sql.contains('\0') {
        let why = format!("is longer than {SQL_BYTES} bytes, or holds a NUL");
        return Err(ToolError::argument("sql", why));
    }
    if params.len() > PARAMETERS {
        let why = format!("are more than {PARAMETERS}");
        return Err(ToolError::argument("params", why));
    }
    Ok(())
}

/// A statement does more than its tool may: a query that writes, a change of more than rows.
fn exceeds(reason: &str) -> ToolError {
    ToolError::Denied {
        resource: String::new(),
        rule: "permissions".to_owned(),
        reason: reason.to_owned(),
        message: Some(
            "the statement does more than this tool may: db_query reads, db_execute changes rows"
                .to_owned(),
        ),
    }
}

/// Estimates the bytes of the host's memory that a value takes, at least.
fn weight(value: &Value) -> usize {
    let inner = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(items) => items
            .iter()
            .map(|(key, item)| key.len() + weight(item))
            .sum(),
        _ => 0,
    };
    inner + 8
}

/// Rows as they come, as far as there is room.
struct Collecting {
    rows: Vec<Vec<Value>>,
    bytes: usize,
    room: RowBudget,
    truncated: bool,
}

impl Collecting {
    fn new(room: RowBudget) -> Self {
        Self {
            rows: Vec::new(),
            bytes: 0,
            room,
            truncated: false,
        }
    }

    /// Takes one more row. False if there is no room for another.
    fn push(&mut self, row: Vec<Value>) -> Result<bool, ToolError> {
        if self.rows.len() >= self.room.rows {
            self.truncated = true;
            return Ok(false);
        }
        self.bytes += row.iter().map(weight).sum::<usize>();
        if self.bytes > self.room.bytes {
            let why = format!("the rows take more than {} bytes", self.room.bytes);
            return Err(ToolError::failed(why));
        }
        self.rows.push(row);
        Ok(true)
    }
}

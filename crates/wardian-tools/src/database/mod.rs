//! Databases, by the names that a policy gives them.
//!
//! A query can't write, because it gets a connection that can't: not because its text was looked at.

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wardian::{Action, Call, Limit, Tool, ToolError};

use crate::config::{SecretSource, Setting};
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

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(
    not(all(feature = "sqlite", feature = "postgres")),
    allow(dead_code, reason = "a feature that is off is refused by name")
)]
enum DatabaseConfig {
    /// A file, relative to the policy's. It has to exist.
    Sqlite(PathBuf),
    /// Where the connection string is: `postgres://user:password@host/database`.
    Postgres(SecretSource),
}

/// What is said of a database whose feature is off.
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
    /// The parameters: null, booleans, numbers, strings.
    #[serde(default)]
    params: Vec<Value>,
}

/// What a query returns.
#[derive(Debug, Serialize, JsonSchema)]
struct Rows {
    /// The names of the columns.
    columns: Vec<String>,
    /// The rows, a value for each column. Bytes are text in base64.
    rows: Vec<Vec<Value>>,
    /// Whether there were more rows than are returned.
    truncated: bool,
}

/// What a query may take.
#[derive(Clone, Copy)]
struct Room {
    rows: usize,
    bytes: usize,
    time: Duration,
}

impl Room {
    fn of(call: &Call, rows: usize) -> Self {
        let time = call.policy().limits().get(Limit::ToolWait).or_max();
        Self {
            rows,
            bytes: call.reply_bytes(),
            time: Duration::from_nanos(time),
        }
    }
}

pub(crate) fn db_query(setting: Setting<'_>) -> Result<Tool, ConfigError> {
    let databases = Databases::new(setting)?;
    let shared = databases.clone();
    let handler = move |args: Statement, call: Call| {
        let databases = shared.clone();
        async move {
            let (database, room) = databases.of(&args, &call)?;
            database.query(args, room).await
        }
    };
    let what = "Asks a database. Returns the rows; it can't change anything.";
    let tool = Tool::new(setting.tool, Action::DbRead, handler);
    databases.tool(setting, tool, what)
}

pub(crate) fn db_execute(setting: Setting<'_>) -> Result<Tool, ConfigError> {
    let databases = Databases::new(setting)?;
    let shared = databases.clone();
    let handler = move |args: Statement, call: Call| {
        let databases = shared.clone();
        async move {
            let (database, room) = databases.of(&args, &call)?;
            database.execute(args, room).await
        }
    };
    let what = "Changes rows of a database. Returns how many.";
    let tool = Tool::new(setting.tool, Action::DbWrite, handler);
    databases.tool(setting, tool, what)
}

impl Database {
    async fn query(&self, statement: Statement, room: Room) -> Result<Rows, ToolError> {
        let Statement { sql, params, .. } = statement;
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(file) => sqlite::query(file.clone(), sql, params, room).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(server) => server.query(&sql, &params, room).await,
        }
    }

    async fn execute(&self, statement: Statement, room: Room) -> Result<u64, ToolError> {
        let Statement { sql, params, .. } = statement;
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(file) => sqlite::execute(file.clone(), sql, params, room).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(server) => server.execute(&sql, &params, room).await,
        }
    }
}

/// The databases of a tool.
struct Databases {
    named: BTreeMap<String, Database>,
    max_rows: usize,
    secrets: Vec<Secret>,
}

impl Databases {
    fn new(setting: Setting<'_>) -> Result<Arc<Self>, ConfigError> {
        let config: Config = setting.config()?;
        let mut databases = Self {
            named: BTreeMap::new(),
            max_rows: config.max_rows,
            secrets: Vec::new(),
        };
        for (name, database) in config.databases {
            let key = format!("databases.{name}");
            let database = match database {
                #[cfg(feature = "sqlite")]
                DatabaseConfig::Sqlite(file) => Database::Sqlite(setting.path(&file)),
                #[cfg(feature = "postgres")]
                DatabaseConfig::Postgres(source) => {
                    let secret = setting.secret(&source, &key)?;
                    let server = postgres::Server::new(secret.reveal())
                        .map_err(|why| setting.wrong(&key, why))?;
                    databases.secrets.extend(server.password().map(Secret::new));
                    databases.secrets.push(secret);
                    Database::Postgres(Box::new(server))
                }
                #[cfg(not(feature = "sqlite"))]
                DatabaseConfig::Sqlite(_) => return Err(setting.wrong(&key, UNKNOWN)),
                #[cfg(not(feature = "postgres"))]
                DatabaseConfig::Postgres(_) => return Err(setting.wrong(&key, UNKNOWN)),
            };
            databases.named.insert(name, database);
        }
        Ok(Arc::new(databases))
    }

    /// The tool of these databases, as `tool` has been declared.
    fn tool(
        &self,
        setting: Setting<'_>,
        tool: Result<Tool, wardian::ToolDefinitionError>,
        what: &str,
    ) -> Result<Tool, ConfigError> {
        let tool = tool
            .and_then(|tool| tool.describe(what).resource("database"))
            .map_err(|error| setting.undeclared(error))?;
        let hiding = |tool: Tool, secret: &Secret| tool.keeping_secret(secret.reveal());
        Ok(self.secrets.iter().fold(tool, hiding))
    }

    /// The database of a statement, and what the statement may take.
    fn of(&self, args: &Statement, call: &Call) -> Result<(&Database, Room), ToolError> {
        check(&args.sql, &args.params)?;
        let database = self.named.get(&args.database).ok_or_else(|| {
            let known = self.named.keys().cloned().collect::<Vec<_>>().join(", ");
            let message = format!(
                "there is no database {:?}; there are {known}",
                args.database
            );
            ToolError::argument("database", message)
        })?;
        Ok((database, Room::of(call, self.max_rows)))
    }
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
    let nested = |param: &Value| param.is_array() || param.is_object();
    match params.iter().any(nested) {
        true => Err(ToolError::argument(
            "params",
            "are null, booleans, numbers and strings only",
        )),
        false => Ok(()),
    }
}

/// A statement does more than its tool may: a query that writes, a change of more than rows.
fn exceeds(reason: &str) -> ToolError {
    ToolError::Refused {
        resource: String::new(),
        rule: "permissions".to_owned(),
        reason: reason.to_owned(),
        told: Some(
            "the statement does more than this tool may: db_query reads, db_execute changes rows"
                .to_owned(),
        ),
    }
}

/// Rows as they come, as far as there is room.
struct Collecting {
    rows: Vec<Vec<Value>>,
    bytes: usize,
    room: Room,
    truncated: bool,
}

impl Collecting {
    fn new(room: Room) -> Self {
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
        let text = |value: &Value| value.as_str().map_or(8, str::len);
        self.bytes += row.iter().map(text).sum::<usize>();
        if self.bytes > self.room.bytes {
            let why = format!("the rows take more than {} bytes", self.room.bytes);
            return Err(ToolError::failed(why));
        }
        self.rows.push(row);
        Ok(true)
    }
}

//! PostgreSQL. What a statement is, the server says: a query is what it takes as a cursor, in a
//! transaction that it keeps read-only; a change is what it plans as a change of rows.

mod connect;
mod limited;
mod values;

use std::error::Error as _;
use std::fmt;

use futures_util::{StreamExt, pin_mut};
use serde_json::Value;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Client, SimpleQueryMessage, Statement};
use wardian::{Call, ToolError};

use super::{Collecting, RowBudget, Rows};
use connect::Connected;
pub(super) use connect::Server;
use values::Param;

/// The cursor of a query.
const CURSOR: &str = "wardian";

impl Server {
    /// Runs a query. Nothing of it stays: the connection ends without a commit.
    pub(super) async fn query(
        &self,
        sql: &str,
        params: &[Value],
        room: RowBudget,
        call: &Call,
    ) -> Result<Rows, ToolError> {
        let connected = self.connect(room, call).await?;
        let rows = query(&connected, sql, params, room).await;
        connected.end(&rows);
        rows
    }

    /// Changes rows. Returns how many.
    pub(super) async fn execute(
        &self,
        sql: &str,
        params: &[Value],
        room: RowBudget,
        call: &Call,
    ) -> Result<u64, ToolError> {
        let connected = self.connect(room, call).await?;
        let changed = change(&connected, sql, params).await;
        connected.end(&changed);
        changed
    }
}

impl Connected {
    /// Ends the connection. The server is told to stop only if it may still work.
    fn end<T>(self, result: &Result<T, ToolError>) {
        if result.is_ok() {
            self.finish();
        }
    }
}

async fn query(
    connected: &Connected,
    sql: &str,
    params: &[Value],
    room: RowBudget,
) -> Result<Rows, ToolError> {
    let client = &connected.client;
    let broken = |error| failed(error, connected);
    // The second statement takes the snapshot, after which no statement can make the transaction
    // another.
    let begin = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1";
    client.batch_execute(begin).await.map_err(broken)?;
    let declare = format!("DECLARE {CURSOR} NO SCROLL CURSOR FOR {sql}");
    let why = "PostgreSQL does not take it as a query";
    let declare = prepare(connected, &declare, sql, params, why).await?;
    let given = params.iter().map(Param);
    client.execute_raw(&declare, given).await.map_err(broken)?;
    let fetch = format!(
        "FETCH FORWARD {} FROM {CURSOR}",
        room.rows.saturating_add(1)
    );
    let described = client.prepare(&fetch).await.map_err(broken)?;
    let columns: Vec<(&str, &Type)> = described
        .columns()
        .iter()
        .map(|column| (column.name(), column.type_()))
        .collect();
    let messages = client.simple_query_raw(&fetch).await.map_err(broken)?;
    pin_mut!(messages);
    let mut collecting = Collecting::new(room);
    while let Some(message) = messages.next().await {
        let SimpleQueryMessage::Row(row) = message.map_err(broken)? else {
            continue;
        };
        let values = columns.iter().enumerate().map(|(at, (name, ty))| {
            let Some(text) = row.try_get(at).map_err(broken)? else {
                return Ok(Value::Null);
            };
            let wrong = |why: String| {
                ToolError::failed(format!("column {name:?} {why}; cast it: {name}::text"))
            };
            values::read(ty, text).map_err(wrong)
        });
        if !collecting.push(values.collect::<Result<_, _>>()?)? {
            break;
        }
    }
    Ok(Rows {
        columns: columns.iter().map(|(name, _)| (*name).to_owned()).collect(),
        rows: collecting.rows,
        truncated: collecting.truncated,
    })
}

async fn change(connected: &Connected, sql: &str, params: &[Value]) -> Result<u64, ToolError> {
    let client = &connected.client;
    let broken = |error| failed(error, connected);
    let explain = format!("EXPLAIN (FORMAT JSON) {sql}");
    let why = "PostgreSQL does not take it as INSERT, UPDATE, DELETE or MERGE";
    let explain = prepare(connected, &explain, sql, params, why).await?;
    let plans = client
        .query_raw(&explain, params.iter().map(Param))
        .await
        .map_err(broken)?;
    pin_mut!(plans);
    let mut changes_rows = false;
    while let Some(plan) = plans.next().await {
        let Json(plan) = plan.and_then(|plan| plan.try_get(0)).map_err(broken)?;
        changes_rows = is_change(&plan);
    }
    if !changes_rows {
        return Err(super::exceeds(why));
    }
    let statement = client.prepare(sql).await.map_err(broken)?;
    let given = params.iter().map(Param);
    client.execute_raw(&statement, given).await.map_err(broken)
}

/// Returns whether all that the server plans is to change rows.
fn is_change(plans: &Value) -> bool {
    let plans = plans.as_array().map_or(&[][..], Vec::as_slice);
    let node = |plan: &Value| plan.pointer("/Plan/Node Type").cloned();
    let changes = |plan: &Value| node(plan).is_some_and(|node| node == "ModifyTable");
    !plans.is_empty() && plans.iter().all(changes)
}

/// Prepares a statement in which `sql` stands for something. The protocol itself allows one
/// statement only. Where `sql` is a statement, but none that can stand there, it is refused for
/// `why`.
async fn prepare(
    connected: &Connected,
    statement: &str,
    sql: &str,
    params: &[Value],
    why: &str,
) -> Result<Statement, ToolError> {
    let client: &Client = &connected.client;
    let statement = match client.prepare(statement).await {
        Ok(statement) => statement,
        Err(error) if is_misplaced(&error) => {
            // It is only parsed here.
            return Err(match client.prepare(sql).await {
                Ok(_) => super::exceeds(why),
                Err(error) if is_aborted(&error) => parse_anew(connected, sql, why).await,
                Err(error) => failed(error, connected),
            });
        }
        Err(error) => return Err(failed(error, connected)),
    };
    let expected = statement.params().len();
    if expected != params.len() {
        let why = format!("are {}, where the statement has {expected}", params.len());
        return Err(ToolError::argument("params", why));
    }
    for (at, (param, ty)) in params.iter().zip(statement.params()).enumerate() {
        values::check(ty, param)
            .map_err(|why| ToolError::argument("params", format!("{} {why}", at + 1)))?;
    }
    Ok(statement)
}

/// Parses `sql` by itself, after the transaction has failed.
async fn parse_anew(connected: &Connected, sql: &str, why: &str) -> ToolError {
    let client = &connected.client;
    if let Err(error) = client.batch_execute("ROLLBACK").await {
        return failed(error, connected);
    }
    match client.prepare(sql).await {
        Ok(_) => super::exceeds(why),
        Err(error) => failed(error, connected),
    }
}

/// Returns whether a statement could be one elsewhere.
fn is_misplaced(error: &tokio_postgres::Error) -> bool {
    let code = error.code();
    code.is_some_and(|code| {
        [
            SqlState::SYNTAX_ERROR,
            SqlState::FEATURE_NOT_SUPPORTED,
            SqlState::INVALID_CURSOR_DEFINITION,
        ]
        .contains(code)
    })
}

fn is_aborted(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION)
}

/// JSON of the server's own.
struct Json(Value);

impl<'r> FromSql<'r> for Json {
    fn from_sql(_: &Type, raw: &'r [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(serde_json::from_slice(raw)?))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSON
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Makes the message for a script of an error: the server's words about its statement, nothing of
/// the way there.
fn failed(error: tokio_postgres::Error, connected: &Connected) -> ToolError {
    let Some(server) = error.as_db_error() else {
        if connected.exceeded() {
            return ToolError::failed("a row takes more bytes than a reply may have");
        }
        return match error.source() {
            // Our own words about a parameter or a column.
            Some(why) if !error.is_closed() => ToolError::failed(why.to_string()),
            _ => ToolError::failed("the connection to the database broke off"),
        };
    };
    match *server.code() {
        SqlState::READ_ONLY_SQL_TRANSACTION | SqlState::INSUFFICIENT_PRIVILEGE => {
            super::exceeds(server.message())
        }
        SqlState::QUERY_CANCELED => ToolError::TimedOut("the statement took too long".to_owned()),
        _ => ToolError::failed(server.message()),
    }
}

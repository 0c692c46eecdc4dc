//! PostgreSQL. A query runs in a transaction that the server keeps read-only: by the time the
//! statement comes, a snapshot has been taken, after which no statement can make it another.

use std::error::Error as _;
use std::time::Duration;

use futures_util::{StreamExt, pin_mut};
use rustls::ClientConfig;
use serde_json::{Number, Value};
use tokio_postgres::config::SslMode;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config, NoTls, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;
use wardian::ToolError;

use super::{Collecting, Room, Rows};
use crate::tls;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// A server, and how to be let in.
pub(super) struct Server {
    config: Config,
    tls: ClientConfig,
}

impl Server {
    pub(super) fn new(dsn: &str) -> Result<Self, String> {
        let parsed = dsn.parse::<Config>();
        // Not the parser's words, which could quote a password.
        let mut config =
            parsed.map_err(|_| "it is not a connection string of PostgreSQL".to_owned())?;
        config.connect_timeout(CONNECT).application_name("wardian");
        let tls = tls::client()?;
        Ok(Self { config, tls })
    }

    pub(super) fn password(&self) -> Option<String> {
        let password = self.config.get_password()?;
        String::from_utf8(password.to_vec()).ok()
    }

    pub(super) async fn query(
        &self,
        sql: &str,
        params: &[Value],
        room: Room,
    ) -> Result<Rows, ToolError> {
        let connected = self.connect(room).await?;
        let client = &connected.client;
        // The second statement takes the snapshot.
        let begin = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1";
        client.batch_execute(begin).await.map_err(failed)?;
        let statement = prepare(client, sql, params).await?;
        let columns = statement
            .columns()
            .iter()
            .map(|column| column.name().to_owned());
        let columns = columns.collect();
        let rows = client
            .query_raw(&statement, params.iter().map(Param))
            .await
            .map_err(failed)?;
        pin_mut!(rows);
        let mut collecting = Collecting::new(room);
        while let Some(row) = rows.next().await {
            if !collecting.push(values(&row.map_err(failed)?)?)? {
                break;
            }
        }
        // Whatever it was, nothing of it stays: the connection ends without a commit.
        Ok(Rows {
            columns,
            rows: collecting.rows,
            truncated: collecting.truncated,
        })
    }

    pub(super) async fn execute(
        &self,
        sql: &str,
        params: &[Value],
        room: Room,
    ) -> Result<u64, ToolError> {
        let connected = self.connect(room).await?;
        let client = &connected.client;
        let statement = prepare(client, sql, params).await?;
        client
            .execute_raw(&statement, params.iter().map(Param))
            .await
            .map_err(failed)
    }

    async fn connect(&self, room: Room) -> Result<Connected, ToolError> {
        let unreachable = |_| ToolError::failed("the database can't be reached");
        let (client, connection) = match self.config.get_ssl_mode() {
            SslMode::Disable => {
                let (client, connection) = self.config.connect(NoTls).await.map_err(unreachable)?;
                (client, tokio::spawn(async move { drop(connection.await) }))
            }
            _ => {
                let tls = MakeRustlsConnect::new(self.tls.clone());
                let (client, connection) = self.config.connect(tls).await.map_err(unreachable)?;
                (client, tokio::spawn(async move { drop(connection.await) }))
            }
        };
        let connected = Connected { client, connection };
        // The server gives up by itself when nobody is there any more to tell it.
        let limit = format!(
            "SET statement_timeout = {}",
            room.time.as_millis().min(i32::MAX as u128)
        );
        connected
            .client
            .batch_execute(&limit)
            .await
            .map_err(failed)?;
        Ok(connected)
    }
}

/// A connection, which ends with this.
struct Connected {
    client: Client,
    connection: tokio::task::JoinHandle<()>,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// The protocol itself allows one statement only.
async fn prepare(client: &Client, sql: &str, params: &[Value]) -> Result<Statement, ToolError> {
    let statement = client.prepare(sql).await.map_err(failed)?;
    let expected = statement.params().len();
    match expected == params.len() {
        true => Ok(statement),
        false => {
            let why = format!("are {}, where the statement has {expected}", params.len());
            Err(ToolError::argument("params", why))
        }
    }
}

/// A parameter, as the type that the statement gives it.
#[derive(Debug)]
struct Param<'v>(&'v Value);

type SqlError = Box<dyn std::error::Error + Sync + Send>;

impl ToSql for Param<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, SqlError> {
        let whole = || self.0.as_i64().ok_or("a parameter is not a whole number");
        let number = || self.0.as_f64().ok_or("a parameter is not a number");
        match (ty, self.0) {
            (_, Value::Null) => Ok(IsNull::Yes),
            (&Type::BOOL, Value::Bool(bool)) => bool.to_sql(ty, out),
            (&Type::INT2, _) => i16::try_from(whole()?)?.to_sql(ty, out),
            (&Type::INT4, _) => i32::try_from(whole()?)?.to_sql(ty, out),
            (&Type::INT8, _) => whole()?.to_sql(ty, out),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "that is what the column holds"
            )]
            (&Type::FLOAT4, _) => (number()? as f32).to_sql(ty, out),
            (&Type::FLOAT8, _) => number()?.to_sql(ty, out),
            (
                &Type::TEXT | &Type::VARCHAR | &Type::BPCHAR | &Type::NAME | &Type::UNKNOWN,
                Value::String(text),
            ) => text.as_str().to_sql(ty, out),
            _ => Err(format!("a parameter can't be passed as {ty}; cast it: $1::text").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn values(row: &Row) -> Result<Vec<Value>, ToolError> {
    let values = (0..row.len()).map(|at| row.try_get::<_, Column>(at).map(|Column(value)| value));
    values.collect::<Result<_, _>>().map_err(failed)
}

/// A value of a row, as JSON.
struct Column(Value);

impl<'r> FromSql<'r> for Column {
    fn from_sql(ty: &Type, raw: &'r [u8]) -> Result<Self, SqlError> {
        fn of<'r, T: FromSql<'r>>(ty: &Type, raw: &'r [u8]) -> Result<T, SqlError> {
            T::from_sql(ty, raw)
        }
        let float = |float: f64| Number::from_f64(float).map_or(Value::Null, Value::Number);
        let value = match *ty {
            Type::BOOL => of::<bool>(ty, raw)?.into(),
            Type::CHAR => of::<i8>(ty, raw)?.into(),
            Type::INT2 => of::<i16>(ty, raw)?.into(),
            Type::INT4 => of::<i32>(ty, raw)?.into(),
            Type::INT8 => of::<i64>(ty, raw)?.into(),
            Type::OID => of::<u32>(ty, raw)?.into(),
            Type::FLOAT4 => float(of::<f32>(ty, raw)?.into()),
            Type::FLOAT8 => float(of::<f64>(ty, raw)?),
            Type::JSON => serde_json::from_slice(raw)?,
            // A byte for the version comes first.
            Type::JSONB => serde_json::from_slice(raw.get(1..).unwrap_or_default())?,
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => {
                of::<&str>(ty, raw)?.into()
            }
            _ if matches!(ty.kind(), Kind::Enum(_)) => str::from_utf8(raw)?.into(),
            _ => return Err(format!("a column is of type {ty}; cast it: column::text").into()),
        };
        Ok(Self(value))
    }

    fn from_sql_null(_: &Type) -> Result<Self, SqlError> {
        Ok(Self(Value::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// What a script is told of an error: the server's words about its statement, nothing of the way
/// there.
fn failed(error: tokio_postgres::Error) -> ToolError {
    use tokio_postgres::error::SqlState;
    let Some(server) = error.as_db_error() else {
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

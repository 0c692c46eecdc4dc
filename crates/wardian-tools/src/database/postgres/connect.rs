//! Connections to a PostgreSQL server: encrypted to anywhere but this machine, and only for roles
//! that can do no more than read and change rows.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres::{CancelToken, Client, Config, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;
use wardian::{Call, ToolError};

use super::limited::{Bound, Limited, LimitedTls};
use super::{failed, values};
use crate::database::RowBudget;
use crate::tls;

/// The longest time for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// The longest time for telling a server to stop.
const CANCEL: Duration = Duration::from_secs(2);

/// The bytes of a message beside those of a row: names of columns, errors.
const SLACK_BYTES: usize = 256 << 10;

/// The roles that this session has or can take on which can do more than rows: PostgreSQL's own
/// words. A role of `pg_read_server_files` and the like reads the server's files, whatever its
/// transaction.
const MIGHTY: &str = "SELECT string_agg(DISTINCT CASE \
    WHEN r.rolsuper THEN 'superuser' WHEN r.rolbypassrls THEN 'BYPASSRLS' WHEN r.rolreplication THEN 'REPLICATION' \
    ELSE r.rolname::text END, ', ') FROM pg_catalog.pg_roles r \
    WHERE pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER') AND (r.rolsuper OR r.rolbypassrls OR r.rolreplication \
    OR r.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files', \
    'pg_signal_backend'))";

/// A server, and how to be let in.
pub(in crate::database) struct Server {
    config: Config,
    tls: ClientConfig,
    trusted_role: bool,
}

/// A connection, which ends with this, and what works for it at the server too.
pub(super) struct Connected {
    pub(super) client: Client,
    connection: JoinHandle<()>,
    bound: Bound,
    /// Tells the server to stop.
    cancel: Option<(CancelToken, Way)>,
}

/// The way to a server.
#[derive(Clone)]
enum Way {
    Socket(std::path::PathBuf),
    /// The address, and the name for a certificate if there has to be one.
    Address(SocketAddr, Option<String>, Box<ClientConfig>),
}

impl Server {
    pub(in crate::database) fn new(dsn: &str, trusted_role: bool) -> Result<Self, String> {
        let parsed = dsn.parse::<Config>();
        // Not the parser's words, which could quote a password.
        let mut config =
            parsed.map_err(|_| "it is not a connection string of PostgreSQL".to_owned())?;
        config.application_name("wardian");
        let tls = tls::client()?;
        Ok(Self {
            config,
            tls,
            trusted_role,
        })
    }

    pub(in crate::database) fn password(&self) -> Option<String> {
        let password = self.config.get_password()?;
        String::from_utf8(password.to_vec()).ok()
    }

    pub(super) async fn connect(
        &self,
        room: RowBudget,
        call: &Call,
    ) -> Result<Connected, ToolError> {
        let connecting = timeout(CONNECT, self.reach(room, call)).await;
        let unreachable = || ToolError::failed("the database can't be reached");
        let connected = connecting.map_err(|_| unreachable())??;
        // The server gives up by itself when nobody is there any more to tell it.
        let milliseconds = room.time.as_millis().min(i32::MAX as u128);
        let prepare = format!(
            "SET statement_timeout = {milliseconds}; {}; {MIGHTY}",
            values::FORMS
        );
        let said = connected.client.simple_query(&prepare).await;
        let said = said.map_err(|error| failed(error, &connected))?;
        let mighty = said.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        match mighty {
            Some(roles) if !self.trusted_role => Err(refused_role(roles)),
            _ => Ok(connected),
        }
    }

    /// Connects to the first host that answers.
    async fn reach(&self, room: RowBudget, call: &Call) -> Result<Connected, ToolError> {
        let mut last = ToolError::failed("the database can't be reached");
        let hosts = self.config.get_hosts();
        let addresses = self.config.get_hostaddrs();
        for at in 0..hosts.len().max(addresses.len()) {
            let port = match self.config.get_ports() {
                [] => 5432,
                [port] => *port,
                ports => ports.get(at).copied().unwrap_or(5432),
            };
            for way in self
                .ways(hosts.get(at), addresses.get(at), port, call)
                .await
            {
                match self.start(way, room).await {
                    Ok(connected) => return Ok(connected),
                    Err(error) => last = error,
                }
            }
        }
        Err(last)
    }

    async fn ways(
        &self,
        host: Option<&Host>,
        address: Option<&IpAddr>,
        port: u16,
        call: &Call,
    ) -> Vec<Way> {
        let name = match host {
            Some(Host::Unix(directory)) => {
                return vec![Way::Socket(directory.join(format!(".s.PGSQL.{port}")))];
            }
            Some(Host::Tcp(name)) => Some(name.clone()),
            None => None,
        };
        let found = match (address, &name) {
            (Some(address), _) => vec![SocketAddr::new(*address, port)],
            (None, Some(name)) => {
                let name = name.clone();
                let found = call.blocking(move || (name.as_str(), port).to_socket_addrs());
                let found = found.await.ok().and_then(Result::ok);
                found.into_iter().flatten().collect()
            }
            (None, None) => Vec::new(),
        };
        let way = |address: SocketAddr| {
            let is_here = address.ip().to_canonical().is_loopback();
            let encrypted = match self.config.get_ssl_mode() {
                SslMode::Disable => false,
                // What is the default can't be told from `prefer`, and is no encryption to speak
                // of: whoever is on the way can say that there is none.
                SslMode::Prefer => !is_here,
                _ => true,
            };
            let domain = name.clone().unwrap_or_else(|| address.ip().to_string());
            Way::Address(
                address,
                encrypted.then_some(domain),
                Box::new(self.tls.clone()),
            )
        };
        found.into_iter().map(way).collect()
    }

    async fn start(&self, way: Way, room: RowBudget) -> Result<Connected, ToolError> {
        let unreachable = || ToolError::failed("the database can't be reached");
        let bound = Bound {
            // Bytes take two characters each in a row.
            max: 2 * room.bytes + SLACK_BYTES,
            exceeded: Arc::new(AtomicBool::new(false)),
        };
        let mut config = self.config.clone();
        match &way {
            Way::Socket(path) => {
                let stream = UnixStream::connect(path).await.map_err(|_| unreachable())?;
                config.ssl_mode(SslMode::Disable);
                let stream = Limited::new(stream, bound.clone());
                start(&config, stream, NoTls, bound, way).await
            }
            Way::Address(address, None, _) => {
                let stream = TcpStream::connect(address)
                    .await
                    .map_err(|_| unreachable())?;
                config.ssl_mode(SslMode::Disable);
                let stream = Limited::new(stream, bound.clone());
                start(&config, stream, NoTls, bound, way).await
            }
            Way::Address(address, Some(domain), tls) => {
                let stream = TcpStream::connect(address)
                    .await
                    .map_err(|_| unreachable())?;
                config.ssl_mode(SslMode::Require);
                let tls = encryption(domain, tls).ok_or_else(unreachable)?;
                let tls = LimitedTls {
                    tls,
                    bound: bound.clone(),
                };
                start(&config, stream, tls, bound, way).await
            }
        }
    }
}

type Encryption = <MakeRustlsConnect as MakeTlsConnect<TcpStream>>::TlsConnect;

fn encryption(domain: &str, tls: &ClientConfig) -> Option<Encryption> {
    let mut connect = MakeRustlsConnect::new(tls.clone());
    MakeTlsConnect::<TcpStream>::make_tls_connect(&mut connect, domain).ok()
}

async fn start<S, T>(
    config: &Config,
    stream: S,
    tls: T,
    bound: Bound,
    way: Way,
) -> Result<Connected, ToolError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: TlsConnect<S>,
    T::Stream: TlsStream + Send + 'static,
{
    let (client, connection) = config.connect_raw(stream, tls).await.map_err(|error| {
        match error.as_db_error() {
            Some(_) => ToolError::failed("the database's server refuses the connection"),
            // Not the error's own words: they name hosts.
            None => ToolError::failed(
                "the database can't be reached; to another machine its server has to offer TLS",
            ),
        }
    })?;
    let connection = tokio::spawn(async move { drop(connection.await) });
    let cancel = Some((client.cancel_token(), way));
    Ok(Connected {
        client,
        connection,
        bound,
        cancel,
    })
}

impl Connected {
    /// Returns whether a message was too long to be read.
    pub(super) fn exceeded(&self) -> bool {
        self.bound.exceeded.load(Ordering::Relaxed)
    }

    /// Ends the connection when nothing works for it any more at the server.
    pub(super) fn finish(mut self) {
        self.cancel = None;
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.connection.abort();
        if let (Some((token, way)), Ok(handle)) = (self.cancel.take(), Handle::try_current()) {
            handle.spawn(timeout(CANCEL, cancel(token, way)));
        }
    }
}

/// Tells a server that nobody waits any more. It stops by itself if that does not reach it.
async fn cancel(token: CancelToken, way: Way) {
    // There is nobody left to tell of a failure.
    let _ = match way {
        Way::Socket(path) => match UnixStream::connect(path).await {
            Ok(stream) => token.cancel_query_raw(stream, NoTls).await.is_ok(),
            Err(_) => false,
        },
        Way::Address(address, domain, tls) => match TcpStream::connect(address).await {
            Ok(stream) => match domain.and_then(|domain| encryption(&domain, &tls)) {
                Some(tls) => token.cancel_query_raw(stream, tls).await.is_ok(),
                None => token.cancel_query_raw(stream, NoTls).await.is_ok(),
            },
            Err(_) => false,
        },
    };
}

/// The role can do more than rows.
fn refused_role(roles: &str) -> ToolError {
    ToolError::Denied {
        resource: String::new(),
        rule: "trusted_role".to_owned(),
        reason: format!(
            "the database's role has {roles}, so that a statement could do more than read and change rows, up \
             to running \
             programs on the server; make a role for this (CREATE ROLE reader LOGIN PASSWORD '...'; GRANT \
             SELECT ON ... \
             TO reader), or set trusted_role = true beside `postgres` in the policy"
        ),
        message: Some(
            "the host's role for this database is not one that scripts may use; its policy has to \
                       name another"
                .to_owned(),
        ),
    }
}

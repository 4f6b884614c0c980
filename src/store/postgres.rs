//! A Postgres server (Supabase among them), over TLS with the certificate and the host name verified, always:
//! a weaker `sslmode`, a Unix socket or a server without TLS is refused, on loopback too.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use postgres::config::{Host, SslMode};
use postgres::types::ToSql;
use postgres::{Client, Config};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::schema;
use super::sql::{Database, DbError, Row, Statement, Value};
use crate::types::Secret;

/// How long a connection may take, and how long an unanswered byte may hang.
const PATIENCE: Duration = Duration::from_secs(5);
/// The port at which Supabase's pooler runs in transaction mode.
const TRANSACTION_PORT: u16 = 6543;
/// What the server may spend on one statement, so that a lock held elsewhere ends in an error and a retry.
const SESSION: &str = "SET statement_timeout = '10s'; SET lock_timeout = '5s'";

/// A server's address, credentials and trusted roots.
pub struct Server {
    config: Config,
    tls: ClientConfig,
}

impl Server {
    /// Reads `postgres://user:password@host:port/database`. With a CA file only that CA is trusted, else the
    /// public roots. `sslmode` may be left out or `verify-full`.
    pub fn parse(url: &Secret, ca_file: Option<&Path>) -> Result<Self, DbError> {
        let mut config = strip_sslmode(url.expose())?;
        let tcp = |host: &Host| matches!(host, Host::Tcp(name) if !name.is_empty());
        if config.get_hosts().len() != 1 || !config.get_hosts().iter().all(tcp) {
            return Err(wrong("a Unix socket, no host or several", "one host name"));
        }
        if !config.get_hostaddrs().is_empty() {
            return Err(wrong("hostaddr", "a host name to verify the certificate against"));
        }
        if config.get_ports().contains(&TRANSACTION_PORT) {
            return Err(DbError::TransactionPooler);
        }
        config.ssl_mode(SslMode::Require).connect_timeout(PATIENCE).tcp_user_timeout(2 * PATIENCE);
        config.keepalives(true).keepalives_idle(2 * PATIENCE).application_name("bot4");
        Ok(Self { config, tls: tls(ca_file)? })
    }

    fn client(&self) -> Result<Client, DbError> {
        let tls = MakeRustlsConnect::new(self.tls.clone());
        let client = self.config.connect(tls).and_then(|mut client| {
            client.batch_execute(SESSION)?;
            Ok(client)
        });
        client.map_err(|error| DbError::Connect(chain(&error)))
    }
}

pub struct Postgres {
    client: Client,
}

impl Postgres {
    /// Connects and proves that the session is its own (SAFETY L4).
    pub fn connect(server: &Server) -> Result<Self, DbError> {
        let mut postgres = Self { client: server.client()? };
        postgres.check_session(server)?;
        Ok(postgres)
    }

    /// A pooler in transaction mode lends the server process that we have just let go to the next client. So
    /// a second session, opened while ours idles, would find itself in our process.
    fn check_session(&mut self, server: &Server) -> Result<(), DbError> {
        let mut other = Self { client: server.client()? };
        let ours = self.process()?;
        let theirs = other.process()?;
        let still = self.process()?;
        if ours == theirs || ours != still { Err(DbError::TransactionPooler) } else { Ok(()) }
    }

    fn process(&mut self) -> Result<i64, DbError> {
        let sql = "SELECT CAST(pg_backend_pid() AS BIGINT)";
        let rows = self.query(&Statement { sql, params: Vec::new() })?;
        Ok(rows.first().and_then(|row| row.first()).map_or(0, Value::int))
    }
}

impl Database for Postgres {
    fn transact(&mut self, statements: &[Statement]) -> Result<(), DbError> {
        let mut run = || {
            let mut transaction = self.client.transaction()?;
            for statement in statements {
                transaction.execute(statement.sql, &params(statement))?;
            }
            transaction.commit()
        };
        run().map_err(|error| DbError::Query(chain(&error)))
    }

    fn query(&mut self, statement: &Statement) -> Result<Vec<Row>, DbError> {
        let run = |client: &mut Client| {
            let rows = client.query(statement.sql, &params(statement))?;
            rows.iter()
                .map(|row| (0..row.len()).map(|column| value(row, column)).collect())
                .collect::<Result<_, _>>()
        };
        run(&mut self.client).map_err(|error: postgres::Error| DbError::Query(chain(&error)))
    }

    fn migrate(&mut self) -> Result<(), DbError> {
        let run = |client: &mut Client| {
            let mut transaction = client.transaction()?;
            transaction.batch_execute(schema::TABLES)?;
            transaction.batch_execute(schema::POSTGRES_RIGHTS)?;
            transaction.commit()
        };
        run(&mut self.client).map_err(|error: postgres::Error| DbError::Query(chain(&error)))?;
        self.transact(&[schema::set_version()])
    }
}

/// The URL without `sslmode`, refused when that asks for less than we do.
fn strip_sslmode(url: &str) -> Result<Config, DbError> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(wrong("another scheme", "sqlite:PATH or postgres://user:password@host:5432/database"));
    }
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let mut kept = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some(("sslmode", "verify-full")) => {}
            Some(("sslmode", got)) => {
                return Err(wrong(&format!("sslmode={got:.16}"), "sslmode=verify-full"));
            }
            Some(("sslrootcert", _)) => return Err(wrong("sslrootcert", "the CA in store.ca_file")),
            _ => kept.push(part),
        }
    }
    let url = Secret::new(format!("{base}?{}", kept.join("&")));
    url.expose().parse().map_err(|_| wrong("a malformed URL", "postgres://user:password@host:5432/database"))
}

fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, DbError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            add_roots(&mut roots, path).map_err(|why| DbError::CaFile { path: path.to_owned(), why })?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| DbError::Connect(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn add_roots(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let pem = std::fs::read(path).map_err(|error| error.to_string())?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("no certificate in it".to_owned()) } else { Ok(()) }
}

fn params(statement: &Statement) -> Vec<&(dyn ToSql + Sync)> {
    statement.params.iter().map(param).collect()
}

const fn param(value: &Value) -> &(dyn ToSql + Sync) {
    match value {
        Value::Int(value) => value,
        Value::Text(text) => text,
    }
}

fn value(row: &postgres::Row, column: usize) -> Result<Value, postgres::Error> {
    match row.try_get::<_, i64>(column) {
        Ok(value) => Ok(Value::Int(value)),
        Err(_) => row.try_get(column).map(Value::Text),
    }
}

fn wrong(got: &str, expected: &'static str) -> DbError {
    DbError::Url { got: got.to_owned(), expected }
}

/// An error with its causes; the driver's own text says only which kind it is.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        let server = Server::parse(&Secret::new(url.to_owned()), None);
        server.map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn weaker_than_verify_full_is_refused() {
        for mode in ["disable", "allow", "prefer", "require", "verify-ca"] {
            let text = refusal(&format!("postgres://u:hunter22@127.0.0.1/db?sslmode={mode}"));
            assert!(text.contains("expected sslmode=verify-full"), "{text}");
            assert!(!text.contains("hunter22"));
        }
        for url in [
            "host=/var/run user=u",
            "postgres://u:p@%2Fvar%2Frun/db",
            "postgres://u:p@a,b/db",
            "postgres:///db",
            "postgres://u:p@db.example/db?hostaddr=127.0.0.1",
            "postgres://u:p@db.example/db?sslrootcert=/tmp/ca",
            "mysql://u:p@h/db",
        ] {
            assert!(refusal(url).contains("expected"), "{url}");
        }
    }

    #[test]
    fn the_transaction_pooler_port_is_refused() {
        let text = refusal("postgres://u:p@pooler.example:6543/db");
        assert!(text.contains("transaction mode"), "{text}");
    }

    #[test]
    fn a_session_with_full_verification_is_accepted() {
        let url = Secret::new("postgresql://u:p@db.example:5432/db?sslmode=verify-full".to_owned());
        let server = Server::parse(&url, None).unwrap();
        assert_eq!(server.config.get_ssl_mode(), SslMode::Require);
    }

    #[test]
    fn a_ca_file_without_a_certificate_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let url = Secret::new("postgres://u:p@db.example/db".to_owned());
        let error = Server::parse(&url, Some(file.path())).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("no certificate"), "{error}");
    }
}

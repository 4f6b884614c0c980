//! A real Postgres server on a free loopback port, with a certificate of its own CA. Fails where Postgres is
//! absent: a test that cannot run must not pass.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bot4::types::Secret;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// One server and its files. Stopped when dropped.
pub struct Server {
    dir: TempDir,
    account: Option<(u32, u32)>,
    port: u16,
    child: Option<Child>,
}

impl Server {
    /// Makes a cluster and starts it with TLS.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { dir, account: account(), port, child: None };
        server.own(server.dir.path());
        let data = server.data();
        server.run("initdb", &["-D", data.to_str().unwrap(), "-U", "postgres", "-A", "trust", "--no-sync"]);
        server.write("server.crt", "server.key", "ca.crt");
        server.write("other.crt", "other.key", "other-ca.crt");
        server.resume(true);
        server
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.crt")
    }

    /// A CA that did not sign the server's certificate.
    pub fn other_ca(&self) -> PathBuf {
        self.dir.path().join("other-ca.crt")
    }

    /// URL of a role, through `port` (the server's own or a proxy's).
    pub fn url(&self, role: &str, port: u16) -> Secret {
        Secret::new(format!("postgres://{role}@127.0.0.1:{port}/postgres?sslmode=verify-full"))
    }

    /// Starts it again, with or without TLS, and waits until it answers.
    pub fn resume(&mut self, tls: bool) {
        let (port, data) = (self.port.to_string(), self.data());
        let ssl = format!("ssl={}", if tls { "on" } else { "off" });
        let file = |key: &str, name: &str| format!("{key}={}", self.dir.path().join(name).display());
        let (cert, key) = (file("ssl_cert_file", "server.crt"), file("ssl_key_file", "server.key"));
        let mut command = self.command("postgres");
        command.args(["-D", data.to_str().unwrap(), "-h", "127.0.0.1", "-p", &port, "-k", ""]);
        command.args(["-c", &ssl, "-c", &cert, "-c", &key, "-c", "fsync=off"]);
        self.child = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        self.await_answer();
    }

    /// Stops it at once; open sessions are cut.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        child.wait().unwrap();
    }

    /// Runs SQL as the administrator.
    pub fn psql(&self, sql: &str) -> String {
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", self.port);
        let output = self.command("psql").args([&url, "-XAtc", sql]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn own(&self, path: &Path) {
        if let Some((uid, gid)) = self.account {
            chown(path, Some(uid), Some(gid)).unwrap();
        }
    }

    /// A CA and a certificate for the loopback address signed by it.
    fn write(&self, cert: &str, key: &str, ca: &str) {
        let ca_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, ca);
        let root = params.self_signed(&ca_key).unwrap();
        let leaf_key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&leaf_key, &Issuer::new(params, ca_key)).unwrap();
        for (name, pem) in [(cert, leaf.pem()), (key, leaf_key.serialize_pem()), (ca, root.pem())] {
            let path = self.dir.path().join(name);
            fs::write(&path, pem).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            self.own(&path);
        }
    }

    fn await_answer(&self) {
        for _ in 0..600 {
            let mut ready = self.command("pg_isready");
            ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() && ready.status().unwrap().success() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("Postgres did not answer on port {}", self.port);
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let output = self.command(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A program of Postgres, run as its own account when we are root (it refuses to run as root).
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(find(program));
        command.current_dir(self.dir.path()).env("LC_ALL", "C");
        if let Some((uid, gid)) = self.account {
            command.uid(uid).gid(gid);
        }
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Newest installed version first, then the search path.
fn find(program: &str) -> PathBuf {
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|dir| dir.flatten().map(|version| version.path().join("bin").join(program)).collect())
        .unwrap_or_default();
    versions.sort();
    versions.into_iter().rev().find(|path| path.exists()).unwrap_or_else(|| PathBuf::from(program))
}

/// User and group of the account `postgres` when we are root.
fn account() -> Option<(u32, u32)> {
    let id = |flag: &str, of: &[&str]| -> u32 {
        let output = Command::new("id").arg(flag).args(of).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse().expect("is PostgreSQL installed?")
    };
    (id("-u", &[]) == 0).then(|| (id("-u", &["postgres"]), id("-g", &["postgres"])))
}

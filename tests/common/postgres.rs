//! A real Postgres server on a free loopback port, with a certificate of its own CA. Fails where Postgres is
//! absent: a test that cannot run must not pass.

use std::fs::{self, File};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bot4::types::Secret;
use bot4_sim::tls::Flavour;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use tempfile::TempDir;

use super::port::Claim;

/// One server and its files. Stopped when dropped.
pub struct Server {
    dir: TempDir,
    account: Option<(u32, u32)>,
    port: Claim,
    child: Option<Child>,
}

impl Server {
    /// Makes a cluster and starts it with TLS.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut server = Self { dir, account: account(), port: Claim::new(), child: None };
        server.own(server.dir.path());
        let data = server.data();
        server.run("initdb", &["-D", data.to_str().unwrap(), "-U", "postgres", "-A", "trust", "--no-sync"]);
        server.write("server.crt", "server.key", "ca.crt", Flavour::Good);
        server.write("other.crt", "other.key", "other-ca.crt", Flavour::Good);
        server.resume(true);
        server
    }

    pub const fn port(&self) -> u16 {
        self.port.port()
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
        let (port, data) = (self.port().to_string(), self.data());
        let ssl = format!("ssl={}", if tls { "on" } else { "off" });
        let file = |key: &str, name: &str| format!("{key}={}", self.dir.path().join(name).display());
        let (cert, key) = (file("ssl_cert_file", "server.crt"), file("ssl_key_file", "server.key"));
        let mut command = self.command("postgres");
        command.args(["-D", data.to_str().unwrap(), "-h", "127.0.0.1", "-p", &port, "-k", ""]);
        command.args(["-c", &ssl, "-c", &cert, "-c", &key, "-c", "fsync=off"]);
        let log = File::create(self.log()).unwrap();
        self.child = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        self.await_answer();
    }

    /// Stops it at once; open sessions are cut.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        child.wait().unwrap();
    }

    /// Ends it and all its processes by SIGKILL, and waits until they are gone.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let all = family(&child);
        all.iter().for_each(|pid| send(*pid, Signal::KILL));
        child.wait().unwrap();
        while all.iter().any(|pid| is_running(*pid)) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops all its processes where they are, or lets them go on.
    pub fn freeze(&self, on: bool) {
        let child = self.child.as_ref().expect("it runs");
        let signal = if on { Signal::STOP } else { Signal::CONT };
        family(child).iter().for_each(|pid| send(*pid, signal));
    }

    /// From now on none of its processes may make a file grow beyond a few kilobytes; for them the disk is full.
    pub fn allow_no_growth(&self) {
        let child = self.child.as_ref().expect("it runs");
        let limit = Rlimit { current: Some(8 << 10), maximum: Some(8 << 10) };
        for pid in family(child) {
            // One that has ended meanwhile needs no limit.
            let _ = prlimit(Some(pid), Resource::Fsize, limit);
        }
    }

    /// Runs SQL as the administrator.
    pub fn psql(&self, sql: &str) -> String {
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", self.port());
        let output = self.command("psql").args([&url, "-XAtc", sql]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// What it said since its last start.
    fn log(&self) -> PathBuf {
        self.dir.path().join("server.log")
    }

    fn own(&self, path: &Path) {
        if let Some((uid, gid)) = self.account {
            chown(path, Some(uid), Some(gid)).unwrap();
        }
    }

    /// Shows another certificate from the next `resume` on, wrong in this way; [`Server::ca`] is then its CA's.
    pub fn spoil(&self, flavour: Flavour) {
        self.write("server.crt", "server.key", "ca.crt", flavour);
    }

    /// A CA and a certificate for the loopback address signed by it, right or wrong.
    fn write(&self, cert: &str, key: &str, ca: &str, flavour: Flavour) {
        let (root, issuer) = authority(ca);
        let leaf_key = KeyPair::generate().unwrap();
        let host = if flavour == Flavour::WrongHost { "127.0.0.2" } else { "127.0.0.1" };
        let mut leaf = CertificateParams::new(vec![host.to_owned()]).unwrap();
        match flavour {
            Flavour::Expired => leaf.not_after = date_time_ymd(2020, 1, 1),
            Flavour::NotYetValid => leaf.not_before = date_time_ymd(2090, 1, 1),
            _ => {}
        }
        let leaf = match flavour {
            Flavour::SelfSigned => leaf.self_signed(&leaf_key),
            Flavour::UnknownCa => leaf.signed_by(&leaf_key, &authority("a stranger").1),
            _ => leaf.signed_by(&leaf_key, &issuer),
        };
        for (name, pem) in [(cert, leaf.unwrap().pem()), (key, leaf_key.serialize_pem()), (ca, root)] {
            let path = self.dir.path().join(name);
            fs::write(&path, pem).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            self.own(&path);
        }
    }

    fn await_answer(&mut self) {
        let port = self.port();
        for _ in 0..600 {
            let mut ready = self.command("pg_isready");
            ready.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]);
            if TcpStream::connect(("127.0.0.1", port)).is_ok() && ready.status().unwrap().success() {
                return;
            }
            if self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_some()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let said = fs::read_to_string(self.log()).unwrap_or_default();
        panic!("Postgres did not answer on port {port}; it said: {said}");
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
        if self.child.is_some() {
            self.freeze(false);
        }
        self.stop();
    }
}

/// A server's process and its children.
fn family(child: &Child) -> Vec<Pid> {
    let parent = Pid::from_child(child);
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw));
    std::iter::once(parent)
        .chain(pids.filter(|pid| state(*pid).is_some_and(|(_, of)| of == parent)))
        .collect()
}

/// State and parent of a process, as `/proc` tells them.
fn state(pid: Pid) -> Option<(char, Pid)> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let mut words = stat.rsplit_once(')')?.1.split_whitespace();
    let state = words.next()?.chars().next()?;
    Some((state, Pid::from_raw(words.next()?.parse().ok()?)?))
}

/// A child whose parent is dead may stay as a zombie until someone reaps it: it holds nothing any more.
fn is_running(pid: Pid) -> bool {
    state(pid).is_some_and(|(state, _)| state != 'Z')
}

/// One that has ended meanwhile needs no signal.
fn send(pid: Pid, signal: Signal) {
    let _ = kill_process(pid, signal);
}

/// A CA's certificate and what signs in its name.
fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    (params.self_signed(&key).unwrap().pem(), Issuer::new(params, key))
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

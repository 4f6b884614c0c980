//! An engine whose outputs go to files, byte for byte: for whoever looks at more than lines.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::Bench;
use super::bench::patience;

pub struct Logged<'a> {
    bench: &'a Bench,
    child: Child,
}

impl<'a> Logged<'a> {
    /// Starts the verb `run` of this bench.
    pub fn start(bench: &'a Bench) -> Self {
        let mut command = bench.command("run");
        command.args(["--live", "--auto-resume"]);
        Self::spawn(bench, command)
    }

    /// Starts whatever this is, with its outputs in the bench's directory.
    pub fn spawn(bench: &'a Bench, mut command: Command) -> Self {
        let file = |name: &str| fs::File::create(bench.dir.path().join(name)).expect("a file for the output");
        command.stdout(file("stdout")).stderr(file("stderr"));
        Self { bench, child: command.spawn().expect("the binary starts") }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A file of this process under `/proc`; empty when the kernel shows it to nobody.
    pub fn proc(&self, name: &str) -> Vec<u8> {
        fs::read(format!("/proc/{}/{name}", self.id())).unwrap_or_default()
    }

    /// Everything that it has written to standard output.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.bench.dir.path().join("stdout")).unwrap_or_default();
        String::from_utf8(bytes).expect("the log is UTF-8")
    }

    /// Waits until the log holds this text so many times.
    pub fn wait_for(&self, text: &str, times: usize) {
        let end = Instant::now() + patience();
        while self.log().matches(text).count() < times {
            assert!(Instant::now() < end, "{text:?} did not come {times} times:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Opens and closes a pair, the `nth` of this run.
    pub fn trade(&self, nth: usize) {
        self.bench.gap_bps(60);
        self.wait_for("\"ENTRY_EXECUTED\"", nth);
        self.bench.gap_bps(-20);
        self.wait_for("\"EXIT_EXECUTED\"", nth);
        self.bench.gap_bps(0);
    }

    /// The control socket's answer to one line.
    pub fn ask(&self, line: &str) -> String {
        let mut socket = UnixStream::connect(self.bench.dir.path().join("bot4.sock")).expect("it listens");
        socket.write_all(format!("{line}\n").as_bytes()).expect("it takes a line");
        let mut reply = String::new();
        BufReader::new(socket).read_line(&mut reply).expect("it answers");
        reply
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the engine is there");
    }

    /// How it ends, in its own time.
    pub fn join(&mut self) -> ExitStatus {
        let end = Instant::now() + patience();
        loop {
            match self.child.try_wait().expect("it can be waited for") {
                Some(status) => return status,
                None => assert!(Instant::now() < end, "it does not end"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGINT and its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::INT);
        self.join().code()
    }
}

impl Drop for Logged<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! Where log lines leave the process: one writer behind a bounded queue and a thread of its own, so that a
//! blocked or closed stdout stalls nothing. What does not fit is dropped and counted.

use std::io::Write;
use std::sync::Arc;

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

use super::line::{Level, Line};
use super::redact::Redactor;

/// Lines that wait for the writer at most.
const QUEUE: usize = 16_384;

/// A handle to the one sink. Clones write to the same queue.
#[derive(Clone)]
pub struct Output {
    writer: NonBlocking,
    dropped: ErrorCounter,
    redactor: Arc<Redactor>,
    level: Level,
}

/// Keeps the writer alive. Dropped last, it flushes what is queued, for a second at most.
pub struct OutputGuard {
    _worker: WorkerGuard,
}

impl Output {
    /// Lines at or above `level` go to stdout.
    pub fn stdout(redactor: Redactor, level: Level) -> (Self, OutputGuard) {
        Self::to(std::io::stdout(), redactor, level)
    }

    /// As [`Output::stdout`], to any writer.
    pub fn to(writer: impl Write + Send + 'static, redactor: Redactor, level: Level) -> (Self, OutputGuard) {
        let builder = NonBlockingBuilder::default().buffered_lines_limit(QUEUE).lossy(true);
        let (writer, worker) = builder.thread_name("log").finish(writer);
        let dropped = writer.error_counter();
        (Self { writer, dropped, redactor: Arc::new(redactor), level }, OutputGuard { _worker: worker })
    }

    pub fn takes(&self, level: Level) -> bool {
        level >= self.level
    }

    /// Hands the line to the writer, or drops and counts it.
    pub fn write(&mut self, line: Line) {
        if !self.takes(line.level) {
            return;
        }
        let text = self.redactor.clean(line.finish());
        // The queue never fails: a full one counts the line as dropped.
        let _ = self.writer.write_all(text.as_bytes());
    }

    /// A text without secrets, for what leaves by another way.
    pub fn clean(&self, text: String) -> String {
        self.redactor.clean(text)
    }

    /// Lines dropped since start.
    pub fn dropped(&self) -> u64 {
        self.dropped.dropped_lines() as u64
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io;
    use std::sync::mpsc;

    use super::*;
    use crate::types::{Nanos, Secret};

    /// A writer that hands its lines to the test.
    pub(crate) struct Lines(pub mpsc::Sender<String>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A pipe that nobody reads.
    struct Blocked(mpsc::Receiver<()>);

    impl Write for Blocked {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn line(level: Level, text: &str) -> Line {
        Line::new(Nanos(1), level, "t", text)
    }

    #[test]
    fn lines_arrive_redacted_and_by_level() {
        let (sender, lines) = mpsc::channel();
        let redactor = Redactor::new(&[Secret::new("canary-canary".to_owned())]);
        let (mut output, guard) = Output::to(Lines(sender), redactor, Level::Info);
        output.write(line(Level::Debug, "unseen"));
        output.write(line(Level::Info, "a canary-canary leak"));
        drop(guard);
        let got: String = lines.try_iter().collect();
        assert_eq!(got.lines().count(), 1);
        assert!(got.contains("a [REDACTED] leak"), "{got}");
    }

    #[test]
    fn a_blocked_writer_stalls_nothing_and_drops_are_counted() {
        let (unblock, blocked) = mpsc::channel();
        let (mut output, guard) = Output::to(Blocked(blocked), Redactor::default(), Level::Info);
        for _ in 0..QUEUE + 100 {
            output.write(line(Level::Info, "x"));
        }
        assert!(output.dropped() >= 98, "{}", output.dropped());
        drop(unblock);
        drop(guard);
    }
}

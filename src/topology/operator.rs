//! The operator's word while the engine runs: requests of the control socket, the file `HALT` and SIGUSR1, each turned
//! into a command for `order` or into a refusal that says why. Part of thread `main`.

use crate::control::{HaltFile, Reply, Request, Verb};
use crate::order::board::Board;
use crate::sys::ring::Tx;
use crate::telemetry::watch::UNLATCH_COMMAND;
use crate::types::order::Reason;
use crate::types::{Command, Mode, PairId};

/// Longest reason that `unlatch` takes, characters; the journal keeps what fits into a [`Reason`].
const UNLATCH_REASON_MAX: usize = 200;

/// What `main` needs to obey.
pub struct Operator {
    commands: Tx<Command>,
    halt_file: HaltFile,
    /// Names of the pairs by `PairId`.
    pairs: Vec<String>,
    /// The file was there when it was last looked at, and its halt was sent.
    obeyed_file: bool,
    /// Signals already obeyed.
    obeyed_signals: u32,
    /// The journal's disk failed, and its halt was sent.
    journal_failed: bool,
    /// Another engine trades the accounts, and the halt for it was sent.
    second_engine: bool,
}

impl Operator {
    /// `halted`: the engine was started Halted because the file was there.
    pub fn new(commands: Tx<Command>, halt_file: HaltFile, pairs: Vec<String>, halted: bool) -> Self {
        Self {
            commands,
            halt_file,
            pairs,
            obeyed_file: halted,
            obeyed_signals: 0,
            journal_failed: false,
            second_engine: false,
        }
    }

    /// Sends a command; false when the ring is full.
    pub fn send(&mut self, command: Command) -> bool {
        self.commands.push(command).is_ok()
    }

    /// Looks at the file and at the count of SIGUSR1; a halt that did not fit into the ring is sent at the next look.
    pub fn watch(&mut self, halt_signals: u32) {
        let there = self.halt_file.is_there();
        if there && !self.obeyed_file {
            self.obeyed_file = self.halt("the file HALT is there");
        } else if !there {
            self.obeyed_file = false;
        }
        if halt_signals != self.obeyed_signals && self.halt("SIGUSR1") {
            self.obeyed_signals = halt_signals;
        }
    }

    /// Halts when the journal's disk has failed (SAFETY L6); one that did not fit into the ring is sent at the next
    /// look. True once, when it was sent.
    pub fn watch_journal(&mut self, failed: bool) -> bool {
        let halts = failed && !self.journal_failed && self.halt("the journal's disk failed");
        self.journal_failed |= halts;
        halts
    }

    /// Halts when another engine is met that trades our accounts, each time (SAFETY L10). As [`Self::watch_journal`].
    pub fn watch_claim(&mut self, taken: bool) -> bool {
        let halts = taken && !self.second_engine && self.halt("another engine trades these accounts");
        self.second_engine = halts || taken && self.second_engine;
        halts
    }

    fn halt(&mut self, why: &str) -> bool {
        let sent = self.send(Command::Halt { flatten: false, why: Reason::cut(why) });
        if sent {
            tracing::warn!(event_type = "HALT", "halted: {why}; to re-arm: {UNLATCH_COMMAND}");
        }
        sent
    }

    /// Obeys a request, or says why not. `status` makes the status object.
    pub fn answer(
        &mut self,
        request: &Request,
        board: &Board,
        status: &mut dyn FnMut() -> serde_json::Value,
    ) -> Reply {
        let halted = board.mode() == Mode::Halted;
        match &request.verb {
            Verb::Status => Reply::Done(status()),
            Verb::Pause if halted => refused("it is Halted, which is more than Paused: nothing to do"),
            Verb::Pause => self.command(Command::Pause, "Paused"),
            Verb::Resume if halted => {
                refused(&format!("it is Halted: look first, then {UNLATCH_COMMAND}, then bot4 resume"))
            }
            Verb::Resume => self.command(Command::Resume, "Active"),
            Verb::Halt { flatten } => {
                let why = if *flatten { "operator: halt --flatten" } else { "operator: halt" };
                tracing::warn!(event_type = "HALT", "{why}; to re-arm: {UNLATCH_COMMAND}");
                self.command(Command::Halt { flatten: *flatten, why: Reason::cut(why) }, "Halted")
            }
            Verb::Unlatch { .. } if !halted => {
                refused(&format!("it is not halted, it is {}: nothing to unlatch", board.mode().name()))
            }
            Verb::Unlatch { .. } if self.journal_failed => {
                refused("the journal's disk failed: mend it and restart the engine first")
            }
            Verb::Unlatch { .. } if self.second_engine => refused(
                "another engine trades these accounts (log: SECOND_ENGINE): stop one of the two first",
            ),
            Verb::Unlatch { reason } => self.unlatch(reason),
            Verb::Adopt { pair } => self.adopt(pair, board),
        }
    }

    /// Takes the file away first: while it is there, the latch would fall again.
    fn unlatch(&mut self, reason: &str) -> Reply {
        let reason = reason.trim();
        if reason.is_empty() || reason.chars().count() > UNLATCH_REASON_MAX {
            return refused(&format!("a reason of 1 to {UNLATCH_REASON_MAX} characters is wanted"));
        }
        match self.halt_file.remove() {
            Ok(true) => {
                tracing::warn!(event_type = "UNLATCH", "the file {} was taken away", self.shown_file());
            }
            Ok(false) => {}
            Err(error) => {
                return refused(&format!("{} cannot be taken away: {error}", self.shown_file()));
            }
        }
        self.obeyed_file = false;
        tracing::warn!(event_type = "UNLATCH", reason, "re-armed by the operator: {reason}");
        self.command(Command::Unlatch { why: Reason::cut(&format!("unlatched: {reason}")) }, "Paused")
    }

    fn adopt(&mut self, pair: &str, board: &Board) -> Reply {
        match self.pairs.iter().position(|name| name == pair) {
            Some(at) => self.command(Command::Adopt(PairId(at as u8)), board.mode().name()),
            None => refused(&format!("unknown pair {pair}: pairs are {}", self.pairs.join(", "))),
        }
    }

    fn command(&mut self, command: Command, follows: &str) -> Reply {
        if self.send(command) {
            Reply::Done(serde_json::json!({ "mode": follows }))
        } else {
            refused("it is busy with earlier commands; try again")
        }
    }

    fn shown_file(&self) -> std::path::Display<'_> {
        self.halt_file.path().display()
    }
}

fn refused(why: &str) -> Reply {
    Reply::Refused(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::ring::{Rx, ring};

    fn operator(dir: &std::path::Path) -> (Operator, Rx<Command>) {
        let (commands, sent) = ring(2);
        let pairs = vec!["BTC".to_owned(), "ETH".to_owned()];
        (Operator::new(commands, HaltFile::of(dir), pairs, false), sent)
    }

    fn ask(operator: &mut Operator, board: &Board, verb: Verb) -> Reply {
        operator.answer(&Request { verb }, board, &mut || serde_json::Value::Null)
    }

    fn why(reply: Reply) -> String {
        match reply {
            Reply::Refused(why) => why,
            Reply::Done(body) => panic!("done: {body}"),
        }
    }

    #[test]
    fn the_file_halts_once_each_time_it_appears() {
        let dir = tempfile::tempdir().unwrap();
        let (mut operator, mut sent) = operator(dir.path());
        operator.watch(0);
        assert_eq!(sent.pop(), None);
        operator.halt_file.write("test").unwrap();
        operator.watch(0);
        operator.watch(0);
        assert!(matches!(sent.pop(), Some(Command::Halt { flatten: false, .. })));
        assert_eq!(sent.pop(), None);
        operator.halt_file.remove().unwrap();
        operator.watch(0);
        operator.halt_file.write("again").unwrap();
        operator.watch(0);
        assert!(sent.pop().is_some());
    }

    #[test]
    fn a_signal_halts_and_is_not_lost_in_a_full_ring() {
        let dir = tempfile::tempdir().unwrap();
        let (mut operator, mut sent) = operator(dir.path());
        while operator.send(Command::Pause) {}
        operator.watch(1);
        while sent.pop().is_some() {}
        operator.watch(1);
        assert!(matches!(sent.pop(), Some(Command::Halt { .. })));
        operator.watch(1);
        assert_eq!(sent.pop(), None);
    }

    #[test]
    fn a_failed_journal_halts_once_is_not_lost_in_a_full_ring_and_is_not_unlatched() {
        let dir = tempfile::tempdir().unwrap();
        let (mut operator, mut sent) = operator(dir.path());
        assert!(!operator.watch_journal(false));
        while operator.send(Command::Pause) {}
        assert!(!operator.watch_journal(true));
        while sent.pop().is_some() {}
        assert!(operator.watch_journal(true));
        let why = Reason::cut("the journal's disk failed");
        assert_eq!(sent.pop(), Some(Command::Halt { flatten: false, why }));
        assert!(!operator.watch_journal(true));
        assert_eq!(sent.pop(), None);
        let board = Board::default();
        board.show_mode(Mode::Halted);
        let refused = self::why(ask(&mut operator, &board, Verb::Unlatch { reason: "looked".to_owned() }));
        assert!(refused.contains("restart the engine first"), "{refused}");
        assert_eq!(sent.pop(), None);
    }

    #[test]
    fn a_second_engine_halts_each_time_it_is_met_and_is_not_unlatched_while_it_runs() {
        let dir = tempfile::tempdir().unwrap();
        let (mut operator, mut sent) = operator(dir.path());
        let board = Board::default();
        board.show_mode(Mode::Halted);
        let unlatch = || Verb::Unlatch { reason: "looked".to_owned() };
        for _ in 0..2 {
            assert!(operator.watch_claim(true));
            assert!(!operator.watch_claim(true));
            assert!(matches!(sent.pop(), Some(Command::Halt { flatten: false, .. })));
            let refused = why(ask(&mut operator, &board, unlatch()));
            assert!(refused.contains("stop one of the two first"), "{refused}");
            assert!(!operator.watch_claim(false));
            assert!(matches!(ask(&mut operator, &board, unlatch()), Reply::Done(_)));
            assert!(matches!(sent.pop(), Some(Command::Unlatch { .. })));
        }
    }

    #[test]
    fn refusals_say_why() {
        let dir = tempfile::tempdir().unwrap();
        let (mut operator, mut sent) = operator(dir.path());
        let board = Board::default();
        let unlatch = |reason: &str| Verb::Unlatch { reason: reason.to_owned() };
        let not = why(ask(&mut operator, &board, unlatch("x")));
        assert!(not.contains("not halted, it is Active"), "{not}");
        let unknown = why(ask(&mut operator, &board, Verb::Adopt { pair: "DOGE".to_owned() }));
        assert_eq!(unknown, "unknown pair DOGE: pairs are BTC, ETH");
        board.show_mode(Mode::Halted);
        for reason in ["", "  ", &"x".repeat(UNLATCH_REASON_MAX + 1)] {
            let wanted = why(ask(&mut operator, &board, unlatch(reason)));
            assert!(wanted.contains("1 to 200 characters"), "{wanted}");
        }
        let resume = why(ask(&mut operator, &board, Verb::Resume));
        assert!(resume.contains("bot4 unlatch --reason"), "{resume}");
        assert_eq!(sent.pop(), None, "a refusal sends nothing");
    }

    #[test]
    fn unlatch_takes_the_file_away_first() {
        let dir = tempfile::tempdir().unwrap();
        let (mut operator, mut sent) = operator(dir.path());
        let board = Board::default();
        board.show_mode(Mode::Halted);
        operator.halt_file.write("test").unwrap();
        operator.watch(0);
        let reply = ask(&mut operator, &board, Verb::Unlatch { reason: "looked".to_owned() });
        assert_eq!(reply, Reply::Done(serde_json::json!({ "mode": "Paused" })));
        assert!(!operator.halt_file.is_there());
        assert!(matches!(sent.pop(), Some(Command::Halt { .. })));
        let unlatched = Command::Unlatch { why: Reason::cut("unlatched: looked") };
        assert_eq!(sent.pop(), Some(unlatched));
    }
}

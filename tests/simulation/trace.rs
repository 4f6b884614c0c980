//! What a run did, as one number and as its last lines. Every effect of the engine and every deed of a venue or of
//! chance passes here: two runs of one seed must come to the same number (SAFETY I15).

use std::collections::VecDeque;
use std::fmt::Write as _;

/// Lines kept for the report of a violation.
const KEPT: usize = 160;

/// The hash so far, the last lines, and whether each is printed as it comes.
#[derive(Default)]
pub struct Trace {
    hash: u64,
    lines: VecDeque<Line>,
    pub loud: bool,
    start: u64,
}

struct Line {
    at: u64,
    what: &'static str,
    text: String,
}

impl Trace {
    pub fn new(start: u64, loud: bool) -> Self {
        Self { start, loud, lines: VecDeque::with_capacity(KEPT), ..Self::default() }
    }

    /// Counts into the hash alone: frequent things.
    pub fn mix(&mut self, at: u64, what: &'static str, bytes: &[u8]) {
        self.word(at);
        self.word(what.len() as u64 ^ u64::from(what.as_bytes()[0]) << 8);
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.word(u64::from_le_bytes(*word)));
        self.word(rest.iter().fold(rest.len() as u64, |sum, byte| sum << 8 | u64::from(*byte)));
    }

    fn word(&mut self, word: u64) {
        self.hash = (self.hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    /// Counts and keeps a line; its text is only made when it is wanted.
    pub fn note(&mut self, at: u64, what: &'static str, text: std::fmt::Arguments<'_>) {
        let mut line = if self.lines.len() == KEPT { self.lines.pop_front() } else { None }
            .map_or_else(String::new, |line| line.text);
        line.clear();
        let _ = line.write_fmt(text);
        self.mix(at, what, line.as_bytes());
        if self.loud {
            println!("{:>14.6} {what:<9} {line}", self.seconds(at));
        }
        self.lines.push_back(Line { at, what, text: line });
    }

    pub fn seconds(&self, at: u64) -> f64 {
        at.saturating_sub(self.start) as f64 / 1e9
    }

    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// The last lines, oldest first.
    pub fn tail(&self) -> String {
        let mut out = String::new();
        for line in &self.lines {
            let cut: String = line.text.chars().take(400).collect();
            let _ = writeln!(out, "{:>14.6} {:<9} {cut}", self.seconds(line.at), line.what);
        }
        out
    }
}

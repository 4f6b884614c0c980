//! `bot4 check`: everything that a run needs, one row each, with a mend for what fails. It sends no order and changes
//! nothing; a check that cannot be made says so instead of passing.

mod cores;
mod host;
mod venue;

use std::io::Write;

use serde_json::{Value, json};

use super::output::Table;
use super::{CheckArgs, Failure, SecretSource, Tools, exit, venue_of};
use crate::config::{Config, Credentials, TradingMode, VenueSection};
use crate::spread::arithmetic::Arithmetic;
use crate::types::settings::PairSettings;
use crate::types::{MarketRules, PairId, Rate, Secret, VenueId};
use crate::venue::{Secrets, SetupError, Venue};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Ok,
    /// Worth knowing; a run starts all the same.
    Warning,
    /// Could not be looked at, for a reason that is no failure.
    Skipped,
    Failed,
}

impl Verdict {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Skipped => "skipped",
            Self::Failed => "FAILED",
        }
    }
}

/// Everything that was looked at, in order.
#[derive(Debug, Default)]
pub(super) struct Report {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    check: String,
    verdict: Verdict,
    said: String,
    mend: String,
}

impl Report {
    pub(super) fn ok(&mut self, check: &str, said: impl ToString) {
        self.add(check, Verdict::Ok, said, "");
    }

    pub(super) fn skipped(&mut self, check: &str, why: impl ToString) {
        self.add(check, Verdict::Skipped, why, "");
    }

    pub(super) fn warning(&mut self, check: &str, said: impl ToString, mend: &str) {
        self.add(check, Verdict::Warning, said, mend);
    }

    pub(super) fn failed(&mut self, check: &str, said: impl ToString, mend: &str) {
        self.add(check, Verdict::Failed, said, mend);
    }

    fn add(&mut self, check: &str, verdict: Verdict, said: impl ToString, mend: &str) {
        let row = Row { check: check.to_owned(), verdict, said: said.to_string(), mend: mend.to_owned() };
        self.rows.push(row);
    }

    pub(super) fn passed(&self) -> bool {
        self.rows.iter().all(|row| row.verdict != Verdict::Failed)
    }

    /// For people. Long texts (the arithmetic) stand on lines of their own, below the table.
    fn write(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let line = |row: &Row| {
            let last = row.said.lines().next_back().unwrap_or_default();
            let said = last.split_whitespace().filter(|word| *word != "=").collect::<Vec<_>>().join(" ");
            let mend = if row.mend.is_empty() { said } else { format!("{said} → {}", row.mend) };
            vec![row.check.clone(), row.verdict.name().to_owned(), mend]
        };
        let rows = self.rows.iter().map(line).collect();
        Table { columns: vec!["check", "verdict", "found"], rows }.write_text(out)?;
        for row in self.rows.iter().filter(|row| row.said.contains('\n')) {
            writeln!(out, "\n{}: {}", row.check, row.said)?;
        }
        let failed = self.rows.iter().filter(|row| row.verdict == Verdict::Failed).count();
        match failed {
            0 => writeln!(out, "\nAll is well."),
            1 => writeln!(out, "\n1 check failed."),
            many => writeln!(out, "\n{many} checks failed."),
        }
    }

    fn to_json(&self) -> Value {
        let row = |row: &Row| {
            json!({
                "check": row.check,
                "verdict": row.verdict.name().to_lowercase(),
                "found": row.said,
                "mend": row.mend,
            })
        };
        json!({ "passed": self.passed(), "checks": self.rows.iter().map(row).collect::<Vec<_>>() })
    }
}

/// Runs every check and prints the report.
pub(super) fn run(
    config: &Config,
    args: &CheckArgs,
    tools: &Tools,
    out: &mut dyn Write,
) -> Result<u8, Failure> {
    let mut report = Report::default();
    report.ok("configuration", format!("mode {}, hash {}", config.mode.name(), config.hash));
    let credentials = credentials(config, &SecretSource::of(&args.env), &mut report);
    let rules = venues(config, credentials.as_ref(), tools, &mut report);
    arithmetic(config, &rules, &mut report);
    host::check(config, &mut report);
    cores::check(config, &mut report);
    database(config, credentials.as_ref(), tools, &mut report);
    if args.json {
        writeln!(out, "{}", report.to_json())?;
    } else {
        report.write(out)?;
    }
    Ok(if report.passed() { exit::OK } else { exit::FAILED })
}

/// Paper mode needs no keys, but those that are there are checked: live comes next.
fn credentials(config: &Config, source: &SecretSource, report: &mut Report) -> Option<Credentials> {
    let paper = config.mode == TradingMode::Paper && !source.exists();
    let mode = if paper { TradingMode::Paper } else { TradingMode::Live };
    match source.suits(config).and_then(|()| source.load(mode)) {
        Ok(_) if paper => {
            report.skipped("credentials", "none there, and paper mode needs none");
            None
        }
        Ok(credentials) => {
            report.ok("credentials", "present, and readable by this user only");
            Some(credentials)
        }
        Err(error) => {
            report.failed("credentials", error, "see .env.example");
            None
        }
    }
}

/// Rules of every market by venue; a venue that could not be asked has none.
fn venues(
    config: &Config,
    credentials: Option<&Credentials>,
    tools: &Tools,
    report: &mut Report,
) -> Vec<Vec<(PairId, MarketRules)>> {
    let rules_of = |section: &VenueSection| {
        let Some(line) = venue_of(section.id) else { return Vec::new() };
        ask_venue(config, section, line, credentials, tools, report).unwrap_or_else(|| {
            report.skipped(&format!("{} markets", line.title), "not asked");
            Vec::new()
        })
    };
    config.venues.iter().map(rules_of).collect()
}

fn ask_venue(
    config: &Config,
    section: &VenueSection,
    line: &Venue,
    credentials: Option<&Credentials>,
    tools: &Tools,
    report: &mut Report,
) -> Option<Vec<(PairId, MarketRules)>> {
    let secrets = credentials.and_then(|credentials| credentials.venues.get(section.id.index()));
    let setup = config.setup(section, secrets.map(duplicate).unwrap_or_default());
    let mut desk = match (line.desk)(&setup) {
        Ok(desk) => desk,
        Err(SetupError::Missing(_)) if secrets.is_none() => {
            report.skipped(line.title, "asked with credentials only");
            return None;
        }
        Err(error) => {
            report.failed(line.title, error, "mend the venue's section or its keys");
            return None;
        }
    };
    let mut http = match (tools.http)(section.ca_file.as_deref()) {
        Ok(http) => http,
        Err(error) => {
            report.failed(line.title, error, "mend ca_file");
            return None;
        }
    };
    let asked = venue::Asked { title: line.title, id: section.id, config, private: secrets.is_some() };
    Some(asked.check(&mut *desk, &mut *http, &*tools.clock, report))
}

fn duplicate(secrets: &Secrets) -> Secrets {
    Secrets(secrets.0.iter().map(|(key, secret)| (*key, secret.duplicate())).collect())
}

/// The thresholds of every pair against the venues' own fees.
fn arithmetic(config: &Config, rules: &[Vec<(PairId, MarketRules)>], report: &mut Report) {
    for pair in &config.settings.pairs {
        let check = format!("arithmetic {}", pair.name);
        match fees(pair, rules) {
            None => report.skipped(&check, "the venues' fees are not known"),
            Some(fees) => {
                let sum = Arithmetic::of(pair, &config.settings.risk, fees);
                if sum.passes() {
                    report.ok(&check, sum);
                } else {
                    report.failed(&check, sum, "widen the gap between entry_threshold and exit_threshold");
                }
            }
        }
    }
}

fn fees<'a>(pair: &PairSettings, rules: &[Vec<(PairId, MarketRules)>]) -> Option<[(&'a str, Rate); 2]> {
    let fee = |venue: VenueId| {
        let (_, rules) = rules.get(venue.index())?.iter().find(|(id, _)| *id == pair.id)?;
        Some((venue_of(venue)?.title, rules.taker))
    };
    let [first, second] = pair.venues;
    Some([fee(first)?, fee(second)?])
}

fn database(config: &Config, credentials: Option<&Credentials>, tools: &Tools, report: &mut Report) {
    let url = credentials.map_or(config.store.url.as_str(), |credentials| config.database_url(credentials));
    match (tools.store.check_version)(&Secret::new(url.to_owned()), config.store.ca_file.as_deref()) {
        Ok(said) => report.ok("database", said),
        Err(why) => report.failed("database", why, "run `bot4 migrate`, or mend DATABASE_URL or [store]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::default();
        report.ok("one", "first\n  = last line");
        report.failed("two", "broken", "mend it");
        report
    }

    #[test]
    fn a_failure_fails_the_whole_and_names_its_mend() {
        let mut out = Vec::new();
        report().write(&mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "CHECK  VERDICT  FOUND\n\
             one    ok       last line\n\
             two    FAILED   broken → mend it\n\
             \none: first\n  = last line\n\n1 check failed.\n"
        );
        assert!(!report().passed());
    }

    #[test]
    fn programs_read_the_same() {
        let value = report().to_json();
        assert_eq!(value["passed"], false);
        assert_eq!(value["checks"][1]["verdict"], "failed");
        assert_eq!(value["checks"][1]["mend"], "mend it");
    }

    #[test]
    fn warnings_and_skipped_checks_do_not_fail() {
        let mut report = Report::default();
        report.warning("a", "b", "c");
        report.skipped("d", "e");
        assert!(report.passed());
    }
}

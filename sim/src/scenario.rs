//! A scenario: control operations with the moments at which they happen, read from a file.
//!
//! One JSON object a line, `{"at_ms": 1500, "do": {"fault": {...}}}`; empty lines and lines that start
//! with `#` are skipped. Read before a run starts, played by a task of the run.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;

use crate::control::{Command, Control};

/// One operation and when it happens, in milliseconds after the start of the run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub at_ms: u64,
    #[serde(rename = "do")]
    pub command: Command,
}

#[derive(Debug, Error)]
pub enum BadScenario {
    #[error("cannot read the scenario: {0}")]
    Io(#[from] std::io::Error),
    #[error("line {line} of the scenario: {error}")]
    Line { line: usize, error: serde_json::Error },
}

/// Reads the steps of a scenario, in order of time.
pub fn parse(text: &str) -> Result<Vec<Step>, BadScenario> {
    let is_step = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let numbered = text.lines().enumerate().filter(|(_, line)| is_step(line));
    let step = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| BadScenario::Line { line: index + 1, error })
    };
    let mut steps = numbered.map(step).collect::<Result<Vec<Step>, BadScenario>>()?;
    steps.sort_by_key(|step| step.at_ms);
    Ok(steps)
}

/// Reads a scenario from its file.
pub fn load(path: &Path) -> Result<Vec<Step>, BadScenario> {
    parse(&std::fs::read_to_string(path)?)
}

/// Plays the steps; one that the venues refuse is reported on stderr and the rest goes on.
pub async fn play(steps: Vec<Step>, control: Control) {
    let started = tokio::time::Instant::now();
    for step in steps {
        tokio::time::sleep_until(started + Duration::from_millis(step.at_ms)).await;
        if let Err(error) = control.perform(step.command.clone()) {
            eprintln!("scenario, {} ms: {error}", step.at_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::VenueName;
    use crate::core::Mode;

    #[test]
    fn steps_are_sorted_and_comments_skipped() {
        let text = concat!(
            "# twice\n\n",
            r#"{"at_ms":20,"do":{"clear":{}}}"#,
            "\n",
            r#"{"at_ms":5,"do":{"mode":{"venue":"vest","mode":"halt"}}}"#,
            "\n",
        );
        let steps = parse(text).unwrap();
        assert_eq!(steps[0].command, Command::Mode { venue: VenueName::Vest, mode: Mode::Halt });
        assert_eq!(steps[1].at_ms, 20);
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = parse("{\"at_ms\":5,\"do\":{\"clear\":{}}}\n{\"at_ms\":5}").unwrap_err();
        assert!(error.to_string().starts_with("line 2 of the scenario: missing field `do`"), "{error}");
    }
}

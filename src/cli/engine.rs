//! The verbs around a running engine: `run` starts it; `status`, `pause`, `resume`, `halt`, `unlatch` and `adopt` speak
//! to it.

use std::io::Write;

use super::output::plain;
use super::{Failure, RunArgs, SecretSource, exit, status};
use crate::config::{Config, Credentials, TradingMode};
use crate::control::{self, Reply, Request, Verb};
use crate::topology::{self, RunOptions};

/// Runs the engine; its exit code is the verb's.
pub(super) fn run(config: Config, args: &RunArgs) -> Result<u8, Failure> {
    agree(config.mode, args.live)?;
    let source = SecretSource::of(&args.env);
    source.suits(&config).map_err(Failure::bad_config)?;
    let credentials: Credentials = source.load(config.mode).map_err(Failure::bad_config)?;
    let RunArgs { live, auto_resume, flatten_on_stop, .. } = *args;
    let options = RunOptions { live, auto_resume, flatten_on_stop };
    topology::run(config, credentials, options).map_err(Failure::refused_to_start)
}

/// Real orders need the word of the file and the word of the command line; one without the other is a mistake.
fn agree(mode: TradingMode, live: bool) -> Result<(), Failure> {
    match (mode, live) {
        (TradingMode::Live, false) => Err(Failure::bad_config(
            "mode: got \"live\" without --live, wanted both or neither; add --live to send real orders",
        )),
        (TradingMode::Paper, true) => Err(Failure::bad_config(
            "--live: got mode = \"paper\", wanted both or neither; set mode = \"live\" to send real orders",
        )),
        _ => Ok(()),
    }
}

/// Sends one request to the running engine and shows its reply.
pub(super) fn ask(config: &Config, verb: Verb, json: bool, out: &mut dyn Write) -> Result<u8, Failure> {
    let request = Request { verb };
    match control::ask(&config.control_socket, &request).map_err(Failure::failed)? {
        Reply::Done(body) if json => writeln!(out, "{body}")?,
        Reply::Done(body) if request.verb == Verb::Status => status::write(&body, out)?,
        Reply::Done(body) => writeln!(out, "{}", follows(&request.verb, &body))?,
        Reply::Refused(why) => return Err(Failure::failed(format!("the engine refused: {why}"))),
    }
    Ok(exit::OK)
}

/// What a command has led to, in a sentence.
fn follows(verb: &Verb, body: &serde_json::Value) -> String {
    let mode = plain(body.get("mode").and_then(serde_json::Value::as_str).unwrap_or_default());
    let meaning = match verb {
        Verb::Pause => "nothing is opened; exits, stops and hedging go on",
        Verb::Resume => "pairs are opened and closed",
        Verb::Halt { flatten: false } => "latched; nothing is opened, hedging, exits and stops go on",
        Verb::Halt { flatten: true } => {
            "latched; nothing is opened, every pair is being closed (bot4 status)"
        }
        Verb::Unlatch { .. } => "re-armed; nothing is opened until bot4 resume",
        Verb::Adopt { .. } => "the venues are asked what they hold (bot4 status)",
        Verb::Status => "",
    };
    format!("{mode}: {meaning}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_needs_both_words() {
        assert!(agree(TradingMode::Live, true).is_ok());
        assert!(agree(TradingMode::Paper, false).is_ok());
        for (mode, live) in [(TradingMode::Live, false), (TradingMode::Paper, true)] {
            assert_eq!(agree(mode, live).err().map(|failure| failure.code), Some(exit::BAD_CONFIG));
        }
    }
}

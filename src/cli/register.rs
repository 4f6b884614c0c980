//! `register-<venue>`: trades a primary key for the lines of `.env`, on a machine where that key may be. The only verb
//! that prints secrets; it prints nothing else on stdout, so that its output can go straight into a file.

use std::io::Write;
use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::{Failure, Tools, exit, prompt};
use crate::config::Config;
use crate::types::{Secret, VenueId};
use crate::venue::{REGISTRY, RegisterRequest, Registration, Venue};

const MS_PER_DAY: u64 = 86_400_000;

#[derive(Args)]
struct RegisterArgs {
    /// File that holds the primary key, mode 0600; without it the key is asked for and not echoed.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// File that holds the signing key to register; without it a fresh one is made.
    #[arg(long, value_name = "FILE")]
    signing_key_file: Option<PathBuf>,
    /// Days until the registration lapses, 1 to 30. Short is safer; the engine warns before it ends.
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=30))]
    days: u64,
}

/// Venues that register keys.
pub(super) fn venues(tools: &Tools) -> impl Iterator<Item = (&'static Venue, Registration)> {
    let lines = REGISTRY.iter().zip(&tools.registrations);
    lines.filter_map(|(venue, registration)| Some((venue, (*registration)?)))
}

/// The verb for the command line.
pub(super) fn command(venue: &Venue, verb: &'static str) -> Command {
    let title = venue.title;
    let where_to = "Run it where the primary key is, never on the trading host.";
    let examples =
        format!("  bot4 {verb} > new.env\n  bot4 {verb} --key-file primary.key --days 3 > new.env");
    RegisterArgs::augment_args(Command::new(verb))
        .about(format!("Register a signing key with {title} and print the lines of .env"))
        .after_help(format!("{where_to}\n\nExamples:\n{examples}"))
}

/// Asks for the key, registers, prints the lines.
pub(super) fn run(
    venue: &Venue,
    registration: Registration,
    matches: &ArgMatches,
    config: &Config,
    tools: &Tools,
    out: &mut dyn Write,
) -> Result<u8, Failure> {
    let args = RegisterArgs::from_arg_matches(matches).map_err(Failure::bad_config)?;
    let lines = lines(venue, registration, &args, config, tools)?;
    out.write_all(lines.expose().as_bytes())?;
    out.flush()?;
    Ok(exit::OK)
}

fn lines(
    venue: &Venue,
    registration: Registration,
    args: &RegisterArgs,
    config: &Config,
    tools: &Tools,
) -> Result<Secret, Failure> {
    let section = config.venues.iter().find(|section| is(section.id, venue));
    let section = section.ok_or_else(|| Failure::bad_config("the venue has no section"))?;
    let primary_key = prompt::key(args.key_file.as_deref(), &format!("Primary key of {}", venue.title))?;
    let signing_key = match &args.signing_key_file {
        Some(path) => Some(prompt::key(Some(path), "")?),
        None => None,
    };
    let request = RegisterRequest {
        env: &section.env,
        rest_url: section.rest_url.as_str(),
        env_prefix: venue.env_prefix,
        primary_key: &primary_key,
        signing_key: signing_key.as_ref(),
        expiry_ms: tools.clock.now().ms().saturating_add(args.days * MS_PER_DAY),
    };
    let mut http = (tools.http)(section.ca_file.as_deref()).map_err(Failure::failed)?;
    (registration.register)(&mut *http, &request)
        .map_err(|why| Failure::failed(format!("{}: {why}", venue.title)))
}

fn is(id: VenueId, venue: &Venue) -> bool {
    REGISTRY.get(id.index()).is_some_and(|line| line.name == venue.name)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::super::tools::fakes::{NOW_MS, tools};
    use super::*;

    fn run_with(mode: u32) -> Result<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("primary.key");
        fs::write(&path, "0xabc\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let tools = tools();
        let (venue, registration) = venues(&tools).next().unwrap();
        let file = path.to_str().unwrap();
        let matches = command(venue, registration.verb).get_matches_from([
            registration.verb,
            "--key-file",
            file,
            "--days",
            "2",
        ]);
        let config = crate::config::parse("t.toml", "", &REGISTRY).ok().unwrap();
        let mut out = Vec::new();
        run(venue, registration, &matches, &config, &tools, &mut out).map_err(|failure| failure.line)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn the_lines_are_the_only_output() {
        let expiry_ms = NOW_MS + 2 * MS_PER_DAY;
        assert_eq!(run_with(0o600), Ok(format!("VEST_EXPIRY={expiry_ms} of 0xabc\n")));
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let line = run_with(0o644).unwrap_err();
        assert!(line.contains("mode is 644, others can read it") && !line.contains("0xabc"), "{line}");
    }
}

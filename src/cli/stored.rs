//! The verbs that read or prepare the store: `positions`, `pnl`, `migrate`.

use std::io::Write;

use super::tools::ReadTable;
use super::{EnvArg, Failure, SecretSource, StoredArgs, Tools, exit};
use crate::config::{Config, TradingMode};

/// Shows rows of the store.
pub(super) fn show(
    config: &Config,
    args: &StoredArgs,
    read: ReadTable,
    out: &mut dyn Write,
) -> Result<u8, Failure> {
    let table = with_database(config, &args.env, |url| read(url, config.store.ca_file.as_deref()))?;
    if args.json {
        writeln!(out, "{}", table.to_json())?;
    } else {
        table.write_text(out)?;
    }
    Ok(exit::OK)
}

/// Brings the schema to this version.
pub(super) fn migrate(
    config: &Config,
    args: &EnvArg,
    tools: &Tools,
    out: &mut dyn Write,
) -> Result<u8, Failure> {
    let said =
        with_database(config, args, |url| (tools.store.migrate)(url, config.store.ca_file.as_deref()))?;
    writeln!(out, "{said}")?;
    Ok(exit::OK)
}

/// Lends the database's URL. The venues' keys are not needed here, so they are not kept.
fn with_database<T>(
    config: &Config,
    args: &EnvArg,
    visit: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, Failure> {
    let credentials = SecretSource::of(args).load(TradingMode::Paper).map_err(Failure::failed)?;
    visit(config.database_url(&credentials)).map_err(Failure::failed)
}

#[cfg(test)]
mod tests {
    use super::super::tools::fakes::tools;
    use super::*;
    use crate::{config, venue};

    fn args(json: bool) -> StoredArgs {
        StoredArgs { env: EnvArg { env_file: Some("absent.env".into()) }, json }
    }

    fn shown(json: bool, read: ReadTable) -> Result<String, String> {
        let config = config::parse("t.toml", "", &venue::REGISTRY).ok().unwrap();
        let mut out = Vec::new();
        show(&config, &args(json), read, &mut out).map_err(|failure| failure.line)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn rows_are_shown_both_ways_and_errors_passed_on() {
        assert_eq!(shown(false, tools().store.positions), Ok("PAIR\nBTC\n".to_owned()));
        assert_eq!(shown(true, tools().store.positions), Ok("[{\"pair\":\"BTC\"}]\n".to_owned()));
        assert_eq!(shown(true, tools().store.pnl), Err("database is down".to_owned()));
    }
}

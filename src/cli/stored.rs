//! The verbs that read or prepare the store: `positions`, `pnl`, `migrate`.

use std::io::Write;

use serde_json::Value;

use super::output::Table;
use super::tools::ReadRows;
use super::{EnvArg, Failure, SecretSource, StoredArgs, Tools, exit};
use crate::config::{Config, TradingMode};
use crate::types::Secret;

/// What people see of a position and of a pair's profit; programs see every field.
pub(super) const POSITION_COLUMNS: [&str; 9] = [
    "pair",
    "status",
    "long_exchange",
    "short_exchange",
    "long_qty",
    "entry_spread_percent",
    "exit_spread_percent",
    "pnl_usd",
    "close_reason",
];
pub(super) const PNL_COLUMNS: [&str; 9] =
    ["pair", "closed", "entry_edge", "exit_cost", "slippage", "fees", "funding", "unwinds", "total"];

/// Shows rows of the store.
pub(super) fn show(
    config: &Config,
    args: &StoredArgs,
    read: ReadRows,
    columns: &[&'static str],
    out: &mut dyn Write,
) -> Result<u8, Failure> {
    let rows = with_database(config, &args.env, |url| read(url, config.store.ca_file.as_deref()))?;
    if args.json {
        writeln!(out, "{}", Value::Array(rows))?;
    } else {
        Table::of(columns, &rows).write_text(out)?;
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
    visit: impl FnOnce(&Secret) -> Result<T, String>,
) -> Result<T, Failure> {
    let credentials = SecretSource::of(args).load(TradingMode::Paper).map_err(Failure::failed)?;
    visit(&Secret::new(config.database_url(&credentials).to_owned())).map_err(Failure::failed)
}

#[cfg(test)]
mod tests {
    use super::super::tools::fakes::tools;
    use super::*;
    use crate::{config, venue};

    fn args(json: bool) -> StoredArgs {
        StoredArgs { env: EnvArg { env_file: Some("absent.env".into()) }, json }
    }

    fn shown(json: bool, read: ReadRows) -> Result<String, String> {
        let config = config::parse("t.toml", "", &venue::REGISTRY).ok().unwrap();
        let mut out = Vec::new();
        show(&config, &args(json), read, &["pair"], &mut out).map_err(|failure| failure.line)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn rows_are_shown_both_ways_and_errors_passed_on() {
        assert_eq!(shown(false, tools().store.positions), Ok("PAIR\nBTC\n".to_owned()));
        assert_eq!(
            shown(true, tools().store.positions),
            Ok("[{\"pair\":\"BTC\",\"pnl_usd\":1.5}]\n".to_owned())
        );
        assert_eq!(shown(true, tools().store.pnl), Err("database is down".to_owned()));
    }
}

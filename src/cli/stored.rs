//! The verbs that read or prepare the store: `positions`, `pnl`, `migrate`.

use std::io::Write;

use serde_json::Value;

use super::output::{Column, Table};
use super::tools::ReadRows;
use super::{EnvArg, Failure, SecretSource, StoredArgs, Tools, exit};
use crate::config::{Config, TradingMode};
use crate::types::Secret;

/// What people see of a list of rows; programs see every field.
pub(super) struct View {
    columns: &'static [Column],
    /// Said instead of an empty table.
    none: &'static str,
}

pub(super) const POSITIONS: View = View {
    columns: &[
        Column::text("pair", "pair"),
        Column::text("status", "status"),
        Column::text("long", "long_exchange"),
        Column::text("short", "short_exchange"),
        Column::text("size", "long_qty"),
        Column::moment("opened (utc)", "opened_ns"),
        Column::moment("closed (utc)", "closed_ns"),
        Column::cut("entry %", "entry_spread_percent", 4),
        Column::cut("exit %", "exit_spread_percent", 4),
        Column::cut("pnl usd", "pnl_usd", 6),
        Column::text("reason", "close_reason"),
    ],
    none: "no pair has been held yet",
};

pub(super) const PNL: View = View {
    columns: &[
        Column::text("pair", "pair"),
        Column::text("closed", "closed"),
        Column::cut("entry edge", "entry_edge", 6),
        Column::cut("exit cost", "exit_cost", 6),
        Column::cut("slippage", "slippage", 6),
        Column::cut("fees", "fees", 6),
        Column::cut("funding", "funding", 6),
        Column::cut("unwinds", "unwinds", 6),
        Column::cut("total usd", "total", 6),
    ],
    none: "no pair has been closed yet",
};

/// Shows rows of the store.
pub(super) fn show(
    config: &Config,
    args: &StoredArgs,
    read: ReadRows,
    view: &View,
    out: &mut dyn Write,
) -> Result<u8, Failure> {
    let rows = with_database(config, &args.env, |url| read(url, config.store.ca_file.as_deref()))?;
    if args.json {
        writeln!(out, "{}", Value::Array(rows))?;
    } else if rows.is_empty() {
        writeln!(out, "{}", view.none)?;
    } else {
        Table::of(view.columns, &rows).write_text(out)?;
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

    const ONE: View = View { columns: &[Column::text("pair", "pair")], none: "none" };

    fn args(json: bool) -> StoredArgs {
        StoredArgs { env: EnvArg { env_file: Some("absent.env".into()) }, json }
    }

    fn shown(json: bool, read: ReadRows) -> Result<String, String> {
        let config = config::parse("t.toml", "", &venue::REGISTRY).ok().unwrap();
        let mut out = Vec::new();
        show(&config, &args(json), read, &ONE, &mut out).map_err(|failure| failure.line)?;
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

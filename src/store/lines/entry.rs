//! Lines of journal entries. An entry whose fact also travels as a record has no line here: it would be told
//! twice.

use super::super::line::{Level, Line};
use super::super::names::Names;
use super::{Scribe, order_state, side, stop_reason};
use crate::journal::entry::Entry;

/// The line of an entry, if it has one.
pub fn entry(names: &Names, entry: &Entry) -> Option<Line> {
    let scribe = |at| Scribe { names, at };
    let line = match *entry {
        Entry::Epoch { epoch, config_hash, at } => {
            let line = scribe(at).debug("RUN", format_args!("Run {epoch} writes the journal"));
            line.number("epoch", epoch).text("config_hash", format_args!("{config_hash:016x}"))
        }
        Entry::Closed { id, state, filled, reason, at } => {
            let line = scribe(at).debug("ORDER_CLOSED", "Order terminal").text("order", id);
            line.text("state", order_state(state)).number("filled", filled).text("reason", reason)
        }
        Entry::Busted { id, fill, at } => {
            let line = scribe(at).line(Level::Error, "FILL_BUSTED", "Fill undone by the venue");
            let line = line.text("order", id).text("fill", fill.id);
            line.number("size", fill.qty).number("price", fill.price)
        }
        Entry::Adjusted { pair, by, at } => {
            let exchange = names.leg(pair, usize::from(by.leg)).map_or("unknown", |venue| names.venue(venue));
            let line = scribe(at).line(
                Level::Error,
                "POSITION_ADJUSTED",
                "Books follow the venue: a leg changed without an order of ours; its price is an estimate",
            );
            let line = scribe(at).pair(line, pair).text("exchange", exchange);
            line.text("side", side(by.side)).number("size", by.qty).number("price", by.price)
        }
        Entry::PairOpened { pair, qty, spread, at, .. } => {
            let line =
                scribe(at).info("AUTO_EXECUTED", format_args!("[TRADE] Auto-executed: spread={spread}"));
            scribe(at).pair(line, pair).number("spread", spread.percent()).number("size", qty)
        }
        Entry::PairClosed { pair, reason, spread, ledger, at } => {
            let message = format_args!("[TRADE] Pair flat: pnl={} USD", ledger.total());
            let line = scribe(at).pair(scribe(at).info("PAIR_CLOSED", message), pair);
            let line = line.number("spread", spread.percent()).text("reason", stop_reason(reason));
            let line = line.number("entry_edge", ledger.entry_edge).number("exit_cost", ledger.exit_cost);
            let line = line.number("slippage", ledger.slippage).number("fees", ledger.fees);
            let line = line.number("funding", ledger.funding).number("unwinds", ledger.unwinds);
            line.number("pnl_usd", ledger.total())
        }
        Entry::Funding { venue, pair, amount, at } => {
            let line = scribe(at).info("FUNDING", "Funding settled");
            scribe(at).both(line, pair, venue).number("amount_usd", amount)
        }
        // `Stopped` is told by `main`, once everything has ended.
        Entry::Stopped { .. }
        | Entry::PairSnapshot { .. }
        | Entry::PairHeld { .. }
        | Entry::TotalsSnapshot { .. }
        | Entry::Tally { .. }
        | Entry::Unproven { .. }
        | Entry::History { .. }
        | Entry::Named { .. }
        | Entry::Rules { .. }
        | Entry::OrderSnapshot { .. }
        | Entry::Intent { .. }
        | Entry::Sent { .. }
        | Entry::Acked { .. }
        | Entry::Unknown { .. }
        | Entry::Filled { .. }
        | Entry::Mode { .. } => return None,
    };
    Some(line)
}

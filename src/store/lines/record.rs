//! Lines of the records of the hot threads.

use super::super::line::{Level, Line};
use super::super::names::Names;
use super::{Scribe, ms, purpose, reject_class, side, stop_reason, us};
use crate::types::record::{Record, RecordKind, Role};
use crate::types::{Direction, Mode, PairId, Rate};

/// The line of a record.
pub fn record(names: &Names, record: &Record) -> Line {
    let scribe = Scribe { names, at: record.at };
    match record.kind {
        RecordKind::BookUpdated { .. }
        | RecordKind::BookCounts { .. }
        | RecordKind::LinkUp { .. }
        | RecordKind::LinkDown { .. }
        | RecordKind::LinkRefused { .. }
        | RecordKind::Reconnecting { .. }
        | RecordKind::BadFrame { .. }
        | RecordKind::WrongMarket { .. }
        | RecordKind::StaleToOff { .. }
        | RecordKind::ClockOffset { .. } => feeds(scribe, &record.kind),
        RecordKind::Spread { .. }
        | RecordKind::SpreadDetected { .. }
        | RecordKind::ExitDetected { .. }
        | RecordKind::EntryRefused { .. } => signals(scribe, &record.kind),
        RecordKind::OrderPlaced { .. }
        | RecordKind::OrderAcked { .. }
        | RecordKind::OrderFilled { .. }
        | RecordKind::OrderTimes(_)
        | RecordKind::OrderRejected { .. }
        | RecordKind::OrderUnknown { .. }
        | RecordKind::OrderResolved { .. } => orders(scribe, &record.kind),
        RecordKind::Retry { .. }
        | RecordKind::AutoClose { .. }
        | RecordKind::EntryExecuted { .. }
        | RecordKind::ExitExecuted { .. }
        | RecordKind::MendRoute { .. }
        | RecordKind::Mended { .. } => trades(scribe, &record.kind),
        RecordKind::ModeChanged { .. }
        | RecordKind::Reconciled { .. }
        | RecordKind::Foreign { .. }
        | RecordKind::Margin { .. }
        | RecordKind::MarginLow { .. }
        | RecordKind::KeyLeft { .. }
        | RecordKind::Cancelled { .. }
        | RecordKind::Alarm { .. } => operations(scribe, &record.kind),
    }
}

fn feeds(scribe: Scribe<'_>, kind: &RecordKind) -> Line {
    let title = |venue| scribe.names.title(venue);
    match *kind {
        RecordKind::BookUpdated { venue, pair, updates, conflated } => scribe
            .both(scribe.debug("ORDERBOOK_UPDATED", "Orderbook updated"), pair, venue)
            .number("updates", updates)
            .number("conflated", conflated),
        RecordKind::BookCounts { venue, messages, applied, conflated, rejected, waiting } => scribe
            .exchange(scribe.info("BOOK_COUNTS", "Market messages accounted for"), venue)
            .number("messages", messages)
            .number("applied", applied)
            .number("conflated", conflated)
            .number("rejected", rejected)
            .number("waiting", waiting),
        RecordKind::LinkUp { venue, role } => {
            let message = match role {
                Role::MarketData => format!("{} WebSocket connected", title(venue)),
                _ => format!("{} {} connection up", title(venue), role.name()),
            };
            scribe.exchange(scribe.info("CONNECTED", message), venue).text("link", role.name())
        }
        RecordKind::LinkDown { venue, role, why } => {
            let message = format_args!("{} {} connection lost: {why}", title(venue), role.name());
            scribe.exchange(scribe.warn("DISCONNECTED", message), venue).text("link", role.name())
        }
        RecordKind::LinkRefused { venue, role, why, mend } => {
            let message = format_args!("{} {} connection refused: {why}", title(venue), role.name());
            let line = scribe.exchange(scribe.line(Level::Error, "CONNECTION_REFUSED", message), venue);
            line.text("link", role.name()).text("mend", mend)
        }
        RecordKind::Reconnecting { venue, role, attempt } => {
            let message = format_args!("[RECONNECT] Attempting reconnection to {}...", title(venue));
            let line = scribe.exchange(scribe.info("RECONNECT", message), venue);
            line.text("link", role.name()).number("attempt", attempt)
        }
        RecordKind::StaleToOff { venue, pair, ns } => {
            let line = scribe.warn("BOOK_STALE", "Book too old, entries off");
            scribe.both(line, pair, venue).number("off_after_ms", ms(ns))
        }
        RecordKind::ClockOffset { venue, ms, blocks } => {
            let line = scribe.debug("CLOCK_OFFSET", "Clock offset measured");
            scribe.exchange(line, venue).number("ms", ms).flag("blocks_entries", blocks)
        }
        RecordKind::BadFrame { venue, why } => {
            let line = scribe.warn("BAD_FRAME", format_args!("{}: frame dropped", title(venue)));
            scribe.exchange(line, venue).text("why", why)
        }
        RecordKind::WrongMarket { venue, market } => {
            let message = format_args!("{}: message of another market dropped", title(venue));
            scribe.exchange(scribe.warn("WRONG_MARKET", message), venue).text("market", market)
        }
        _ => unlisted(scribe),
    }
}

fn signals(scribe: Scribe<'_>, kind: &RecordKind) -> Line {
    match *kind {
        RecordKind::Spread { pair, raw, adjusted, basis } => {
            let line = scribe.pair(scribe.debug("SPREAD", "Spread"), pair);
            let line = both_ways(line, ["spread_a", "spread_b"], adjusted);
            both_ways(both_ways(line, ["raw_a", "raw_b"], raw), ["basis_a", "basis_b"], basis)
        }
        RecordKind::SpreadDetected { pair, direction, spread, raw, threshold, qty } => {
            let message = format_args!("Spread opportunity detected: spread={spread}, threshold={threshold}");
            let line = spreads(scribe, scribe.info("SPREAD_DETECTED", message), pair, [spread, raw]);
            legs(scribe, line, pair, direction).number("threshold", threshold.percent()).number("size", qty)
        }
        RecordKind::ExitDetected { pair, reason, spread, raw, threshold } => {
            let message =
                format_args!("Spread opportunity detected: spread={spread}, threshold={threshold} (exit)");
            let line = spreads(scribe, scribe.info("EXIT_DETECTED", message), pair, [spread, raw]);
            line.number("threshold", threshold.percent()).text("reason", stop_reason(reason))
        }
        RecordKind::EntryRefused { pair, refusal } => {
            let message = format_args!("Entry refused: {refusal:?}");
            let line = scribe.pair(scribe.debug("ENTRY_REFUSED", message), pair);
            line.text("reason", format_args!("{refusal:?}"))
        }
        _ => unlisted(scribe),
    }
}

fn orders(scribe: Scribe<'_>, kind: &RecordKind) -> Line {
    match *kind {
        RecordKind::OrderPlaced { id, venue, pair, side: way, purpose: why, qty, limit, nth, .. } => {
            let message = format_args!(
                "Order placed: side={}, pair={}, size={qty}",
                way.position_word(),
                scribe.names.pair(pair)
            );
            let line = scribe.both(scribe.info("ORDER_PLACED", message), pair, venue);
            let line = line.text("order", id).text("side", side(way)).text("purpose", purpose(why));
            line.number("size", qty).number("limit", limit).number("nth", nth)
        }
        RecordKind::OrderAcked { id, venue, pair, latency_ns } => {
            let (title, wire) = (scribe.names.title(venue), scribe.names.order_wire(venue));
            let message = format_args!("[ORDER] {title} {wire} order: latency={}ms", ms(latency_ns));
            let line = scribe.both(scribe.info("ORDER_ACKED", message), pair, venue);
            line.text("order", id).number("latency_ms", ms(latency_ns))
        }
        RecordKind::OrderFilled { id, venue, pair, side: way, qty, average, fee, latency_ns } => {
            let line = scribe.both(scribe.info("ORDER_FILLED", "Order filled"), pair, venue);
            let line = line.text("order", id).text("side", side(way)).number("size", qty);
            line.number("price", average).number("fee", fee).number("latency_ms", ms(latency_ns))
        }
        RecordKind::OrderTimes(times) => {
            let line = scribe.info("ORDER_TIMES", "Where the order's time went");
            let line = scribe.both(line, times.pair, times.venue).text("order", times.id);
            let line = line.text("purpose", purpose(times.purpose)).flag("ready", times.stamps.ready);
            let line = times.parts().fold(line, |line, (name, ns)| line.number(name, us(ns)));
            times.venue_ms().into_iter().fold(line, |line, ms| line.number("venue_ms", ms))
        }
        RecordKind::OrderRejected { id, venue, pair, class, code } => {
            let line = scribe.warn("ORDER_REJECTED", format_args!("Order rejected: {code}"));
            let line = scribe.both(line, pair, venue).text("order", id);
            line.text("class", reject_class(class)).text("code", code)
        }
        RecordKind::OrderUnknown { id, venue, pair, for_ms } => {
            let line = scribe.warn("ORDER_UNKNOWN", "Order outcome unknown, resolving by query");
            scribe.both(line, pair, venue).text("order", id).number("for_ms", for_ms)
        }
        RecordKind::OrderResolved { id, venue, pair, filled } => {
            let line = scribe.info("ORDER_RESOLVED", "Order outcome known");
            scribe.both(line, pair, venue).text("order", id).number("filled", filled)
        }
        _ => unlisted(scribe),
    }
}

fn trades(scribe: Scribe<'_>, kind: &RecordKind) -> Line {
    match *kind {
        RecordKind::Retry { pair, venue, attempt, max } => {
            let message = format_args!("[RETRY] Order failed, attempt {attempt}/{max}...");
            let line = scribe.both(scribe.warn("RETRY", message), pair, venue);
            line.number("attempt", attempt).number("max", max)
        }
        RecordKind::AutoClose { pair, venue, qty, complete, notional } => {
            let message = if complete {
                "[SAFETY] Completing missing leg to avoid exposure"
            } else {
                "[SAFETY] Auto-closing successful leg to avoid exposure"
            };
            let line = scribe.both(scribe.warn("AUTO_CLOSE", message), pair, venue).number("size", qty);
            line.flag("complete", complete).number("notional_usd", notional)
        }
        RecordKind::MendRoute { pair, venue, complete, cost, instead } => {
            let way = if complete { "Completing the missing leg" } else { "Unwinding the filled leg" };
            let line = scribe.both(scribe.warn("MEND_ROUTE", way), pair, venue).flag("complete", complete);
            let line = line.number("cost_usd", cost);
            match instead {
                Some(instead) => line.number("instead_usd", instead),
                None => line,
            }
        }
        RecordKind::EntryExecuted { pair, direction, spread, qty, decision_to_terminal_ns, fill_skew_ns } => {
            let [long, short] = long_short(scribe, pair, direction).map(|venue| venue.0);
            let message = format_args!("[TRADE] Entry executed: spread={spread}, long={long}, short={short}");
            let line = scribe.pair(scribe.info("ENTRY_EXECUTED", message), pair);
            let line = legs(scribe, line.number("spread", spread.percent()), pair, direction);
            times(line.number("size", qty), decision_to_terminal_ns, fill_skew_ns)
        }
        RecordKind::ExitExecuted { pair, spread, pnl, reason, decision_to_terminal_ns, fill_skew_ns } => {
            let line = scribe.info("EXIT_EXECUTED", format_args!("[TRADE] Auto-closed: spread={spread}"));
            let line = scribe.pair(line, pair).number("spread", spread.percent()).number("pnl_usd", pnl);
            times(line.text("reason", stop_reason(reason)), decision_to_terminal_ns, fill_skew_ns)
        }
        RecordKind::Mended { pair, one_leg_ns, wire_ns, completed, cost } => {
            let message = "[SAFETY] No leg alone any more";
            let line = scribe.pair(scribe.warn("MENDED", message), pair).flag("completed", completed);
            let line = line.number("one_leg_ms", ms(one_leg_ns)).number("wire_ms", ms(wire_ns));
            line.number("cost_usd", cost)
        }
        _ => unlisted(scribe),
    }
}

fn operations(scribe: Scribe<'_>, kind: &RecordKind) -> Line {
    match *kind {
        RecordKind::ModeChanged { mode, why } => {
            let (level, event) = match mode {
                Mode::Halted => (Level::Error, "HALT"),
                _ => (Level::Info, "MODE"),
            };
            let line = scribe.line(level, event, format_args!("Mode {}: {why}", mode.name()));
            line.text("mode", mode.name()).text("why", why)
        }
        RecordKind::Reconciled { venue, open_orders, positions } => {
            let message = format_args!("{} reconciled", scribe.names.title(venue));
            let line = scribe.exchange(scribe.info("RECONCILED", message), venue);
            line.number("open_orders", open_orders).number("positions", positions)
        }
        RecordKind::Foreign { venue, pair, qty, ours } => {
            let message = "[SAFETY] Position that our orders do not explain, market blocked";
            let line = scribe.both(scribe.line(Level::Error, "FOREIGN_POSITION", message), pair, venue);
            line.number("size", qty).number("ours", ours)
        }
        RecordKind::Margin { venue, free, runway } => {
            let line = scribe.exchange(scribe.debug("MARGIN", "Margin"), venue);
            line.number("free_percent", free.percent()).number("runway_percent", runway.percent())
        }
        RecordKind::MarginLow { venue, free, wanted, reducing } => {
            let message = format_args!("Margin is low: {wanted} USD wanted");
            let line = scribe.exchange(scribe.warn("MARGIN_LOW", message), venue);
            let line = line.number("free_percent", free.percent()).number("wanted_usd", wanted);
            line.flag("reducing", reducing)
        }
        RecordKind::KeyLeft { venue, hours, low } => {
            let left = hours.map_or_else(|| "nobody has said how many".to_owned(), |hours| hours.to_string());
            let message = format_args!("Signing key: {left} hours left");
            let line = if low { scribe.warn("KEY_LEFT", message) } else { scribe.debug("KEY_LEFT", message) };
            let line = scribe.exchange(line, venue);
            if let Some(hours) = hours { line.number("hours", hours) } else { line }
        }
        RecordKind::Cancelled { orders } => {
            let message = format_args!("[SHUTDOWN] Cancelled {orders} pending orders");
            scribe.info("SHUTDOWN", message).number("orders", orders)
        }
        RecordKind::Alarm { pair, venue, what } => {
            let line = scribe.line(Level::Error, "ALARM", format_args!("Alarm: {what}"));
            scribe.both(line, pair, venue).text("what", what)
        }
        _ => unlisted(scribe),
    }
}

/// A kind that `record` sent to the wrong group: visible, harmless.
fn unlisted(scribe: Scribe<'_>) -> Line {
    scribe.line(Level::Error, "UNLISTED", "A record without a text")
}

fn spreads(scribe: Scribe<'_>, line: Line, pair: PairId, [adjusted, raw]: [Rate; 2]) -> Line {
    let line = scribe.pair(line, pair).number("spread", adjusted.percent());
    line.number("raw_spread", raw.percent())
}

fn both_ways(line: Line, names: [&str; 2], rates: [Rate; 2]) -> Line {
    line.number(names[0], rates[0].percent()).number(names[1], rates[1].percent())
}

/// Title and name of the venue that is long and of the one that is short.
fn long_short(scribe: Scribe<'_>, pair: PairId, direction: Direction) -> [(&'static str, &'static str); 2] {
    let order = match direction {
        Direction::A => [0, 1],
        Direction::B => [1, 0],
    };
    order.map(|leg| match scribe.names.leg(pair, leg) {
        Some(venue) => (scribe.names.title(venue), scribe.names.venue(venue)),
        None => ("unknown", "unknown"),
    })
}

fn legs(scribe: Scribe<'_>, line: Line, pair: PairId, direction: Direction) -> Line {
    let [long, short] = long_short(scribe, pair, direction);
    line.text("long", long.1).text("short", short.1)
}

fn times(line: Line, decision_to_terminal_ns: u64, fill_skew_ns: u64) -> Line {
    line.number("decision_to_terminal_ms", ms(decision_to_terminal_ns))
        .number("fill_skew_ms", ms(fill_skew_ns))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::store::names::tests::names;
    use crate::types::message::StopReason;
    use crate::types::order::{Purpose, Reason};
    use crate::types::record::Stamps;
    use crate::types::{ClientId, Nanos, Price, Qty, RejectClass, Side, Usd, VenueId};

    const PAIR: PairId = PairId(0);
    const FIRST: VenueId = VenueId(0);
    const SECOND: VenueId = VenueId(1);

    fn json(kind: RecordKind) -> Value {
        let line = record(&names(), &Record { at: Nanos(1), kind }).finish();
        serde_json::from_str(&line).unwrap()
    }

    fn placed(side: Side) -> RecordKind {
        RecordKind::OrderPlaced {
            id: ClientId { epoch: 1, seq: 2, leg: 0 },
            venue: FIRST,
            pair: PAIR,
            side,
            purpose: Purpose::Enter,
            qty: Qty::from_raw(100_000),
            limit: Price::from_raw(8_345_670_000_000),
            nth: 0,
            stamps: Stamps::default(),
        }
    }

    fn entered(direction: Direction) -> RecordKind {
        RecordKind::EntryExecuted {
            pair: PAIR,
            direction,
            spread: Rate::from_bps(31),
            qty: Qty::from_raw(100_000),
            decision_to_terminal_ns: 1_234_567,
            fill_skew_ns: 5_000,
        }
    }

    fn close(complete: bool) -> RecordKind {
        let (qty, notional) = (Qty::from_raw(100_000), Usd::from_raw(100));
        RecordKind::AutoClose { pair: PAIR, venue: FIRST, qty, complete, notional }
    }

    fn route(complete: bool) -> RecordKind {
        let (cost, instead) = (Usd::from_raw(5), Some(Usd::from_raw(7)));
        RecordKind::MendRoute { pair: PAIR, venue: FIRST, complete, cost, instead }
    }

    fn book_counts() -> RecordKind {
        let (applied, conflated) = (5, 2);
        RecordKind::BookCounts { venue: FIRST, messages: 9, applied, conflated, rejected: 1, waiting: 1 }
    }

    fn refused() -> RecordKind {
        let (role, why) = (Role::Private, Reason::cut("4000 WRONG_VERSION"));
        RecordKind::LinkRefused { venue: FIRST, role, why, mend: "get another bot4" }
    }

    /// Every record with the message and the event type that the requirements and the operator know it by.
    fn messages() -> Vec<(RecordKind, &'static str, &'static str)> {
        let (spread, threshold, raw) = (Rate::from_bps(31), Rate::from_bps(30), Rate::from_bps(33));
        let (direction, qty, pair) = (Direction::A, Qty::from_raw(1), PAIR);
        let market = Role::MarketData;
        vec![
            (RecordKind::LinkUp { venue: FIRST, role: market }, "Vest WebSocket connected", "CONNECTED"),
            (RecordKind::LinkUp { venue: SECOND, role: market }, "Paradex WebSocket connected", "CONNECTED"),
            (refused(), "Vest private connection refused: 4000 WRONG_VERSION", "CONNECTION_REFUSED"),
            (
                RecordKind::BookUpdated { venue: FIRST, pair, updates: 3, conflated: 1 },
                "Orderbook updated",
                "ORDERBOOK_UPDATED",
            ),
            (route(true), "Completing the missing leg", "MEND_ROUTE"),
            (route(false), "Unwinding the filled leg", "MEND_ROUTE"),
            (book_counts(), "Market messages accounted for", "BOOK_COUNTS"),
            (
                RecordKind::SpreadDetected { pair, direction, spread, raw, threshold, qty },
                "Spread opportunity detected: spread=0.3100%, threshold=0.3000%",
                "SPREAD_DETECTED",
            ),
            (placed(Side::Buy), "Order placed: side=long, pair=BTC, size=0.001", "ORDER_PLACED"),
            (placed(Side::Sell), "Order placed: side=short, pair=BTC, size=0.001", "ORDER_PLACED"),
            (
                entered(Direction::A),
                "[TRADE] Entry executed: spread=0.3100%, long=Vest, short=Paradex",
                "ENTRY_EXECUTED",
            ),
            (
                entered(Direction::B),
                "[TRADE] Entry executed: spread=0.3100%, long=Paradex, short=Vest",
                "ENTRY_EXECUTED",
            ),
            (
                RecordKind::Retry { pair, venue: FIRST, attempt: 2, max: 3 },
                "[RETRY] Order failed, attempt 2/3...",
                "RETRY",
            ),
            (close(false), "[SAFETY] Auto-closing successful leg to avoid exposure", "AUTO_CLOSE"),
            (close(true), "[SAFETY] Completing missing leg to avoid exposure", "AUTO_CLOSE"),
            (
                RecordKind::Reconnecting { venue: SECOND, role: market, attempt: 4 },
                "[RECONNECT] Attempting reconnection to Paradex...",
                "RECONNECT",
            ),
            (RecordKind::Cancelled { orders: 2 }, "[SHUTDOWN] Cancelled 2 pending orders", "SHUTDOWN"),
            (
                RecordKind::OrderAcked {
                    id: ClientId::default(),
                    venue: SECOND,
                    pair,
                    latency_ns: 12_345_678,
                },
                "[ORDER] Paradex WS order: latency=12.345ms",
                "ORDER_ACKED",
            ),
            (
                RecordKind::ExitExecuted {
                    pair,
                    spread: Rate::from_bps(-2),
                    pnl: Usd::from_raw(17_000_000),
                    reason: StopReason::Threshold,
                    decision_to_terminal_ns: 1,
                    fill_skew_ns: 1,
                },
                "[TRADE] Auto-closed: spread=-0.0200%",
                "EXIT_EXECUTED",
            ),
            (
                RecordKind::ModeChanged { mode: Mode::Halted, why: Reason::cut("day loss") },
                "Mode Halted: day loss",
                "HALT",
            ),
        ]
    }

    #[test]
    fn messages_are_word_for_word() {
        for (kind, message, event) in messages() {
            let json = json(kind);
            assert_eq!(json["message"], message);
            assert_eq!(json["event_type"], event, "{message}");
        }
    }

    #[test]
    fn context_stands_in_fields() {
        let order = json(placed(Side::Sell));
        assert_eq!((&order["pair"], &order["exchange"]), (&"BTC".into(), &"vest".into()));
        assert_eq!((&order["order"], &order["limit"]), (&"1-2-0".into(), &83456.7.into()));
        let entry = json(entered(Direction::B));
        assert_eq!(entry["spread"].to_string(), "0.31");
        assert_eq!((&entry["long"], &entry["short"]), (&"paradex".into(), &"vest".into()));
        assert_eq!(entry["timestamp"], "1970-01-01T00:00:00.000000Z");
        assert_eq!(json(RecordKind::Cancelled { orders: 1 })["level"], "INFO");
    }

    #[test]
    fn a_venues_text_cannot_break_the_line() {
        let json = json(RecordKind::OrderRejected {
            id: ClientId::default(),
            venue: FIRST,
            pair: PAIR,
            class: RejectClass::Halt,
            code: Reason::cut("\"}\n{\"level\":\"INFO\"}"),
        });
        assert_eq!(json["level"], "WARN");
        assert_eq!(json["code"], "\"}\n{\"level\":\"INFO\"}");
    }
}

//! What venues do to accounts, markets and clocks by themselves.

use super::*;
use crate::core::fault::{Action, Class};
use crate::core::{Cause, Delay, Mode, State};

#[test]
fn a_fill_is_taken_back_later_and_others_with_it() {
    let mut run = Run::paradex().still();
    let id = run.paradex_listener(&["tradebusts"]);
    let rule = Rule::once(Class::Order, Action::BustFill { ms: 60_000 });
    run.fault(Rule { jitter_ms: 540_000, ..rule });
    run.trade("BUY", "0.1", "a");
    assert_eq!(run.position(), ONE / 10);
    for _ in 0..150 {
        run.pass(4 * SECOND);
        run.stage.pong(run.now_us, id);
    }
    assert_eq!((run.position(), run.stage.truth().busted().len()), (0, run.fills().len()));
    assert_eq!(texts(&run.drain(id)).len(), run.fills().len());
    run.log_in_again();
    for name in ["b", "c", "d"] {
        run.trade("BUY", "0.01", name);
    }
    let before = run.fills();
    run.perform_json(r#"{"bust_newest":{"venue":"paradex","count":2}}"#);
    assert_eq!(run.position(), ONE / 100);
    let ids: Vec<&String> = before.iter().rev().take(2).map(|fill| &fill.id).collect();
    assert_eq!(run.stage.truth().busted().iter().rev().take(2).rev().collect::<Vec<_>>(), ids);
    run.assert_truth_adds_up();
}

#[test]
fn any_share_of_a_position_is_liquidated_or_deleveraged() {
    let mut run = Run::paradex().still();
    run.trade("SELL", "0.1", "a");
    let id = run.paradex_listener(&["fills.ALL"]);
    run.perform_json(r#"{"liquidate":{"venue":"paradex","market":"BTC-USD-PERP","share_ppm":300000}}"#);
    assert_eq!(run.position(), -ONE * 7 / 100);
    run.perform_json(r#"{"deleverage":{"venue":"paradex","market":"BTC-USD-PERP","share_ppm":1000000}}"#);
    assert_eq!(run.position(), 0);
    run.pass(SECOND);
    let kinds: Vec<u8> = run
        .drain(id)
        .iter()
        .filter_map(|f| if let Frame::Binary(b) = f { Some(b[24]) } else { None })
        .collect();
    assert!(kinds.contains(&2) && kinds.contains(&3), "LIQUIDATION and UNWIND_TRANSFER, got {kinds:?}");
    let causes: Vec<Cause> = run.stage.truth().orders().map(|order| order.cause).collect();
    assert_eq!(causes, [Cause::Order, Cause::Liquidation, Cause::Deleveraging]);
    let again = Command::Liquidate { venue: VenueName::Paradex, market: BTC.into(), share_ppm: 1 };
    assert_eq!(run.stage.perform(run.now_us, again), Err(ControlError::Flat(BTC.into())));
    run.assert_truth_adds_up();
}

#[test]
fn an_account_without_margin_is_refused_and_then_liquidated() {
    let mut run = Run::vest().still();
    let body = run.vest_order(true, "10.0000", "73000.00", 1);
    run.post(&body, SECOND);
    run.perform_json(r#"{"transfer":{"venue":"vest","usd":"-75000"}}"#);
    let body = run.vest_order(true, "1.0000", "73000.00", 2);
    run.post(&body, SECOND);
    assert_eq!(run.order("2").unwrap().state, State::Rejected);
    assert_eq!(run.position(), 10 * ONE, "25,000 USD hold 720,000");
    let script = Script { mid: Some(70_000 * ONE), basis_bps: Some(0), ..Script::default() };
    run.stage.exchange_mut().set_script(run.now_us, 0, script);
    run.pass(SECOND);
    assert_eq!(run.position(), 0);
    assert_eq!(run.private("GET", "/v2/orders?limit=1", "").1[0]["orderType"], "LIQUIDATION");
    run.assert_truth_adds_up();
}

#[test]
fn a_rollback_makes_fills_unhappen_and_cancels_what_is_open() {
    let mut run = Run::paradex().still();
    run.trade("BUY", "0.1", "kept");
    let kept = (run.fills(), run.stage.truth().balance());
    run.pass(60 * SECOND);
    run.trade("BUY", "0.2", "undone");
    run.trade("SELL", "0.05", "undone too");
    let resting =
        r#"{"rest":{"venue":"paradex","market":"BTC-USD-PERP","side":"buy","size":"0.01","limit":"60000"}}"#;
    run.perform_json(resting);
    run.pass(SECOND);
    let id = run.paradex_listener(&["orders.ALL", "positions"]);
    let version = run.stage.truth().version();
    run.perform_json(r#"{"rollback":{"venue":"paradex","ms":30000}}"#);
    run.pass(SECOND);
    let truth = run.stage.truth();
    assert!(truth.version() > version);
    assert_eq!((truth.fills().to_vec(), truth.balance(), truth.position(0)), (kept.0, kept.1, ONE / 10));
    assert_eq!(truth.open_orders().count(), 0);
    let vanished: i64 = truth.vanished().iter().map(|fill| fill.side.sign() * fill.size).sum();
    assert_eq!(vanished, ONE * 15 / 100);
    let state = |name: &str| run.order(name).map(|order| (order.state, order.filled));
    assert_eq!(state("kept"), Some((State::Filled, ONE / 10)));
    assert_eq!(state("undone"), Some((State::Cancelled, 0)));
    let history = run.private("GET", "/v1/fills", "").1;
    assert!(history["results"].as_array().unwrap().iter().all(|fill| fill["client_id"] == "kept"));
    let frames = run.drain(id);
    assert!(templates(&frames, ORDER) >= 3 && templates(&frames, POSITION) >= 1);
    run.assert_truth_adds_up();
    run.trade("SELL", "0.1", "afterwards");
    assert_eq!(run.position(), 0);
    run.assert_truth_adds_up();
}

#[test]
fn the_weekday_cycle_comes_round_by_itself() {
    // START_US is Thursday, 2026-01-01, 00:00 UTC.
    let run_options =
        Options { paradex_cycle: true, paradex_cadence: Delay::of(SECOND, SECOND), ..options() };
    let mut run = Run::paradex_of(Options { ticker_us: 60 * SECOND, ..run_options });
    let mut seen = Vec::new();
    let minute = 60 * SECOND;
    for at in (0..5 * 1_440).filter(|at| (265..285).contains(&(at % 1_440))) {
        run.now_us = START_US + at * minute;
        run.stage.advance(run.now_us);
        let mode = run.stage.truth().mode();
        if seen.last().is_none_or(|(_, last)| *last != mode) {
            seen.push((at, mode));
        }
    }
    let day = |day: i64| {
        let minute = day * 1_440 + 270;
        [(minute, Mode::CancelOnly), (minute + 2, Mode::PostOnly), (minute + 4, Mode::Ok)]
    };
    // Thursday, Friday, then Monday.
    let expected: Vec<(i64, Mode)> =
        [vec![(265, Mode::Ok)], day(0).to_vec(), day(1).to_vec(), day(4).to_vec()].concat();
    assert_eq!(seen, expected);
}

#[test]
fn modes_are_what_orders_meet() {
    let mut run = Run::paradex().still();
    for mode in [Mode::Halt, Mode::CancelOnly, Mode::PostOnly, Mode::Maintenance] {
        run.perform(Command::Mode { venue: VenueName::Paradex, mode });
        let body = run.paradex_order("BUY", "0.1", "73000", &format!("{mode:?}")).to_string();
        run.post(&body, SECOND);
    }
    let arrivals = run.stage.truth().arrivals();
    assert!(arrivals.len() == 4 && arrivals.iter().all(|a| a.outcome.is_err()) && run.position() == 0);
}

#[test]
fn rules_change_while_a_position_is_held() {
    for mut run in [Run::paradex().still(), Run::vest().still()] {
        let is_vest = run.token.is_empty();
        let symbol = if is_vest { "BTC-PERP" } else { BTC };
        let rules = r#"{"tick":"5","step":"0.01","min_notional":"500","imf":"0.5"}"#;
        let venue = if is_vest { "vest" } else { "paradex" };
        let text = format!(r#"{{"rules":{{"venue":"{venue}","market":"{symbol}","rules":{rules}}}}}"#);
        run.perform_json(&text);
        let (ok, bad) = match is_vest {
            true => {
                let info = run.call("GET", "/v2/exchangeInfo", &[], "").1;
                assert_eq!(
                    (&info["symbols"][0]["sizeDecimals"], &info["symbols"][0]["priceDecimals"]),
                    (&2.into(), &0.into())
                );
                (run.vest_order(true, "0.10", "73000", 1), run.vest_order(true, "0.1050", "73000.00", 2))
            }
            false => {
                let info = run.call("GET", "/v1/markets", &[], "").1;
                assert_eq!(info["results"][0]["order_size_increment"], "0.01");
                let order = |size: &str, id: &str| run.paradex_order("BUY", size, "73000", id).to_string();
                (order("0.1", "1"), order("0.105", "2"))
            }
        };
        run.post(&ok, SECOND);
        run.post(&bad, SECOND);
        assert_eq!(run.position(), ONE / 10, "{venue}");
        assert_eq!(run.fills()[0].price % (5 * ONE), 0, "the book is on the new grid");
    }
}

#[test]
fn an_hour_of_quiet_is_quiet() {
    let mut run = Run::paradex();
    let id = run.paradex_listener(&[&format!("order_book.{BTC}.deltas")]);
    run.perform_json(r#"{"cadence":{"venue":"paradex","lo_ms":60000,"hi_ms":60000}}"#);
    run.pass(3_600 * SECOND);
    run.stage.pong(run.now_us, id);
    let books = templates(&run.drain(id), 3);
    assert!(books < 65, "{books}");
}

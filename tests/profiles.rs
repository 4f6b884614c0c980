//! The choices that an account or a venue's release brings: Retail fees, older binary schemas, order kinds. Each trades
//! one whole round trip on the real wires.

mod common;

use bot4_sim::Options;
use bot4_sim::core::types::Tif;
use bot4_sim::options::Switches;

use common::Bench;

/// One pair opened, closed and accounted for.
fn trades(options: Options, extra: &str) -> Bench {
    let mut bench = Bench::with(options, extra);
    bench.start();
    bench.open_pair();
    bench.close_pair();
    assert_eq!(bench.stop(), 0, "{}", bench.tail());
    bench.assert_flat_and_settled();
    bench
}

fn switched(switches: Switches) -> Options {
    Options { switches, ..Options::default() }
}

#[test]
fn a_retail_account_trades_without_fees_on_its_venue() {
    let retail = "[venues.paradex]\nprofile = \"retail\"\norders_per_s = 2\norders_per_day = 900";
    let bench = trades(Options::default(), retail);
    let truth = bench.control().truth();
    assert!(truth.paradex.orders.iter().all(|order| order.fees == 0), "Retail pays no fees");
    assert!(truth.vest.orders.iter().any(|order| order.fees > 0));
}

#[test]
fn a_venue_that_knows_only_schema_1_is_traded_on() {
    trades(
        switched(Switches { paradex_sbe_versions: [true, true, false, false], ..Switches::default() }),
        "",
    );
}

#[test]
fn a_venue_that_knows_only_schema_0_is_traded_on() {
    trades(
        switched(Switches { paradex_sbe_versions: [true, false, false, false], ..Switches::default() }),
        "",
    );
}

#[test]
fn private_events_may_come_as_json() {
    trades(switched(Switches { paradex_private_sbe: false, ..Switches::default() }), "");
}

#[test]
fn fill_or_kill_is_sent_when_it_is_switched_on() {
    let bench = trades(Options::default(), "[venues.vest]\norder_kind = \"fok\"");
    assert!(bench.control().truth().vest.orders.iter().all(|order| order.tif == Tif::Fok));
}

#[test]
fn immediate_or_cancel_is_sent_when_it_is_switched_on() {
    let lax = switched(Switches { vest_accepts_ioc: true, ..Switches::default() });
    let bench = trades(lax, "[venues.vest]\norder_kind = \"ioc\"");
    assert!(bench.control().truth().vest.orders.iter().all(|order| order.tif == Tif::Ioc));
}

//! What an order in flight can lose beside its answer: private messages, each of its sockets, the engine itself, its
//! own fill, or the account to a stranger's hand. The real binary on both simulated venues; in the end no leg is
//! alone, no order was sent twice, none is open, and the books agree with the venues.

mod common;

use std::sync::Arc;

use bot4_sim::control::VenueName::{self, Paradex, Vest};
use bot4_sim::core::fault::{Action, Class, Rule};
use bot4_sim::core::{Side, Socket};
use common::Bench;
use common::bench::{PARADEX, VEST};
use common::trouble::{VENUES, reject};

/// All private messages of these classes meet this, from before the entry until after the close.
fn private_messages(venue: VenueName, classes: &[Class], action: &Action) {
    let mut bench = Bench::new();
    bench.start();
    for class in classes {
        bench.fault_events(venue, *class, action.clone());
    }
    bench.open_through_trouble();
    bench.close_and_settle();
}

#[test]
fn order_messages_of_vest_are_lost() {
    private_messages(Vest, &[Class::OrderEvent], &Action::DropEvent);
}

#[test]
fn order_messages_of_vest_come_twice() {
    private_messages(Vest, &[Class::OrderEvent], &Action::DuplicateEvent);
}

#[test]
fn order_messages_of_vest_are_late() {
    private_messages(Vest, &[Class::OrderEvent], &Action::DelayEvent { ms: 1_500 });
}

#[test]
fn order_messages_of_paradex_are_lost() {
    private_messages(Paradex, &[Class::OrderEvent], &Action::DropEvent);
}

#[test]
fn order_messages_of_paradex_come_twice() {
    private_messages(Paradex, &[Class::OrderEvent], &Action::DuplicateEvent);
}

#[test]
fn order_messages_of_paradex_are_late() {
    private_messages(Paradex, &[Class::OrderEvent], &Action::DelayEvent { ms: 1_500 });
}

#[test]
fn fill_messages_of_paradex_are_lost() {
    private_messages(Paradex, &[Class::FillEvent], &Action::DropEvent);
}

#[test]
fn fill_messages_of_paradex_come_twice() {
    private_messages(Paradex, &[Class::FillEvent], &Action::DuplicateEvent);
}

#[test]
fn fill_messages_of_paradex_are_late() {
    private_messages(Paradex, &[Class::FillEvent], &Action::DelayEvent { ms: 1_500 });
}

#[test]
fn all_private_messages_of_paradex_are_lost() {
    private_messages(Paradex, &[Class::OrderEvent, Class::FillEvent], &Action::DropEvent);
}

/// A socket goes away in the moment in which the venue takes an entry order, and again with a closing one.
fn socket_lost(venue: VenueName, socket: Socket) {
    let mut bench = Bench::new();
    bench.start();
    bench.fault_opening(venue, 1, Action::Disconnect { socket, code: None });
    bench.open_through_trouble();
    bench.fault_closing(venue, 1, Action::Disconnect { socket, code: None });
    bench.close_pair();
    assert_eq!(bench.faults_fired(), 2);
    bench.stop_and_settle();
    assert!(bench.count("DISCONNECTED") > 0, "no socket was lost");
}

#[test]
fn the_market_data_of_vest_is_lost_with_an_order_in_flight() {
    socket_lost(Vest, Socket::Md);
}

#[test]
fn the_private_stream_of_vest_is_lost_with_an_order_in_flight() {
    socket_lost(Vest, Socket::Private);
}

#[test]
fn the_order_connections_of_vest_are_lost_with_an_order_in_flight() {
    socket_lost(Vest, Socket::Orders);
}

#[test]
fn the_market_data_of_paradex_is_lost_with_an_order_in_flight() {
    socket_lost(Paradex, Socket::Md);
}

#[test]
fn the_private_connection_of_paradex_is_lost_with_an_order_in_flight() {
    socket_lost(Paradex, Socket::Private);
}

#[test]
fn every_socket_of_both_venues_is_lost_with_orders_in_flight() {
    let mut bench = Bench::new();
    bench.start();
    for venue in VENUES {
        bench.fault_opening(venue, 1, Action::Disconnect { socket: Socket::All, code: None });
    }
    bench.open_through_trouble();
    bench.close_and_settle();
}

/// Waits for the second order of an intent.
fn wait_for_both_orders(bench: &mut Bench) {
    bench.wait_for("ORDER_PLACED");
    bench.wait_for("ORDER_PLACED");
}

#[test]
fn killed_with_both_orders_in_flight() {
    let mut bench = Bench::new();
    bench.start();
    for venue in VENUES {
        bench.fault_opening(venue, 1, Action::HoldFill { ms: 1_500 });
    }
    bench.gap_bps(60);
    wait_for_both_orders(&mut bench);
    bench.kill();
    bench.start();
    bench.open_through_trouble();
    bench.close_pair();
    bench.stop_and_settle_journal();
}

/// The orders are lost on their way, and so is the engine: it must prove that they never arrived.
#[test]
fn killed_with_orders_that_never_arrived() {
    let mut bench = Bench::new();
    bench.start();
    for venue in VENUES {
        bench.fault_opening(venue, 1, Action::DropRequest);
    }
    bench.gap_bps(60);
    wait_for_both_orders(&mut bench);
    bench.kill();
    bench.start();
    bench.open_through_trouble();
    bench.close_pair();
    bench.stop_and_settle_journal();
}

/// One leg filled, the other refused again and again, then the engine is gone.
fn killed_with_one_leg(missing: VenueName, filled: VenueName, code: &str) {
    let mut bench = Bench::new();
    bench.start();
    bench.fault_opening(missing, 1_000, reject(code));
    bench.fault_closing(filled, 1_000, Action::DropRequest);
    bench.gap_bps(60);
    bench.wait_for("RETRY");
    bench.kill();
    let truth = bench.control().truth();
    assert_ne!(truth.vest.position(VEST) + truth.paradex.position(PARADEX), 0, "a leg is alone at the crash");
    for venue in VENUES {
        bench.control().venue(venue).with(|core, _| core.faults().clear());
    }
    bench.gap_bps(10);
    bench.start();
    bench.wait_for("MENDED");
    bench.gap_bps(60);
    bench.open_pair();
    bench.close_pair();
    bench.stop_and_settle_journal();
}

#[test]
fn killed_with_one_leg_at_vest() {
    killed_with_one_leg(Paradex, Vest, "INVALID_ORDER_SIZE");
}

#[test]
fn killed_with_one_leg_at_paradex() {
    killed_with_one_leg(Vest, Paradex, "3002");
}

#[test]
fn killed_with_a_held_pair() {
    let mut bench = Bench::new();
    bench.start();
    bench.open_pair();
    bench.kill();
    bench.start();
    bench.close_pair();
    bench.stop_and_settle_journal();
}

/// Twice in a row: what the first recovery wrote is what the second one reads.
#[test]
fn killed_twice_with_a_held_pair() {
    let mut bench = Bench::new();
    bench.start();
    bench.open_pair();
    for _ in 0..2 {
        bench.kill();
        bench.start();
    }
    bench.close_pair();
    bench.open_pair();
    bench.close_pair();
    bench.stop_and_settle_journal();
}

#[test]
fn killed_while_closing() {
    let mut bench = Bench::new();
    bench.start();
    bench.open_pair();
    bench.fault_closing(Paradex, 1, Action::HoldFill { ms: 1_500 });
    bench.gap_bps(-20);
    wait_for_both_orders(&mut bench);
    bench.kill();
    bench.start();
    bench.wait_for("EXIT_EXECUTED");
    bench.stop_and_settle_journal();
}

/// Closed at both venues, and gone before the close is in the books.
#[test]
fn killed_between_the_last_fill_and_the_books() {
    let mut bench = Bench::new();
    bench.start();
    bench.open_pair();
    bench.control().fault(Vest, Rule::always(Class::Query, Action::DropRequest));
    bench.gap_bps(-20);
    bench.wait_truth("both legs closed", |truth| truth.vest.is_flat() && truth.paradex.is_flat());
    bench.kill();
    bench.control().venue(Vest).with(|core, _| core.faults().clear());
    bench.start();
    bench.gap_bps(0);
    bench.open_pair();
    bench.close_pair();
    bench.stop_and_settle_journal();
}

/// Paradex takes our leg, then drops the order connection and lets nobody log in on another one.
#[test]
fn a_lone_leg_comes_home_over_rest_while_the_order_connection_is_refused() {
    let mut bench = Bench::new();
    bench.start();
    bench.open_pair();
    bench.close_pair();
    bench.fault_opening(Vest, 1_000, reject("3001"));
    let venue = Arc::clone(bench.control().venue(Paradex));
    bench.control().watch(Paradex, Class::FillEvent, 0, move || venue.cut(Socket::Private));
    bench.control().fault(Paradex, Rule::always(Class::SocketAuth, reject("40111")));
    bench.gap_bps(60);
    let line = bench.wait_for("MENDED");
    bench.gap_bps(0);
    bench.assert_home();
    let truth = bench.control().truth();
    assert!(truth.paradex.orders.last().is_some_and(|order| order.reduce_only), "closed there: {line}");
    bench.control().clear();
    bench.gap_bps(0);
    bench.stop_and_settle();
    let summary = bench.summary();
    let pairs = (&summary["pairs_opened"], &summary["pairs_closed"]);
    assert_eq!(pairs, (&1.into(), &1.into()), "an entry that was taken back is no pair");
}

/// The connection on which the lone leg was opened is lost, and nobody can log in on another: the one that stood by
/// takes the leg home.
#[test]
fn a_lone_leg_comes_home_on_the_spare_connection() {
    let mut bench = Bench::new();
    bench.start();
    let spare = |line: &common::bench::Line| line["event_type"] == "CONNECTED" && line["link"] == "spare";
    if !bench.log.iter().any(spare) {
        bench.wait_until("the spare", spare);
    }
    bench.open_pair();
    bench.close_pair();
    bench.fault_opening(Vest, 1_000, reject("3001"));
    let venue = Arc::clone(bench.control().venue(Paradex));
    bench.control().watch(Paradex, Class::FillEvent, 0, move || venue.cut(Socket::Orders));
    bench.control().fault(Paradex, Rule::always(Class::SocketAuth, reject("40111")));
    let before = bench.log.len();
    bench.gap_bps(60);
    bench.wait_for("MENDED");
    let at = |line: &&common::bench::Line| line["exchange"] == "paradex";
    let placed = |line: &&common::bench::Line| line["event_type"] == "ORDER_PLACED" && at(line);
    let sent: Vec<&str> =
        bench.log[before..].iter().filter(placed).filter_map(|line| line["purpose"].as_str()).collect();
    assert_eq!(sent, ["enter", "unwind"], "both by socket\n{}", bench.tail());
    let moves = bench.log[before..].iter().filter(at).filter(|line| line["link"] == "orders");
    let moves: Vec<&str> = moves.filter_map(|line| line["event_type"].as_str()).collect();
    assert_eq!(moves, ["DISCONNECTED", "CONNECTED"], "{}", bench.tail());
    bench.control().clear();
    bench.gap_bps(0);
    bench.stop_and_settle();
}

#[test]
fn a_busted_fill_takes_the_other_leg_along() {
    let mut bench = Bench::new();
    bench.start();
    bench.open_pair();
    let fills = bench.control().truth().paradex.fills;
    let fill = &fills.last().expect("the leg has filled").id;
    bench.control().bust(Paradex, fill).expect("the fill exists");
    bench.wait_for("MENDED");
    bench.stop_and_settle();
    assert!(bench.log.iter().any(|line| line["what"] == "a fill was busted by the venue"));
    assert!(bench.log.iter().any(|line| line["event_type"] == "MODE" && line["mode"] == "Reducing"));
}

/// A position that no order of ours explains is left alone and blocks entries, until it is gone again.
fn foreign_trade(venue: VenueName, symbol: &str) {
    let mut bench = Bench::with(bot4_sim::Options::default(), "[log]\nlevel = \"debug\"");
    bench.start();
    bench.control().trade(venue, symbol, Side::Buy, 100_000).expect("the hand's order is taken");
    bench.wait_for("FOREIGN_POSITION");
    bench.gap_bps(60);
    let wide = |line: &common::bench::Line| line["spread_b"].as_f64().is_some_and(|spread| spread > 0.3);
    for _ in 0..3 {
        bench.wait_until("the gap in a spread line", wide);
    }
    assert_eq!(bench.count("ORDER_PLACED"), 0, "entered beside a foreign position");
    bench.control().trade(venue, symbol, Side::Sell, 100_000).expect("the hand's order is taken");
    bench.wait_for("ENTRY_EXECUTED");
    bench.close_pair();
    assert_eq!(bench.stop(), 0, "{}", bench.tail());
    let truth = bench.control().truth();
    assert!(truth.vest.is_flat() && truth.paradex.is_flat(), "something is held");
    assert!(truth.vest.open_orders.is_empty() && truth.paradex.open_orders.is_empty());
}

#[test]
fn a_foreign_trade_at_vest_blocks_entries() {
    foreign_trade(Vest, VEST);
}

#[test]
fn a_foreign_trade_at_paradex_blocks_entries() {
    foreign_trade(Paradex, PARADEX);
}

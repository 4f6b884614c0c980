//! What happens to trading when market data lies, stops or ends, and when sessions lapse: the real binary on both
//! simulated venues. Nothing is traded on a doubtful book, and trading goes on by itself when the doubt is gone.

mod common;

use bot4_sim::Options;
use bot4_sim::control::{Login, VenueName};
use bot4_sim::core::fault::{Action, Class};
use bot4_sim::core::model::{Lie, Script};
use bot4_sim::core::{Mode, Socket};
use common::Bench;
use common::bench::{Line, PARADEX, VEST};
use common::trouble::{SOCKETS, VENUES, name};

/// An engine that trades and tells everything that it sees.
fn started() -> Bench {
    let mut bench = Bench::with(Options::default(), "[log]\nlevel = \"debug\"");
    bench.start();
    bench
}

fn wait_for_text(bench: &mut Bench, text: &str) -> Line {
    bench.wait_until(text, |line| line.to_string().contains(text))
}

fn orders(bench: &Bench) -> usize {
    let truth = bench.control().truth();
    truth.vest.orders.len() + truth.paradex.orders.len()
}

/// Both books as in a gap of 60 bps, which is an opportunity; the messages of one venue with this falsehood.
fn show_gap(bench: &Bench, of: VenueName, lie: Option<Lie>, freeze: bool) {
    let e8 = 100_000_000;
    let truth = |basis: i64| Script {
        basis_bps: Some(basis * e8),
        mid: Some(80_000 * e8),
        level_usd: Some(50_000 * e8),
        ..Script::default()
    };
    let [vest, paradex] = [truth(60), truth(0)];
    let twist = |script| Script { lie, freeze, ..script };
    let [vest, paradex] = if of == VenueName::Vest { [twist(vest), paradex] } else { [vest, twist(paradex)] };
    bench.script(VenueName::Vest, vest);
    bench.script(VenueName::Paradex, paradex);
}

/// A pair is opened and closed.
fn trades(bench: &mut Bench) {
    bench.open_pair();
    bench.close_pair();
}

/// The end of every test here.
fn ends_flat(mut bench: Bench) {
    assert_eq!(bench.stop(), 0, "{}", bench.tail());
    bench.assert_flat_and_settled();
}

/// An opportunity appears together with a lie of one venue: while `seen` lines come in, nothing is ordered. Then the
/// truth returns, and with it trading.
fn no_trade_on(venue: VenueName, lie: Lie, seen: impl Fn(&Line) -> bool, times: usize) {
    let mut bench = started();
    trades(&mut bench);
    let before = orders(&bench);
    bench.gap_bps(0);
    bench.script(venue, Script { lie: Some(lie), ..Script::default() });
    let bad = |line: &Line| line["exchange"] == name(venue) && seen(line);
    bench.wait_until("the lie", bad);
    show_gap(&bench, venue, Some(lie), false);
    for _ in 0..times {
        bench.wait_until("the lie again", bad);
    }
    assert_eq!(orders(&bench), before, "traded on {lie:?}\n{}", bench.tail());
    bench.gap_bps(0);
    trades(&mut bench);
    ends_flat(bench);
}

fn is(line: &Line, event_type: &str) -> bool {
    line["event_type"] == event_type
}

/// About one line a second as long as messages of the venue are taken.
fn is_update(line: &Line) -> bool {
    is(line, "ORDERBOOK_UPDATED")
}

fn frozen(venue: VenueName) {
    let mut bench = started();
    trades(&mut bench);
    let before = orders(&bench);
    bench.gap_bps(0);
    show_gap_later(&mut bench, venue);
    assert_eq!(orders(&bench), before, "traded on a frozen book\n{}", bench.tail());
    bench.gap_bps(0);
    trades(&mut bench);
    ends_flat(bench);
}

/// Freezes one book, waits until that is noticed, and shows a gap on the other one.
fn show_gap_later(bench: &mut Bench, venue: VenueName) {
    bench.script(venue, Script { freeze: true, ..Script::default() });
    let other = if venue == VenueName::Vest { VenueName::Paradex } else { VenueName::Vest };
    // About a second apart: on a busy machine a book may have been called stale before it was frozen.
    let wait = |bench: &mut Bench| (0..4).for_each(|_| drop(bench.wait_at(other, "ORDERBOOK_UPDATED")));
    wait(bench);
    let stale = |line: &Line| is(line, "BOOK_STALE") && line["exchange"] == name(venue);
    assert!(bench.log.iter().any(stale), "nobody noticed\n{}", bench.tail());
    show_gap(bench, venue, None, true);
    wait(bench);
}

#[test]
fn a_frozen_vest_feed_stops_entries_until_it_moves() {
    frozen(VenueName::Vest);
}

#[test]
fn a_frozen_paradex_feed_stops_entries_until_it_moves() {
    frozen(VenueName::Paradex);
}

#[test]
fn a_held_pair_rides_out_frozen_feeds() {
    let mut bench = started();
    bench.open_pair();
    for venue in VENUES {
        bench.script(venue, Script { freeze: true, ..Script::default() });
        bench.wait_at(venue, "BOOK_STALE");
        bench.gap_bps(20);
    }
    assert_eq!(bench.count("EXIT_EXECUTED"), 0);
    bench.close_pair();
    ends_flat(bench);
}

#[test]
fn a_crossed_vest_book_is_not_traded() {
    no_trade_on(VenueName::Vest, Lie::Crossed, |line| line.to_string().contains("a book stays crossed"), 1);
}

#[test]
fn a_crossed_paradex_book_is_not_traded() {
    no_trade_on(
        VenueName::Paradex,
        Lie::Crossed,
        |line| line.to_string().contains("a book stays crossed"),
        1,
    );
}

#[test]
fn zero_prices_of_vest_are_not_traded() {
    no_trade_on(VenueName::Vest, Lie::Zero, |line| is(line, "BAD_FRAME"), 5);
}

#[test]
fn zero_prices_of_paradex_are_not_traded() {
    no_trade_on(VenueName::Paradex, Lie::Zero, |line| is(line, "BAD_FRAME"), 5);
}

#[test]
fn an_empty_vest_book_is_not_traded() {
    no_trade_on(VenueName::Vest, Lie::Empty, is_update, 4);
}

#[test]
fn an_empty_paradex_book_is_not_traded() {
    no_trade_on(VenueName::Paradex, Lie::Empty, is_update, 4);
}

/// Long enough for a price that stands to be believed: then the other venue's price speaks against it.
fn absurd(venue: VenueName) {
    for percent in [50, 200, 100_000_000] {
        no_trade_on(venue, Lie::ScalePercent(percent), is_update, 6);
    }
}

#[test]
fn absurd_prices_of_vest_are_not_traded() {
    absurd(VenueName::Vest);
}

#[test]
fn absurd_prices_of_paradex_are_not_traded() {
    absurd(VenueName::Paradex);
}

#[test]
fn a_gap_in_the_sequence_is_mended_by_a_fresh_book() {
    let mut bench = started();
    wait_ready(&mut bench);
    for _ in 0..3 {
        bench.fault_once(VenueName::Paradex, Class::BookEvent, Action::DropEvent);
        wait_for_text(&mut bench, "sequence gap");
        bench.wait_at(VenueName::Paradex, "ORDERBOOK_UPDATED");
    }
    assert!(!bench.log.iter().any(|line| is(line, "DISCONNECTED")), "a gap needs no new connection");
    trades(&mut bench);
    ends_flat(bench);
}

/// Bytes that no venue should send.
fn garbage() -> Vec<Vec<u8>> {
    let mut frames: Vec<Vec<u8>> =
        ["", "{", "null", "[]", "\"\"", "{\"channel\":7}", "{\"channel\":\"BTC-PERP@depth\",\"data\":{}}"]
            .map(|text| text.as_bytes().to_vec())
            .to_vec();
    frames.push(vec![0xff; 300]);
    frames.push(b"[".repeat(5_000));
    frames.push((0..=255).collect());
    frames
}

#[test]
fn garbage_frames_are_dropped_and_a_flood_of_them_ends_the_connection() {
    let mut bench = started();
    wait_ready(&mut bench);
    for (venue, market) in [(VenueName::Vest, VEST), (VenueName::Paradex, PARADEX)] {
        for frame in garbage() {
            bench.control().raw(venue, market, frame).expect("the market exists");
        }
        bench.wait_at(venue, "BAD_FRAME");
        for _ in 0..30 {
            bench.control().raw(venue, market, b"garbage".to_vec()).expect("the market exists");
        }
        wait_for_text(&mut bench, "too many bad frames");
        bench.wait_at(venue, "CONNECTED");
    }
    trades(&mut bench);
    ends_flat(bench);
}

/// Half open: nothing moves any more, and nobody closes.
fn half_open(venue: VenueName, socket: Socket, back: &str) {
    let mut bench = started();
    trades(&mut bench);
    bench.gap_bps(0);
    bench.control().stall(venue, socket, true);
    let lost = |line: &Line| is(line, "DISCONNECTED") && line["exchange"] == name(venue);
    bench.wait_until("the end of a dead connection", lost);
    bench.wait_at(venue, back);
    trades(&mut bench);
    ends_flat(bench);
}

#[test]
fn a_half_open_vest_feed_is_replaced() {
    half_open(VenueName::Vest, Socket::Md, "CONNECTED");
}

#[test]
fn a_half_open_paradex_feed_is_replaced() {
    half_open(VenueName::Paradex, Socket::Md, "CONNECTED");
}

#[test]
fn a_half_open_private_stream_is_replaced() {
    half_open(VenueName::Vest, Socket::Private, "RECONCILED");
}

/// Also where nothing was asked on it: the venue's own ping would come after 55 s.
#[test]
fn a_half_open_order_connection_is_replaced() {
    half_open(VenueName::Paradex, Socket::Private, "RECONCILED");
}

/// Waits until both venues serve, after the start.
fn wait_ready(bench: &mut Bench) {
    trades(bench);
    bench.gap_bps(0);
}

#[test]
fn every_socket_comes_back_after_a_cut_and_after_a_close() {
    let mut bench = started();
    wait_ready(&mut bench);
    for socket in SOCKETS {
        bench.reconnect(socket, None);
        if socket.1 != Socket::Orders || socket.0 == VenueName::Paradex {
            bench.reconnect(socket, Some(1001));
        }
    }
    trades(&mut bench);
    ends_flat(bench);
}

#[test]
fn a_revoked_token_is_replaced_in_queries_and_on_the_next_socket() {
    let mut bench = started();
    wait_ready(&mut bench);
    bench.control().expire(Login::Jwt);
    trades(&mut bench);
    bench.gap_bps(0);
    bench.control().expire(Login::Jwt);
    bench.reconnect(SOCKETS[4], None);
    trades(&mut bench);
    ends_flat(bench);
}

#[test]
fn a_lapsed_listen_key_is_replaced() {
    let mut bench = started();
    wait_ready(&mut bench);
    bench.control().expire(Login::ListenKey);
    wait_for_text(&mut bench, "[RECONNECT] Attempting reconnection to Vest...");
    bench.wait_at(VenueName::Vest, "RECONCILED");
    trades(&mut bench);
    ends_flat(bench);
}

#[test]
fn a_venue_that_is_not_in_full_service_gets_no_entries() {
    let mut bench = started();
    wait_ready(&mut bench);
    for mode in [Mode::CancelOnly, Mode::PostOnly, Mode::Maintenance] {
        bench.control().mode(VenueName::Paradex, mode);
        bench.wait_for("VENUE_MODE");
        let before = orders(&bench);
        bench.gap_bps(60);
        bench.wait_until("a refusal", |line| is(line, "ENTRY_REFUSED") && line["reason"] == "VenueState");
        assert_eq!(orders(&bench), before, "traded in {mode:?}");
        bench.gap_bps(0);
        bench.control().mode(VenueName::Paradex, Mode::Ok);
        bench.wait_for("VENUE_MODE");
        trades(&mut bench);
        bench.gap_bps(0);
    }
    ends_flat(bench);
}

//! Who is called when, and in which words, on a clock set by hand.

use super::super::watch::UNLATCH_COMMAND;
use super::*;
use crate::journal::samples;
use crate::order::modes::{ERRORS, LOSING, UNPREPARED};
use crate::store::names::tests::names;
use crate::types::order::Reason;
use crate::types::{ClientId, Qty, Rate};

const RULES: AlertRules = AlertRules {
    lone_leg_ms: 1_000,
    unknown_ms: 5_000,
    link_down_ms: 30_000,
    repeat_ms: 900_000,
    summary_minute: Some(5),
};
const START: Nanos = Nanos::from_ms(1_800_000_000_000);

fn watch() -> AlertWatch {
    AlertWatch::new(RULES, START)
}

/// Polls every 10 ms up to `ms` after the start; when each alert was raised, ms after the start.
fn run(watch: &mut AlertWatch, follow: &Follow, from: u64, ms: u64) -> Vec<(Kind, u64)> {
    let mut raised = Vec::new();
    for at in (from..=ms).step_by(10) {
        watch.on_poll(START.plus_ms(at), follow, &names());
        raised.extend(watch.take().map(|alert| (alert.kind, at)));
    }
    raised
}

fn record(ms: u64, kind: RecordKind) -> Record {
    Record { at: START.plus_ms(ms), kind }
}

/// The books after the first so many entries of a round trip.
fn after(entries: usize) -> Follow {
    let mut follow = Follow::default();
    samples::round_trip().iter().take(entries).for_each(|entry| {
        follow.apply(entry);
    });
    follow
}

/// As soon as one leg of the sample has filled and the other has not.
fn lone() -> Follow {
    let all = samples::round_trip().len();
    let first = (0..all).map(after).find(|follow| !follow.book(PairId(0)).net().is_zero());
    first.expect("one leg fills before the other")
}

#[test]
fn a_lone_leg_is_told_after_a_second_and_again_while_it_lasts() {
    let (mut watch, lone) = (watch(), lone());
    let raised = run(&mut watch, &lone, 0, 901_500);
    assert_eq!(raised, [(Kind::LoneLeg, 1_000), (Kind::LoneLeg, 901_000)]);
    let whole = after(samples::round_trip().len());
    assert_eq!(run(&mut watch, &whole, 901_510, 1_900_000), []);
}

#[test]
fn a_second_lone_leg_is_told_though_the_first_was_told_two_minutes_ago() {
    let (mut watch, lone, whole) = (watch(), lone(), after(samples::round_trip().len()));
    assert_eq!(run(&mut watch, &lone, 0, 2_000), [(Kind::LoneLeg, 1_000)]);
    assert_eq!(run(&mut watch, &whole, 2_010, 119_990), []);
    assert_eq!(run(&mut watch, &lone, 120_000, 122_000), [(Kind::LoneLeg, 121_000)]);
}

#[test]
fn a_leg_that_is_alone_for_less_than_a_second_pages_nobody() {
    let (mut watch, lone, flat) = (watch(), lone(), Follow::default());
    for round in 0..5 {
        let from = round * 2_000;
        assert_eq!(run(&mut watch, &lone, from, from + 990), []);
        assert_eq!(run(&mut watch, &flat, from + 1_000, from + 1_990), []);
    }
}

#[test]
fn a_lone_leg_says_which_how_many_usd_what_is_done_and_what_to_type() {
    let (mut watch, lone) = (watch(), lone());
    watch.on_poll(START, &lone, &names());
    watch.on_poll(START.plus_ms(1_000), &lone, &names());
    let alert = watch.take().next().unwrap();
    let body: serde_json::Value = serde_json::from_str(&alert.line(&names()).finish()).unwrap();
    assert_eq!((&body["event_type"], &body["kind"]), (&"ALERT".into(), &"LONE_LEG".into()));
    assert_eq!((&body["pair"], &body["exchange"]), (&"BTC".into(), &"vest".into()));
    assert!(body["side"] == "long" && body["size"] == 1.0 && body["usd"].as_f64().unwrap() > 10.0);
    assert!(body["doing"].as_str().unwrap().contains("closes this one"));
    assert_eq!(body["next_command"], "bot4 status; if it stays: bot4 flatten");
    let text = body["text"].as_str().unwrap();
    assert!(text.starts_with("bot4 LONE_LEG BTC Vest: ") && text.contains("USD"), "{text}");
}

/// Sends the sample's first order with this number; its outcome is unknown from `ms` on.
fn lose_order(follow: &mut Follow, seq: u32, ms: u64) -> ClientId {
    let mut intents = samples::round_trip().into_iter();
    let found = intents.find_map(|entry| match entry {
        Entry::Intent { intent } => Some(intent),
        _ => None,
    });
    let mut intent = found.unwrap();
    intent.orders[1] = None;
    let id = &mut intent.orders[0].as_mut().unwrap().spec.id;
    id.seq = seq;
    let id = *id;
    follow.apply(&Entry::Intent { intent });
    follow.apply(&Entry::Unknown { id, at: START.plus_ms(ms) });
    id
}

#[test]
fn an_unknown_order_is_told_after_five_seconds() {
    let mut follow = after(samples::round_trip().len());
    lose_order(&mut follow, 70, 0);
    let raised = run(&mut watch(), &follow, 0, 10_000);
    assert_eq!(raised, [(Kind::UnknownOrder, 5_010)]);
}

#[test]
fn every_unknown_order_is_told_and_one_that_is_lost_again_too() {
    let (mut watch, mut follow) = (watch(), after(samples::round_trip().len()));
    let id = lose_order(&mut follow, 70, 0);
    lose_order(&mut follow, 71, 2_000);
    let raised = run(&mut watch, &follow, 0, 10_000);
    assert_eq!(raised, [(Kind::UnknownOrder, 5_010), (Kind::UnknownOrder, 7_010)]);
    follow.apply(&Entry::Sent { id, at: START.plus_ms(10_000) });
    assert_eq!(run(&mut watch, &follow, 10_010, 100_000), []);
    follow.apply(&Entry::Unknown { id, at: START.plus_ms(100_000) });
    assert_eq!(run(&mut watch, &follow, 100_010, 110_000), [(Kind::UnknownOrder, 105_010)]);
}

fn mode(mode: Mode, why: &str, ms: u64) -> Entry {
    Entry::Mode { mode, why: Reason::cut(why), at: START.plus_ms(ms) }
}

#[test]
fn a_latch_and_its_alarm_are_told_again_after_a_person_took_the_first_away() {
    let mut watch = watch();
    let what = Reason::cut("clock offset");
    for ms in [0, 10_000] {
        watch.on_record(&record(ms, RecordKind::Alarm { pair: PairId(0), venue: VenueId(1), what }));
        watch.on_entry(&mode(Mode::Halted, "clock offset", ms));
        let kinds: Vec<Kind> = watch.take().map(|alert| alert.kind).collect();
        assert_eq!(kinds, [Kind::Alarm, Kind::Halted], "{ms}");
        watch.on_entry(&mode(Mode::Paused, "drill", ms + 1_000));
        watch.on_entry(&mode(Mode::Active, OPERATOR, ms + 2_000));
    }
    assert_eq!(watch.take().count(), 0, "unlatch and resume themselves call nobody");
}

#[test]
fn a_pause_of_the_engines_own_and_reducing_are_told_with_what_to_type() {
    let mut watch = watch();
    for (held, why, what) in [
        (Mode::Paused, LOSING, "paused: losing pairs in a row"),
        (Mode::Paused, ERRORS, "paused: order errors"),
        (Mode::Paused, UNPREPARED, "paused: an account is not known to be set up"),
        (Mode::Reducing, "trade bust", "reducing: trade bust"),
    ] {
        watch.on_entry(&mode(held, why, 0));
        let alerts: Vec<Alert> = watch.take().collect();
        assert_eq!((alerts.len(), alerts[0].kind, alerts[0].what.as_str()), (1, Kind::Alarm, what));
        assert!(alerts[0].doing.starts_with("opens nothing until"), "{alerts:?}");
        assert_eq!(alerts[0].next_command, "bot4 status; bot4 resume");
        watch.on_entry(&mode(held, why, 1));
        assert_eq!(watch.take().count(), 0, "the next segment of the journal tells it anew");
    }
    watch.on_entry(&mode(Mode::Active, "start", 2));
    watch.on_entry(&mode(Mode::Paused, OPERATOR, 3));
    assert_eq!(watch.take().count(), 0, "nothing new, or a person's own");
}

#[test]
fn a_pause_that_is_over_is_told_when_it_comes_again() {
    let mut watch = watch();
    let mut told = Vec::new();
    for s in [0, 320, 330, 340, 390] {
        watch.on_entry(&mode(Mode::Paused, ERRORS, s * 1_000));
        watch.on_entry(&mode(Mode::Active, "pause over", s * 1_000 + 1));
        told.extend(watch.take().map(|_| s));
    }
    assert_eq!(told, [0, 320, 390], "and no more often than once a minute");
}

#[test]
fn the_latch_is_told_at_once_and_once() {
    let mut watch = watch();
    watch.on_entry(&mode(Mode::Paused, "", 0));
    watch.on_entry(&mode(Mode::Halted, "day loss", 1));
    watch.on_entry(&mode(Mode::Halted, "day loss", 2));
    watch.on_entry(&mode(Mode::Halted, "SIGUSR1", 3));
    let alerts: Vec<Alert> = watch.take().collect();
    assert_eq!(alerts.len(), 2);
    assert_eq!(alerts[0].what, "latched: day loss");
    assert_eq!(alerts[0].next_command, UNLATCH_COMMAND);
}

#[test]
fn a_connection_that_comes_back_pages_nobody_and_one_that_stays_down_does() {
    let mut watch = watch();
    let (venue, flat) = (VenueId(1), Follow::default());
    for role in Role::ALL {
        let why = Reason::cut("reset");
        watch.on_record(&record(0, RecordKind::LinkDown { venue, role, why }));
        watch.on_record(&record(2_000, RecordKind::LinkDown { venue, role, why }));
    }
    assert_eq!(run(&mut watch, &flat, 0, 20_000), []);
    watch.on_record(&record(20_000, RecordKind::LinkUp { venue, role: Role::MarketData }));
    watch.on_record(&record(20_000, RecordKind::LinkUp { venue, role: Role::Private }));
    assert_eq!(run(&mut watch, &flat, 20_010, 60_000), [(Kind::LinkDown, 30_010)]);
    for role in Role::ALL {
        watch.on_record(&record(60_000, RecordKind::LinkUp { venue, role }));
    }
    assert_eq!(run(&mut watch, &flat, 60_010, 70_000), []);
    let (role, why) = (Role::Orders, Reason::cut("reset"));
    watch.on_record(&record(70_000, RecordKind::LinkDown { venue, role, why }));
    assert_eq!(run(&mut watch, &flat, 70_010, 110_000), [(Kind::LinkDown, 100_010)]);
}

#[test]
fn a_refused_connection_is_told_at_once_with_its_code_and_its_mend() {
    let (mut watch, flat) = (watch(), Follow::default());
    let (venue, role) = (VenueId(0), Role::Private);
    let why = Reason::cut("closed by the venue: 4002 ACCOUNT_GROUP_INVALID");
    let refused = RecordKind::LinkRefused { venue, role, why, mend: "put the group right" };
    for ms in [0, 30_000, 60_000] {
        watch.on_record(&record(ms, refused));
        watch.on_record(&record(ms, RecordKind::LinkDown { venue, role, why }));
        let alerts: Vec<Alert> = watch.take().collect();
        assert_eq!(alerts.len(), usize::from(ms == 0), "{ms}: {alerts:?}");
        for alert in alerts {
            assert_eq!((alert.kind, alert.venue), (Kind::LinkRefused, Some(venue)));
            assert!(alert.what.ends_with("4002 ACCOUNT_GROUP_INVALID"), "{}", alert.what);
            assert_eq!(alert.next_command, "put the group right");
        }
        assert_eq!(run(&mut watch, &flat, ms, ms + 29_990), [], "no second call says that it is down");
    }
    watch.on_record(&record(90_000, RecordKind::LinkUp { venue, role }));
    assert_eq!(run(&mut watch, &flat, 90_000, 200_000), []);
    watch.on_record(&record(200_000, refused));
    assert_eq!(watch.take().count(), 1, "anew");
}

#[test]
fn alarms_and_foreign_positions_are_told_once_each() {
    let mut watch = watch();
    let (pair, venue) = (PairId(0), VenueId(1));
    for what in ["a", "b", "a"] {
        watch.on_record(&record(1, RecordKind::Alarm { pair, venue, what: Reason::cut(what) }));
    }
    let (qty, ours) = (Qty::from_raw(5), Qty::ZERO);
    watch.on_record(&record(1, RecordKind::Foreign { venue, pair, qty, ours }));
    let kinds: Vec<Kind> = watch.take().map(|alert| alert.kind).collect();
    assert_eq!(kinds, [Kind::Alarm, Kind::Alarm, Kind::ForeignPosition]);
}

#[test]
fn a_wrong_market_is_told_at_once_and_once_and_a_damaged_frame_never() {
    let mut watch = watch();
    let venue = VenueId(1);
    for ms in 0..1_000 {
        let market = Reason::cut("DOGE-USD-PERP");
        watch.on_record(&record(ms, RecordKind::WrongMarket { venue, market }));
        watch.on_record(&record(ms, RecordKind::BadFrame { venue, why: Reason::cut("damaged") }));
    }
    let alerts: Vec<Alert> = watch.take().collect();
    assert_eq!((alerts.len(), alerts[0].kind, alerts[0].at), (1, Kind::WrongMarket, START));
    assert!(alerts[0].what.contains("DOGE-USD-PERP") && alerts[0].venue == Some(venue), "{alerts:?}");
}

#[test]
fn margin_keys_and_clocks_say_what_to_do() {
    let mut watch = watch();
    let venue = VenueId(0);
    let (free, wanted) = (Rate::from_bps(3_100), Usd::from_raw(1_500_000_000));
    watch.on_record(&record(1, RecordKind::MarginLow { venue, free, wanted, reducing: false }));
    watch.on_record(&record(2, RecordKind::MarginLow { venue, free, wanted, reducing: false }));
    watch.on_record(&record(3, RecordKind::KeyLeft { venue, hours: Some(80), low: false }));
    watch.on_record(&record(3, RecordKind::KeyLeft { venue, hours: Some(71), low: true }));
    watch.on_record(&record(3, RecordKind::KeyLeft { venue: VenueId(1), hours: Some(71), low: true }));
    watch.on_record(&record(3_600_003, RecordKind::KeyLeft { venue, hours: None, low: true }));
    watch.on_record(&record(4, RecordKind::ClockOffset { venue, ms: 60, blocks: false }));
    watch.on_record(&record(4, RecordKind::ClockOffset { venue, ms: 300, blocks: true }));
    let alerts: Vec<Alert> = watch.take().collect();
    let raised: Vec<(Kind, u64)> =
        alerts.iter().map(|alert| (alert.kind, alert.at.ms_since(START))).collect();
    let (margin, key, clock) = (Kind::Margin, Kind::KeyExpiry, Kind::ClockOffset);
    // At the moment at which the engine knew it.
    assert_eq!(raised, [(margin, 1), (key, 3), (key, 3), (key, 3_600_003), (clock, 4)]);
    let lines: Vec<String> = alerts.iter().map(|alert| alert.line(&names()).finish()).collect();
    let said = [
        "send 15 USD there",
        "bot4 register-",
        "into .env, restart",
        "put VEST_SIGNER_EXPIRY_MS into .env, as bot4 register-vest printed it; then restart",
        "timedatectl; restart bot4; then bot4 check",
    ];
    assert_eq!(lines.len(), said.len(), "{lines:?}");
    for (line, said) in lines.iter().zip(said) {
        assert!(line.contains(said), "{said} in {line}");
    }
}

#[test]
fn the_summary_is_wanted_once_a_day() {
    let mut watch = AlertWatch::new(RULES, Nanos::from_ms(DAY_MS + 6 * 60_000));
    assert!(!watch.wants_summary(Nanos::from_ms(2 * DAY_MS + 4 * 60_000)));
    assert!(watch.wants_summary(Nanos::from_ms(2 * DAY_MS + 5 * 60_000)));
    assert!(!watch.wants_summary(Nanos::from_ms(2 * DAY_MS + 5 * 60_000 + 1)));
    assert!(watch.wants_summary(Nanos::from_ms(3 * DAY_MS + 5 * 60_000)));
}

#[test]
fn hostile_text_stays_inside_its_field() {
    let mut watch = watch();
    let what = Reason::cut("x\",\"kind\":\"NONE\n\u{202e}");
    watch.on_record(&record(1, RecordKind::Alarm { pair: PairId(0), venue: VenueId(0), what }));
    let body = watch.take().next().unwrap().line(&names()).finish();
    let value: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(value["kind"], "ALARM");
    assert!(!body.trim_end().contains('\n') && !body.contains('\u{202e}'));
}

//! When a person is called, and with which words: conditions that last, not events, so that a lost packet pages nobody.
//! Pure; `watch` feeds it with what the `store` thread sees, `pager` sends what it raises. Each alert is raised within
//! a second of its condition and told again while it lasts.

use crate::journal::entry::Entry;
use crate::position::PairBook;
use crate::store::Names;
use crate::store::follow::Follow;
use crate::types::limits::{PAIRS_MAX, VENUES_MAX};
use crate::types::record::{Record, RecordKind, Role};
use crate::types::settings::AlertRules;
use crate::types::{Mode, Nanos, OrderState, PairId, Rate, Usd, VenueId};
use crate::venue::REGISTRATIONS;

use super::alert::{Alert, Kind};
use super::watch::UNLATCH_COMMAND;

/// A difference between the legs that no venue trades for being too small is no lone leg: both want some 10 USD.
const LONE_MIN_USD: Usd = Usd::from_raw(10 * 100_000_000);
const STATUS: &str = "bot4 status";
const DAY_MS: u64 = 86_400_000;

/// Looks at the facts and raises alerts.
#[derive(Debug)]
pub struct AlertWatch {
    rules: AlertRules,
    lone_since: [Nanos; PAIRS_MAX],
    down_since: [[Nanos; Role::ALL.len()]; VENUES_MAX],
    /// What was raised and when, so that what goes on is not told each time.
    raised: Vec<(Topic, Nanos)>,
    /// When the next daily summary is due.
    summary_at: Nanos,
    out: Vec<Alert>,
}

/// What makes two alerts the same.
#[derive(Clone, Debug, PartialEq)]
struct Topic {
    kind: Kind,
    pair: Option<PairId>,
    venue: Option<VenueId>,
    /// Alarms and latches differ by their text; the others' texts hold figures that change.
    what: String,
}

impl AlertWatch {
    pub fn new(rules: AlertRules, now: Nanos) -> Self {
        Self {
            rules,
            lone_since: [Nanos::NEVER; PAIRS_MAX],
            down_since: Default::default(),
            raised: Vec::new(),
            summary_at: next_summary(rules.summary_minute, now),
            out: Vec::new(),
        }
    }

    pub fn on_record(&mut self, record: &Record) {
        let at = record.at;
        match record.kind {
            RecordKind::LinkUp { venue, role } => {
                self.down_since[venue.index()][role as usize] = Nanos::NEVER;
            }
            RecordKind::LinkDown { venue, role, .. } => {
                let since = &mut self.down_since[venue.index()][role as usize];
                if *since == Nanos::NEVER {
                    *since = at;
                }
            }
            RecordKind::Foreign { venue, pair, qty, ours } => {
                let what = format!("the venue shows {qty}, our own orders explain {ours}");
                let doing = "leaves it alone; nothing is opened in this market";
                let mut alert = Alert::new(Kind::ForeignPosition, at, what, doing, STATUS);
                alert.leg = Some(qty);
                self.raise(alert.about(pair, venue));
            }
            RecordKind::Alarm { pair, venue, what } => {
                let doing = "goes on within its limits; hedging, exits and stops run";
                self.raise(Alert::new(Kind::Alarm, at, what, doing, STATUS).about(pair, venue));
            }
            RecordKind::MarginLow { venue, free, wanted, reducing } => {
                self.raise(margin_low(at, venue, free, wanted, reducing));
            }
            RecordKind::KeyLeft { venue, hours, low: true } => self.raise(key_lapses(at, venue, hours)),
            RecordKind::ClockOffset { venue, ms, blocks: true } => {
                let what = format!("the clocks are {ms} ms apart");
                let doing = "opens nothing; hedging, exits and stops run";
                let mut alert = Alert::new(
                    Kind::ClockOffset,
                    at,
                    what,
                    doing,
                    "timedatectl; restart bot4; then bot4 check",
                );
                alert.venue = Some(venue);
                self.raise(alert);
            }
            _ => {}
        }
    }

    pub fn on_entry(&mut self, entry: &Entry) {
        if let Entry::Mode { mode: Mode::Halted, why, at } = entry {
            let doing = "opens nothing until a person re-arms it; hedging, exits and stops run";
            let what = format!("latched: {why}");
            self.raise(Alert::new(Kind::Halted, *at, what, doing, UNLATCH_COMMAND));
        }
    }

    /// At least twice a second: what has lasted too long. `follow` and `names` are as of the last entry.
    pub fn on_poll(&mut self, now: Nanos, follow: &Follow, names: &Names) {
        for pair in (0..names.pairs.len().min(PAIRS_MAX) as u8).map(PairId) {
            self.look_at_legs(now, pair, follow.book(pair), names);
        }
        for order in follow.orders().iter().filter(|order| order.state == OrderState::Unknown) {
            let waited = now.ms_since(order.changed);
            if waited > u64::from(self.rules.unknown_ms) {
                let spec = order.order.spec;
                let what = format!("order {} of {} has no known outcome yet", spec.id, spec.qty);
                let doing = "asks the venue for it, counts it as nothing and as everything, sends no other";
                let mut alert = Alert::new(Kind::UnknownOrder, now, what, doing, STATUS);
                alert.usd = Some(spec.limit.times(spec.qty));
                self.raise(alert.about(spec.pair, spec.venue));
            }
        }
        self.look_at_links(now);
    }

    fn look_at_legs(&mut self, now: Nanos, pair: PairId, book: &PairBook, names: &Names) {
        let net = book.net();
        let usd = book.reference.times(net.abs());
        let since = &mut self.lone_since[pair.index()];
        if usd < LONE_MIN_USD {
            *since = Nanos::NEVER;
            return;
        }
        if *since == Nanos::NEVER {
            *since = now;
        }
        let lasted = now.ms_since(*since);
        if lasted < u64::from(self.rules.lone_leg_ms) {
            return;
        }
        let leg = usize::from(book.legs[1].qty.abs() > book.legs[0].qty.abs());
        let what = format!("one leg holds {net} more than the other for {lasted} ms");
        let doing = "brings the missing leg or closes this one, on whichever venue answers";
        let next = "bot4 status; if it stays: bot4 flatten";
        let mut alert = Alert::new(Kind::LoneLeg, now, what, doing, next);
        (alert.pair, alert.venue) = (Some(pair), names.leg(pair, leg));
        (alert.leg, alert.usd) = (Some(net), Some(usd));
        self.raise(alert);
    }

    fn look_at_links(&mut self, now: Nanos) {
        for venue in 0..VENUES_MAX {
            for role in Role::ALL {
                let since = self.down_since[venue][role as usize];
                let lasted = now.ms_since(since);
                if since != Nanos::NEVER && lasted > u64::from(self.rules.link_down_ms) {
                    let what = format!("{} connection down for {} s", role.name(), lasted / 1_000);
                    let doing = match role {
                        Role::Spare => {
                            "reconnects; trading goes on over the connection that it stands by for"
                        }
                        _ => "reconnects; nothing is opened there, closing goes by what is left",
                    };
                    let mut alert = Alert::new(Kind::LinkDown, now, what, doing, STATUS);
                    alert.venue = Some(VenueId(venue as u8));
                    self.raise(alert);
                }
            }
        }
    }

    /// Whether the daily summary is due now; true once a day.
    pub fn wants_summary(&mut self, now: Nanos) -> bool {
        let due = self.summary_at != Nanos::NEVER && now >= self.summary_at;
        if due {
            self.summary_at = next_summary(self.rules.summary_minute, now);
        }
        due
    }

    /// Raises an alert unless the same was raised a short while ago.
    pub fn raise(&mut self, alert: Alert) {
        let named = matches!(alert.kind, Kind::Alarm | Kind::Halted | Kind::DailySummary);
        let what = if named { alert.what.clone() } else { String::new() };
        let topic = Topic { kind: alert.kind, pair: alert.pair, venue: alert.venue, what };
        let repeat_ms = u64::from(self.rules.repeat_ms);
        self.raised.retain(|(_, at)| alert.at.ms_since(*at) < repeat_ms);
        if self.raised.iter().all(|(known, _)| *known != topic) {
            self.raised.push((topic, alert.at));
            self.out.push(alert);
        }
    }

    /// What was raised since the last call.
    pub fn take(&mut self) -> impl Iterator<Item = Alert> {
        self.out.drain(..)
    }
}

fn margin_low(at: Nanos, venue: VenueId, free: Rate, wanted: Usd, reducing: bool) -> Alert {
    let what = format!("free margin is {} % of equity: send {wanted} USD there", free.percent());
    let doing = if reducing {
        "halves its pairs there, both legs at once, until the margin is restored"
    } else {
        "holds its pairs; opens nothing there until the margin is restored"
    };
    let next = "send the amount on the venue's own page; then bot4 status";
    let alert = Alert::new(Kind::Margin, at, what, doing, next);
    Alert { venue: Some(venue), usd: Some(wanted), ..alert }
}

fn key_lapses(at: Nanos, venue: VenueId, hours: u64) -> Alert {
    let what = format!("the signing key lapses in {hours} hours");
    let doing = "opens nothing once the key would not outlive a pair; closing is never held back";
    let registration = REGISTRATIONS.get(venue.index()).copied().flatten();
    let next = registration.map_or_else(
        || "make a new key on the venue's own page, put it into .env, restart".to_owned(),
        |registration| format!("bot4 {}, on the machine of the primary key; then restart", registration.verb),
    );
    Alert { venue: Some(venue), ..Alert::new(Kind::KeyExpiry, at, what, doing, &next) }
}

/// The next moment at this minute of the day, UTC.
fn next_summary(minute: Option<u32>, now: Nanos) -> Nanos {
    let Some(minute) = minute else { return Nanos::NEVER };
    let today = now.ms() / DAY_MS * DAY_MS + u64::from(minute) * 60_000;
    Nanos::from_ms(if today > now.ms() { today } else { today + DAY_MS })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::samples;
    use crate::store::names::tests::names;
    use crate::types::Qty;
    use crate::types::order::Reason;

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

    #[test]
    fn an_unknown_order_is_told_after_five_seconds() {
        let mut follow = after(samples::round_trip().len());
        let intent =
            samples::round_trip().into_iter().find(|entry| matches!(entry, Entry::Intent { .. })).unwrap();
        let Entry::Intent { intent: decided } = intent else { panic!("an intent") };
        follow.apply(&intent);
        let id = decided.orders[0].unwrap().spec.id;
        follow.apply(&Entry::Unknown { id, at: START });
        let mut watch = watch();
        let raised = run(&mut watch, &follow, 0, 10_000);
        assert_eq!(raised, [(Kind::UnknownOrder, 5_010)]);
    }

    #[test]
    fn the_latch_is_told_at_once_and_once() {
        let mut watch = watch();
        let halted =
            |why: &str, ms| Entry::Mode { mode: Mode::Halted, why: Reason::cut(why), at: START.plus_ms(ms) };
        watch.on_entry(&Entry::Mode { mode: Mode::Paused, why: Reason::EMPTY, at: START });
        watch.on_entry(&halted("day loss", 1));
        watch.on_entry(&halted("day loss", 2));
        watch.on_entry(&halted("SIGUSR1", 3));
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
    fn margin_keys_and_clocks_say_what_to_do() {
        let mut watch = watch();
        let venue = VenueId(0);
        let (free, wanted) = (Rate::from_bps(3_100), Usd::from_raw(1_500_000_000));
        watch.on_record(&record(1, RecordKind::MarginLow { venue, free, wanted, reducing: false }));
        watch.on_record(&record(2, RecordKind::MarginLow { venue, free, wanted, reducing: false }));
        watch.on_record(&record(3, RecordKind::KeyLeft { venue, hours: 80, low: false }));
        watch.on_record(&record(3, RecordKind::KeyLeft { venue, hours: 71, low: true }));
        watch.on_record(&record(3, RecordKind::KeyLeft { venue: VenueId(1), hours: 71, low: true }));
        watch.on_record(&record(4, RecordKind::ClockOffset { venue, ms: 60, blocks: false }));
        watch.on_record(&record(4, RecordKind::ClockOffset { venue, ms: 300, blocks: true }));
        let lines: Vec<String> = watch.take().map(|alert| alert.line(&names()).finish()).collect();
        let said = [
            "send 15 USD there",
            "bot4 register-",
            "into .env, restart",
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
}

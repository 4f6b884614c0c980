//! What a person has been told lately, so that what goes on is not told each time and what comes anew is told at once.
//! Pure; owned by `alerts`, which asks it of every alert.

use super::alert::{Alert, Kind};
use crate::types::{Nanos, PairId, VenueId};

/// What has ended is news when it comes again, but the same calls a person no more often than this: a condition that
/// flickers would else call at every flicker.
const AGAIN_MS: u64 = 60_000;

/// Alerts that are no news yet.
#[derive(Debug)]
pub struct Told {
    /// What goes on is told again after so long.
    repeat_ms: u64,
    topics: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    topic: Topic,
    at: Nanos,
    /// When it was last found to be so.
    seen: Nanos,
    /// Its condition has ended since it was told.
    over: bool,
}

/// What makes two alerts the same.
#[derive(Debug, PartialEq)]
struct Topic {
    kind: Kind,
    pair: Option<PairId>,
    venue: Option<VenueId>,
    /// Alarms and latches differ by their text, unknown orders by the order in it; other texts hold changing figures.
    what: String,
}

impl Topic {
    fn of(alert: &Alert) -> Self {
        let named =
            matches!(alert.kind, Kind::Alarm | Kind::Halted | Kind::UnknownOrder | Kind::DailySummary);
        let what = if named { alert.what.clone() } else { String::new() };
        Self { kind: alert.kind, pair: alert.pair, venue: alert.venue, what }
    }

    /// Found anew at each look while it lasts, so that a look without it is its end. What comes by records has no such
    /// end: margins and clocks hover about their limits, alarms are told when they happen.
    const fn is_looked_for(&self) -> bool {
        matches!(self.kind, Kind::LoneLeg | Kind::UnknownOrder | Kind::LinkDown | Kind::LinkRefused)
    }

    /// The mode that the engine is in; the alarms of its stages name a pair.
    const fn is_mode(&self) -> bool {
        matches!(self.kind, Kind::Halted | Kind::Alarm) && self.pair.is_none()
    }
}

impl Told {
    pub const fn new(repeat_ms: u64) -> Self {
        Self { repeat_ms, topics: Vec::new() }
    }

    /// Whether a person has to hear this one; it counts as told then.
    pub fn is_news(&mut self, alert: &Alert) -> bool {
        let (now, repeat_ms) = (alert.at, self.repeat_ms);
        let pause_ms = |known: &Known| if known.over { AGAIN_MS.min(repeat_ms) } else { repeat_ms };
        self.topics.retain(|known| now.ms_since(known.at) < pause_ms(known));
        let topic = Topic::of(alert);
        if let Some(known) = self.topics.iter_mut().find(|known| known.topic == topic) {
            known.seen = now;
            return false;
        }
        self.topics.push(Known { topic, at: now, seen: now, over: false });
        true
    }

    /// A look is done: what it looks for and has not found is over.
    pub fn looked(&mut self, now: Nanos) {
        self.end(|known| known.topic.is_looked_for() && known.seen != now);
    }

    /// The engine has left the mode that it was in.
    pub fn left_mode(&mut self) {
        self.end(|known| known.topic.is_mode());
    }

    /// A person has looked and let the engine go on: what comes after that is news at once. What is still found to be
    /// so at each look is what that person saw.
    pub fn person_acted(&mut self) {
        self.topics.retain(|known| known.topic.is_looked_for() && !known.over);
    }

    fn end(&mut self, is_over: impl Fn(&Known) -> bool) {
        self.topics.iter_mut().for_each(|known| known.over |= is_over(known));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPEAT_MS: u64 = 900_000;

    fn alert(kind: Kind, what: &str, s: u64) -> Alert {
        let about = (kind != Kind::Halted).then_some((PairId(0), VenueId(1)));
        let alert = Alert::new(kind, Nanos::from_ms(s * 1_000), what, "waits", "bot4 status");
        Alert { pair: about.map(|(pair, _)| pair), venue: about.map(|(_, venue)| venue), ..alert }
    }

    /// Looks every second until `until`; the condition is there in the seconds that `lasts` names. When it was told.
    fn looks(told: &mut Told, until: u64, lasts: impl Fn(u64) -> bool) -> Vec<u64> {
        let mut heard = Vec::new();
        for s in 1..=until {
            if lasts(s) && told.is_news(&alert(Kind::LoneLeg, "a figure that changes", s)) {
                heard.push(s);
            }
            told.looked(Nanos::from_ms(s * 1_000));
        }
        heard
    }

    #[test]
    fn what_goes_on_is_told_again_after_a_while_and_what_ended_as_soon_as_it_is_back() {
        assert_eq!(looks(&mut Told::new(REPEAT_MS), 1_000, |_| true), [1, 901]);
        assert_eq!(looks(&mut Told::new(REPEAT_MS), 1_000, |s| !(5..120).contains(&s)), [1, 120]);
    }

    #[test]
    fn what_flickers_is_told_once_a_minute_and_what_stays_after_a_flicker_is_told_by_then() {
        assert_eq!(looks(&mut Told::new(REPEAT_MS), 200, |s| s % 2 == 1), [1, 61, 121, 181]);
        assert_eq!(looks(&mut Told::new(REPEAT_MS), 200, |s| s != 10), [1, 61]);
    }

    #[test]
    fn what_comes_by_records_is_not_over_because_a_look_has_not_found_it() {
        let mut told = Told::new(REPEAT_MS);
        for kind in [Kind::Alarm, Kind::Margin, Kind::ClockOffset, Kind::Halted] {
            assert!(told.is_news(&alert(kind, "a", 1)), "{kind:?}");
            told.looked(Nanos::from_ms(2_000));
            assert!(!told.is_news(&alert(kind, "a", 800)), "{kind:?}");
            assert!(told.is_news(&alert(kind, "a", 901)), "{kind:?}");
        }
    }

    #[test]
    fn a_mode_that_was_left_is_news_again_and_what_stages_said_is_not() {
        let mut told = Told::new(REPEAT_MS);
        assert!(
            told.is_news(&alert(Kind::Halted, "latched", 1)) && told.is_news(&alert(Kind::Alarm, "a", 1))
        );
        told.left_mode();
        assert!(!told.is_news(&alert(Kind::Halted, "latched", 60)), "within a minute");
        assert!(
            told.is_news(&alert(Kind::Halted, "latched", 61)) && !told.is_news(&alert(Kind::Alarm, "a", 61))
        );
    }

    #[test]
    fn after_a_person_has_acted_all_is_news_but_what_that_person_saw() {
        let mut told = Told::new(REPEAT_MS);
        let kinds = [Kind::Halted, Kind::Alarm, Kind::Margin, Kind::LoneLeg];
        assert!(kinds.iter().all(|kind| told.is_news(&alert(*kind, "a", 1))));
        told.person_acted();
        let again = kinds.map(|kind| told.is_news(&alert(kind, "a", 2)));
        assert_eq!(again, [true, true, true, false]);
        told.looked(Nanos::from_ms(3_000));
        told.person_acted();
        assert!(told.is_news(&alert(Kind::LoneLeg, "a", 4)), "it was over, and a person has acted");
    }
}

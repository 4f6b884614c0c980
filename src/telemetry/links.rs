//! When a connection is away for good, as far as a person is concerned: what each role of each venue was last heard to
//! be. Pure; owned by `alerts`.

use super::alert::{Alert, Kind, STATUS};
use crate::types::order::Reason;
use crate::types::record::Role;
use crate::types::{Nanos, VenueId};

/// A connection that is up for so long has come back: one that comes and goes is away as long as it does so.
const SETTLED_MS: u64 = 5_000;

/// What is known of the connections of one role.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkState {
    /// When it was first lost since it last held.
    down_since: Nanos,
    /// Since when it is up; never, while it is down.
    up_since: Nanos,
    /// Why the venue refuses it, and what a person does about that.
    refused: Option<(Reason, &'static str)>,
}

impl LinkState {
    pub fn comes_up(&mut self, at: Nanos) {
        if self.up_since == Nanos::NEVER {
            self.up_since = at;
        }
    }

    pub fn is_lost(&mut self, at: Nanos) {
        self.settle(at);
        self.up_since = Nanos::NEVER;
        if self.down_since == Nanos::NEVER {
            self.down_since = at;
        }
    }

    /// It has come back for good.
    pub fn settle(&mut self, now: Nanos) {
        if self.up_since != Nanos::NEVER && now.ms_since(self.up_since) >= SETTLED_MS {
            (self.down_since, self.refused) = (Nanos::NEVER, None);
        }
    }

    pub fn is_refused(&mut self, why: Reason, mend: &'static str) {
        self.refused = Some((why, mend));
    }

    /// What a person has to know of it, where that is anything: a refusal at once, an absence after `patience_ms`.
    pub fn alert(&self, now: Nanos, venue: VenueId, role: Role, patience_ms: u64) -> Option<Alert> {
        let away_ms = self.away_ms(now);
        match self.refused {
            Some((why, mend)) => Some(link_refused(now, venue, role, why, mend)),
            None => (away_ms > patience_ms).then(|| link_down(now, venue, role, away_ms)),
        }
    }

    /// How long it has been away, ms, without the time for which it is up at last.
    fn away_ms(&self, now: Nanos) -> u64 {
        let until = if self.up_since == Nanos::NEVER { now } else { self.up_since };
        if self.down_since == Nanos::NEVER { 0 } else { until.ms_since(self.down_since) }
    }
}

fn link_down(at: Nanos, venue: VenueId, role: Role, away_ms: u64) -> Alert {
    let what = format!("{} connection down for {} s", role.name(), away_ms / 1_000);
    let doing = match role {
        Role::Spare => "reconnects; trading goes on over the connection that it stands by for",
        _ => "reconnects; nothing is opened there, closing goes by what is left",
    };
    Alert { venue: Some(venue), ..Alert::new(Kind::LinkDown, at, what, doing, STATUS) }
}

fn link_refused(at: Nanos, venue: VenueId, role: Role, why: Reason, mend: &str) -> Alert {
    let what = format!("{} connection refused: {why}", role.name());
    let doing = "tries again every 30 s; nothing is opened there, closing goes by what is left";
    Alert { venue: Some(venue), ..Alert::new(Kind::LinkRefused, at, what, doing, mend) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE_MS: u64 = 30_000;

    fn kind(link: &LinkState, ms: u64) -> Option<Kind> {
        link.alert(Nanos::from_ms(ms), VenueId(1), Role::Orders, PATIENCE_MS).map(|alert| alert.kind)
    }

    #[test]
    fn a_connection_that_comes_and_goes_is_away_until_it_has_held_for_a_while() {
        let mut link = LinkState::default();
        for ms in (1_000..60_000).step_by(1_000) {
            link.is_lost(Nanos::from_ms(ms));
            assert_eq!(kind(&link, ms), (ms > 31_000).then_some(Kind::LinkDown), "{ms}");
            link.comes_up(Nanos::from_ms(ms + 500));
        }
        let held = 59_500 + SETTLED_MS;
        link.settle(Nanos::from_ms(held - 1));
        assert_eq!(kind(&link, held), Some(Kind::LinkDown));
        link.settle(Nanos::from_ms(held));
        assert_eq!(kind(&link, held), None);
        link.is_lost(Nanos::from_ms(100_000));
        assert_eq!((kind(&link, 130_000), kind(&link, 130_001)), (None, Some(Kind::LinkDown)));
    }

    #[test]
    fn one_that_came_back_in_time_calls_nobody_while_it_proves_itself() {
        let mut link = LinkState::default();
        link.is_lost(Nanos::from_ms(1_000));
        link.comes_up(Nanos::from_ms(30_999));
        assert_eq!(kind(&link, 31_500), None);
    }
}

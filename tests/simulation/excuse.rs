//! For how long a fault excuses that one leg is alone (I1): only at its own venue, only once it was met, and for no
//! longer than the engine needs to learn of it and to ask. What lasts excuses while it lasts.

use bot4_sim::core::Mode;
use bot4_sim::core::fault::{Class, Rule};

use super::run::{MS, SECOND};
use super::world::World;

/// An order that met a fault: its window, two reads that find nothing of it, and the lag of both.
const ORDER_MET: u64 = 10 * SECOND;
/// A question or a message that met one: it is asked again.
const READ_MET: u64 = 5 * SECOND;
/// A connection or a login is made again, and what was in flight on the old one is asked for.
const LINK_MET: u64 = 10 * SECOND;
/// The mode of a venue is asked for so often, and once more.
const MODE_LEARNED: u64 = 7 * SECOND;

/// Until when each venue excuses, and the rules as they were when they were last looked at.
#[derive(Default)]
pub struct Excuses {
    until: [u64; 2],
    rules: [Vec<Rule>; 2],
    fired: [u64; 2],
}

impl World {
    /// A venue keeps the engine from knowing or from trading until then.
    pub fn excuse(&mut self, venue: usize, until: u64) {
        let known = &mut self.excuses.until[venue];
        *known = until.max(*known);
    }

    /// Something of the engine's own or of both venues does.
    pub fn excuse_both(&mut self, until: u64) {
        (0..2).for_each(|venue| self.excuse(venue, until));
    }

    /// A connection of the venue was taken away.
    pub fn excuse_link(&mut self, venue: usize) {
        self.excuse(venue, self.now + LINK_MET);
    }

    /// Puts a fault in store at a venue. It excuses nothing until it is met.
    pub fn put_rule(&mut self, venue: usize, rule: Rule) {
        self.look_for_met(venue);
        self.venues[venue].fault(rule);
        self.excuses.rules[venue] = self.venues[venue].exchange_mut().faults().rules();
    }

    /// Which faults were met since the last look, and which states last.
    pub fn look_for_excuses(&mut self) {
        for venue in 0..2 {
            self.look_for_met(venue);
            if self.venues[venue].exchange().mode() != Mode::Ok {
                self.excuse(venue, self.now + MODE_LEARNED);
            }
        }
    }

    fn look_for_met(&mut self, venue: usize) {
        let faults = self.venues[venue].exchange_mut().faults();
        if faults.fired == self.excuses.fired[venue] {
            return;
        }
        self.excuses.fired[venue] = faults.fired;
        let rules = faults.rules();
        let before = std::mem::take(&mut self.excuses.rules[venue]);
        let met = before.iter().zip(&rules).filter(|(before, after)| before.count != after.count);
        let longest = met.map(|(_, rule)| keeps_for(rule)).max().unwrap_or_default();
        self.excuses.rules[venue] = rules;
        if longest > 0 {
            self.excuse(venue, self.now + longest);
        }
    }

    /// Whether a venue excuses at this moment.
    pub fn excuses(&self, venue: usize) -> bool {
        let network = &self.networks[venue];
        let away = network.refuses_until.max(network.rest_down_until);
        let until = self.excuses.until[venue].max(if away > 0 { away + LINK_MET } else { 0 });
        self.now < until
    }
}

/// For how long an engine may be kept by a fault that it has met. Messages of the market come again by themselves.
fn keeps_for(rule: &Rule) -> u64 {
    let least = match rule.class {
        Class::Order | Class::Cancel => ORDER_MET,
        Class::Auth | Class::SocketAuth => LINK_MET,
        Class::BookEvent | Class::TickerEvent | Class::AccountEvent => return 0,
        _ => READ_MET,
    };
    least + u64::from(rule.action.clone().ms().unwrap_or_default()) * MS
}

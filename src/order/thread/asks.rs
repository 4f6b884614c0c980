//! What the order stage asks of the keepers: questions, of which one of each venue may wait for room in its ring, and
//! the links that are wanted, each asked for once. Owned by `order::thread`.

use crate::sys::ring::Tx;
use crate::types::VenueId;
use crate::types::record::Role;
use crate::types::report::{After, Ask, TraderEvent};

/// What one venue's keeper is asked.
pub(super) struct Asks {
    ring: Tx<Ask>,
    /// A question that did not fit, the newest but for books: who asked has counted it as asked.
    waiting: Option<Ask>,
    /// Links asked for and not yet here.
    asked: [bool; Role::ALL.len()],
    /// How the last link of each role ended, until the next is here.
    after: [After; Role::ALL.len()],
}

impl Asks {
    pub fn new(ring: Tx<Ask>) -> Self {
        let after = [After::Nothing; Role::ALL.len()];
        Self { ring, waiting: None, asked: [false; Role::ALL.len()], after }
    }

    pub fn ask(&mut self, ask: Ask) {
        let refused = self.ring.push(ask).err();
        self.waiting = refused.filter(|ask| !matches!(ask, Ask::Book { .. })).or(self.waiting);
    }

    /// The same, of what may not wait. False when there was no room.
    pub fn ask_now(&mut self, ask: Ask) -> bool {
        self.ring.push(ask).is_ok()
    }

    /// What waited, and links that are missing.
    pub fn ask_rest(&mut self, venue: VenueId, missing: [bool; Role::ALL.len()]) {
        self.waiting.take().into_iter().for_each(|ask| self.ask(ask));
        for role in Role::ALL {
            let slot = role as usize;
            if missing[slot] && !self.asked[slot] {
                let ask = Ask::Link { venue, role, after: self.after[slot] };
                self.asked[slot] = self.ask_now(ask);
            }
        }
    }

    pub fn link_came(&mut self, role: Role) {
        (self.asked[role as usize], self.after[role as usize]) = (false, After::Nothing);
    }

    /// A link ended, or is refused: its role when it is to be asked for anew, for no other has taken its place.
    pub fn link_went(&mut self, event: &TraderEvent, missing: [bool; Role::ALL.len()]) -> Option<Role> {
        match *event {
            TraderEvent::LinkRefused { role, .. } => self.after[role as usize] = After::Refusal,
            TraderEvent::LinkDown { role, .. } if self.after[role as usize] == After::Nothing => {
                self.after[role as usize] = After::Loss;
            }
            _ => {}
        }
        let TraderEvent::LinkDown { role, .. } = *event else { return None };
        let wanted = missing[role as usize];
        if wanted {
            self.asked[role as usize] = false;
        }
        wanted.then_some(role)
    }
}

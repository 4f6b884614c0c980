//! What a leg has held a moment ago, and a venue whose reads lag may show still (SAFETY V13). Pure; kept by
//! `order::pair`.

use crate::types::Qty;

/// What a leg has held on its way to where it is, each change soon after the one before.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lately {
    held: [Qty; 6],
    len: usize,
    /// There was more than is kept, or a journal segment began meanwhile.
    lost: bool,
}

impl Lately {
    /// Nothing is known of it.
    pub const LOST: Self = Self { held: [Qty::ZERO; 6], len: 0, lost: true };

    pub fn note(&mut self, held: Qty) {
        match self.held.get_mut(self.len) {
            Some(slot) => (*slot, self.len) = (held, self.len + 1),
            None => self.lost = true,
        }
    }

    /// What the leg has held on its way, as far as it is kept.
    pub fn held(&self) -> &[Qty] {
        &self.held[..self.len]
    }

    /// Whether the leg has held this on its way, as far as is known.
    pub fn may_hold(&self, shown: Qty) -> bool {
        self.lost || self.held().contains(&shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_what_was_held_and_more_than_it_keeps_is_anything() {
        let mut lately = Lately::default();
        assert!(!lately.may_hold(Qty::ZERO));
        for raw in 0..6 {
            lately.note(Qty::from_raw(raw));
        }
        assert!(lately.may_hold(Qty::from_raw(5)) && !lately.may_hold(Qty::from_raw(6)));
        lately.note(Qty::from_raw(6));
        assert!(lately.may_hold(Qty::from_raw(99)));
    }
}

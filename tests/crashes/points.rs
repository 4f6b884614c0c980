//! The named points of SAFETY §2.2 and how each is reached. The process always dies by SIGKILL; three things put the
//! death at an exact point without a hook in the engine:
//!
//! * **Gates** before both venues hold what the engine sends from the moment on at which the journal shows an entry.
//!   The engine appends before it writes to a socket, and the gate looks into the journal at every piece, so that not
//!   one byte written after that entry passes (or, for K4, exactly half of the order does).
//! * **The cut.** Published entries are a prefix of what would have been written later. So after the death the journal
//!   is cut back to the byte at which the point lies; the database is kept from seeing more (its proxy is shut
//!   meanwhile).
//! * **The venues**: they lose acknowledgements, hold fills or refuse, and call the killer at a message.
//!
//! | point | reached by |
//! |---|---|
//! | K0 decided, nothing written | gates shut at the intent; cut before it |
//! | K1 torn intent | gates shut at the intent; half of its bytes stay, unpublished |
//! | K2 written, not synced; K3 synced, not sent | gates shut at the intent; killed at once, or after several syncs |
//! | K4 half sent | the gate lets half of one venue's order pass |
//! | K5 A sent, B not | the second venue's gate shuts; killed when the first has the order; cut after the intent |
//! | K6 both sent | both venues take the orders, lose the acknowledgements and hold the fills |
//! | K7 ack in memory | killed after it came; cut before it |
//! | K8 one ack journalled | the other one is lost, both fills are held |
//! | K9 fill not journalled | cut before the first fill |
//! | K10 A filled, B open | one venue holds its fill for half a minute |
//! | K11, K12 before and after the unwind's intent | one venue refuses; gates shut at it; cut before or after it |
//! | K13 unwind sent | the venue holds the unwind's fill |
//! | K14 unwind filled, not journalled | cut before that fill |
//! | K15 both filled, database not written | the database is cut off |
//! | K16 in the database's transaction | its replies are slow; killed when the server shows an open transaction |
//! | K17 committed, reply not seen | the same; killed when the marker has moved |
//! | K18 start-up | killed at the nth login or query of a start that finds orders in doubt |
//! | K19 shutdown | killed at the nth query or cancel after SIGINT |
//! | K20 rotation | killed when a new segment is in use; its opening stays, is cut in half, or is taken away |
//! | K21 lock takeover | the holder dies, and so does its successor as soon as the lock names it |
//! | K22 renewal | a token or listen key lapses with orders in flight; killed at the login that replaces it |

use bot4::journal::entry::Entry;
use bot4::types::{ClientId, IntentKind};
use bot4_sim::control::VenueName;
use bot4_sim::core::fault::Action;

use super::common::Bench;
use super::common::spy::{Mark, Place};
use super::common::trouble::{VENUES, reject};

/// What the gates hold, from the mark on.
#[derive(Clone, Copy)]
pub enum Hold {
    Nothing,
    Both(Mark),
    /// All of the second venue's, nothing of the first one's.
    Second(Mark),
    /// Half of the first order and all of the second; or half of the second alone.
    Half(Mark, VenueName),
}

/// When the engine dies.
#[derive(Clone, Copy, Debug)]
pub enum Die {
    /// A gate holds something.
    Held,
    /// That, and several syncs of the journal later.
    HeldLong,
    /// The journal shows this.
    Journal(Mark),
    /// The first venue, or both, have taken an order.
    TakenFirst,
    TakenBoth,
    /// A venue has taken an order that closes.
    Closing,
}

/// A point on the way of an entry.
pub struct OnPath {
    pub name: &'static str,
    /// What the venues do; the one named is where one leg goes wrong.
    pub trouble: fn(&Bench, VenueName),
    pub hold: Hold,
    pub die: Die,
    /// What is taken off the journal, where it is there.
    pub cut: Option<(Place, Mark)>,
}

pub const ON_PATH: [OnPath; 17] = [
    at("K0", none, Hold::Both(enter), Die::Held, Some((Place::Before, enter))),
    at("K1", none, Hold::Both(enter), Die::Held, Some((Place::Inside, enter))),
    at("K2", none, Hold::Both(enter), Die::Held, Some((Place::After, enter))),
    at("K3", none, Hold::Both(enter), Die::HeldLong, Some((Place::After, enter))),
    at("K4 first", none, Hold::Half(enter, VenueName::Vest), Die::Held, Some((Place::After, enter))),
    at("K4 second", none, Hold::Half(enter, VenueName::Paradex), Die::Held, Some((Place::After, enter))),
    at("K5", none, Hold::Second(enter), Die::TakenFirst, Some((Place::After, enter))),
    at("K6", silent, Hold::Nothing, Die::TakenBoth, Some((Place::Before, acked))),
    at("K7", none, Hold::Nothing, Die::Journal(acked), Some((Place::Before, acked))),
    at("K8", one_ack, Hold::Nothing, Die::Journal(acked), Some((Place::After, acked))),
    at("K9", none, Hold::Nothing, Die::Journal(filled), Some((Place::Before, filled))),
    at("K10", one_open, Hold::Nothing, Die::Journal(filled), Some((Place::After, filled))),
    at("K11", one_refused, Hold::Both(unwind), Die::Held, Some((Place::Before, unwind))),
    at("K12", one_refused, Hold::Both(unwind), Die::Held, Some((Place::After, unwind))),
    at("K13", unwind_held, Hold::Nothing, Die::Closing, None),
    at("K14", one_refused, Hold::Nothing, Die::Journal(unwound), Some((Place::Before, unwound))),
    at("K15", none, Hold::Nothing, Die::Journal(opened), None),
];

/// The points that need more than a pair's life, in the order of their names.
pub const OTHERS: [&str; 7] = ["K16", "K17", "K18", "K19", "K20", "K21", "K22"];

const fn at(
    name: &'static str,
    trouble: fn(&Bench, VenueName),
    hold: Hold,
    die: Die,
    cut: Option<(Place, Mark)>,
) -> OnPath {
    OnPath { name, trouble, hold, die, cut }
}

// --- Marks ---------------------------------------------------------------------------------------------------------

/// Orders of the intents of one kind.
fn orders(entry: &Entry, entering: bool) -> Vec<ClientId> {
    let Entry::Intent { intent } = entry else { return Vec::new() };
    let enters = matches!(intent.kind, Some(IntentKind::Enter(_)));
    let all = intent.orders.iter().flatten().filter(|order| enters || order.spec.reduce_only);
    if enters == entering { all.map(|order| order.spec.id).collect() } else { Vec::new() }
}

/// The first entry that is about an order of an intent of this kind.
fn first_of(entries: &[Entry], entering: bool, about: fn(&Entry) -> Option<ClientId>) -> Option<usize> {
    let mut ids = Vec::new();
    entries.iter().position(|entry| {
        ids.extend(orders(entry, entering));
        about(entry).is_some_and(|id| ids.contains(&id))
    })
}

pub fn enter(entries: &[Entry]) -> Option<usize> {
    entries.iter().position(|entry| !orders(entry, true).is_empty())
}

pub fn sent(entries: &[Entry]) -> Option<usize> {
    first_of(entries, true, |entry| if let Entry::Sent { id, .. } = entry { Some(*id) } else { None })
}

fn acked(entries: &[Entry]) -> Option<usize> {
    first_of(entries, true, |entry| if let Entry::Acked { id, .. } = entry { Some(*id) } else { None })
}

fn filled(entries: &[Entry]) -> Option<usize> {
    first_of(entries, true, fill)
}

fn unwind(entries: &[Entry]) -> Option<usize> {
    entries.iter().position(|entry| !orders(entry, false).is_empty())
}

fn unwound(entries: &[Entry]) -> Option<usize> {
    first_of(entries, false, fill)
}

fn fill(entry: &Entry) -> Option<ClientId> {
    if let Entry::Filled { id, .. } = entry { Some(*id) } else { None }
}

pub fn opened(entries: &[Entry]) -> Option<usize> {
    entries.iter().position(|entry| matches!(entry, Entry::PairOpened { .. }))
}

// --- What the venues do --------------------------------------------------------------------------------------------

fn none(_: &Bench, _: VenueName) {}

/// Both orders are taken, nothing is answered, and the fills come later.
pub fn silent(bench: &Bench, _: VenueName) {
    for venue in VENUES {
        bench.fault_opening(venue, 1, Action::DropAck);
        bench.fault_opening(venue, 1, Action::HoldFill { ms: 1_200 });
    }
}

fn one_ack(bench: &Bench, venue: VenueName) {
    bench.fault_opening(venue, 1, Action::DropAck);
    VENUES.iter().for_each(|venue| bench.fault_opening(*venue, 1, Action::HoldFill { ms: 1_200 }));
}

fn one_open(bench: &Bench, venue: VenueName) {
    bench.fault_opening(venue, 1, Action::HoldFill { ms: 30_000 });
}

fn one_refused(bench: &Bench, venue: VenueName) {
    let code = if venue == VenueName::Vest { "3002" } else { "INVALID_ORDER_SIZE" };
    bench.fault_opening(venue, 1_000, reject(code));
}

fn unwind_held(bench: &Bench, venue: VenueName) {
    one_refused(bench, venue);
    let other = if venue == VenueName::Vest { VenueName::Paradex } else { VenueName::Vest };
    bench.fault_closing(other, 1, Action::HoldFill { ms: 1_200 });
}

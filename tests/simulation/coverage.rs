//! What was reached: one table of every row of the failure catalogue, ladder rung and crash point (SAFETY §2), each
//! with the kind of proof that reaches it. A campaign in which a row of its own kind has count 0 has proved nothing
//! there, and fails.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bot4::types::record::{Record, RecordKind};
use bot4::types::{Mode, OrderState, Purpose};

use super::venue_rules::is_code;

/// Which proof reaches a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// This simulation.
    Simulation,
    /// The real binary against the simulated venues, or its database: a file and a test in it.
    Process(&'static str),
    /// A test of one part, or a check of the source.
    Ci(&'static str),
}

use By::{Ci, Process, Simulation};

/// Every row, in the catalogue's order.
pub const TABLE: &[(&str, By, &str)] = &[
    ("O1", Simulation, "answer to an order lost"),
    ("O2", Simulation, "order lost before the venue"),
    ("O3", Simulation, "order delayed inside its window"),
    ("O4", Simulation, "order arrives after its window"),
    (
        "O5",
        Ci("tests/pair_life/trouble.rs::an_order_that_was_called_dead_and_fills_is_adopted"),
        "execution of an order that was called dead",
    ),
    ("O6", Simulation, "the same order arrives twice"),
    ("O7", Simulation, "connection breaks in a send"),
    ("O8", Simulation, "one leg filled in part"),
    ("O9", Simulation, "both legs filled in part"),
    ("O10", Simulation, "an order refused, any code"),
    ("O11", Simulation, "neither leg filled"),
    ("O12", Simulation, "one leg filled, one not"),
    ("O13", Simulation, "closing orders refused"),
    ("O14", Simulation, "events before the answer"),
    ("O15", Simulation, "private events lost"),
    ("O16", Simulation, "private events doubled or late"),
    (
        "O17",
        Ci("tests/pair_life/strange.rs::a_fill_for_more_than_ordered_counts_halts_and_is_mended"),
        "execution that was not ordered",
    ),
    ("O18", Simulation, "execution taken back"),
    ("O19", Simulation, "cancel of an order that may have filled"),
    ("O20", Ci("tests/tidy.rs::what_is_not_used_is_not_there"), "mixed batch: no batches are sent"),
    ("O21", Ci("tests/tidy.rs::what_is_not_used_is_not_there"), "amend: not used"),
    (
        "O22",
        Ci("tests/pair_life/main.rs::a_pair_that_is_being_closed_is_not_opened"),
        "entry while exiting is refused",
    ),
    ("M1", Simulation, "book messages lost"),
    ("M2", Simulation, "book messages doubled or late"),
    ("M3", Simulation, "crossed book"),
    ("M4", Simulation, "price zero"),
    ("M5", Simulation, "absurd price"),
    ("M6", Ci("tests/properties.rs::the_refusal_table"), "numbers that are none"),
    ("M7", Ci("tests/properties.rs::the_refusal_table"), "overflow"),
    ("M8", Process("tests/outside.rs::hostile_texts_stay_inside_their_one_line"), "huge messages"),
    (
        "M9",
        Process("tests/failures_feed.rs::garbage_frames_are_dropped_and_a_flood_of_them_ends_the_connection"),
        "mutated messages",
    ),
    (
        "M10",
        Ci("src/venue/paradex/json.rs::repeated_keys_wrong_types_and_odd_numbers_are_refused"),
        "doubled keys",
    ),
    (
        "M11",
        Ci("src/venue/paradex/sbe/mod.rs::unknown_templates_are_skipped_and_longer_blocks_honoured"),
        "unknown fields",
    ),
    (
        "M12",
        Ci("src/venue/paradex/feed.rs::markets_that_were_not_asked_for_are_dropped_and_named"),
        "wrong market",
    ),
    ("M13", Simulation, "frozen feed with a living connection"),
    ("M14", Simulation, "slow consumer"),
    ("M15", Simulation, "empty book"),
    ("M16", Simulation, "venue clock wrong while books go on"),
    ("M17", Simulation, "rings full"),
    ("C1", Simulation, "connection lost"),
    ("C2", Simulation, "connections lost with an order in flight"),
    ("C3", Simulation, "private stream lost alone"),
    ("C4", Simulation, "half-open connection"),
    ("C5", Simulation, "close codes"),
    ("C6", Simulation, "listen keys and tokens revoked"),
    ("C7", Simulation, "login refused or lost"),
    (
        "C8",
        Ci("tests/pair_life/health.rs::a_key_that_lapses_is_told_each_hour_and_stops_entries_in_time"),
        "signing key lapses",
    ),
    ("C9", Simulation, "429"),
    ("C10", Simulation, "5xx, HTML, no answer"),
    (
        "C11",
        Process("tests/failures_machine.rs::a_wrong_certificate_of_vest_is_refused_at_start"),
        "wrong certificates",
    ),
    ("C12", Ci("src/sys/socket.rs::the_last_good_address_outlives_the_resolver"), "name resolution"),
    ("C13", Ci("src/sys/socket.rs::a_dripping_peer_cannot_hold_a_visit"), "slow answers"),
    (
        "C14",
        Ci("src/sys/rest.rs::any_status_is_an_answer_and_redirects_are_not_followed"),
        "redirects and large bodies",
    ),
    ("C15", Simulation, "clocks apart"),
    ("C16", Simulation, "order refused for its time"),
    ("C17", Simulation, "refusals that need a person"),
    ("V1", Simulation, "position differs"),
    ("V2", Simulation, "foreign trades"),
    ("V3", Simulation, "liquidation, deleveraging"),
    ("V4", Simulation, "modes of the venue"),
    ("V5", Simulation, "rollback"),
    ("V6", Simulation, "funding"),
    ("V7", Simulation, "rules change"),
    ("V8", Ci("src/book/thread/tests.rs::lots_follow_the_rules_of_both_venues"), "different steps"),
    ("V9", Simulation, "margin short"),
    ("V10", Simulation, "price bands and caps"),
    (
        "V11",
        Ci("tests/pair_life/health.rs::a_market_that_ends_soon_is_not_entered_and_left_in_time"),
        "a market that ends",
    ),
    ("V12", Simulation, "order pending for long"),
    ("V13", Simulation, "REST behind the stream"),
    ("L1", Simulation, "database lags"),
    (
        "L2",
        Process("tests/store.rs::a_server_that_cannot_prove_itself_is_refused"),
        "database without proof of itself",
    ),
    (
        "L3",
        Process("tests/store.rs::a_connection_cut_after_any_reply_doubles_and_loses_nothing"),
        "commit unknown",
    ),
    ("L4", Ci("src/store/postgres.rs::the_transaction_pooler_port_is_refused"), "transaction pooler"),
    ("L5", Simulation, "journal's disk full"),
    ("L6", Ci("src/store/disk.rs::a_failed_sync_is_told_once_and_never_tried_again"), "sync fails"),
    ("L7", Process("tests/failures_machine.rs::trading_goes_on_when_nobody_reads_stdout"), "output blocked"),
    ("L8", Simulation, "stop"),
    (
        "L9",
        Process("tests/failures_machine.rs::a_second_instance_is_refused_and_the_first_trades_on"),
        "two instances",
    ),
    ("L10", Ci("tests/pair_life/strange.rs::orders_of_another_engine_halt_and_are_left_alone"), "two hosts"),
    (
        "L11",
        Ci("tests/failures_machine.rs::a_held_pair_that_the_configuration_has_no_longer_is_refused_by_name"),
        "bad configuration",
    ),
    ("L12", Ci("tests/config.rs::hard_ceilings_cannot_be_lifted"), "deadly configuration"),
    ("L13", Simulation, "thread held up"),
    ("L14", Ci("src/sys/process.rs::locking_memory_works_or_says_what_to_set"), "memory"),
    (
        "L15",
        Process("tests/verbs.rs::check_measures_each_configured_core_and_never_fails_for_it"),
        "slow machine",
    ),
    ("L16", Simulation, "crash loop"),
    (
        "L17",
        Ci("src/journal/recover.rs::a_format_of_another_release_is_left_for_a_person"),
        "format of the journal",
    ),
    (
        "L18",
        Ci("src/venue/paradex/desk/tests.rs::the_environment_is_proven_by_chain_and_account"),
        "environments mixed",
    ),
    ("L19", Process("tests/redaction.rs::no_secret_is_written_anywhere"), "secrets"),
    ("L20", Ci("tests/tidy.rs::every_dependency_comes_from_the_public_registry"), "dependencies"),
    ("R1", Simulation, "rung: an unknown order resolved"),
    ("R2", Simulation, "rung: the missing leg completed"),
    ("R3", Simulation, "rung: the filled leg unwound"),
    ("R4", Simulation, "rung: unwound at a wider collar"),
    ("R5", Simulation, "rung: the other venue takes it"),
    ("R6", Simulation, "rung: a part of what was refused"),
    ("R7", Simulation, "rung: kept trying, with alarms"),
    ("S", Simulation, "an order that was signed ahead leaves"),
    ("K0", Simulation, "killed before an intent is written"),
    ("K1", Simulation, "killed in the middle of a write"),
    ("K2", Simulation, "power lost with unsynced writes"),
    ("K3", Simulation, "killed with an intent written and nothing sent"),
    (
        "K4",
        Process("tests/crashes/main.rs::killed_at_any_moment_it_comes_home"),
        "killed in the middle of a send",
    ),
    ("K5", Simulation, "killed between the legs"),
    ("K6", Simulation, "killed with both legs sent"),
    ("K7", Simulation, "killed before an acknowledgement is written"),
    ("K8", Simulation, "killed after one acknowledgement"),
    ("K9", Simulation, "killed before a fill is written"),
    ("K10", Simulation, "killed with one leg filled"),
    ("K11", Simulation, "killed before the mending intent"),
    ("K12", Simulation, "killed with a mending intent and nothing sent"),
    ("K13", Simulation, "killed with a mending order sent"),
    ("K14", Simulation, "killed before the mending fill is written"),
    (
        "K15",
        Process("tests/crashes/main.rs::killed_at_any_moment_it_comes_home"),
        "killed before the database has it",
    ),
    ("K16", Process("tests/crashes/main.rs::killed_at_any_moment_it_comes_home"), "killed in a transaction"),
    ("K17", Process("tests/crashes/main.rs::killed_at_any_moment_it_comes_home"), "killed after a commit"),
    ("K18", Simulation, "killed in the start"),
    ("K19", Simulation, "killed in the stop"),
    ("K20", Simulation, "segments change"),
    ("K21", Process("tests/crashes/main.rs::killed_at_any_moment_it_comes_home"), "lock taken over"),
    ("K22", Simulation, "killed at a login"),
];

/// Deaths of the process alone reach these.
pub fn is_death(row: &str) -> bool {
    row == "L16" || row.starts_with('K') && !is_power(row)
}

/// A power cut alone reaches these.
pub fn is_power(row: &str) -> bool {
    row == "K2"
}

/// Counts by tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(pub BTreeMap<&'static str, u64>);

impl Tags {
    pub fn hit(&mut self, tag: &'static str) {
        self.count_up(tag, 1);
    }

    pub fn count_up(&mut self, tag: &'static str, by: u64) {
        if by > 0 {
            *self.0.entry(tag).or_default() += by;
        }
    }

    pub fn add(&mut self, other: &Self) {
        other.0.iter().for_each(|(tag, count)| self.count_up(tag, *count));
    }

    pub fn count(&self, tag: &str) -> u64 {
        self.0.get(tag).copied().unwrap_or_default()
    }

    /// Rows of this simulation, those that a campaign is for, that were never reached.
    pub fn missing(&self, is_meant: impl Fn(&str) -> bool) -> Vec<&'static str> {
        let ours = TABLE.iter().filter(|row| row.1 == Simulation && is_meant(row.0));
        ours.filter(|row| self.count(row.0) == 0).map(|row| row.0).collect()
    }

    /// The table with counts, and whatever else was counted.
    pub fn report(&self) -> String {
        let mut out = String::new();
        for (tag, by, what) in TABLE {
            let count = match by {
                Simulation => self.count(tag).to_string(),
                Process(_) => "process".to_owned(),
                Ci(_) => "ci".to_owned(),
            };
            let _ = writeln!(out, "  {tag:<4} {count:>12}  {what}");
        }
        let other = |tag: &str| TABLE.iter().all(|row| row.0 != tag) && !is_code(tag);
        for (tag, count) in self.0.iter().filter(|(tag, _)| other(tag)) {
            let _ = writeln!(out, "       {count:>12}  {tag}");
        }
        out
    }
}

/// What a record tells of the engine's way.
pub fn record(tags: &mut Tags, record: &Record) {
    match record.kind {
        RecordKind::OrderPlaced { stamps, .. } if stamps.ready => tags.hit("S"),
        RecordKind::OrderResolved { .. } => tags.hit("R1"),
        RecordKind::BookUpdated { conflated: 1.., .. } => tags.hit("M17"),
        RecordKind::Retry { .. } => tags.hit("R2"),
        RecordKind::AutoClose { .. } => tags.hit("R3"),
        RecordKind::Foreign { .. } => tags.hit("V1"),
        RecordKind::ClockOffset { .. } => tags.hit("clock offset seen"),
        RecordKind::Alarm { what, .. } if what.as_str() == "lone leg not mended yet" => tags.hit("R7"),
        RecordKind::Alarm { what, .. } if what.as_str().contains("dead order") => tags.hit("O5"),
        RecordKind::EntryRefused { .. } => tags.hit("entry refused"),
        RecordKind::EntryExecuted { .. } => tags.hit("pair opened"),
        RecordKind::ExitExecuted { .. } => tags.hit("pair closed"),
        RecordKind::Mended { .. } => tags.hit("mended"),
        RecordKind::OrderRejected { .. } => tags.hit("order refused or unfilled"),
        _ => {}
    }
}

pub const fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Enter => "order: enter",
        Purpose::Exit => "order: exit",
        Purpose::Complete => "order: complete",
        Purpose::Unwind => "order: unwind",
    }
}

pub const fn closed(state: OrderState) -> &'static str {
    match state {
        OrderState::Filled => "closed: filled",
        OrderState::NoFill => "closed: no fill",
        OrderState::Rejected => "closed: refused",
        OrderState::NeverAccepted => "closed: never arrived",
        _ => "closed",
    }
}

pub const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Active => "mode: active",
        Mode::Paused => "mode: paused",
        Mode::Reducing => "mode: reducing",
        Mode::Halted => "mode: halted",
    }
}

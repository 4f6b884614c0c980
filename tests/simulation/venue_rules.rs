//! The rules by which messages of a venue may go wrong for a whole run, the codes with which it may refuse, and the
//! rows of the catalogue that each belongs to. Drawn and counted by `venue_faults`.

use bot4_sim::core::fault::{Action, Class, Http, Rule};
use bot4_sim::core::rng::Rng;

use super::world::World;

/// Codes with which orders are refused, by venue: definitive, for later, for a person, and one that no sheet knows.
pub const CODES: [&[&str]; 2] = [
    &["3001", "3002", "3003", "3010", "1131", "1132", "429", "1148", "1002", "3018", "3019", "3015", "7777"],
    &[
        "NOT_ENOUGH_MARGIN",
        "INVALID_TIMESTAMP",
        "GEO_IP_BLOCK",
        "MARKET_NOT_OPEN",
        "ORDER_EXCEEDS_POSITION_LIMIT",
        "INTERNAL_ERROR",
        "DUPLICATED_CLIENT_ID",
        "WHATEVER",
    ],
];

/// Every class of message with everything that may happen to it.
pub fn rules(rng: &mut Rng) -> Vec<(Class, Action)> {
    let mut ms = |most: i64| rng.between(1, most) as u32;
    let requests =
        [Class::Order, Class::Cancel, Class::Query, Class::Auth, Class::PublicQuery, Class::Socket];
    let events = [
        Class::OrderEvent,
        Class::FillEvent,
        Class::PositionEvent,
        Class::AccountEvent,
        Class::BookEvent,
        Class::TickerEvent,
    ];
    let mut all = Vec::new();
    for class in requests {
        all.push((class, Action::DropRequest));
        all.push((class, Action::DropAck));
        all.push((class, Action::DelayRequest { ms: ms(400) }));
        all.push((class, Action::DelayRequest { ms: ms(2_500) + 500 }));
        all.push((class, Action::DelayAck { ms: ms(6_000) }));
    }
    for class in [Class::Order, Class::Cancel, Class::Query, Class::Auth, Class::PublicQuery] {
        let acted = ms(2) == 1;
        let status = [500, 502, 503, 429][ms(4) as usize - 1];
        // A limiter of rates refuses before the venue has seen what it refuses (sheets `vest`, 6, and `paradex`, 4.4).
        let acted = acted && status != 429;
        all.push((class, Action::Respond { http: Http::of(status), acted }));
    }
    for class in [Class::Order, Class::Cancel] {
        all.push((class, Action::DuplicateRequest { ms: ms(2_000) }));
    }
    all.push((Class::Order, Action::PartialAny));
    all.push((Class::Order, Action::Requote));
    all.push((Class::Query, Action::Lag { ms: ms(3_000) }));
    for class in events {
        all.push((class, Action::DropEvent));
        all.push((class, Action::DuplicateEvent));
        all.push((class, Action::DelayEvent { ms: ms(5_000) }));
    }
    all
}

/// The next order is taken in time; what the venue tells of it, and its lists, are so late.
pub fn behind(ms: u32) -> [Rule; 4] {
    [
        so_often(1, Class::Order, Action::DelayAck { ms }),
        so_often(2, Class::OrderEvent, Action::DelayEvent { ms }),
        so_often(2, Class::FillEvent, Action::DelayEvent { ms }),
        so_often(64, Class::Query, Action::LagHistory { ms }),
    ]
}

/// The next order fills in part, and the fill is told twice before the end of the order is.
pub fn tell_twice(world: &mut World, venue: usize) {
    world.fault("O16", format_args!("{venue} tells a fill twice"));
    let rules = [
        so_often(1, Class::Order, Action::PartialAny),
        so_often(1, Class::FillEvent, Action::DuplicateEvent),
        so_often(2, Class::OrderEvent, Action::DelayEvent { ms: 300 }),
    ];
    rules.into_iter().for_each(|rule| world.venues[venue].fault(rule));
}

fn so_often(count: u32, class: Class, action: Action) -> Rule {
    Rule { count: Some(count), ..Rule::always(class, action) }
}

/// How often the rules of the run fired: each began with all of `u32` left.
pub fn count_rules(world: &mut World) {
    for venue in 0..2 {
        for rule in world.venues[venue].exchange_mut().faults().rules() {
            let fired = rule.count.map_or(0, |left| u32::MAX - left);
            if rule.probability_ppm.is_some() {
                world.tags.count_up(rule_tag(&rule), u64::from(fired));
            }
        }
    }
}

/// Row of the catalogue that a rule belongs to.
fn rule_tag(rule: &Rule) -> &'static str {
    match (rule.class, &rule.action) {
        (Class::Order, Action::DropAck) => "O1",
        (Class::Order, Action::DropRequest) => "O2",
        (Class::Order, Action::DelayRequest { ms }) if *ms < 450 => "O3",
        (Class::Order, Action::DelayRequest { .. }) => "O4",
        (Class::Order, Action::DelayAck { .. }) => "O14",
        (Class::Order, Action::DuplicateRequest { .. }) => "O6",
        (Class::Order, Action::PartialAny) => "O8",
        (Class::Order, Action::Requote) => "O12",
        (_, Action::Lag { .. } | Action::LagHistory { .. }) => "V13",
        (_, Action::Respond { http, .. }) if http.status == 429 => "C9",
        (Class::BookEvent | Class::TickerEvent, Action::DropEvent) => "M1",
        (Class::BookEvent | Class::TickerEvent, _) => "M2",
        (_, Action::DropEvent) => "O15",
        (_, Action::DuplicateEvent | Action::DelayEvent { .. }) => "O16",
        (Class::Auth, _) => "C7",
        _ => "C10",
    }
}

/// Rows of the catalogue that a code belongs to.
pub fn code_tags(code: &str) -> &'static [&'static str] {
    match code {
        "429" => &["C9"],
        "1131" | "1132" | "INVALID_TIMESTAMP" => &["C16"],
        "1002" | "GEO_IP_BLOCK" => &["C17"],
        "3003" | "3010" | "ORDER_EXCEEDS_POSITION_LIMIT" => &["V10"],
        "3002" | "NOT_ENOUGH_MARGIN" => &["V9"],
        _ => &[],
    }
}

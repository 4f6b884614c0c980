//! The rules by which messages of a venue may go wrong for a whole run, the codes with which it may refuse, and the
//! rows of the catalogue that each belongs to. Drawn and counted by `venue_faults`.

use bot4_sim::core::Reject;
use bot4_sim::core::fault::{Action, Class, Http, Rule};
use bot4_sim::core::rng::Rng;

use super::coverage::Tags;
use super::world::World;

/// Codes that an engine which behaves meets soonest or that stand for a class, by venue; one of each is in no sheet.
const USUAL: [&[&str]; 2] = [
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

/// Every code that the sheets list (`vest`, 6; `paradex`, 3.2, 4.3 and 5.1), as its wire has it.
pub const DOCUMENTED: [&[&str]; 2] = [
    &[
        "429", "1002", "1003", "1022", "1023", "1024", "1099", "1111", "1116", "1121", "1125", "1130",
        "1131", "1132", "1133", "1143", "1144", "1145", "1146", "1147", "1148", "3001", "3002", "3003",
        "3004", "3006", "3007", "3008", "3010", "3011", "3015", "3017", "3018", "3019", "3020", "3021",
        "3022", "3023", "3024", "4001", "4002", "4003", "4004", "4007", "4010", "4012", "5002", "5009",
        "5010", "5013",
    ],
    &[
        "VALIDATION_ERROR",
        "BINDING_ERROR",
        "INTERNAL_ERROR",
        "NOT_FOUND",
        "SERVICE_UNAVAILABLE",
        "INVALID_REQUEST_PARAMETER",
        "ORDER_ID_NOT_FOUND",
        "CLIENT_ORDER_ID_NOT_FOUND",
        "ORDER_IS_CLOSED",
        "ORDER_IS_NOT_OPEN",
        "INVALID_ORDER_SIZE",
        "DUPLICATED_CLIENT_ID",
        "INVALID_SYMBOL",
        "INVALID_TOKEN",
        "INVALID_STARKNET_ADDRESS",
        "INVALID_STARKNET_SIGNATURE",
        "STARKNET_SIGNATURE_VERIFICATION_FAILED",
        "NOT_ONBOARDED",
        "INVALID_TIMESTAMP",
        "INVALID_ORDER_SIGNATURE",
        "PUBLIC_KEY_INVALID",
        "UNAUTHORIZED_ERROR",
        "ACCOUNT_NOT_FOUND",
        "MARKET_NOT_FOUND",
        "MARKET_NOT_OPEN",
        "GEO_IP_BLOCK",
        "REQUEST_NOT_ALLOWED",
        "BATCH_SIZE_OUT_OF_RANGE",
        "ISOLATED_MARKET_ACCOUNT_MISMATCH",
        "NO_ACCESS_TO_MARKET",
        "RPI_ACCOUNT_NOT_WHITELISTED",
        "SYSTEM_STATUS_POST_ONLY",
        "SYSTEM_STATUS_CANCEL_ONLY",
        "MARKET_MARGIN_RESTRICTED",
        "INVALID_SUBKEY",
        "INVALID_TOKEN_SCOPE",
        "IP_NOT_ALLOWED",
        "INVALID_PRICE_PRECISION",
        "INVALID_SIGNATURE_EXPIRATION",
        "ORDER_IS_NOT_OPEN_YET",
        "BAD_STARKNET_REQUEST",
        "MMP_NOT_ENABLED",
        "NOT_ENOUGH_MARGIN",
        "POST_ONLY_WOULD_CROSS",
        "ORDER_EXCEEDS_POSITION_LIMIT",
        "USER_CANCELED",
        "EXPIRED",
        "MMP_TRIGGERED",
        "MMP_FROZEN",
        "MMP_DISABLED",
        "MMP_GREEKS_UNAVAILABLE",
        "MMP_NOT_CONFIGURED",
        "-32700",
        "-32600",
        "-32601",
        "-32602",
        "-32603",
        "100",
        "40110",
        "40111",
        "40112",
        "40300",
        "42901",
    ],
];

/// The code of one refusal: the usual ones and each of the others in turn.
pub fn code(rng: &mut Rng, venue: usize) -> &'static str {
    let of = if rng.chance(500_000) { USUAL[venue] } else { DOCUMENTED[venue] };
    of[(rng.next() % of.len() as u64) as usize]
}

/// The next order of this venue is refused, at once or after it was taken.
pub fn refuse(rng: &mut Rng, world: &mut World, venue: usize) {
    let code = code(rng, venue).to_owned();
    world.fault("O10", format_args!("{venue} {code}"));
    code_tags(&code).iter().for_each(|tag| world.tags.hit(tag));
    let (message, late) = ("simulated".to_owned(), rng.chance(300_000));
    let action = if late { Action::LateReject { code, message } } else { Action::Reject { code, message } };
    world.put_rule(venue, Rule::once(Class::Order, action));
}

/// The next closing orders of this venue are refused.
pub fn refuse_closes(rng: &mut Rng, world: &mut World, venue: usize) {
    let count = 1 << rng.between(0, 4);
    let code = code(rng, venue).to_owned();
    world.fault("O13", format_args!("{venue} {code} {count} times"));
    let action = Action::Reject { code, message: "simulated".to_owned() };
    let rule = Rule { count: Some(count), reduce_only: Some(true), ..Rule::always(Class::Order, action) };
    world.put_rule(venue, rule);
}

/// One message is lost, doubled or half a second late: what nobody is called for.
pub fn lose_one(rng: &mut Rng, world: &mut World, venue: usize) {
    let ms = rng.between(20, 500) as u32;
    let told = rng.chance(500_000);
    let (classes, actions): (&[Class], _) = if told {
        (&EVENTS, [Action::DropEvent, Action::DuplicateEvent, Action::DelayEvent { ms }])
    } else {
        (&REQUESTS, [Action::DropRequest, Action::DropAck, Action::DelayAck { ms }])
    };
    let class = classes[(rng.next() % classes.len() as u64) as usize];
    let action = actions[rng.next() as usize % actions.len()].clone();
    world.fault("packet", format_args!("{venue} {class:?} {action:?}"));
    world.put_rule(venue, Rule::once(class, action));
}

/// Documented codes with which no order was refused.
pub fn missing_codes(tags: &Tags) -> Vec<&'static str> {
    DOCUMENTED.iter().flat_map(|codes| codes.iter()).filter(|code| tags.count(code) == 0).copied().collect()
}

pub fn is_code(tag: &str) -> bool {
    DOCUMENTED.iter().any(|codes| codes.contains(&tag))
}

/// Counts the refusals of this run by their codes, where one was drawn.
fn count_codes(world: &mut World) {
    for (venue, documented) in world.venues.iter().zip(DOCUMENTED) {
        for arrival in venue.truth().arrivals() {
            let Err(Reject::Injected { code, .. }) = &arrival.outcome else { continue };
            let known = documented.iter().find(|known| *known == code);
            known.into_iter().for_each(|known| world.tags.hit(known));
        }
    }
}

const REQUESTS: [Class; 6] =
    [Class::Order, Class::Cancel, Class::Query, Class::Auth, Class::PublicQuery, Class::Socket];
const EVENTS: [Class; 6] = [
    Class::OrderEvent,
    Class::FillEvent,
    Class::PositionEvent,
    Class::AccountEvent,
    Class::BookEvent,
    Class::TickerEvent,
];

/// Every class of message with everything that may happen to it.
pub fn rules(rng: &mut Rng) -> Vec<(Class, Action)> {
    let mut ms = |most: i64| rng.between(1, most) as u32;
    let mut all = Vec::new();
    for class in REQUESTS {
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
    for class in EVENTS {
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
    rules.into_iter().for_each(|rule| world.put_rule(venue, rule));
}

fn so_often(count: u32, class: Class, action: Action) -> Rule {
    Rule { count: Some(count), ..Rule::always(class, action) }
}

/// How often the rules of the run fired: each began with all of `u32` left.
pub fn count_rules(world: &mut World) {
    count_codes(world);
    for venue in 0..2 {
        for rule in world.venues[venue].exchange_mut().faults().rules() {
            let fired = rule.count.map_or(0, |left| u32::MAX - left);
            match rule.probability_ppm {
                Some(_) => world.tags.count_up(rule_tag(&rule), u64::from(fired)),
                None => world.tags.hit("rule without its message"),
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

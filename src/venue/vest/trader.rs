//! Order entry and private events of this venue: a pool of warm HTTP connections and the private stream, joined. Owned
//! and polled by `order`. Signs and sends each order once; what became of it is told by events, never guessed here.

use super::access::{API_KEY, Access};
use super::json;
use super::order_links::{Errand, OrderLinks};
use super::private::PrivateStream;
use super::requests::RequestWriter;
use crate::types::limits::{ORDERS_PER_PAIR, PAIRS_MAX};
use crate::types::order::{Reason, VenueOrderId};
use crate::types::ready::SignedText;
use crate::types::record::Role;
use crate::types::{ClientId, MarketRules, Nanos, OrderSpec, PairId};
use crate::venue::{CancelSpec, ReadyLink, SendError, Setup, SetupError, Trader, TraderEvent};

/// Names kept of the latest orders; every pair could have all of its orders open.
const NAMES: usize = PAIRS_MAX * ORDERS_PER_PAIR;

/// The hot side of one account.
pub struct VestTrader {
    requests: RequestWriter,
    links: OrderLinks,
    private: PrivateStream,
    names: Names,
    /// What was last reported.
    ready: bool,
}

impl VestTrader {
    /// Needs all credentials.
    pub fn new(setup: &Setup) -> Result<Self, SetupError> {
        let mut access = Access::read(setup)?;
        let keys = access.keys.take().ok_or(SetupError::Missing(API_KEY))?;
        Ok(Self {
            requests: RequestWriter::new(&access, keys),
            links: OrderLinks::new(setup.pool, u64::from(setup.ack_deadline_ms)),
            private: PrivateStream::of(access.markets),
            names: Names::default(),
            ready: false,
        })
    }

    fn report_ready(&mut self, events: &mut Vec<TraderEvent>) {
        if self.ready != self.is_ready() {
            self.ready = self.is_ready();
            events.push(TraderEvent::Ready(self.ready));
        }
    }
}

impl Trader for VestTrader {
    /// The API key of the requests is that of the set-up; a link brings none of its own. A public link is not for here.
    fn install(&mut self, link: ReadyLink, now: Nanos) {
        match link.role {
            Role::Orders => self.links.install(link.link, now),
            Role::Private => self.private.install(link.link, now),
            Role::MarketData | Role::Spare => {}
        }
    }

    /// `Orders` stays missing until the pool is full: one link is asked for at a time. A pool needs no `Spare`; what
    /// is in doubt does not fill it.
    fn missing(&self) -> [bool; Role::ALL.len()] {
        Role::ALL.map(|role| match role {
            Role::MarketData | Role::Spare => false,
            Role::Orders => !self.links.is_full(),
            Role::Private => self.private.is_missing(),
        })
    }

    fn poll(&mut self, now: Nanos, events: &mut Vec<TraderEvent>) -> bool {
        let private = self.private.poll(now, events);
        let names = &mut self.names;
        let orders =
            self.links.poll(now, self.requests.warm(), events, &mut |id, name| names.learn(id, name));
        self.report_ready(events);
        private | orders
    }

    fn send(&mut self, spec: &OrderSpec, now: Nanos) -> Result<(), SendError> {
        let request = self.requests.order(spec).map_err(nothing)?;
        self.links.send(request, Errand::Order(spec.id), now)
    }

    fn send_signed(&mut self, spec: &OrderSpec, signature: &SignedText, now: Nanos) -> Result<(), SendError> {
        let request = self.requests.signed_order(spec, signature.as_str()).map_err(nothing)?;
        self.links.send(request, Errand::Order(spec.id), now)
    }

    /// Vest cancels by its own id only. Where the caller has none, the one of the acknowledgement is taken.
    fn cancel(&mut self, target: &CancelSpec, now: Nanos) -> Result<(), SendError> {
        let named = Some(target.venue_id).filter(|id| !id.is_empty()).or_else(|| self.names.of(target.id));
        let venue_id = named.ok_or_else(|| nothing("the venue has not named the order yet"))?;
        let venue_id = json::order_id(venue_id.as_str()).map_err(|_| nothing("not an order id"))?;
        let request =
            self.requests.cancel(venue_id.as_str(), target.signed_ms, target.nonce).map_err(nothing)?;
        self.links.send(request, Errand::Cancel(target.id), now)
    }

    fn set_rules(&mut self, pair: PairId, rules: &MarketRules) {
        self.requests.set_rules(pair, rules);
    }

    fn is_ready(&self) -> bool {
        self.private.is_subscribed() && self.links.is_up()
    }

    fn can_send(&self) -> bool {
        self.links.has_idle()
    }

    fn close(&mut self) {
        self.links.close();
        self.private.close();
    }
}

fn nothing(why: &str) -> SendError {
    SendError::Nothing(Reason::cut(why))
}

/// Ids that the venue gave to the latest orders; the oldest is forgotten first.
struct Names {
    rows: [(ClientId, VenueOrderId); NAMES],
    next: usize,
}

impl Default for Names {
    fn default() -> Self {
        Self { rows: [(ClientId::default(), VenueOrderId::EMPTY); NAMES], next: 0 }
    }
}

impl Names {
    fn learn(&mut self, id: ClientId, name: VenueOrderId) {
        self.rows[self.next] = (id, name);
        self.next = (self.next + 1) % NAMES;
    }

    fn of(&self, id: ClientId) -> Option<VenueOrderId> {
        self.rows.iter().find(|row| row.0 == id && !row.1.is_empty()).map(|row| row.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{OrderNews, Price, Purpose, Qty, RejectClass, Side, VenueId};
    use crate::venue::OrderKey;
    use crate::venue::vest::testing::{BTC, paper_setup, rules, setup};
    use crate::venue::vest::testing_link::{Far, Wire};

    const NOW: Nanos = Nanos::from_ms(1_000_000);

    fn id(seq: u32) -> ClientId {
        ClientId { epoch: 1, seq, leg: 0 }
    }

    fn spec(seq: u32) -> OrderSpec {
        OrderSpec {
            id: id(seq),
            venue: VenueId(0),
            pair: BTC,
            side: Side::Buy,
            purpose: Purpose::Enter,
            qty: Qty::parse(b"0.001").unwrap(),
            limit: Price::parse(b"90000.5").unwrap(),
            reduce_only: false,
            signed_ms: NOW.ms(),
            nonce: NOW.ms() + u64::from(seq),
            window_ms: 500,
        }
    }

    fn cancel(seq: u32) -> CancelSpec {
        CancelSpec {
            id: id(seq),
            venue: VenueId(0),
            pair: BTC,
            venue_id: VenueOrderId::EMPTY,
            signed_ms: NOW.ms(),
            nonce: 9,
        }
    }

    fn install(trader: &mut VestTrader, role: Role) -> Far {
        install_at(trader, role, NOW)
    }

    fn install_at(trader: &mut VestTrader, role: Role, now: Nanos) -> Far {
        let (link, far) = Wire::pair();
        trader.install(ReadyLink { venue: VenueId(0), role, link, secret: None }, now);
        far
    }

    /// A trader with `links` order connections and rules.
    fn trader(links: usize) -> (VestTrader, Vec<Far>) {
        let mut trader = VestTrader::new(&setup()).unwrap();
        trader.set_rules(BTC, &rules(2, 4));
        let far = (0..links).map(|_| install(&mut trader, Role::Orders)).collect();
        (trader, far)
    }

    /// What it tells, but that connections have come.
    fn poll(trader: &mut VestTrader, now: Nanos) -> Vec<TraderEvent> {
        let told = poll_all(trader, now);
        told.into_iter().filter(|event| !matches!(event, TraderEvent::LinkUp { .. })).collect()
    }

    fn poll_all(trader: &mut VestTrader, now: Nanos) -> Vec<TraderEvent> {
        let mut events = Vec::new();
        trader.poll(now, &mut events);
        events
    }

    fn order(seq: u32, news: OrderNews) -> TraderEvent {
        TraderEvent::Order { key: OrderKey::Client(id(seq)), news, t_venue: Nanos::NEVER }
    }

    fn class_of(event: &TraderEvent) -> (RejectClass, String) {
        match event {
            TraderEvent::Order { news: OrderNews::Rejected(reject), .. } => {
                (reject.class, reject.code.to_string())
            }
            other => panic!("not a reject: {other:?}"),
        }
    }

    #[test]
    fn paper_mode_has_no_trader() {
        assert_eq!(VestTrader::new(&paper_setup()).err(), Some(SetupError::Missing(API_KEY)));
    }

    #[test]
    fn ready_is_both_sides_up_and_is_told_once() {
        let (mut trader, _) = trader(0);
        assert_eq!(trader.missing(), [false, true, true, false]);
        let private = install(&mut trader, Role::Private);
        assert_eq!(poll_all(&mut trader, NOW), []);
        private.say(br#"{"result":null,"id":1}"#);
        let up = |role| TraderEvent::LinkUp { role };
        assert_eq!(poll_all(&mut trader, NOW), [up(Role::Private)]);
        let orders = install(&mut trader, Role::Orders);
        assert_eq!(trader.missing(), [false, true, false, false]);
        assert_eq!(poll_all(&mut trader, NOW), [up(Role::Orders), TraderEvent::Ready(true)]);
        assert_eq!(poll(&mut trader, NOW), []);
        orders.close(1000);
        assert!(matches!(
            poll(&mut trader, NOW)[..],
            [TraderEvent::LinkDown { role: Role::Orders, .. }, TraderEvent::Ready(false)]
        ));
    }

    #[test]
    fn an_order_leaves_once_and_its_ack_names_it_for_a_cancel() {
        let (mut trader, far) = trader(1);
        assert!(matches!(trader.cancel(&cancel(1), NOW), Err(SendError::Nothing(_))));
        trader.send(&spec(1), NOW).unwrap();
        let sent = far[0].sent();
        assert_eq!(sent.len(), 1);
        assert!(sent[0].starts_with("POST /v2/orders HTTP/1.1\r\n"));
        assert!(sent[0].contains(r#""size":"0.0010","orderType":"MARKET","limitPrice":"90000.50""#));
        far[0].reply(200, r#"{"id":"0xabc"}"#);
        assert_eq!(poll(&mut trader, NOW), [order(1, OrderNews::Acked)]);
        trader.cancel(&cancel(1), NOW).unwrap();
        assert!(far[0].sent()[0].contains(r#""id":"0xabc""#));
        far[0].reply(200, r#"{"code":3017,"msg":"Order already processed or cancelled"}"#);
        let events = poll(&mut trader, NOW);
        assert_eq!(class_of(&events[0]), (RejectClass::Ambiguous, "3017 ORDER_NOT_FOUND".into()));
    }

    #[test]
    fn one_request_per_connection() {
        let (mut trader, far) = trader(3);
        for seq in 1..=3 {
            assert!(trader.can_send());
            trader.send(&spec(seq), NOW).unwrap();
        }
        assert!(!trader.can_send(), "every connection waits for its reply");
        let sent: Vec<_> = far.iter().map(Far::sent).collect();
        assert!(sent.iter().all(|sent| sent.len() == 1));
        assert!(matches!(trader.send(&spec(4), NOW), Err(SendError::Nothing(_))));
        far[1].reply(200, r#"{"id":"0xabc"}"#);
        poll(&mut trader, NOW);
        assert!(trader.can_send());
    }

    #[test]
    fn replies_in_every_shape_are_classed() {
        for (status, body, class) in [
            (400, r#"{"detail":{"code":3001,"msg":"x"}}"#, RejectClass::Definitive),
            (200, r#"{"code":429,"msg":"Rate limited"}"#, RejectClass::RetryLater),
            (401, "", RejectClass::Halt),
            (502, "<html></html>", RejectClass::Ambiguous),
            (200, r#"{"id":"a\"b"}"#, RejectClass::Ambiguous),
            (200, r#"{"id":""}"#, RejectClass::Ambiguous),
        ] {
            let (mut trader, far) = trader(1);
            trader.send(&spec(1), NOW).unwrap();
            far[0].reply(status, body);
            assert_eq!(class_of(&poll(&mut trader, NOW)[0]).0, class, "{body}");
        }
    }

    #[test]
    fn a_lost_connection_leaves_its_order_in_doubt() {
        let (mut trader, far) = trader(2);
        trader.send(&spec(1), NOW).unwrap();
        let busy = usize::from(far[0].sent().is_empty());
        far[busy].close(1006);
        let events = poll(&mut trader, NOW);
        assert_eq!(class_of(&events[0]), (RejectClass::Ambiguous, "LINK LOST".into()));
        assert!(matches!(events[1], TraderEvent::LinkDown { role: Role::Orders, .. }));
        trader.send(&spec(2), NOW).unwrap();
        assert_eq!(far[1 - busy].sent().len(), 1);
    }

    #[test]
    fn a_failed_send_is_unclear_and_drops_the_connection() {
        let (mut trader, far) = trader(1);
        far[0].fail_sends();
        assert!(matches!(trader.send(&spec(1), NOW), Err(SendError::Unclear(_))));
        assert!(matches!(trader.send(&spec(2), NOW), Err(SendError::Nothing(_))));
        assert!(matches!(poll(&mut trader, NOW)[1], TraderEvent::LinkDown { .. }));
        assert!(trader.missing()[1]);
    }

    #[test]
    fn silence_after_a_request_ends_the_connection() {
        let (mut trader, _far) = trader(1);
        trader.send(&spec(1), NOW).unwrap();
        assert_eq!(poll(&mut trader, NOW.plus_ms(10_000)), []);
        assert_eq!(poll(&mut trader, NOW.plus_ms(10_001)).len(), 2);
    }

    /// Of the set-up.
    const REPLY_MAX_MS: u64 = 1_000;

    #[test]
    fn an_order_without_a_reply_puts_all_that_said_nothing_since_in_doubt() {
        let (mut trader, far) = trader(3);
        trader.send(&spec(1), NOW).unwrap();
        let busy = far.iter().position(|far| !far.sent().is_empty()).unwrap();
        assert_eq!(poll(&mut trader, NOW.plus_ms(REPLY_MAX_MS)), []);
        assert!(trader.can_send() && !trader.missing()[1]);
        let late = NOW.plus_ms(REPLY_MAX_MS + 1);
        assert_eq!(poll(&mut trader, late), [], "the reply may still come");
        assert!(!trader.can_send() && trader.missing()[1]);
        let fresh = install_at(&mut trader, Role::Orders, late);
        assert!(trader.can_send() && trader.missing()[1], "as many as before are wanted");
        trader.send(&spec(2), late).unwrap();
        assert_eq!(fresh.sent().len(), 1);
        let rest = [0; 2].map(|_| install_at(&mut trader, Role::Orders, late));
        assert!(!trader.missing()[1]);
        assert!(far.iter().chain(&rest).all(|far| far.sent().is_empty()), "nothing is sent twice");
        far[busy].reply(200, r#"{"id":"0xabc"}"#);
        assert_eq!(poll(&mut trader, late), [order(1, OrderNews::Acked)]);
        fresh.reply(200, r#"{"id":"0xabd"}"#);
        assert_eq!(poll(&mut trader, late), [order(2, OrderNews::Acked)]);
        assert!(!trader.missing()[1]);
        let sent = (3..).take_while(|&seq| trader.send(&spec(seq), late).is_ok());
        assert_eq!(sent.count(), 3, "the one that was only slow is one too many");
    }

    #[test]
    fn an_order_that_is_put_off_tells_for_how_long() {
        let asked_ms = |header: &str| {
            let (mut trader, far) = trader(1);
            trader.send(&spec(1), NOW).unwrap();
            far[0].put_off(header);
            let events = poll(&mut trader, NOW);
            assert_eq!(class_of(events.last().unwrap()).0, RejectClass::RetryLater);
            match events[..] {
                [TraderEvent::Limited { for_ms }, _] => Some(for_ms),
                _ => None,
            }
        };
        // NOW is 1970-01-01 00:16:40.
        let date = asked_ms("Thu, 01 Jan 1970 00:16:47 GMT");
        assert_eq!((asked_ms("7"), date, asked_ms("86400")), (Some(7_000), Some(7_000), Some(60_000)));
        assert_eq!((asked_ms("soon"), asked_ms("")), (None, None));
    }

    #[test]
    fn a_connection_that_was_replaced_before_it_ended_is_not_missed() {
        let (mut trader, far) = trader(3);
        trader.send(&spec(1), NOW).unwrap();
        let busy = far.iter().position(|far| !far.sent().is_empty()).unwrap();
        let late = NOW.plus_ms(REPLY_MAX_MS + 1);
        assert_eq!(poll(&mut trader, late), []);
        let _fresh = [0; 3].map(|_| install_at(&mut trader, Role::Orders, late));
        assert_eq!(poll(&mut trader, late), []);
        far[busy].close(1006);
        let events = poll_all(&mut trader, late);
        assert!(matches!(events[1], TraderEvent::LinkDown { role: Role::Orders, .. }));
        assert_eq!(events[2], TraderEvent::LinkUp { role: Role::Orders }, "or somebody is called for it");
    }

    #[test]
    fn an_order_goes_into_what_is_in_doubt_only_where_nothing_else_is() {
        let (mut trader, far) = trader(2);
        trader.send(&spec(1), NOW).unwrap();
        let idle = usize::from(!far[0].sent().is_empty());
        let late = NOW.plus_ms(REPLY_MAX_MS + 1);
        poll(&mut trader, late);
        trader.send(&spec(2), late).unwrap();
        assert_eq!(far[idle].sent().len(), 1);
        assert!(matches!(trader.send(&spec(3), late), Err(SendError::Nothing(_))));
        far[idle].reply(200, r#"{"id":"0xabc"}"#);
        poll(&mut trader, late);
        assert!(trader.can_send(), "it has talked since");
    }

    #[test]
    fn a_connection_that_has_answered_since_is_not_in_doubt() {
        let (mut trader, far) = trader(3);
        trader.send(&spec(1), NOW).unwrap();
        let late = NOW.plus_ms(REPLY_MAX_MS + 1);
        let others: Vec<_> = far.iter().filter(|far| far.sent().is_empty()).collect();
        for seq in [2, 3] {
            trader.send(&spec(seq), NOW.plus_ms(1)).unwrap();
        }
        others.iter().for_each(|far| far.reply(200, r#"{"id":"0xabc"}"#));
        poll(&mut trader, NOW.plus_ms(2));
        poll(&mut trader, late);
        assert!(trader.can_send());
        assert!(trader.missing()[1], "one is wanted for the other");
        install_at(&mut trader, Role::Orders, late);
        assert!(!trader.missing()[1]);
    }

    #[test]
    fn connections_that_never_answer_are_bounded() {
        let (mut trader, _far) = trader(3);
        let (mut now, mut more) = (NOW, Vec::new());
        for round in 0..2 {
            for seq in 1..=3 {
                trader.send(&spec(3 * round + seq), now).unwrap();
            }
            now = now.plus_ms(REPLY_MAX_MS + 1);
            assert_eq!(poll(&mut trader, now), []);
            while trader.missing()[1] {
                more.push(install_at(&mut trader, Role::Orders, now));
            }
        }
        assert_eq!(more.len(), 3, "each place twice");
        install_at(&mut trader, Role::Orders, now);
        assert!(matches!(trader.send(&spec(7), now), Err(SendError::Nothing(_))));
    }

    #[test]
    fn idle_connections_are_kept_warm_one_at_a_time() {
        let (mut trader, far) = trader(2);
        let later = NOW.plus_ms(15_000);
        assert_eq!(poll(&mut trader, later), []);
        assert_eq!(poll(&mut trader, later), []);
        let sent: Vec<String> = far.iter().flat_map(Far::sent).collect();
        assert_eq!(sent.len(), 1);
        assert!(
            sent[0]
                .starts_with("GET /v2/ticker/latest?symbols=BTC-PERP HTTP/1.1\r\nHost: 127.0.0.1:8443\r\n")
        );
        trader.send(&spec(1), later).unwrap();
        far[0].reply(500, "whatever");
        assert_eq!(poll(&mut trader, later), []);
    }

    #[test]
    fn a_reply_that_nobody_asked_for_ends_the_connection() {
        let (mut trader, far) = trader(1);
        far[0].reply(200, r#"{"id":"0x1"}"#);
        assert!(matches!(poll(&mut trader, NOW)[..], [TraderEvent::LinkDown { .. }]));
    }

    #[test]
    fn close_says_goodbye_on_every_link() {
        let (mut trader, far) = trader(2);
        trader.close();
        assert!(far.iter().all(|far| far.sent() == ["close"]));
        assert_eq!(trader.missing(), [false, true, true, false]);
    }
}

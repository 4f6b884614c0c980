//! The private stream (sheet `vest`, 7, `account_private`): subscribes, stays alive, and turns order events into news.
//! Owned by `trader`, which `order` polls. Never takes silence for an outcome: a dead stream is reported and left.

use serde::Deserialize;
use sonic_rs::LazyValue;

use super::errors::{self, DELETED_BY_LIQUIDATION};
use super::json::{self, Code};
use super::order_row::{OrderRow, Status};
use super::session::Session;
use crate::sys::link::{Inbound, Link, Outbound};
use crate::types::record::Role;
use crate::types::{Nanos, PairId};
use crate::venue::end::End;
use crate::venue::{TraderEvent, WireError, reason};

const CHANNEL: &str = "account_private";
/// The venue acknowledges a subscription at once; without it the stream cannot be trusted, ms.
const SUBSCRIBE_MS: u64 = 10_000;

/// The private connection, or the lack of one.
#[derive(Default)]
pub struct PrivateStream {
    markets: Vec<(PairId, String)>,
    link: Option<Box<dyn Link>>,
    session: Session,
    stage: Stage,
    opened: Nanos,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Fresh,
    Asked,
    Subscribed,
}

impl PrivateStream {
    /// Of an account that trades these markets.
    pub fn of(markets: Vec<(PairId, String)>) -> Self {
        Self { markets, ..Self::default() }
    }

    pub fn install(&mut self, link: Box<dyn Link>, now: Nanos) {
        self.link = Some(link);
        self.session.open(now);
        self.stage = Stage::Fresh;
        self.opened = now;
    }

    pub const fn is_missing(&self) -> bool {
        self.link.is_none()
    }

    /// Up, and the venue has confirmed that order events will come.
    pub fn is_subscribed(&self) -> bool {
        self.link.is_some() && self.stage == Stage::Subscribed
    }

    /// Moves bytes and reports events. True when there was anything.
    pub fn poll(&mut self, now: Nanos, events: &mut Vec<TraderEvent>) -> bool {
        let Some(mut link) = self.link.take() else { return false };
        let (before, was_up) = (events.len(), self.stage == Stage::Subscribed);
        match self.drive(link.as_mut(), now, events) {
            Ok(worked) => {
                self.link = Some(link);
                worked || events.len() > before
            }
            Err(end) => {
                let (role, End { why, mend }) = (Role::Private, end.after(was_up));
                events.extend(mend.map(|mend| TraderEvent::LinkRefused { role, why, mend }));
                events.push(TraderEvent::LinkDown { role, why });
                true
            }
        }
    }

    pub fn close(&mut self) {
        if let Some(mut link) = self.link.take() {
            // The connection ends either way.
            let _ = link.send(Outbound::Close);
        }
    }

    /// An error means that the connection is no more.
    fn drive(&mut self, link: &mut dyn Link, now: Nanos, events: &mut Vec<TraderEvent>) -> Result<bool, End> {
        let ended = |error| End::of(&errors::CLOSE_CODES, &error);
        if self.stage == Stage::Fresh {
            let message = self.session.subscribe(CHANNEL);
            link.send(Outbound::Text(message.as_bytes())).map_err(ended)?;
            self.stage = Stage::Asked;
        }
        let mut worked = false;
        while let Some(frame) = link.recv().map_err(ended)? {
            worked = true;
            self.session.alive();
            self.on_frame(frame, events)?;
        }
        if self.stage == Stage::Asked && now.ms_since(self.opened) > SUBSCRIBE_MS {
            return Err(End::loss("subscription not confirmed"));
        }
        if let Some(ping) = self.session.tick(now).map_err(|error| End::loss(&error.to_string()))? {
            link.send(Outbound::Text(ping)).map_err(ended)?;
        }
        Ok(worked)
    }

    fn on_frame(&mut self, frame: Inbound<'_>, events: &mut Vec<TraderEvent>) -> Result<(), End> {
        let bytes = match frame {
            Inbound::Text(bytes) | Inbound::Binary(bytes) => bytes,
            Inbound::Heartbeat => return Ok(()),
            Inbound::Response { .. } => return Err(End::loss("an HTTP response on a WebSocket")),
        };
        match read(bytes, &self.markets, events) {
            Ok(Heard::Confirmed) if self.stage == Stage::Subscribed => {}
            Ok(Heard::Confirmed) => {
                self.stage = Stage::Subscribed;
                events.push(TraderEvent::LinkUp { role: Role::Private });
            }
            Ok(Heard::Nothing) => {}
            Ok(Heard::Error(code)) => return Err(End::told(&errors::CLOSE_CODES, code)),
            Err(error) => events.push(TraderEvent::BadFrame { why: reason(&error) }),
        }
        Ok(())
    }
}

/// What a frame means for the connection itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The reply to our one subscription, or an event that only a subscriber gets.
    Confirmed,
    Error(i64),
    /// PONG or another channel.
    Nothing,
}

/// The payload of a push is read in a second pass, when it is known what it is.
#[derive(Deserialize)]
struct Envelope<'a> {
    channel: Option<&'a str>,
    #[serde(borrow)]
    data: Option<LazyValue<'a>>,
    id: Option<u64>,
    code: Option<Code>,
}

/// Liquidity provision and transfers share their keys with orders as far as we read them.
#[derive(Deserialize)]
struct Event<'a> {
    event: &'a str,
    #[serde(borrow)]
    args: OrderRow<'a>,
}

/// Reads one frame and reports the order event in it.
pub fn read(
    bytes: &[u8],
    markets: &[(PairId, String)],
    events: &mut Vec<TraderEvent>,
) -> Result<Heard, WireError> {
    let envelope: Envelope = json::read("frame", bytes, "a JSON object of the private stream")?;
    match (envelope.channel, envelope.data) {
        (Some(CHANNEL), Some(data)) => {
            let text = data.as_raw_str().as_bytes();
            let event: Event = json::read("account_private", text, "an event with its arguments")?;
            if event.event == "ORDER" {
                on_order(&event.args, markets, events);
            }
            Ok(Heard::Confirmed)
        }
        (None, None) => Ok(match (envelope.code, envelope.id) {
            (Some(Code(code)), _) => Heard::Error(code),
            (None, Some(_)) => Heard::Confirmed,
            (None, None) => Heard::Nothing,
        }),
        _ => Ok(Heard::Nothing),
    }
}

/// Reports an order event. One that the venue's liquidation made is told as such, beside what it did to the order.
fn on_order(row: &OrderRow<'_>, markets: &[(PairId, String)], events: &mut Vec<TraderEvent>) {
    let deleted = row.status() == Status::Rejected && row.code == Some(Code(DELETED_BY_LIQUIDATION));
    if deleted || row.order_type == Some("LIQUIDATION") {
        events.push(TraderEvent::Liquidation);
    }
    let (news, bad) = row.news(row.told(markets));
    match row.key() {
        Ok(key) => events.push(TraderEvent::Order { key, news, t_venue: row.time() }),
        Err(error) => events.push(TraderEvent::BadFrame { why: reason(&error) }),
    }
    if let Some(error) = bad {
        events.push(TraderEvent::BadFrame { why: reason(&error) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{OrderNews, Price, Qty, RejectClass, Side, Told, ToldMarket};
    use crate::venue::OrderKey;
    use crate::venue::vest::testing::{BTC, frame, paper_setup};
    use crate::venue::vest::testing_link::Wire;

    const NOW: Nanos = Nanos::from_ms(1_000_000);

    fn order_event(what: &str) -> (OrderKey, OrderNews) {
        let mut events = Vec::new();
        assert_eq!(read(&frame(what), &paper_setup().markets, &mut events), Ok(Heard::Confirmed));
        match events[..] {
            [TraderEvent::Order { key, news, t_venue }] => {
                assert_eq!(t_venue, Nanos::from_ms(1_683_849_600_076));
                (key, news)
            }
            ref other => panic!("not one order event: {other:?}"),
        }
    }

    #[test]
    fn the_documented_events_are_read() {
        assert_eq!(order_event("ORDER NEW"), (OrderKey::Nonce(0), OrderNews::Acked));
        let filled = order_event("ORDER FILLED").1;
        let OrderNews::Closed { filled, average, told, .. } = filled else { panic!() };
        assert_eq!(told, Told::of(BTC, Side::Buy));
        assert_eq!((filled, average), (Qty::parse(b"0.1").unwrap(), Price::parse(b"30000").unwrap()));
        for (what, class, code) in [
            ("ORDER CANCELLED", RejectClass::Ambiguous, "CANCELLED"),
            ("ORDER REJECTED", RejectClass::TooLarge, "3010 OI_CAP_EXCEEDED"),
        ] {
            let OrderNews::Rejected(reject) = order_event(what).1 else { panic!("{what}") };
            assert_eq!((reject.class, reject.code.as_str()), (class, code));
        }
    }

    #[test]
    fn a_market_of_no_pair_is_told_and_what_is_missing_is_not() {
        let told = |rest: &str| {
            let args =
                format!(r#"{{"status":"FILLED","lastFilledSize":"1","avgFilledPrice":"1","nonce":1{rest}}}"#);
            let text = format!(r#"{{"channel":"account_private","data":{{"event":"ORDER","args":{args}}}}}"#);
            let mut events = Vec::new();
            read(text.as_bytes(), &paper_setup().markets, &mut events).map(|_| match events[..] {
                [TraderEvent::Order { news: OrderNews::Closed { told, .. }, .. }] => told,
                ref other => panic!("{other:?}"),
            })
        };
        assert_eq!(told(""), Ok(Told::default()));
        let foreign = Told { side: Some(Side::Sell), market: ToldMarket::Foreign };
        assert_eq!(told(r#","isBuy":false,"symbol":"SOL-PERP""#), Ok(foreign));
        assert!(told(r#","isBuy":"no""#).is_err());
    }

    #[test]
    fn transfers_and_pongs_say_nothing_of_orders() {
        let mut events = Vec::new();
        for (what, heard) in [
            ("LP", Heard::Confirmed),
            ("TRANSFER", Heard::Confirmed),
            ("PONG", Heard::Nothing),
            ("subscription ack", Heard::Confirmed),
        ] {
            assert_eq!(read(&frame(what), &[], &mut events), Ok(heard), "{what}");
        }
        assert!(events.is_empty());
    }

    #[test]
    fn a_liquidation_is_told_as_such() {
        let mut events = Vec::new();
        let args = r#"{"status":"REJECTED","code":3008,"nonce":1}"#;
        let text = format!(r#"{{"channel":"account_private","data":{{"event":"ORDER","args":{args}}}}}"#);
        read(text.as_bytes(), &[], &mut events).unwrap();
        assert_eq!(events[0], TraderEvent::Liquidation);
        assert!(matches!(events[1], TraderEvent::Order { key: OrderKey::Nonce(1), .. }));
    }

    #[test]
    fn it_subscribes_first_and_is_up_when_confirmed() {
        let (wire, far) = Wire::pair();
        let (mut stream, mut events) = (PrivateStream::default(), Vec::new());
        stream.install(wire, NOW);
        assert!(!stream.poll(NOW, &mut events) && !stream.is_subscribed());
        assert_eq!(far.sent(), [r#"{"method":"SUBSCRIBE","params":["account_private"],"id":1}"#]);
        far.say(br#"{"result":null,"id":1}"#);
        assert!(stream.poll(NOW, &mut events) && stream.is_subscribed());
        stream.poll(NOW.plus_ms(15_000), &mut events);
        assert_eq!(far.sent(), [r#"{"method":"PING","params":[],"id":0}"#]);
        assert_eq!(std::mem::take(&mut events), [TraderEvent::LinkUp { role: Role::Private }]);
        stream.poll(NOW.plus_ms(20_000), &mut events);
        assert!(matches!(events[..], [TraderEvent::LinkDown { role: Role::Private, .. }]));
        assert!(stream.is_missing() && !stream.is_subscribed());
    }

    #[test]
    fn an_unconfirmed_subscription_is_given_up() {
        let (wire, far) = Wire::pair();
        let (mut stream, mut events) = (PrivateStream::default(), Vec::new());
        stream.install(wire, NOW);
        stream.poll(NOW, &mut events);
        far.say(br#"{"data":"PONG"}"#);
        stream.poll(NOW.plus_ms(10_001), &mut events);
        assert!(matches!(events[..], [TraderEvent::LinkDown { .. }]));
    }

    #[test]
    fn a_refusal_that_needs_a_person_is_told_where_the_stream_was_never_up() {
        for (up, code, refused) in [(false, 4001, true), (true, 4001, false), (false, 4004, false)] {
            let (wire, far) = Wire::pair();
            let (mut stream, mut events) = (PrivateStream::default(), Vec::new());
            stream.install(wire, NOW);
            if up {
                far.say(br#"{"result":null,"id":1}"#);
                stream.poll(NOW, &mut events);
                assert_eq!(std::mem::take(&mut events), [TraderEvent::LinkUp { role: Role::Private }]);
            }
            far.close(code);
            stream.poll(NOW, &mut events);
            let told = matches!(events[0], TraderEvent::LinkRefused { role: Role::Private, .. });
            assert_eq!((told, events.len()), (refused, 1 + usize::from(refused)), "{code} {events:?}");
        }
    }

    #[test]
    fn an_expired_listen_key_is_named() {
        let (wire, far) = Wire::pair();
        let (mut stream, mut events) = (PrivateStream::default(), Vec::new());
        stream.install(wire, NOW);
        far.close(4005);
        stream.poll(NOW, &mut events);
        let TraderEvent::LinkDown { why, .. } = events[0] else { panic!() };
        assert_eq!(why.as_str(), "closed by the venue: 4005 LISTEN_KEY_EXPIRED");
    }
}

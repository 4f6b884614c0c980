//! What goes wrong with messages that a venue sends, while the truth stays in order.

use serde_json::json;

use super::*;
use crate::core::fault::{Action, Class, Wrong};
use crate::core::model::Lie;

/// Frames of each private template that a trade brings under a rule.
fn heard(rule: Rule) -> [usize; 4] {
    let mut run = Run::paradex().still();
    let id = run.paradex_listener(&["orders.ALL", "fills.ALL", "positions", "account"]);
    run.fault(rule);
    run.trade("BUY", "0.01", "a");
    assert_eq!(run.position(), ONE / 100, "the truth is what it is");
    let frames = run.drain(id);
    [ORDER, FILL, POSITION, ACCOUNT].map(|template| templates(&frames, template))
}

#[test]
fn private_events_are_lost_and_doubled_class_by_class() {
    let classes = [Class::OrderEvent, Class::FillEvent, Class::PositionEvent, Class::AccountEvent];
    let usual = heard(Rule { count: Some(0), ..Rule::always(Class::OrderEvent, Action::DropEvent) });
    assert!(usual.iter().all(|count| *count > 0), "{usual:?}");
    for (at, class) in classes.into_iter().enumerate() {
        for (action, factor) in [(Action::DropEvent, 0), (Action::DuplicateEvent, 2)] {
            let mut expected = usual;
            expected[at] *= factor;
            assert_eq!(heard(Rule::always(class, action)), expected, "{class:?}");
        }
    }
}

#[test]
fn however_many_rules_double_an_event_it_is_told_sixteen_times_at_most() {
    let mut run = Run::paradex().still();
    let id = run.paradex_listener(&["fills.ALL"]);
    (0..40).for_each(|_| run.fault(Rule::always(Class::FillEvent, Action::DuplicateEvent)));
    run.trade("BUY", "0.01", "a");
    assert_eq!(templates(&run.drain(id), FILL), 16);
}

#[test]
fn a_late_event_is_overtaken() {
    let mut run = Run::paradex().still();
    let id = run.paradex_listener(&["orders.ALL", "fills.ALL"]);
    run.fault(Rule::once(Class::FillEvent, Action::DelayEvent { ms: 700 }));
    run.trade("BUY", "0.01", "a");
    let frames = run.drain(id);
    assert!(matches!(frames.last(), Some(Frame::Binary(bytes)) if bytes[2] == FILL));
    assert_eq!(templates(&frames, ORDER), 2, "NEW and CLOSED came before");
}

#[test]
fn books_and_tickers_are_lost_doubled_and_late() {
    let count = |action: Option<Action>| {
        let mut run = Run::paradex();
        let id = run.paradex_listener(&["markets_summary", &format!("order_book.{BTC}.deltas")]);
        for class in [Class::BookEvent, Class::TickerEvent] {
            action.iter().for_each(|action| run.fault(Rule::always(class, action.clone())));
        }
        run.pass(20 * SECOND);
        let frames = run.drain(id);
        [templates(&frames, 3), templates(&frames, 4)]
    };
    let usual = count(None);
    assert!(usual[0] > 100 && usual[1] > 20, "{usual:?}");
    assert_eq!(count(Some(Action::DropEvent)), [0, 0]);
    assert_eq!(count(Some(Action::DuplicateEvent)), usual.map(|count| 2 * count));
    let late = count(Some(Action::DelayEvent { ms: 10_000 }));
    assert!((0..2).all(|at| late[at] > usual[at] / 3 && late[at] < usual[at] * 2 / 3), "{late:?}");
}

#[test]
fn a_message_tells_a_falsehood_about_a_fill() {
    for wrong in [Wrong::Side, Wrong::Size, Wrong::Price] {
        let mut run = Run::paradex().still();
        let id = run.paradex_listener(&["fills.ALL"]);
        run.fault(Rule::once(Class::FillEvent, Action::CorruptEvent { wrong }));
        run.trade("BUY", "0.01", "a");
        let frames = run.drain(id);
        let Some(Frame::Binary(bytes)) =
            frames.iter().find(|f| matches!(f, Frame::Binary(b) if b[2] == FILL))
        else {
            panic!("{frames:?}")
        };
        let word = |at: usize| i64::from_le_bytes(bytes[8 + at..16 + at].try_into().unwrap());
        let fill = &run.fills()[0];
        let told = (bytes[8 + 17] == 1, word(27) == fill.size, word(19) == fill.price);
        assert_eq!(told, (wrong != Wrong::Side, wrong != Wrong::Size, wrong != Wrong::Price));
        run.assert_truth_adds_up();
    }
}

#[test]
fn published_prices_are_nothing_absurd_or_crossed_and_matching_is_not_fooled() {
    for lie in [Lie::Zero, Lie::ScalePercent(100_000_000), Lie::Crossed, Lie::Empty] {
        let mut run = Run::vest().still();
        let id = run.stage.open(run.now_us, "/ws-api?version=1.0", &[]).unwrap();
        run.send(id, &json!({"method": "SUBSCRIBE", "params": ["BTC-PERP@depth", "tickers"], "id": 1}));
        run.drain(id);
        let script = Script {
            lie: Some(lie),
            mid: Some(72_000 * ONE),
            basis_bps: Some(0),
            mark_percent: Some(0),
            ..Script::default()
        };
        run.stage.exchange_mut().set_script(run.now_us, 0, script);
        run.pass(SECOND);
        let shown = texts(&run.drain(id));
        let book = &shown.iter().rfind(|m| m["channel"] == "BTC-PERP@depth").unwrap()["data"];
        let best =
            |side: &str| book[side][0][0].as_str().map(|text| crate::core::money::parse(text).unwrap());
        match lie {
            Lie::Zero => assert_eq!((best("bids"), best("asks")), (Some(0), Some(0))),
            Lie::ScalePercent(_) => assert!(best("bids") > Some(10_000_000 * ONE)),
            Lie::Crossed => assert!(best("bids") > best("asks")),
            Lie::Empty => assert_eq!((best("bids"), best("asks")), (None, None)),
        }
        let ticker = shown.iter().rfind(|m| m["channel"] == "tickers").unwrap();
        assert_eq!(ticker["data"][0]["markPrice"], "0.00");
        let body = run.vest_order(true, "0.1000", "73000.00", 1);
        run.post(&body, SECOND);
        assert!((71_900 * ONE..72_200 * ONE).contains(&run.fills()[0].price), "{lie:?}");
    }
}

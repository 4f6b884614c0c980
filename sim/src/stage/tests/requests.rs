//! What goes wrong with requests and their answers, and what the truth says then.

use serde_json::json;

use super::*;
use crate::core::fault::{Action, Class, Http, Wrong};
use crate::core::{Reject, Side, State};

fn status(answered: &Answered) -> u16 {
    let Answered::Reply(response) = answered else { panic!("{answered:?}") };
    response.status
}

fn http(status: u16, retry_after: Option<&str>, body: &str) -> Http {
    Http { retry_after: retry_after.map(str::to_owned), body: body.to_owned(), ..Http::of(status) }
}

#[test]
fn a_dropped_order_is_not_seen_and_a_dropped_answer_changes_nothing() {
    let mut run = Run::paradex().still();
    run.fault(Rule::once(Class::Order, Action::DropRequest));
    let body = run.paradex_order("BUY", "0.1", "73000", "lost").to_string();
    assert_eq!(run.post(&body, SECOND), Answered::Never);
    assert_eq!((run.stage.truth().arrivals().len(), run.position()), (0, 0));
    run.fault(Rule::once(Class::Order, Action::DropAck));
    assert_eq!(run.post(&body, SECOND), Answered::Never);
    assert_eq!((run.stage.truth().arrivals().len(), run.position()), (1, ONE / 10));
}

#[test]
fn a_doubled_order_arrives_twice_and_is_taken_once() {
    let mut run = Run::paradex().still();
    run.fault(Rule::once(Class::Order, Action::DuplicateRequest { ms: 40 }));
    run.trade("BUY", "0.1", "twice");
    let outcomes: Vec<bool> = run.stage.truth().arrivals().iter().map(|a| a.outcome.is_ok()).collect();
    assert_eq!((outcomes, run.position()), (vec![true, false], ONE / 10));
    assert_eq!(run.stage.truth().arrivals()[1].outcome, Err(Reject::Duplicate));
}

#[test]
fn orders_overtake_each_other() {
    let mut run = Run::paradex().still();
    run.fault(Rule::once(Class::Order, Action::DelayRequest { ms: 300 }));
    let [slow, fast] = ["slow", "fast"].map(|id| run.paradex_order("BUY", "0.1", "73000", id).to_string());
    run.post(&slow, 0);
    run.post(&fast, SECOND);
    let names: Vec<&str> = run.stage.truth().arrivals().iter().map(|a| a.order.client_ref.as_str()).collect();
    assert_eq!(names, ["fast", "slow"]);
}

#[test]
fn a_window_lapses_on_the_way() {
    for mut run in [Run::paradex(), Run::vest()] {
        run.fault(Rule::once(Class::Order, Action::DelayRequest { ms: 2_001 }));
        let body = match run.token.is_empty() {
            true => run.vest_order(true, "0.1000", "90000.00", 3),
            false => run.paradex_order("BUY", "0.1", "73000", "late").to_string(),
        };
        assert_eq!(status(&run.post(&body, 3 * SECOND)), 400);
        assert_eq!(run.stage.truth().arrivals()[0].outcome, Err(Reject::Expired));
        assert_eq!(run.position(), 0);
    }
}

#[test]
fn an_answer_of_http_s_own_says_nothing_of_what_was_done() {
    for (answer, acted) in [
        (http(502, None, "<html>Bad Gateway</html>"), true),
        (http(503, None, ""), false),
        (http(200, None, ""), true),
        (http(429, Some("7"), "{}"), false),
        (http(429, Some("Wed, 21 Oct 2099 07:28:00 GMT"), "{}"), false),
        (http(429, None, "{}"), true),
    ] {
        for mut run in [Run::paradex().still(), Run::vest().still()] {
            run.fault(Rule::once(Class::Order, Action::Respond { http: answer.clone(), acted }));
            let body = match run.token.is_empty() {
                true => run.vest_order(true, "0.1000", "90000.00", 3),
                false => run.paradex_order("BUY", "0.1", "73000", "x").to_string(),
            };
            let Answered::Reply(reply) = run.post(&body, SECOND) else { panic!() };
            assert_eq!((reply.status, reply.body), (answer.status, answer.body.clone().into_bytes()));
            let retry = reply.headers.iter().find(|(name, _)| *name == "retry-after");
            assert_eq!(retry.map(|(_, text)| text.as_str()), answer.retry_after.as_deref());
            assert_eq!(run.position(), if acted { ONE / 10 } else { 0 });
            assert_eq!(run.stage.truth().arrivals().len(), 1);
        }
    }
}

#[test]
fn on_a_socket_it_is_an_error_of_the_socket_s_own() {
    let mut run = Run::paradex().still();
    let id = run.paradex_listener(&["orders.ALL"]);
    run.fault(Rule::once(Class::Order, Action::Respond { http: Http::of(502), acted: true }));
    let order = run.paradex_order("BUY", "0.1", "73000", "x");
    run.send(id, &json!({"jsonrpc": "2.0", "id": 9, "method": "order.create", "params": order}));
    run.pass(SECOND);
    assert_eq!(texts(&run.drain(id))[0]["error"]["code"], -32603);
    assert_eq!(run.position(), ONE / 10);
}

#[test]
fn socket_requests_are_lost_late_refused_and_answered_twice() {
    let mut run = Run::paradex();
    let id = run.paradex_listener(&["positions"]);
    run.fault(Rule::once(Class::Socket, Action::DropRequest));
    run.subscribe(id, "account");
    run.pass(SECOND);
    assert_eq!(run.drain(id), []);
    run.fault(Rule::once(Class::Socket, Action::DelayRequest { ms: 100 }));
    run.subscribe(id, "account");
    assert_eq!(run.drain(id), []);
    run.pass(100_000);
    assert_eq!(texts(&run.drain(id))[0]["result"]["channel"], "account");
    run.fault(Rule::once(Class::Socket, Action::DuplicateAck));
    run.subscribe(id, "fills.ALL");
    assert_eq!(texts(&run.drain(id)).len(), 2);
    run.fault(Rule::once(Class::Socket, Action::Reject { code: "-32603".into(), message: "no".into() }));
    run.subscribe(id, "orders.ALL");
    assert_eq!(texts(&run.drain(id))[0]["error"]["code"], -32603);
}

#[test]
fn public_reads_and_logins_fail_too() {
    let mut run = Run::paradex();
    run.fault(Rule::once(Class::PublicQuery, Action::Respond { http: Http::of(503), acted: false }));
    assert_eq!(run.call("GET", "/v1/system/time", &[], "").0, 503);
    assert_eq!(run.call("GET", "/v1/system/time", &[], "").0, 200);
    run.fault(Rule::once(Class::Auth, Action::Reject { code: "NOT_ONBOARDED".into(), message: "no".into() }));
    assert_eq!(run.log_in().0, 400);
    let mut run = Run::vest();
    run.fault(Rule::once(Class::Auth, Action::Reject { code: "1004".into(), message: "no".into() }));
    assert_eq!(run.private("POST", "/v2/account/listenKey", "").0, 400);
    run.fault(Rule::once(Class::PublicQuery, Action::DelayAck { ms: 900 }));
    let before = run.now_us;
    run.call("GET", "/v2/exchangeInfo", &[], "");
    assert_eq!(run.now_us, before + 900_000);
}

#[test]
fn a_token_ends_early_and_a_listen_key_takes_its_socket_along() {
    let mut run = Run::paradex();
    run.pass(SECOND);
    run.stage.revoke_tokens(run.now_us);
    assert_eq!(run.private("GET", "/v1/positions", "").0, 401);
    let mut run = Run::vest();
    let id = run.vest_listener();
    run.pass(SECOND);
    run.perform(Command::Expire { what: Login::ListenKey });
    assert_eq!(run.drain(id).last(), Some(&Frame::Close(4005)));
    assert_eq!(run.private("PUT", "/v2/account/listenKey", "").1["code"], 1125, "and cannot be renewed");
}

#[test]
fn reads_lag_behind_what_has_happened() {
    let mut run = Run::paradex().still();
    run.trade("BUY", "0.2", "first");
    run.pass(10 * SECOND);
    let (before, fills) = (run.stage.truth().balance(), run.fills().len());
    run.trade("SELL", "0.1", "second");
    let lag = Rule::always(Class::Query, Action::Lag { ms: 5_000 });
    run.fault(lag.clone());
    assert_eq!(run.private("GET", "/v1/positions", "").1["results"][0]["size"], "0.2");
    assert_eq!(run.private("GET", "/v1/fills", "").1["results"].as_array().unwrap().len(), fills);
    assert_eq!(run.private("GET", "/v1/orders-history", "").1["results"].as_array().unwrap().len(), 1);
    let balance = run.private("GET", "/v1/balance", "").1;
    assert_eq!(balance["results"][0]["size"], crate::core::money::trimmed(before));
    run.pass(5 * SECOND);
    assert_eq!(run.private("GET", "/v1/positions", "").1["results"][0]["size"], "0.1");
    let mut run = Run::vest().still();
    run.fault(lag);
    let body = run.vest_order(true, "0.1000", "90000.00", 5);
    run.post(&body, SECOND);
    assert_eq!(run.private("GET", "/v2/orders?nonce=5", "").1, json!([]));
    run.pass(5 * SECOND);
    assert_eq!(run.private("GET", "/v2/orders?nonce=5", "").1[0]["status"], "FILLED");
}

#[test]
fn histories_lag_behind_positions() {
    let mut run = Run::paradex().still();
    run.fault(Rule::always(Class::Query, Action::LagHistory { ms: 5_000 }));
    run.trade("BUY", "0.2", "first");
    let rows =
        |run: &mut Run, path: &str| run.private("GET", path, "").1["results"].as_array().unwrap().len();
    assert_eq!(run.private("GET", "/v1/positions", "").1["results"][0]["size"], "0.2", "told at once");
    for list in ["/v1/fills", "/v1/orders-history", "/v1/orders"] {
        assert_eq!(rows(&mut run, list), 0, "{list}");
    }
    run.pass(5 * SECOND);
    let all = (run.fills().len(), 1);
    assert_eq!((rows(&mut run, "/v1/fills"), rows(&mut run, "/v1/orders-history")), all);
}

#[test]
fn fills_come_in_part_late_or_not_at_all() {
    let mut run = Run::paradex().still();
    run.fault(Rule::once(Class::Order, Action::PartialSteps { steps: 1 }));
    assert_eq!(run.trade("BUY", "0.1", "one step").filled, 1_000);
    run.fault(Rule::once(Class::Order, Action::PartialAny));
    let part = run.trade("BUY", "0.1", "some").filled;
    assert!((1_000..=ONE / 10).contains(&part), "{part}");
    run.fault(Rule::once(Class::Order, Action::Requote));
    let refused = run.trade("BUY", "0.1", "moved");
    assert_eq!((refused.state, refused.reason), (State::Rejected, Some(Reject::PriceCheck)));
    run.fault(Rule::once(Class::Order, Action::HoldFill { ms: 30_000 }));
    assert_eq!(run.trade("BUY", "0.1", "pending").state, State::New);
    run.pass(30 * SECOND);
    assert_eq!(run.order("pending").unwrap().state, State::Filled);
    let reject = Action::LateReject { code: "WHATEVER".into(), message: String::new() };
    run.fault(Rule::once(Class::Order, reject));
    assert_eq!(run.trade("BUY", "0.1", "refused").state, State::Rejected);
    run.assert_truth_adds_up();
}

#[test]
fn wrong_executions_are_really_held() {
    let base = ["BTC", "ETH"].map(str::to_owned).to_vec();
    for (wrong, expected) in [
        (Wrong::Side, [-ONE / 10, 0]),
        (Wrong::Size, [ONE / 5, 0]),
        (Wrong::Market, [0, ONE / 10]),
        (Wrong::Price, [ONE / 10, 0]),
    ] {
        let mut run = Run::paradex_of(Options { bases: base.clone(), ..options() }).still();
        run.fault(Rule::once(Class::Order, Action::CorruptFill { wrong }));
        run.trade("BUY", "0.1", "wrong");
        let truth = run.stage.truth();
        assert_eq!([truth.position(0), truth.position(1)], expected, "{wrong:?}");
        assert_eq!(run.fills()[0].price > 73_000 * ONE, wrong == Wrong::Price);
        run.assert_truth_adds_up();
    }
}

#[test]
fn strangers_trade_rest_and_cancel() {
    let mut run = Run::paradex().still();
    run.perform_json(
        r#"{"rest":{"venue":"paradex","market":"BTC-USD-PERP","side":"buy","size":"0.01","limit":"60000"}}"#,
    );
    run.perform_json(r#"{"trade":{"venue":"paradex","market":"BTC-USD-PERP","side":"sell","size":"0.02"}}"#);
    run.pass(SECOND);
    assert_eq!((run.position(), run.stage.truth().open_orders().count()), (-2_000_000, 1));
    assert_eq!(run.stage.truth().open_orders().next().unwrap().side, Side::Buy);
    run.perform_json(r#"{"cancel":{"venue":"paradex"}}"#);
    run.pass(SECOND);
    assert_eq!(run.stage.truth().open_orders().count(), 0);
}

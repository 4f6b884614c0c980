//! When a connection is given up and when it is said to be up.

use super::*;

#[test]
fn a_half_open_connection_is_ready_for_twenty_seconds_at_most() {
    let mut bench = Bench::up();
    bench.far.sent();
    let sent = |bench: &Bench| bench.far.from_us.try_iter().collect::<Vec<_>>();
    for (ms, pings) in [(15_000, 0), (15_001, 1), (20_000, 0)] {
        bench.now = Nanos::from_ms(ms);
        assert_eq!((bench.poll(), sent(&bench)), (vec![], vec!["Ping".to_owned(); pings]), "{ms}");
    }
    bench.says(POSITION.into());
    bench.now = Nanos::from_ms(30_001);
    assert_eq!(bench.poll().len(), 1, "any frame is an answer");
    assert_eq!(sent(&bench), ["Ping"]);
    bench.now = Nanos::from_ms(35_000);
    assert!(bench.poll().is_empty() && bench.trader.is_ready());
    bench.now = Nanos::from_ms(35_001);
    let events = bench.poll();
    assert!(matches!(events[..], [TraderEvent::Ready(false), TraderEvent::LinkDown { .. }]), "{events:?}");
    assert!(matches!(bench.trader.send(&spec(), bench.now), Err(SendError::Nothing(_))));
}

#[test]
fn a_half_open_spare_is_given_up_before_it_is_needed() {
    let mut bench = Bench::up();
    let _silent = bench.stand_by();
    for ms in [15_001, 20_000] {
        bench.now = Nanos::from_ms(ms);
        bench.says(POSITION.into());
        assert_eq!(bench.poll().len(), 1, "{ms}");
    }
    bench.now = Nanos::from_ms(20_000 + SPARE_EVERY_MS);
    assert!(matches!(bench.poll()[..], [TraderEvent::LinkDown { role: Role::Spare, .. }]));
    assert!(bench.trader.is_ready());
}

/// Says this error to the log-in of a fresh connection.
fn refuse_log_in(code: i64) -> Vec<TraderEvent> {
    let mut bench = Bench::connect(false);
    assert_eq!(bench.poll(), [], "a socket is not up because it is connected");
    let id = bench.far.sent()[0]["id"].clone();
    let error = format!(r#"{{"code":{code},"message":"no"}}"#);
    bench.says(format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#));
    bench.poll()
}

#[test]
fn a_log_in_that_only_a_person_can_mend_is_told_as_refused() {
    let [TraderEvent::LinkRefused { why, mend, .. }, TraderEvent::LinkDown { .. }] = refuse_log_in(40112)[..]
    else {
        panic!("{:?}", refuse_log_in(40112))
    };
    assert_eq!((why.as_str(), mend.contains("country")), ("log-in refused: 40112", true));
    for code in [40110, 40111, 42901, -32603] {
        let events = refuse_log_in(code);
        assert!(matches!(events[..], [TraderEvent::LinkDown { .. }]), "{code}: {events:?}");
    }
}

#[test]
fn connections_are_up_when_every_step_is_confirmed() {
    let mut bench = Bench::connect(false);
    let mut events = Vec::new();
    while bench.far.grant() != [""; 0] || events.is_empty() {
        assert!(events.is_empty() && !bench.trader.is_ready(), "{events:?}");
        events = bench.poll();
    }
    assert_eq!(events, UP);
    let (ready, far) = ready_link(Role::Spare, false);
    bench.trader.install(ready, bench.now);
    let mut told = Vec::new();
    for _ in 0..4 {
        bench.now = bench.now.plus_ms(SPARE_EVERY_MS);
        told.push(bench.poll());
        far.grant();
    }
    assert_eq!(told.concat(), [TraderEvent::LinkUp { role: Role::Spare }]);
    assert_eq!(told.iter().position(|events| !events.is_empty()), Some(2), "log in, subscribe, confirmed");
}

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

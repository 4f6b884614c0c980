//! The real binary on both simulated venues over TLS: a pair is opened, closed, and accounted for to the cent.

mod common;

use common::Bench;

#[test]
fn a_gap_is_traded_and_the_books_agree_with_the_venues() {
    let mut bench = Bench::new();
    bench.start();
    bench.open_pair();
    bench.close_pair();
    assert_eq!(bench.stop(), 0, "{}", bench.tail());
    bench.assert_flat_and_settled();
    assert_eq!(bench.summary()["pairs_closed"], 1);
}

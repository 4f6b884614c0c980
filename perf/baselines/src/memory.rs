//! The usual stack without venues: from the text of a depth message to both requests, one after the other on one thread.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use crate::{Run, Top, decide, paradex, vest};

const TIMES: usize = 500;

/// Published throw-away keys: of a development chain, and of the signing vectors.
fn run() -> Arc<Run> {
    let keys = json!({
        "VEST_SIGNING_KEY": "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
        "VEST_API_KEY": "memory",
        "VEST_ACCOUNT_GROUP": "0",
        "PARADEX_ACCOUNT_ADDRESS": "0x168f27d2408ddc98c6a86a7f50e5ec9a733a3bcada0260a41bb93d3da13de8b",
        "PARADEX_SUBKEY": "0x51020ffca36c46756ed57142004f7180e14f15a6fe5e4c5344cce536e3c9620",
    });
    let urls = json!({"rest_url": "https://127.0.0.1:8443/v1"});
    Arc::new(Run::new(json!({"keys": keys, "vest": urls, "paradex": urls}), b""))
}

/// 20 levels a side, a dollar apart.
fn depth(mid: i64) -> String {
    let side = |step: i64| {
        (1..=20).map(|nth| [format!("{}.00", mid + step * nth), "1.0000".into()]).collect::<Vec<_>>()
    };
    json!({"channel": "BTC-PERP@depth", "data": {"bids": side(-1), "asks": side(1)}}).to_string()
}

/// Prints the percentiles of microseconds as one line.
pub fn measure() {
    let run = run();
    let (vest_orders, paradex_orders) =
        (vest::Orders::new(&run), paradex::Orders::new(&run, "PRIVATE_SN_POTC_SEPOLIA"));
    let text = depth(80_288);
    let mut samples: Vec<f64> = (0..TIMES)
        .map(|_| {
            let at = Instant::now();
            let top = vest::top(black_box(&text), at).expect("a depth message");
            let other = Top { venue: 1, bid: 79_999.0, ask: 80_001.0, at };
            let [on_vest, on_paradex] = decide(&[Some(top), Some(other)], false).expect("a trade");
            let requests =
                [vest_orders.request(&on_vest).build(), paradex_orders.request(&on_paradex).build()];
            let took = at.elapsed();
            assert!(requests.iter().all(Result::is_ok));
            took.as_secs_f64() * 1e6
        })
        .collect();
    samples.sort_by(f64::total_cmp);
    println!("{:<48}{:>10.1}{:>10.1}", "usual stack", samples[TIMES / 2], samples[TIMES * 99 / 100]);
}

//! Lost connections, one after the other: every socket of both venues is cut, and now and then the whole venue is away
//! for a while. What counts is the time from the moment at which the venue answers until the engine serves there again.
//!
//! `scripts/campaign.sh reconnects --count 1000`, or `BOT4_RECONNECTS` and `BOT4_SEED` by hand.

mod common;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bot4_sim::Options;
use bot4_sim::control::VenueName;
use bot4_sim::core::Socket;
use bot4_sim::core::rng::Rng;
use common::Bench;
use common::bench::Line;
use common::campaign::{Figures, number};
use common::gate::Gate;
use common::trouble::{SOCKETS, VENUES, name};

/// Reconnects of a run unless `BOT4_RECONNECTS` says otherwise.
const RECONNECTS: u64 = 50;
/// Every so many a venue is away, for at most so long.
const OUTAGE_EVERY: u64 = 10;
const OUTAGE_MAX_MS: i64 = 6_000;

struct Campaign {
    bench: Bench,
    gates: [Gate; 2],
    rng: Rng,
    /// By socket, then outages; milliseconds.
    back: Vec<Figures>,
}

impl Campaign {
    fn outage(&mut self) {
        let at = self.rng.between(0, 1) as usize;
        self.gates[at].refuse(true);
        let (venue, from) = (VENUES[at], self.bench.log.len());
        self.bench.control().disconnect(venue, Socket::All, None);
        let away = Duration::from_millis(self.rng.between(0, OUTAGE_MAX_MS) as u64);
        self.bench.wait_at(venue, "DISCONNECTED");
        self.bench.saw_within(away, |_| false);
        self.gates[at].refuse(false);
        let answers = Instant::now();
        self.wait_back(venue, from);
        self.back[SOCKETS.len()].add(answers.elapsed().as_secs_f64() * 1e3);
    }

    /// Every link that was lost is up again, and the venue has been asked what is there.
    fn wait_back(&mut self, venue: VenueName, from: usize) {
        let reconciled = |line: &Line| line["event_type"] == "RECONCILED" && line["exchange"] == name(venue);
        if !self.bench.log[from..].iter().any(reconciled) {
            self.bench.wait_at(venue, "RECONCILED");
        }
        let end = Instant::now() + Duration::from_secs(60);
        while let Some(link) = self.still_down(venue, from) {
            assert!(Instant::now() < end, "{} {link} stays away\n{}", name(venue), self.bench.tail());
            self.bench.saw_within(Duration::from_millis(100), |line| line["event_type"] == "CONNECTED");
        }
    }

    /// A link of the venue whose last word is that it was lost. By the lines' own times: threads tell side by side.
    fn still_down(&self, venue: VenueName, from: usize) -> Option<String> {
        let mut last = BTreeMap::<String, [String; 2]>::new();
        for line in self.bench.log[from..].iter().filter(|line| line["exchange"] == name(venue)) {
            let which = match line["event_type"].as_str() {
                Some("DISCONNECTED") => 0,
                Some("CONNECTED") => 1,
                _ => continue,
            };
            let at = &mut last.entry(line["link"].to_string()).or_default()[which];
            let told = line["timestamp"].to_string();
            *at = std::mem::take(at).max(told);
        }
        last.into_iter().find(|(_, [lost, up])| lost > up).map(|(link, _)| link)
    }
}

#[test]
fn every_lost_connection_comes_back() {
    let (count, seed) = (number("BOT4_RECONNECTS", RECONNECTS), number("BOT4_SEED", 1));
    println!("reconnects: {count}, seed {seed}");
    let mut bench = Bench::with(Options { seed, ..Options::default() }, "");
    let gates = bench.put_gates();
    bench.start();
    bench.open_pair();
    bench.close_pair();
    bench.gap_bps(0);
    let back = vec![Figures::default(); SOCKETS.len() + 1];
    let mut campaign = Campaign { bench, gates, rng: Rng::new(seed, "reconnects"), back };
    for nth in 0..count {
        if nth % OUTAGE_EVERY == OUTAGE_EVERY - 1 {
            campaign.outage();
        } else {
            let at = (nth % SOCKETS.len() as u64) as usize;
            let code = campaign.rng.chance(300_000).then_some(1001);
            let code = code.filter(|_| at != 2);
            let took = campaign.bench.reconnect(SOCKETS[at], code);
            campaign.back[at].add(took.as_secs_f64() * 1e3);
        }
        if nth % 100 == 99 {
            println!("{} done", nth + 1);
        }
    }
    let Campaign { mut bench, back, .. } = campaign;
    bench.open_pair();
    bench.close_and_settle();
    let mut all = Figures::default();
    println!("ms from the cut (or from the venue's return) to service:      times");
    for (at, figures) in back.iter().enumerate() {
        let what = SOCKETS.get(at).map_or("a venue away for up to 6 s".to_owned(), |(venue, socket, _)| {
            format!("{} {socket:?}", name(*venue))
        });
        println!("  {what:<50} {figures}");
        all.extend(figures);
    }
    println!("  {:<50} {all}", "all");
}

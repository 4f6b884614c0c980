//! Rate limits: token buckets with continuous refill, several windows per scope.
//!
//! `desk` spends from them; REST and socket share the same counters. Source: Paradex sheet §4.4. Time is an
//! argument, microseconds.

use std::collections::BTreeMap;

/// `count` requests per `window_us`, refilled continuously.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub count: i64,
    pub window_us: i64,
}

const SECOND_US: i64 = 1_000_000;

const fn per(count: i64, seconds: i64) -> Rate {
    Rate { count, window_us: seconds * SECOND_US }
}

/// What a request is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Public calls, per address.
    Public,
    /// `POST /auth` and onboarding, per address.
    Auth,
    /// Order calls, per account, on REST and socket together.
    Orders,
    /// Private reads, per account.
    PrivateGet,
    /// Orders with a Retail token, per account; above it the order counts as Pro.
    RetailOrders,
    /// New socket connections, per address.
    Connect,
}

impl Scope {
    /// The venue's windows for this scope.
    pub fn rates(self) -> &'static [Rate] {
        match self {
            Scope::Public => const { &[per(1_500, 60)] },
            Scope::Auth => const { &[per(600, 60)] },
            Scope::Orders => const { &[per(800, 1), per(17_250, 60)] },
            Scope::PrivateGet => const { &[per(120, 1), per(600, 60)] },
            Scope::RetailOrders => const { &[per(3, 1), per(30, 60), per(300, 3_600), per(1_000, 86_400)] },
            Scope::Connect => const { &[per(20, 1), per(600, 60)] },
        }
    }
}

/// Where a bucket stands after a request; the tightest window of its scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub limit: i64,
    pub remaining: i64,
    pub window_s: i64,
    /// Until the bucket is full again, seconds, rounded up.
    pub reset_s: i64,
    /// Until one request fits, seconds, rounded up; zero when one fits now.
    pub retry_after_s: i64,
}

/// All buckets of the venue, by scope and owner (an account or an address).
#[derive(Clone, Debug, Default)]
pub struct Limits {
    buckets: BTreeMap<(Scope, String), Vec<Bucket>>,
}

/// One window. Credit is counted in request-microseconds, so that refilling is exact in integers.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    rate: Rate,
    credit: i64,
    at_us: i64,
}

impl Limits {
    /// Takes one request at `now_us`. `Err` when any window is used up; then nothing is taken.
    pub fn take(&mut self, now_us: i64, scope: Scope, owner: &str) -> Result<Standing, Standing> {
        let buckets = self.buckets(now_us, scope, owner);
        let fits = buckets.iter().all(|bucket| bucket.credit >= bucket.rate.window_us);
        if fits {
            buckets.iter_mut().for_each(|bucket| bucket.credit -= bucket.rate.window_us);
        }
        let standing = tightest(buckets);
        if fits { Ok(standing) } else { Err(standing) }
    }

    /// Where the owner stands at `now_us`.
    pub fn standing(&mut self, now_us: i64, scope: Scope, owner: &str) -> Standing {
        tightest(self.buckets(now_us, scope, owner))
    }

    fn buckets(&mut self, now_us: i64, scope: Scope, owner: &str) -> &mut [Bucket] {
        let full = || scope.rates().iter().map(|rate| Bucket::full(*rate, now_us)).collect();
        let buckets = self.buckets.entry((scope, owner.to_owned())).or_insert_with(full);
        buckets.iter_mut().for_each(|bucket| bucket.refill(now_us));
        buckets
    }
}

fn tightest(buckets: &[Bucket]) -> Standing {
    let tightest = buckets.iter().map(Bucket::standing).min_by_key(|standing| standing.remaining);
    let Some(standing) = tightest else { unreachable!("every scope has a window") };
    standing
}

impl Bucket {
    fn full(rate: Rate, now_us: i64) -> Bucket {
        Bucket { rate, credit: rate.count * rate.window_us, at_us: now_us }
    }

    fn refill(&mut self, now_us: i64) {
        let elapsed = (now_us - self.at_us).clamp(0, self.rate.window_us);
        let full = self.rate.count * self.rate.window_us;
        self.credit = (self.credit + elapsed * self.rate.count).min(full);
        self.at_us = now_us;
    }

    fn standing(&self) -> Standing {
        let Rate { count, window_us } = self.rate;
        let seconds_until = |credit: i64| div_ceil((credit - self.credit).max(0), count * SECOND_US);
        Standing {
            limit: count,
            remaining: self.credit / window_us,
            window_s: window_us / SECOND_US,
            reset_s: seconds_until(count * window_us),
            retry_after_s: seconds_until(window_us),
        }
    }
}

/// Division rounded up, for a non-negative dividend and a positive divisor.
fn div_ceil(dividend: i64, divisor: i64) -> i64 {
    dividend / divisor + i64::from(dividend % divisor != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_ends_at_the_limit_and_refills_continuously() {
        let mut limits = Limits::default();
        let mut take = |now_us| limits.take(now_us, Scope::RetailOrders, "0x1");
        assert!((0..3).all(|_| take(0).is_ok()));
        let refused = take(0).unwrap_err();
        assert_eq!((refused.limit, refused.remaining, refused.retry_after_s), (3, 0, 1));
        assert!(take(333_333).is_err());
        assert!(take(333_334).is_ok());
    }

    #[test]
    fn the_longer_window_binds_too() {
        let mut limits = Limits::default();
        let accepted =
            (0..60).filter(|second| limits.take(second * SECOND_US, Scope::RetailOrders, "0x1").is_ok());
        assert_eq!(accepted.count(), 59);
        let mut burst = Limits::default();
        let accepted = (0..700).filter(|n| burst.take(n * 10_000, Scope::PrivateGet, "0x1").is_ok()).count();
        assert_eq!(accepted, 600 + 69);
    }

    #[test]
    fn owners_do_not_share_a_bucket() {
        let mut limits = Limits::default();
        assert!((0..3).all(|_| limits.take(0, Scope::RetailOrders, "0x1").is_ok()));
        assert!(limits.take(0, Scope::RetailOrders, "0x2").is_ok());
    }
}

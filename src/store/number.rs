//! Money as a JSON number for people and scripts. The only place where it becomes a float, on its way out: amounts
//! below 90 million print exactly, and nothing is computed from it.

use serde::Serializer;

use crate::types::money::{RATE_ONE, SCALE};
use crate::types::{Price, Qty, Rate, Usd};

/// `serialize_with` for amounts, prices and quantities.
pub fn money<S: Serializer>(value: &impl Units, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(value.units() as f64 / SCALE as f64)
}

/// `serialize_with` for rates, as percent.
pub fn percent<S: Serializer>(value: &Rate, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(value.raw() as f64 / (RATE_ONE / 100) as f64)
}

/// What is counted in units of 1e-8.
pub trait Units {
    fn units(&self) -> i64;
}

macro_rules! units {
    ($($name:ident),*) => {$(
        impl Units for $name {
            fn units(&self) -> i64 {
                self.raw()
            }
        }
    )*};
}

units!(Price, Qty, Usd);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cents_print_as_cents() {
        for (raw, text) in [(17_000_000, "0.17"), (-1, "-1e-8"), (8_345_670_000_000, "83456.7")] {
            let mut json = Vec::new();
            money(&Usd::from_raw(raw), &mut serde_json::Serializer::new(&mut json)).unwrap();
            assert_eq!(String::from_utf8(json).unwrap(), text);
        }
    }
}

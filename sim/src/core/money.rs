//! Fixed-point money: `i64` at 1e-8, with plain-decimal parsing and printing.
//!
//! Used by every part of the simulator for prices, sizes and dollars. Products go through `i128`;
//! floating point never touches an amount.

use thiserror::Error;

/// One unit: 1.0 in fixed point.
pub const ONE: i64 = 100_000_000;
/// Decimal places carried by an amount.
pub const PLACES: u32 = 8;

/// Why a text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadDecimal {
    #[error("expected a plain decimal such as 12.5, got {0:?}")]
    Syntax(String),
    #[error("expected at most {PLACES} decimal places, got {0:?}")]
    TooPrecise(String),
    #[error("{0:?} does not fit 64 bits at 1e-8")]
    TooLarge(String),
}

/// Which way a product or quotient that does not fit is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// Towards minus infinity.
    Down,
    /// Towards plus infinity.
    Up,
    /// To the nearest, halves away from zero.
    Nearest,
}

/// Reads `-12.345`: digits, at most one point with digits on both sides, no sign but a leading minus.
pub fn parse(text: &str) -> Result<i64, BadDecimal> {
    let syntax = || BadDecimal::Syntax(text.chars().take(40).collect());
    let (negative, body) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = body.split_once('.').unwrap_or((body, "0"));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err(syntax());
    }
    if fraction.len() > PLACES as usize {
        return Err(BadDecimal::TooPrecise(text.chars().take(40).collect()));
    }
    let large = || BadDecimal::TooLarge(text.chars().take(40).collect());
    let padded = format!("{whole}{fraction:0<8}");
    let value: i64 = padded.parse().map_err(|_| large())?;
    Ok(if negative { -value } else { value })
}

/// Counts the decimal places of a plain decimal text ("1.50" has 2, "7" has 0).
pub fn places_of(text: &str) -> u32 {
    text.split_once('.').map_or(0, |(_, fraction)| fraction.len() as u32)
}

/// The fewest decimal places that print a step exactly.
pub fn places(step: i64) -> u32 {
    (0..PLACES).find(|places| step % quantum(*places) == 0).unwrap_or(PLACES)
}

/// Prints with exactly `places` (0 to 8) places; what does not fit is cut off.
pub fn print(value: i64, places: u32) -> String {
    let mut text = String::with_capacity(24);
    write(&mut text, value, places);
    text
}

/// The same, appended to a text.
pub fn write(text: &mut String, value: i64, places: u32) {
    assert!(places <= PLACES, "an amount carries at most {PLACES} places");
    let mut digits = [0; 24];
    let mut at = digits.len();
    let mut left = value.unsigned_abs() / 10_u64.pow(PLACES - places);
    for place in 0.. {
        if place > places && left == 0 {
            break;
        }
        if place == places && places > 0 {
            at -= 1;
            digits[at] = b'.';
        }
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
    }
    if value < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    text.push_str(std::str::from_utf8(&digits[at..]).unwrap_or_default());
}

/// Prints without trailing zeros: "1.5", "7", "-0.00000001".
pub fn trimmed(value: i64) -> String {
    let text = print(value, PLACES);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `numerator / denominator` with the rounding named; the denominator must be positive.
pub fn divide(numerator: i128, denominator: i128, round: Round) -> i128 {
    assert!(denominator > 0, "divide by a positive number");
    match round {
        Round::Down => numerator.div_euclid(denominator),
        Round::Up => -(-numerator).div_euclid(denominator),
        Round::Nearest => {
            let half = (numerator.abs() * 2 + denominator) / (denominator * 2);
            half * numerator.signum()
        }
    }
}

/// Product of two fixed-point amounts, rounded to 1e-8; saturates at the ends of 64 bits.
pub fn mul(a: i64, b: i64, round: Round) -> i64 {
    clamp(divide(i128::from(a) * i128::from(b), i128::from(ONE), round))
}

/// So many percent of an amount, cut off.
pub fn percent(value: i64, percent: i64) -> i64 {
    clamp(i128::from(value) * i128::from(percent) / 100)
}

/// Rounds an amount to a multiple of `quantum` (a tick, a step, 1e-6 ...).
pub fn to_multiple(value: i64, quantum: i64, round: Round) -> i64 {
    clamp(divide(i128::from(value), i128::from(quantum), round) * i128::from(quantum))
}

/// 10^-places as an amount: the step of a decimal with that many places.
pub fn quantum(places: u32) -> i64 {
    assert!(places <= PLACES, "an amount carries at most {PLACES} places");
    10_i64.pow(PLACES - places)
}

/// Narrows to 64 bits, saturating.
pub fn clamp(value: i128) -> i64 {
    value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

/// Amounts in JSON: written as decimal strings, read from decimal strings or whole numbers.
pub mod text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Whole(i64),
        Text(String),
    }

    pub fn serialize<S: Serializer>(value: &i64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::trimmed(*value))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
        let text = match Form::deserialize(from)? {
            Form::Whole(number) => number.to_string(),
            Form::Text(text) => text,
        };
        super::parse(&text).map_err(D::Error::custom)
    }

    /// The same for an amount that may be absent.
    pub mod option {
        use serde::{Deserialize, Deserializer, Serializer};

        pub fn serialize<S: Serializer>(value: &Option<i64>, to: S) -> Result<S::Ok, S::Error> {
            match value {
                Some(amount) => super::serialize(amount, to),
                None => to.serialize_none(),
            }
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
            #[derive(Deserialize)]
            struct Amount(#[serde(with = "super")] i64);
            Ok(Option::<Amount>::deserialize(from)?.map(|amount| amount.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_plain_decimals() {
        for (text, value) in
            [("0", 0), ("1.5", 150_000_000), ("-0.00000001", -1), ("84000.12", 8_400_012_000_000)]
        {
            assert_eq!(parse(text), Ok(value));
            assert_eq!(trimmed(value), text);
        }
        assert_eq!(print(350_012_500_000, 3), "3500.125");
        assert_eq!(print(-150_000_000, 2), "-1.50");
        assert_eq!(print(700_000_000, 0), "7");
    }

    #[test]
    fn refuses_everything_else() {
        for text in ["", ".", "1.", ".5", "+1", "1e5", "NaN", "inf", "1.2.3", " 1", "--1", "１"] {
            assert!(matches!(parse(text), Err(BadDecimal::Syntax(_))), "{text:?}");
        }
        assert!(matches!(parse("0.000000001"), Err(BadDecimal::TooPrecise(_))));
        assert!(matches!(parse("99999999999999"), Err(BadDecimal::TooLarge(_))));
    }

    #[test]
    fn rounds_as_named_on_both_signs() {
        assert_eq!(divide(7, 2, Round::Down), 3);
        assert_eq!(divide(-7, 2, Round::Down), -4);
        assert_eq!(divide(-7, 2, Round::Up), -3);
        assert_eq!(divide(7, 2, Round::Nearest), 4);
        assert_eq!(divide(-7, 2, Round::Nearest), -4);
        assert_eq!(to_multiple(123, 10, Round::Up), 130);
    }
}

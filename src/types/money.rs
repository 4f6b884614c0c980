//! Fixed-point money: what a price, a quantity, an amount and a rate are, and how their text is read and printed.
//! Pure integers; there is no float and no rounding that the caller did not name.

use std::fmt;

use thiserror::Error;

/// Units of one whole price, quantity or dollar: 1e-8, the scale of Paradex's wire (sheet `paradex`, 5.4).
pub const SCALE: i64 = 100_000_000;
/// Decimal places of [`SCALE`].
pub const PLACES: u32 = 8;
/// Units of a rate of one (100 %): 1e-12, so that one basis point is 1e8 units.
pub const RATE_ONE: i64 = 1_000_000_000_000;
/// Units of one basis point.
pub const RATE_BPS: i64 = RATE_ONE / 10_000;

/// Price in US dollars per base unit, in units of 1e-8. Zero means "none" in messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(i64);

/// Quantity in base units (BTC, ETH …), in units of 1e-8. Signed where a position is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Qty(i64);

/// Amount of US dollars (USDC), in units of 1e-8; positive = earned or owned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(i64);

/// Dimensionless rate (edge, fee, funding per hour, margin fraction), in units of 1e-12.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(i64);

macro_rules! fixed {
    ($name:ident) => {
        impl $name {
            pub const ZERO: Self = Self(0);

            /// From raw units (see the type for the scale).
            pub const fn from_raw(raw: i64) -> Self {
                Self(raw)
            }

            /// Raw units (see the type for the scale).
            pub const fn raw(self) -> i64 {
                self.0
            }

            pub const fn is_zero(self) -> bool {
                self.0 == 0
            }

            pub const fn abs(self) -> Self {
                Self(self.0.abs())
            }

            /// Sum that stops at the ends of the range instead of wrapping.
            pub const fn saturating_add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }
        }

        impl std::ops::Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }

        impl std::ops::Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
            }
        }

        impl std::ops::Neg for $name {
            type Output = Self;
            fn neg(self) -> Self {
                Self(-self.0)
            }
        }

        impl std::ops::AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                self.0 += other.0;
            }
        }

        impl std::ops::SubAssign for $name {
            fn sub_assign(&mut self, other: Self) {
                self.0 -= other.0;
            }
        }
    };
}

fixed!(Price);
fixed!(Qty);
fixed!(Usd);
fixed!(Rate);

/// Why a text is not a plain decimal of the wanted scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecimalError {
    #[error("empty number")]
    Empty,
    #[error("not a plain decimal (digits, one point, an optional leading minus)")]
    Malformed,
    #[error("more than {0} decimal places")]
    TooManyPlaces(u32),
    #[error("number out of range")]
    Overflow,
}

impl Price {
    /// Reads a plain decimal of at most 8 places (`NaN`, `1e5`, `+1`, blanks are refused).
    pub fn parse(text: &[u8]) -> Result<Self, DecimalError> {
        parse_fixed(text, PLACES).map(Self)
    }

    /// The mean of two prices, rounded down to a unit.
    pub const fn mid(bid: Self, ask: Self) -> Self {
        Self(((bid.0 as i128 + ask.0 as i128) / 2) as i64)
    }

    /// `price × qty`, rounded toward zero to 1e-8 USD; saturates at the ends of the range.
    pub fn times(self, qty: Qty) -> Usd {
        Usd(clamp(self.0 as i128 * qty.0 as i128 / SCALE as i128))
    }

    /// This price moved by `rate` (positive = up), rounded toward zero.
    pub fn moved(self, rate: Rate) -> Self {
        Self(clamp(self.0 as i128 + self.0 as i128 * rate.0 as i128 / RATE_ONE as i128))
    }

    /// Largest multiple of `tick` at or below. `tick` must be positive.
    pub fn floor_to(self, tick: Self) -> Self {
        assert!(tick.0 > 0, "tick must be positive");
        Self(self.0.div_euclid(tick.0) * tick.0)
    }

    /// Smallest multiple of `tick` at or above. `tick` must be positive.
    pub fn ceil_to(self, tick: Self) -> Self {
        assert!(tick.0 > 0, "tick must be positive");
        Self(-((-self.0).div_euclid(tick.0)) * tick.0)
    }

    /// `self / of` as a rate; zero when `of` is zero.
    pub fn ratio(self, of: Self) -> Rate {
        ratio(self.0, of.0)
    }
}

impl Qty {
    /// Reads a plain decimal of at most 8 places.
    pub fn parse(text: &[u8]) -> Result<Self, DecimalError> {
        parse_fixed(text, PLACES).map(Self)
    }

    /// Largest multiple of `lot` at or below (of a non-negative quantity). `lot` must be positive.
    pub fn floor_to(self, lot: Self) -> Self {
        assert!(lot.0 > 0, "lot must be positive");
        Self(self.0.div_euclid(lot.0) * lot.0)
    }

    /// Part of this quantity, `rate` of one, rounded toward zero.
    pub fn part(self, rate: Rate) -> Self {
        Self(clamp(self.0 as i128 * rate.0 as i128 / RATE_ONE as i128))
    }
}

impl Usd {
    /// Reads a plain decimal of at most 8 places; more places are cut (venues print balances with up to 18).
    pub fn parse_cut(text: &[u8]) -> Result<Self, DecimalError> {
        parse_cut(text, PLACES).map(Self)
    }

    /// Part of this amount, `rate` of one, rounded toward zero.
    pub fn part(self, rate: Rate) -> Self {
        Self(clamp(self.0 as i128 * rate.0 as i128 / RATE_ONE as i128))
    }

    /// `self / of` as a rate; zero when `of` is zero.
    pub fn ratio(self, of: Self) -> Rate {
        ratio(self.0, of.0)
    }
}

impl Rate {
    /// From basis points.
    pub const fn from_bps(bps: i64) -> Self {
        Self(bps * RATE_BPS)
    }

    /// Reads a plain decimal fraction (`0.0001` = one basis point); places beyond 12 are cut.
    pub fn parse_cut(text: &[u8]) -> Result<Self, DecimalError> {
        parse_cut(text, 12).map(Self)
    }

    /// Percent with four decimals, for logs and the operator.
    pub fn percent(self) -> impl fmt::Display {
        Fixed { units: self.0 / 1_000_000, places: 4 }
    }

    /// Basis points with two decimals, for logs and the operator.
    pub fn bps(self) -> impl fmt::Display {
        Fixed { units: self.0 / (RATE_BPS / 100), places: 2 }
    }
}

const fn clamp(value: i128) -> i64 {
    if value > i64::MAX as i128 {
        i64::MAX
    } else if value < -(i64::MAX as i128) {
        -i64::MAX
    } else {
        value as i64
    }
}

fn ratio(part: i64, of: i64) -> Rate {
    if of == 0 { Rate::ZERO } else { Rate(clamp(part as i128 * RATE_ONE as i128 / of as i128)) }
}

/// Reads a plain decimal into units of 10^-`places`. Refuses what would lose a digit.
pub fn parse_fixed(text: &[u8], places: u32) -> Result<i64, DecimalError> {
    parse_decimal(text, places, false)
}

/// As [`parse_fixed`], but digits beyond `places` are cut toward zero instead of refused, and a power of ten may follow
/// (`1E-7`): figures that a venue computes come as its language prints them.
pub fn parse_cut(text: &[u8], places: u32) -> Result<i64, DecimalError> {
    let Some(at) = text.iter().position(|byte| matches!(byte, b'e' | b'E')) else {
        return parse_decimal(text, places, true);
    };
    let shift = places as i32 + power(&text[at + 1..])?;
    match u32::try_from(shift) {
        Ok(places) => parse_decimal(&text[..at], places, true),
        Err(_) => Ok(parse_decimal(&text[..at], 0, true)? / 10_i64.pow(shift.unsigned_abs().min(18))),
    }
}

/// A power of ten of at most two digits.
fn power(text: &[u8]) -> Result<i32, DecimalError> {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] | digits => (1, digits),
    };
    if digits.is_empty() || digits.len() > 2 {
        return Err(DecimalError::Malformed);
    }
    Ok(sign * digits_value(digits, 0)? as i32)
}

fn parse_decimal(text: &[u8], places: u32, cut: bool) -> Result<i64, DecimalError> {
    let (negative, digits) = match text {
        [] => return Err(DecimalError::Empty),
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let point = digits.iter().position(|&b| b == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&digits[..at], &digits[at + 1..]),
        None => (digits, &[][..]),
    };
    if whole.is_empty() || (point.is_some() && fraction.is_empty()) {
        return Err(DecimalError::Malformed);
    }
    let mut value = digits_value(whole, 0)?;
    let kept = fraction.len().min(places as usize);
    value = digits_value(&fraction[..kept], value)?;
    for &beyond in &fraction[kept..] {
        match beyond {
            b'0' => {}
            b'1'..=b'9' if cut => {}
            b'1'..=b'9' => return Err(DecimalError::TooManyPlaces(places)),
            _ => return Err(DecimalError::Malformed),
        }
    }
    for _ in kept..places as usize {
        value = value.checked_mul(10).ok_or(DecimalError::Overflow)?;
    }
    Ok(if negative { -value } else { value })
}

fn digits_value(digits: &[u8], start: i64) -> Result<i64, DecimalError> {
    let mut value = start;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return Err(DecimalError::Malformed);
        }
        value = value
            .checked_mul(10)
            .and_then(|v| v.checked_add(i64::from(digit - b'0')))
            .ok_or(DecimalError::Overflow)?;
    }
    Ok(value)
}

/// Prints units of 1e-8 with exactly `places` (0 to 8) decimals, as the venues want them signed (sheet `vest`, 4.2).
/// Digits beyond `places` must be zero: the value was quantised before.
pub fn write_padded(out: &mut impl fmt::Write, units: i64, places: u32) -> fmt::Result {
    assert!(places <= PLACES, "at most 8 places");
    let step = 10_i64.pow(PLACES - places);
    assert!(units % step == 0, "value is not a multiple of its step");
    write_fixed(out, units / step, places)
}

/// Prints units of 1e-8 as the shortest plain decimal (`0.00123`, `83456.7`, `5`).
pub fn write_trimmed(out: &mut impl fmt::Write, units: i64) -> fmt::Result {
    let mut rest = units;
    let mut places = PLACES;
    while places > 0 && rest % 10 == 0 {
        rest /= 10;
        places -= 1;
    }
    write_fixed(out, rest, places)
}

/// Prints a whole number.
pub fn write_whole(out: &mut impl fmt::Write, number: u64) -> fmt::Result {
    let mut digits = [0; DIGITS_MAX];
    let at = digits_of(&mut digits, DIGITS_MAX, number);
    out.write_str(ascii(&digits[at..]))
}

/// Digits of the longest number, a point and a sign.
const DIGITS_MAX: usize = 22;

/// A number of 10^-places units with its point in the right place.
struct Fixed {
    units: i64,
    places: u32,
}

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_fixed(f, self.units, self.places)
    }
}

/// Prints `units` of 10^-places. Digit by digit, since it stands in every order.
fn write_fixed(out: &mut impl fmt::Write, units: i64, places: u32) -> fmt::Result {
    let mut digits = [b'0'; DIGITS_MAX];
    let (one, mut at) = (10_u64.pow(places), DIGITS_MAX);
    if places > 0 {
        digits_of(&mut digits, DIGITS_MAX, units.unsigned_abs() % one);
        at = DIGITS_MAX - places as usize - 1;
        digits[at] = b'.';
    }
    at = digits_of(&mut digits, at, units.unsigned_abs() / one);
    if units < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    out.write_str(ascii(&digits[at..]))
}

/// Puts the digits of `number` before `end`; returns where they begin.
fn digits_of(digits: &mut [u8; DIGITS_MAX], end: usize, number: u64) -> usize {
    let (mut at, mut rest) = (end, number);
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return at;
        }
    }
}

fn ascii(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).unwrap_or_default()
}

macro_rules! trimmed_display {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_trimmed(f, self.0)
            }
        }
    )*};
}

trimmed_display!(Price, Qty, Usd);

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.percent())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_decimals_are_read_exactly() {
        for (text, units) in [
            ("0", 0),
            ("1", SCALE),
            ("-1", -SCALE),
            ("0.00000001", 1),
            ("83456.7", 8_345_670_000_000),
            ("1.100000000000", 110_000_000),
        ] {
            assert_eq!(Price::parse(text.as_bytes()), Ok(Price(units)), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in
            ["NaN", "inf", "1e5", "+1", " 1", "1 ", "1.", ".5", "-", "--1", "1.2.3", "0x1", "1,5", "١"]
        {
            assert_eq!(Price::parse(text.as_bytes()), Err(DecimalError::Malformed), "{text}");
        }
        assert_eq!(Price::parse(b""), Err(DecimalError::Empty));
        assert_eq!(Price::parse(b"0.123456789"), Err(DecimalError::TooManyPlaces(8)));
        assert_eq!(Price::parse(b"92233720369"), Err(DecimalError::Overflow));
    }

    #[test]
    fn cutting_keeps_what_fits() {
        assert_eq!(Rate::parse_cut(b"0.0000057077625770776"), Ok(Rate(5_707_762)));
        assert_eq!(Usd::parse_cut(b"99980.2382266290601"), Ok(Usd(9_998_023_822_662)));
        assert_eq!(Usd::parse_cut(b"1.2x"), Err(DecimalError::Malformed));
        for (text, raw) in [
            ("1E-7", 10),
            ("-2.5e-7", -25),
            ("0E-8", 0),
            ("1.5E+2", 15_000_000_000),
            ("123E-12", 0),
            ("9E-99", 0),
        ] {
            assert_eq!(Usd::parse_cut(text.as_bytes()), Ok(Usd(raw)), "{text}");
        }
        for text in ["1E", "1E-", "1E123", "1E5x", "1E--5", "1EE5"] {
            assert_eq!(Usd::parse_cut(text.as_bytes()), Err(DecimalError::Malformed), "{text}");
        }
        assert_eq!(Usd::parse_cut(b"1E99"), Err(DecimalError::Overflow));
        assert_eq!(Usd::parse_cut(b"E5"), Err(DecimalError::Empty));
    }

    #[test]
    fn padded_and_trimmed_texts() {
        let mut text = String::new();
        write_padded(&mut text, 10_000_000, 4).unwrap();
        assert_eq!(text, "0.1000");
        assert_eq!(Price(8_345_670_000_000).to_string(), "83456.7");
        assert_eq!(Qty(-123_000).to_string(), "-0.00123");
        assert_eq!(Qty(500_000_000).to_string(), "5");
        assert_eq!(Rate::from_bps(28).to_string(), "0.2800%");
        assert_eq!(Rate::from_bps(-5).bps().to_string(), "-5.00");
    }

    #[test]
    fn ticks_round_both_ways() {
        let tick = Price(10_000_000);
        assert_eq!(Price(123_456_789).floor_to(tick), Price(120_000_000));
        assert_eq!(Price(123_456_789).ceil_to(tick), Price(130_000_000));
        assert_eq!(Price(-123_456_789).floor_to(tick), Price(-130_000_000));
        assert_eq!(Price(120_000_000).ceil_to(tick), Price(120_000_000));
    }
}

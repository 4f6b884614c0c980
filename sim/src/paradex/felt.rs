//! Field elements as Paradex writes them: hexadecimal, decimal, or a short string.
//!
//! Owns parsing and printing only; `typed_data` hashes them, `rest` and `orders` read them from requests.
//! It must never reduce a value that is out of range: such a text is refused, not wrapped around.

use starknet_crypto::Felt;

/// Longest short string that fits below 2^251 (sheet §2.4).
const SHORT_STRING_MAX: usize = 31;

/// Reads `0x…` hexadecimal, leading zeros allowed, below the field's prime.
pub fn from_hex(text: &str) -> Option<Felt> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    if digits.is_empty() || digits.len() > 64 {
        return None;
    }
    let mut bytes = [0u8; 32];
    hex::decode_to_slice(format!("{digits:0>64}"), &mut bytes).ok()?;
    canonical(bytes)
}

/// Reads plain decimal digits, below the field's prime.
pub fn from_decimal(text: &str) -> Option<Felt> {
    if text.is_empty() || text.len() > 80 {
        return None;
    }
    let mut bytes = [0u8; 32];
    for digit in text.bytes() {
        let mut carry = u16::from(digit.checked_sub(b'0').filter(|d| *d < 10)?);
        for byte in bytes.iter_mut().rev() {
            let value = u16::from(*byte) * 10 + carry;
            *byte = value as u8;
            carry = value >> 8;
        }
        if carry != 0 {
            return None;
        }
    }
    canonical(bytes)
}

/// Reads either form of number.
pub fn from_number(text: &str) -> Option<Felt> {
    from_hex(text).or_else(|| from_decimal(text))
}

/// Encodes at most 31 ASCII characters big-endian; the empty string is zero (sheet §2.4).
pub fn short_string(text: &str) -> Option<Felt> {
    if text.len() > SHORT_STRING_MAX || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0u8; 32];
    let start = bytes.len() - text.len();
    bytes.iter_mut().skip(start).zip(text.bytes()).for_each(|(to, from)| *to = from);
    Some(Felt::from_bytes_be(&bytes))
}

/// Prints `0x…` without leading zeros, as the venue prints addresses.
pub fn to_hex(value: &Felt) -> String {
    let text = hex::encode(value.to_bytes_be());
    let digits = text.trim_start_matches('0');
    format!("0x{}", if digits.is_empty() { "0" } else { digits })
}

fn canonical(bytes: [u8; 32]) -> Option<Felt> {
    let value = Felt::from_bytes_be(&bytes);
    (value.to_bytes_be() == bytes).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2^251 + 17 * 2^192 + 1.
    const PRIME: &str = "0x800000000000011000000000000000000000000000000000000000000000001";

    #[test]
    fn hexadecimal_and_decimal_agree() {
        assert_eq!(from_hex("0x0ff"), from_decimal("255"));
        assert_eq!(to_hex(&from_decimal("255").unwrap()), "0xff");
        assert_eq!(to_hex(&Felt::ZERO), "0x0");
    }

    #[test]
    fn values_at_or_above_the_prime_are_refused() {
        assert_eq!(from_hex(PRIME), None);
        assert!(from_hex("0x800000000000011000000000000000000000000000000000000000000000000").is_some());
        assert_eq!(from_decimal(&"9".repeat(80)), None);
    }

    #[test]
    fn malformed_numbers_are_refused() {
        for text in ["", "0x", "0xg", "-1", "+1", " 1", "1e3", "12a"] {
            assert_eq!(from_number(text), None, "{text:?}");
        }
    }

    #[test]
    fn short_strings_match_the_sheet() {
        assert_eq!(to_hex(&short_string("Paradex").unwrap()), "0x50617261646578");
        assert_eq!(short_string(""), Some(Felt::ZERO));
        assert_eq!(short_string(&"x".repeat(32)), None);
        assert_eq!(short_string("é"), None);
    }
}

//! Standard Solidity `abi.encode` of the few tuples that Vest has signed (sheet `vest`, 4.1), into a buffer that is
//! used again. Called by `sign` and `register`. Never allocates; never meets venue bytes, so that a misfit is a
//! programmer's error.

use sha3::{Digest, Keccak256};

/// Bytes of one ABI word.
pub const WORD: usize = 32;
/// Room for the widest tuple: an order has 8 heads and 4 strings of at most [`TEXT_MAX`] bytes with a length word each.
pub const ABI_MAX: usize = 8 * WORD + 4 * (WORD + TEXT_MAX);
/// Longest string that is signed: an order id in a cancel.
pub const TEXT_MAX: usize = 96;

/// One value of a tuple, with its Solidity type.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// `uint256`.
    Uint(u64),
    /// `bool`.
    Bool(bool),
    /// `string`.
    Text(&'a str),
    /// `address`.
    Address([u8; 20]),
    /// `bytes32`.
    Bytes32([u8; 32]),
}

/// The encoder and its buffer.
pub struct Encoder {
    bytes: [u8; ABI_MAX],
}

impl Default for Encoder {
    fn default() -> Self {
        Self { bytes: [0; ABI_MAX] }
    }
}

impl Encoder {
    /// Heads in order, then the strings: length word, bytes, zeros up to a whole word (none after a whole one).
    pub fn encode(&mut self, values: &[Value<'_>]) -> &[u8] {
        let mut tail = values.len() * WORD;
        for (index, value) in values.iter().enumerate() {
            let head = index * WORD;
            match *value {
                Value::Uint(number) => self.put_uint(head, number),
                Value::Bool(flag) => self.put_uint(head, u64::from(flag)),
                Value::Address(address) => self.put_right(head, &address),
                Value::Bytes32(bytes) => self.put_right(head, &bytes),
                Value::Text(text) => {
                    self.put_uint(head, tail as u64);
                    tail = self.put_text(tail, text);
                }
            }
        }
        &self.bytes[..tail]
    }

    /// Writes a string's tail at `at`; returns where the next one begins.
    fn put_text(&mut self, at: usize, text: &str) -> usize {
        assert!(text.len() <= TEXT_MAX, "a signed string is longer than any the sheet knows");
        let (start, end) = (at + WORD, at + WORD + text.len().next_multiple_of(WORD));
        self.put_uint(at, text.len() as u64);
        self.bytes[start..end].fill(0);
        self.bytes[start..start + text.len()].copy_from_slice(text.as_bytes());
        end
    }

    fn put_uint(&mut self, at: usize, number: u64) {
        self.put_right(at, &number.to_be_bytes());
    }

    /// Right-aligned in its word, as every static type here is.
    fn put_right(&mut self, at: usize, bytes: &[u8]) {
        let word = &mut self.bytes[at..at + WORD];
        let (zeros, value) = word.split_at_mut(WORD - bytes.len());
        zeros.fill(0);
        value.copy_from_slice(bytes);
    }
}

/// Bytes at the end of an encoded order in which only its price stands: a length word and one of text.
const PRICE: usize = 2 * WORD;

/// Keccak state after everything of an order but its price, kept for the next one that is the same up to there.
pub struct Prefix {
    bytes: [u8; ABI_MAX],
    len: usize,
    state: Keccak256,
}

impl Default for Prefix {
    fn default() -> Self {
        Self { bytes: [0; ABI_MAX], len: 0, state: Keccak256::new() }
    }
}

impl Prefix {
    /// Keccak-256 of an encoded order, or of any other bytes.
    pub fn keccak(&mut self, encoded: &[u8]) -> [u8; 32] {
        let (head, price) = encoded.split_at(encoded.len().saturating_sub(PRICE));
        if head != &self.bytes[..self.len] {
            self.len = head.len();
            self.bytes[..head.len()].copy_from_slice(head);
            self.state = Keccak256::new_with_prefix(head);
        }
        self.state.clone().chain_update(price).finalize().into()
    }
}

/// Keccak-256 of the pieces, one after the other.
pub fn keccak(pieces: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Keccak256::new();
    for piece in pieces {
        hasher.update(piece);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keccak_of_nothing_is_the_known_constant() {
        let known = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470";
        assert_eq!(hex::encode(keccak(&[])), known);
    }

    #[test]
    fn a_string_of_whole_words_gets_no_extra_word() {
        let mut encoder = Encoder::default();
        let text = "a".repeat(64);
        assert_eq!(encoder.encode(&[Value::Text(&text)]).len(), 2 * WORD + 64);
        assert_eq!(encoder.encode(&[Value::Text(&text[..63])]).len(), 2 * WORD + 64);
        assert_eq!(encoder.encode(&[Value::Text("")]).len(), 2 * WORD);
    }

    #[test]
    fn a_kept_prefix_changes_no_hash() {
        let mut prefix = Prefix::default();
        for (nonce, price) in
            [(1, "30000.00"), (1, "30000.10"), (1, "100000.00"), (2, "30000.10"), (2, "1.0")]
        {
            let mut encoder = Encoder::default();
            let encoded = encoder.encode(&[Value::Uint(nonce), Value::Text("0.1"), Value::Text(price)]);
            assert_eq!(prefix.keccak(encoded), keccak(&[encoded]));
        }
        for short in [&b""[..], b"a", &[7; PRICE]] {
            assert_eq!(prefix.keccak(short), keccak(&[short]));
        }
    }

    #[test]
    fn a_used_buffer_leaves_no_trace() {
        let values = [Value::Uint(u64::MAX), Value::Text("ab"), Value::Bool(true)];
        let fresh = Encoder::default().encode(&values).to_vec();
        let mut used = Encoder::default();
        used.encode(&[Value::Text(&"z".repeat(TEXT_MAX)), Value::Bytes32([0xff; 32]), Value::Uint(u64::MAX)]);
        assert_eq!(used.encode(&values), fresh);
    }
}

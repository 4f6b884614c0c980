//! Who may talk to Vest: API keys, approved signing keys, listen keys, leverages.
//!
//! Owned by `vest::Desk`. Source: the venue sheet, section 3. Keys are made from a counter
//! and the run's seed; they are throw-away values.

use std::collections::BTreeMap;

use super::signature::{Address, keccak};
use crate::options::Keys;

/// A listen key lives this long after its creation or its last extension.
const LISTEN_KEY_US: i64 = 60 * 60 * 1_000_000;
/// The signing key known from the start is approved for seven days.
const FIRST_SIGNER_MS: i64 = 7 * 24 * 60 * 60 * 1_000;

/// What has become of a listen key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    Valid,
    Expired,
    Unknown,
}

#[derive(Debug, Clone)]
struct ListenKey {
    text: String,
    issued_us: i64,
    expires_us: i64,
}

/// Everything about the one trader that is not money.
#[derive(Clone)]
pub struct Session {
    pub primary: Address,
    api_keys: Vec<String>,
    signers: BTreeMap<Address, i64>,
    listen_key: Option<ListenKey>,
    old_listen_keys: Vec<String>,
    leverages: BTreeMap<String, u32>,
    made: u64,
    pub last_nonce: u64,
}

impl Session {
    /// Starts with the keys of the run; `None` when they are no keys.
    pub fn new(keys: &Keys, now_us: i64) -> Option<Self> {
        let primary = Address::of_key(&keys.vest_primary)?;
        let signer = Address::of_key(&keys.vest_signing)?;
        Some(Self {
            primary,
            api_keys: vec![keys.vest_api_key.clone()],
            signers: BTreeMap::from([(signer, now_us / 1_000 + FIRST_SIGNER_MS)]),
            listen_key: None,
            old_listen_keys: Vec::new(),
            leverages: BTreeMap::new(),
            made: 0,
            last_nonce: 0,
        })
    }

    pub fn knows_api_key(&self, key: &str) -> bool {
        self.api_keys.iter().any(|known| known == key)
    }

    /// Orders may be signed by an approved key that has not expired, or by the primary key.
    pub fn may_sign(&self, who: &Address, now_us: i64) -> bool {
        *who == self.primary || self.signers.get(who).is_some_and(|until_ms| now_us / 1_000 < *until_ms)
    }

    /// Whether any approved key has not expired.
    pub fn has_signer(&self, now_us: i64) -> bool {
        self.signers.values().any(|until_ms| now_us / 1_000 < *until_ms)
    }

    /// Approves a signing key and makes an API key.
    pub fn register(&mut self, signer: Address, expiry_ms: i64) -> String {
        self.signers.insert(signer, expiry_ms);
        let key = format!("sim-vest-api-key-{}", self.fresh("api"));
        self.api_keys.push(key.clone());
        key
    }

    /// The active listen key, extended, or a new one.
    pub fn create_listen_key(&mut self, now_us: i64, revoked_us: i64) -> String {
        if let Some(text) = self.extend_listen_key(now_us, revoked_us) {
            return text;
        }
        self.close_listen_key();
        let text = self.fresh("listen");
        let key = ListenKey { text: text.clone(), issued_us: now_us, expires_us: now_us + LISTEN_KEY_US };
        self.listen_key = Some(key);
        text
    }

    /// Extends the active key; `None` when there is none or it has expired.
    pub fn extend_listen_key(&mut self, now_us: i64, revoked_us: i64) -> Option<String> {
        let key = self.listen_key.as_mut().filter(|key| key.is_valid(now_us, revoked_us))?;
        key.expires_us = now_us + LISTEN_KEY_US;
        Some(key.text.clone())
    }

    pub fn close_listen_key(&mut self) {
        if let Some(key) = self.listen_key.take() {
            self.old_listen_keys.push(key.text);
        }
    }

    pub fn listen_key_state(&self, text: &str, now_us: i64, revoked_us: i64) -> KeyState {
        match &self.listen_key {
            Some(key) if key.text == text && key.is_valid(now_us, revoked_us) => KeyState::Valid,
            Some(key) if key.text == text => KeyState::Expired,
            _ if self.old_listen_keys.iter().any(|old| old == text) => KeyState::Expired,
            _ => KeyState::Unknown,
        }
    }

    pub fn leverage(&self, symbol: &str) -> u32 {
        self.leverages.get(symbol).copied().unwrap_or(10)
    }

    pub fn set_leverage(&mut self, symbol: &str, value: u32) {
        self.leverages.insert(symbol.to_owned(), value);
    }

    /// 32 hex digits, different each time.
    fn fresh(&mut self, purpose: &str) -> String {
        self.made += 1;
        let seed = format!("{purpose} {} {}", self.primary.text(), self.made);
        hex::encode(&keccak(seed.as_bytes())[..16])
    }
}

impl ListenKey {
    fn is_valid(&self, now_us: i64, revoked_us: i64) -> bool {
        now_us < self.expires_us && self.issued_us > revoked_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listen_key_is_kept_extended_and_dies() {
        let mut session = Session::new(&Keys::default(), 0).unwrap();
        let key = session.create_listen_key(1, 0);
        assert_eq!(key.len(), 32);
        assert_eq!(session.create_listen_key(10, 0), key, "an active key is returned again");
        assert_eq!(session.listen_key_state(&key, 10 + LISTEN_KEY_US, 0), KeyState::Expired);
        assert_eq!(session.extend_listen_key(10 + LISTEN_KEY_US, 0), None);
        let next = session.create_listen_key(10 + LISTEN_KEY_US, 0);
        assert_ne!(next, key);
        assert_eq!(session.listen_key_state(&key, 11 + LISTEN_KEY_US, 0), KeyState::Expired);
        assert_eq!(session.listen_key_state("zz", 1, 0), KeyState::Unknown);
        assert_eq!(
            session.listen_key_state(&next, 11 + LISTEN_KEY_US, 12 + LISTEN_KEY_US),
            KeyState::Expired
        );
    }

    #[test]
    fn signers_expire_and_the_primary_does_not() {
        let mut session = Session::new(&Keys::default(), 0).unwrap();
        let other = Address([9; 20]);
        assert!(!session.may_sign(&other, 0));
        session.register(other, 1_000);
        assert!(session.may_sign(&other, 999_999));
        assert!(!session.may_sign(&other, 1_000_000));
        assert!(session.may_sign(&session.primary, i64::MAX));
    }
}

//! The log-in request: signed headers that are traded for a token (sheet 2.6). Called by `desk`; cold.

use super::sign::Signer;
use crate::types::{Nanos, Profile};

/// How long a log-in signature can mint tokens, seconds. Short, because whoever sees the headers can do the same; long
/// enough for a clock that is a little off. The venue allows up to a week.
pub const EXPIRATION_S: u64 = 300;
/// Age at which a token is renewed, ms (SAFETY C7).
pub const TOKEN_RENEW_MS: u64 = 150_000;
/// Age up to which a token is still used where renewing failed, ms; it lives 300 s at the venue.
pub const TOKEN_USABLE_MS: u64 = 280_000;

/// Path below the REST base, with the public key of the signing (sub)key.
pub fn path(signer: &Signer, profile: Profile) -> String {
    let usage = match profile {
        Profile::Pro => "",
        Profile::Retail => "?token_usage=interactive",
    };
    format!("/auth/{:#x}{usage}", signer.public_key())
}

/// Headers of a log-in signed now. `None` in the negligible case that the hash cannot be signed: ask again later.
pub fn headers(signer: &Signer, now: Nanos) -> Option<Vec<(&'static str, String)>> {
    let timestamp = now.ms() / 1000;
    let expiration = timestamp + EXPIRATION_S;
    let mut signature = String::new();
    signer.sign(signer.auth_hash(timestamp, expiration))?.write(&mut signature, "\"").ok()?;
    Some(vec![
        ("PARADEX-STARKNET-ACCOUNT", format!("{:#x}", signer.account())),
        ("PARADEX-STARKNET-SIGNATURE", signature),
        ("PARADEX-TIMESTAMP", timestamp.to_string()),
        ("PARADEX-SIGNATURE-EXPIRATION", expiration.to_string()),
    ])
}

#[cfg(test)]
mod tests {
    use starknet_crypto::{Felt, verify};

    use super::super::fixture;
    use super::*;

    #[test]
    fn a_log_in_names_account_and_subkey_and_verifies() {
        let signer = Signer::from_setup(&fixture::setup()).unwrap();
        let headers = headers(&signer, Nanos::from_ms(1_767_225_600_123)).unwrap();
        let value = |name: &str| headers.iter().find(|(key, _)| *key == name).unwrap().1.clone();
        assert_eq!(value("PARADEX-STARKNET-ACCOUNT"), fixture::ACCOUNT);
        assert_eq!(value("PARADEX-TIMESTAMP"), "1767225600");
        assert_eq!(value("PARADEX-SIGNATURE-EXPIRATION"), "1767225900");
        let wire: Vec<String> = serde_json::from_str(&value("PARADEX-STARKNET-SIGNATURE")).unwrap();
        let [r, s] = [0, 1].map(|i| Felt::from_dec_str(&wire[i]).unwrap());
        let hash = signer.auth_hash(1_767_225_600, 1_767_225_900);
        let public_key = Felt::from_hex(fixture::PUBLIC_KEY).unwrap();
        assert!(verify(&public_key, &hash, &r, &s).unwrap());
    }

    #[test]
    fn only_a_retail_token_is_asked_for_by_name() {
        let signer = Signer::from_setup(&fixture::setup()).unwrap();
        let base = format!("/auth/{}", fixture::PUBLIC_KEY);
        assert_eq!(path(&signer, Profile::Pro), base);
        assert_eq!(path(&signer, Profile::Retail), format!("{base}?token_usage=interactive"));
    }
}

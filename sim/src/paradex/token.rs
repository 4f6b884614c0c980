//! The bearer tokens (JWT, ES256) that `POST /auth` issues and every private call presents.
//!
//! Called by `rest` and `session`. A token names an account and a usage, lives 300 s and cannot be extended;
//! a socket that has authenticated stays so for its life. Source: Paradex sheet §2.6 and §7 (Pro and Retail).

use std::collections::VecDeque;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::{Signer, Verifier};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha3::{Digest, Keccak256};

/// Life of a token, seconds.
pub const LIFE_S: i64 = 300;
const SECOND_US: i64 = 1_000_000;
/// Tokens known by their text.
const KNOWN_MAX: usize = 16;

/// The two kinds of token: they differ in fees, speed bump and rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Usage {
    /// The default: no speed bump, pays fees.
    Pro,
    /// `token_usage=interactive`: no fees, 300 ms bump, a small budget.
    #[serde(rename = "interactive")]
    Retail,
}

/// What a token says. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The account's address, hexadecimal.
    pub sub: String,
    pub iat: i64,
    pub exp: i64,
    /// When it was issued, Unix microseconds: tells which tokens a revocation covers.
    pub jti: i64,
    pub token_usage: Usage,
}

/// How tokens are signed.
#[derive(Clone)]
enum Seal {
    Es256(SigningKey),
    /// Where the run does not look at signatures: a digest with a secret in it, a hundred times cheaper.
    Stub([u8; 32]),
}

/// Issues and checks tokens.
#[derive(Clone)]
pub struct Mint {
    seal: Seal,
    /// The newest tokens: the very text that was issued needs no cryptography to be good.
    known: VecDeque<(String, Claims)>,
}

/// Why a bearer text was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("invalid bearer jwt: malformed")]
    Malformed,
    #[error("invalid bearer jwt: signature is invalid")]
    BadSignature,
    #[error("invalid bearer jwt: token is expired")]
    Expired,
}

impl Mint {
    /// `seed` makes the key of this run; it is never used outside a simulation.
    pub fn new(seed: u64, stub_signatures: bool) -> Mint {
        let mut secret = [0x5a; 32];
        secret.iter_mut().skip(24).zip(seed.to_be_bytes()).for_each(|(to, from)| *to = from);
        let seal = match SigningKey::from_slice(&secret) {
            _ if stub_signatures => Seal::Stub(secret),
            Ok(signing) => Seal::Es256(signing),
            Err(_) => unreachable!("0x5a5a… is neither zero nor above the curve's order"),
        };
        Mint { seal, known: VecDeque::new() }
    }

    /// A token for the account at `address`, valid from `now_us` for [`LIFE_S`].
    pub fn issue(&mut self, address: &str, usage: Usage, now_us: i64) -> String {
        let now_s = now_us.div_euclid(SECOND_US);
        let claims = Claims {
            sub: address.to_owned(),
            iat: now_s,
            exp: now_s + LIFE_S,
            jti: now_us,
            token_usage: usage,
        };
        let payload = serde_json::to_vec(&claims).unwrap_or_default();
        let header = br#"{"alg":"ES256","typ":"JWT"}"#;
        let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let token = format!("{text}.{}", URL_SAFE_NO_PAD.encode(self.seal.sign(text.as_bytes())));
        self.known.push_back((token.clone(), claims));
        if self.known.len() > KNOWN_MAX {
            self.known.pop_front();
        }
        token
    }

    /// Reads a token back, or says why it is refused at `now_us`. Tokens issued before `revoked_us` count as
    /// lapsed.
    pub fn check(&self, token: &str, now_us: i64, revoked_us: i64) -> Result<Claims, TokenError> {
        let known = self.known.iter().find(|(known, _)| known == token);
        let claims = known.map_or_else(|| self.read(token), |(_, claims)| Ok(claims.clone()))?;
        let lapsed = now_us.div_euclid(SECOND_US) >= claims.exp;
        if lapsed || claims.jti < revoked_us { Err(TokenError::Expired) } else { Ok(claims) }
    }

    /// What a token says when it was issued here.
    fn read(&self, token: &str) -> Result<Claims, TokenError> {
        let (text, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (_, payload) = text.split_once('.').ok_or(TokenError::Malformed)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Malformed)?;
        self.seal.verify(text.as_bytes(), &signature)?;
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| TokenError::Malformed)?;
        serde_json::from_slice(&payload).map_err(|_| TokenError::Malformed)
    }
}

impl Seal {
    fn sign(&self, text: &[u8]) -> Vec<u8> {
        match self {
            Seal::Es256(signing) => {
                let signature: Signature = signing.sign(text);
                signature.to_bytes().to_vec()
            }
            Seal::Stub(secret) => {
                Keccak256::new().chain_update(secret).chain_update(text).finalize().to_vec()
            }
        }
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> Result<(), TokenError> {
        let is_good = match self {
            Seal::Es256(signing) => {
                let signature = Signature::from_slice(signature).map_err(|_| TokenError::Malformed)?;
                VerifyingKey::from(signing).verify(text, &signature).is_ok()
            }
            Seal::Stub(_) => self.sign(text) == signature,
        };
        if is_good { Ok(()) } else { Err(TokenError::BadSignature) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_what_was_issued_until_it_lapses() {
        let mut mint = Mint::new(7, false);
        let token = mint.issue("0x1", Usage::Retail, 1_000 * SECOND_US);
        let claims = mint.check(&token, 1_299 * SECOND_US, 0).unwrap();
        assert_eq!((claims.sub.as_str(), claims.token_usage), ("0x1", Usage::Retail));
        assert_eq!(mint.check(&token, 1_300 * SECOND_US, 0), Err(TokenError::Expired));
    }

    #[test]
    fn a_revocation_spares_later_tokens() {
        let mut mint = Mint::new(7, false);
        let [old, new] = [10, 20].map(|now_us| mint.issue("0x1", Usage::Pro, now_us));
        assert_eq!(mint.check(&old, 30, 15), Err(TokenError::Expired));
        assert!(mint.check(&new, 30, 15).is_ok());
    }

    #[test]
    fn forged_and_malformed_tokens_are_refused() {
        let forged = Mint::new(8, false).issue("0x1", Usage::Pro, 0);
        let mint = Mint::new(7, false);
        assert_eq!(mint.check(&forged, 1, 0), Err(TokenError::BadSignature));
        for text in ["", ".", "..", "a.b", "a.b.c", "é.é.é"] {
            assert_eq!(mint.check(text, 1, 0), Err(TokenError::Malformed), "{text}");
        }
    }

    #[test]
    fn a_stub_is_checked_as_well() {
        let [mut mint, mut other] = [7, 8].map(|seed| Mint::new(seed, true));
        let [own, forged] = [&mut mint, &mut other].map(|mint| mint.issue("0x1", Usage::Pro, 0));
        let fresh = Mint::new(7, true);
        assert!(fresh.check(&own, 1, 0).is_ok(), "not only by heart");
        assert_eq!(fresh.check(&forged, 1, 0), Err(TokenError::BadSignature));
    }
}

//! Registration of a signing key (sheet `vest`, 3.1): the EIP-712 proof by the primary key, and the call that trades it
//! for an API key. Called by the verb `register-vest` where the primary key is, never by the engine. Keeps no secret
//! beyond the values it returns.

use serde::Deserialize;
use thiserror::Error;

use super::abi::{Encoder, Value, keccak};
use super::access::{ACCOUNT_GROUP, API_KEY, PRIMARY_ADDRESS, SIGNER_EXPIRY_MS, SIGNING_KEY, environment};
use super::sign::{Address, SignatureText, Signer, address_text};
use super::{errors, json};
use crate::sys::rest::{Http, Method, Request, Response};
use crate::types::Secret;
use crate::venue::{RegisterRequest, SetupError};

const DOMAIN_TYPE: &str = "EIP712Domain(string name,string version,address verifyingContract)";
const DOMAIN_NAME: &str = "VestRouterV2";
const DOMAIN_VERSION: &str = "0.0.1";
const PROOF_TYPE: &str = "SignerProof(address approvedSigner,uint256 signerExpiry)";
/// The docs' value for every environment; not signed (sheet `vest`, 9, row 12).
const NETWORK_TYPE: u8 = 0;

/// A signed proof, ready to be sent.
pub struct Registration {
    /// Body of `POST /register`. Holds no key, but whoever sends it first gets the API key.
    body: Secret,
    primary: Address,
    signing_key: Secret,
    expiry_ms: u64,
}

/// What the venue gave for a proof, with all that belongs into `.env`.
pub struct Registered {
    pub primary: Address,
    pub signing_key: Secret,
    pub expiry_ms: u64,
    pub api_key: Secret,
    pub account_group: u32,
}

/// Why a registration failed. Never holds a key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RegisterError {
    #[error("{0}")]
    Setup(#[from] SetupError),
    #[error("cannot reach the venue: {0}")]
    Unreachable(String),
    #[error("the venue refused: HTTP {status}, code {code}: {message}")]
    Refused { status: u16, code: String, message: String },
}

/// Signs the proof that `signing` may trade for `primary` until `expiry_ms` (ms since the epoch). Without a signing key
/// a fresh one is made. `env` is one of the venue's environments; it decides the contract that the proof is for.
pub fn registration(
    primary: &Secret,
    signing: Option<&Secret>,
    expiry_ms: u64,
    env: &str,
) -> Result<Registration, SetupError> {
    let malformed = |key| move |why| SetupError::Malformed { key, why };
    let contract = environment(env)?.contract;
    let primary = Signer::parse(primary).map_err(malformed("primary key"))?;
    let (signer, signing_key) = match signing {
        Some(secret) => (Signer::parse(secret).map_err(malformed(SIGNING_KEY))?, secret.duplicate()),
        None => Signer::generate().map_err(malformed(SIGNING_KEY))?,
    };
    let signature = primary.sign_digest(&proof_digest(contract, signer.address(), expiry_ms));
    let signature = signature.map_err(malformed("primary key"))?;
    let body = body(&signer, &primary, &signature, expiry_ms);
    Ok(Registration { body: Secret::new(body), primary: primary.address(), signing_key, expiry_ms })
}

/// The verb's whole work: the proof, the call, the lines of `.env`. The error never holds a key.
pub fn env_lines_for(http: &mut dyn Http, request: &RegisterRequest<'_>) -> Result<Secret, String> {
    let RegisterRequest { env, rest_url, env_prefix, primary_key, signing_key, expiry_ms } = *request;
    let proof = registration(primary_key, signing_key, expiry_ms, env).map_err(|error| error.to_string())?;
    let registered = proof.send(http, rest_url).map_err(|error| error.to_string())?;
    Ok(registered.env_lines(env_prefix))
}

impl Registration {
    /// The body of the call, for whoever wants to make it elsewhere.
    pub const fn body(&self) -> &Secret {
        &self.body
    }

    /// Sends the proof. `rest_url` is the base of the configuration (`https://host/v2`).
    pub fn send(self, http: &mut dyn Http, rest_url: &str) -> Result<Registered, RegisterError> {
        let request = Request {
            method: Method::Post,
            url: [rest_url.trim_end_matches('/'), "/register"].concat(),
            headers: vec![("Content-Type", "application/json".into())],
            body: Some(self.body.expose().to_owned()),
            ..Request::default()
        };
        let response = http.call(request).map_err(|error| RegisterError::Unreachable(error.to_string()))?;
        let reply: Reply = json::from_slice(&response.body).map_err(|_| refused(&response))?;
        Ok(Registered {
            primary: self.primary,
            signing_key: self.signing_key,
            expiry_ms: self.expiry_ms,
            api_key: Secret::new(reply.api_key),
            account_group: reply.acc_group,
        })
    }
}

impl Registered {
    /// The lines of `.env`, prefix included. They are secret.
    pub fn env_lines(&self, prefix: &str) -> Secret {
        let rows = [
            (PRIMARY_ADDRESS, address_text(&self.primary)),
            (SIGNING_KEY, self.signing_key.expose().to_owned()),
            (SIGNER_EXPIRY_MS, self.expiry_ms.to_string()),
            (API_KEY, self.api_key.expose().to_owned()),
            (ACCOUNT_GROUP, self.account_group.to_string()),
        ];
        Secret::new(rows.iter().map(|(key, value)| format!("{prefix}_{key}={value}\n")).collect())
    }
}

/// A refusal in the venue's words; what has no code may hold the API key in an unknown shape, so it is not shown.
fn refused(response: &Response) -> RegisterError {
    let refusal = errors::read_refusal(response.status, &response.body);
    let message = if refusal.code.is_some() { refusal.message.clone() } else { "unreadable reply".into() };
    RegisterError::Refused { status: refusal.status, code: refusal.code_text(), message }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    api_key: String,
    acc_group: u32,
}

fn body(signer: &Signer, primary: &Signer, signature: &SignatureText, expiry_ms: u64) -> String {
    let (signing, primary) = (address_text(&signer.address()), address_text(&primary.address()));
    let signature = signature.as_str();
    format!(
        "{{\"signingAddr\":\"{signing}\",\"primaryAddr\":\"{primary}\",\"signature\":\"{signature}\",\
         \"expiryTime\":{expiry_ms},\"networkType\":{NETWORK_TYPE}}}"
    )
}

/// EIP-712 digest of a signer proof.
fn proof_digest(contract: Address, signer: Address, expiry_ms: u64) -> [u8; 32] {
    keccak(&[b"\x19\x01", &domain_separator(contract), &struct_hash(signer, expiry_ms)])
}

fn domain_separator(contract: Address) -> [u8; 32] {
    let hash = |text: &str| Value::Bytes32(keccak(&[text.as_bytes()]));
    let fields = [hash(DOMAIN_TYPE), hash(DOMAIN_NAME), hash(DOMAIN_VERSION), Value::Address(contract)];
    keccak(&[Encoder::default().encode(&fields)])
}

fn struct_hash(signer: Address, expiry_ms: u64) -> [u8; 32] {
    let type_hash = Value::Bytes32(keccak(&[PROOF_TYPE.as_bytes()]));
    keccak(&[Encoder::default().encode(&[type_hash, Value::Address(signer), Value::Uint(expiry_ms)])])
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;
    use crate::venue::vest::sign::parse_address;
    use crate::venue::vest::testing::{TEST_KEY, vectors};
    use crate::venue::vest::testing_http::Script;

    fn secret(vector: &Json, field: &str) -> Secret {
        Secret::new(vector[field].as_str().unwrap().into())
    }

    #[test]
    fn proofs_are_signed_as_the_vectors_say() {
        let proofs: Vec<Json> = vectors().into_iter().filter(|v| v["kind"] == "register").collect();
        assert_eq!(proofs.len(), 2);
        for vector in proofs {
            let env = vector["env"].as_str().unwrap();
            let contract = environment(env).unwrap().contract;
            let approved = parse_address(vector["approved"].as_str().unwrap()).unwrap();
            let expiry = vector["expiry"].as_u64().unwrap();
            let hex_of = |bytes: [u8; 32]| ["0x", &hex::encode(bytes)].concat();
            assert_eq!(hex_of(domain_separator(contract)), vector["domain_separator"]);
            assert_eq!(hex_of(struct_hash(approved, expiry)), vector["struct_hash"]);
            assert_eq!(hex_of(proof_digest(contract, approved, expiry)), vector["digest"]);
            let (primary, signing) = (secret(&vector, "key"), secret(&vector, "approved_key"));
            let made = registration(&primary, Some(&signing), expiry, env).unwrap();
            assert_eq!(serde_json::from_str::<Json>(made.body().expose()).unwrap(), vector["body"]);
        }
    }

    #[test]
    fn a_fresh_signing_key_ends_up_in_the_env_lines() {
        let made = registration(&Secret::new(TEST_KEY.into()), None, 99, "sim").unwrap();
        let mut http = Script::new(&[(200, r#"{"apiKey":"abcde","accGroup":0}"#)]);
        let registered = made.send(&mut http, "https://127.0.0.1:1/v2/").unwrap();
        assert_eq!(http.calls[0].url, "https://127.0.0.1:1/v2/register");
        let lines = registered.env_lines("VEST");
        assert!(lines.expose().contains("VEST_ACCOUNT_GROUP=0\n"));
        assert!(lines.expose().contains("VEST_API_KEY=abcde\nVEST_ACCOUNT_GROUP"));
        assert!(lines.expose().contains("VEST_SIGNER_EXPIRY_MS=99\n"));
        assert!(Signer::parse(&registered.signing_key).is_ok());
    }

    #[test]
    fn a_refusal_is_told_with_its_code() {
        let made = registration(&Secret::new(TEST_KEY.into()), None, 99, "dev").unwrap();
        let mut http = Script::new(&[(400, r#"{"detail":{"code":1022,"msg":"bad"}}"#)]);
        let error = made.send(&mut http, "https://h/v2").err().unwrap();
        let code = "1022 INVALID_SIGNATURE".into();
        assert_eq!(error, RegisterError::Refused { status: 400, code, message: "bad".into() });
    }

    #[test]
    fn an_odd_reply_does_not_leak_the_api_key() {
        let made = registration(&Secret::new(TEST_KEY.into()), None, 99, "dev").unwrap();
        let error =
            made.send(&mut Script::new(&[(200, r#"{"apiKey":"canary"}"#)]), "https://h/v2").err().unwrap();
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}

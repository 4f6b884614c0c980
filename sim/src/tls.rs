//! Certificates made for one run: a CA, the servers' certificate, and the bad ones that tests need.
//!
//! Called at start by `Sim::start` and by tests of a client's verification. Keys live in memory only;
//! the CA's certificate alone is written to disk.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use thiserror::Error;

#[derive(Debug, Error)]
pub enum TlsError {
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    #[error("cannot use the certificate: {0}")]
    Use(#[from] rustls::Error),
}

/// What a server shows: the good certificate, or one of the kinds a client must refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flavour {
    #[default]
    Good,
    Expired,
    NotYetValid,
    WrongHost,
    SelfSigned,
    UnknownCa,
}

/// The authority of one run.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Result<Self, TlsError> {
        Self::named("bot4-sim CA of this run")
    }

    fn named(name: &str) -> Result<Self, TlsError> {
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self { issuer })
    }

    /// The CA's certificate, for a client's `ca_file`.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Server settings for localhost, 127.0.0.1 and ::1 with a certificate of this flavour.
    pub fn server(&self, flavour: Flavour) -> Result<Arc<ServerConfig>, TlsError> {
        let key = KeyPair::generate()?;
        let params = leaf(flavour)?;
        let certificate = match flavour {
            Flavour::SelfSigned => params.self_signed(&key)?,
            Flavour::UnknownCa => {
                params.signed_by(&key, &Authority::named("a CA that nobody knows")?.issuer)?
            }
            _ => params.signed_by(&key, &self.issuer)?,
        };
        config(certificate.der().clone(), key)
    }
}

fn leaf(flavour: Flavour) -> Result<CertificateParams, TlsError> {
    let names = match flavour {
        Flavour::WrongHost => vec!["elsewhere.example".to_owned()],
        _ => ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec(),
    };
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "bot4-sim");
    match flavour {
        Flavour::Expired => {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        Flavour::NotYetValid => params.not_before = date_time_ymd(2090, 1, 1),
        _ => {}
    }
    Ok(params)
}

fn config(certificate: CertificateDer<'static>, key: KeyPair) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flavour_makes_a_server() {
        let authority = Authority::new().unwrap();
        assert!(authority.pem().starts_with("-----BEGIN CERTIFICATE-----"));
        use Flavour::*;
        for flavour in [Good, Expired, NotYetValid, WrongHost, SelfSigned, UnknownCa] {
            authority.server(flavour).unwrap();
        }
    }
}

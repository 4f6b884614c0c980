//! TLS as every connection uses it: rustls with ring, version 1.2 or later, the public roots plus at most one extra CA
//! file, and verification that nothing can switch off. Also says what is wrong with a certificate in words that tell an
//! operator what to mend.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use thiserror::Error;

/// A client configuration. Cheap to clone; sessions are resumed among the clones.
#[derive(Clone, Debug)]
pub struct Tls(Arc<ClientConfig>);

/// Why an extra CA file cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    #[error("CA file {path}: {why}")]
    CaFile { path: PathBuf, why: String },
    #[error("TLS: {0}")]
    Setup(#[from] rustls::Error),
}

impl Tls {
    /// The public roots, and the certificates of `ca_file` (PEM) beside them.
    ///
    /// # Errors
    /// When the file cannot be read, holds no certificate or one that cannot be a root.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(path) = ca_file {
            add_file(&mut roots, path).map_err(|why| TlsError::CaFile { path: path.to_owned(), why })?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// For whoever brings a connection of its own (the database client).
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }
}

/// ring, offering AES-128-GCM first: with the processor's instructions it costs half of ChaCha20, which is left out.
fn provider() -> CryptoProvider {
    use rustls::crypto::ring::{cipher_suite as suite, default_provider};
    let cipher_suites = vec![
        suite::TLS13_AES_128_GCM_SHA256,
        suite::TLS13_AES_256_GCM_SHA384,
        suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ];
    CryptoProvider { cipher_suites, ..default_provider() }
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let mut any = false;
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
        any = true;
    }
    if any { Ok(()) } else { Err("holds no certificate".to_owned()) }
}

/// What went wrong in a handshake, for an operator.
pub fn explain(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(problem) => {
            format!("its certificate {}", explain_certificate(problem))
        }
        rustls::Error::AlertReceived(alert) => format!("it ended the handshake with the alert {alert:?}"),
        other => other.to_string(),
    }
}

fn explain_certificate(problem: &CertificateError) -> String {
    use CertificateError as E;
    match problem {
        E::Expired | E::ExpiredContext { .. } => {
            "has expired (or the clock of this host is ahead)".to_owned()
        }
        E::NotValidYet | E::NotValidYetContext { .. } => {
            "is not valid yet (or the clock of this host is behind)".to_owned()
        }
        E::NotValidForName | E::NotValidForNameContext { .. } => "is for another host name".to_owned(),
        E::UnknownIssuer => "is signed by an unknown CA (for a private one set ca_file)".to_owned(),
        E::Revoked => "has been revoked".to_owned(),
        E::BadSignature => "has a bad signature".to_owned(),
        other => format!("is refused: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_must_hold_a_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        assert!(Tls::new(Some(&path)).is_err(), "missing");
        for text in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            std::fs::write(&path, text).unwrap();
            let error = Tls::new(Some(&path)).unwrap_err().to_string();
            assert!(error.starts_with("CA file ") && error.contains("ca.pem"), "{error}");
        }
    }

    #[test]
    fn public_roots_alone_will_do() {
        assert!(!Tls::new(None).unwrap().config().alpn_protocols.contains(&b"h2".to_vec()));
    }

    #[test]
    fn bad_certificates_are_told_apart() {
        use CertificateError as E;
        let texts = [E::Expired, E::NotValidYet, E::NotValidForName, E::UnknownIssuer, E::Revoked]
            .map(|problem| explain(&rustls::Error::InvalidCertificate(problem)));
        for (n, text) in texts.iter().enumerate() {
            assert!(!texts[..n].contains(text), "{text} is said twice");
        }
    }
}

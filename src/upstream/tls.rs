//! TLS to the API: whose certificates are believed, and which protocols are offered.

use bytes::Bytes;
use rustls_platform_verifier::BuilderVerifierExt;
use std::fmt;
use std::sync::Arc;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::WantsClientCert;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{
    self, ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier, client,
};

/// By ALPN (RFC 7301), the preferred one first.
const BOTH: [&[u8]; 2] = [b"h2", b"http/1.1"];
const HTTP1: [&[u8]; 1] = [b"http/1.1"];

/// Whose certificates are believed of the API, ready for use: TLS 1.2 and 1.3, the name of the URL.
#[derive(Clone)]
pub struct Trust {
    both: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
    /// What it was made of; `None` for the roots of the platform.
    pem: Option<Bytes>,
}

/// Why there is nobody to believe.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTrust {
    /// Nothing in the file.
    #[error("there is no certificate in it")]
    Empty,
    /// Something is not a certificate of an authority.
    #[error("it is not a list of certificates in PEM: {0}")]
    Unreadable(String),
    /// The platform's own.
    #[error("the roots of this system cannot be used: {0}")]
    Platform(rustls::Error),
}

impl Trust {
    /// The roots of this system.
    pub fn platform() -> Result<Self, InvalidTrust> {
        let config = builder()
            .and_then(BuilderVerifierExt::with_platform_verifier)
            .map_err(InvalidTrust::Platform)?;
        Ok(Self::new(config, None))
    }

    /// These authorities and no others.
    pub fn only(pem: Bytes) -> Result<Self, InvalidTrust> {
        let unreadable = |fault: &dyn fmt::Display| InvalidTrust::Unreadable(fault.to_string());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|fault| unreadable(&fault))?;
            roots.add(certificate).map_err(|fault| unreadable(&fault))?;
        }
        if roots.is_empty() {
            return Err(InvalidTrust::Empty);
        }
        let config = builder().map_err(InvalidTrust::Platform)?.with_root_certificates(roots);
        Ok(Self::new(config, Some(pem)))
    }

    fn new(config: ConfigBuilder<ClientConfig, WantsClientCert>, pem: Option<Bytes>) -> Self {
        let mut both = config.with_no_client_auth();
        // A ticket is for one exchange of keys; what is negotiated over it, each connection says anew.
        both.resumption = client::Resumption::in_memory_sessions(MAX_SESSIONS);
        let mut http1 = both.clone();
        both.alpn_protocols = BOTH.iter().map(|name| name.to_vec()).collect();
        http1.alpn_protocols = HTTP1.iter().map(|name| name.to_vec()).collect();
        Self { both: Arc::new(both), http1: Arc::new(http1), pem }
    }

    pub(super) fn connector(&self, offer: Offer) -> TlsConnector {
        let config = match offer {
            Offer::Both => &self.both,
            Offer::Http1 => &self.http1,
        };
        TlsConnector::from(Arc::clone(config))
    }
}

/// Sessions that may be resumed. Bounds memory: there is one API.
const MAX_SESSIONS: usize = 16;

/// Which protocols an API behind TLS may choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// HTTP/2 or HTTP/1.1.
    Both,
    /// HTTP/1.1 only, which alone can be upgraded.
    Http1,
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, rustls::Error> {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
}

impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        self.pem == other.pem
    }
}

impl Eq for Trust {}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.pem.is_some() { "Trust(ca_file)" } else { "Trust(platform)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_believed_by_an_empty_or_broken_file() {
        for (pem, says) in [
            ("", "no certificate"),
            ("hello", "no certificate"),
            ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "not a list"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not a list"),
        ] {
            let fault = Trust::only(Bytes::from(pem)).unwrap_err().to_string();
            assert!(fault.contains(says), "{pem}: {fault}");
        }
    }
}

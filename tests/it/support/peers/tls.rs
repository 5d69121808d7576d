//! A certificate authority made for one test, and the certificates it gives.

use super::super::server::Porch;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The names that lead here by way of a proxy.
const NAMES: &str = "*.it.example";

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Another authority gave it.
    ForeignAuthority,
    /// Its time is over.
    Expired,
    /// It is for another host.
    OtherName,
}

impl Flaw {
    pub(crate) const ALL: [Self; 3] = [Self::ForeignAuthority, Self::Expired, Self::OtherName];
}

/// An authority, whose certificate is in a file that goes with it.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Arc<Self> {
        let issuer = issuer();
        let name = format!("portvakt-it-ca-{}.pem", uuid::Uuid::new_v4());
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, issuer.pem()).unwrap();
        Arc::new(Self { issuer, file })
    }

    /// Its certificate, in PEM.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    pub(crate) fn porch(&self) -> Porch {
        porch(&self.issuer, &parameters("127.0.0.1"))
    }

    /// A certificate for loopback with its key, both in PEM.
    pub(crate) fn pair(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let made = parameters("127.0.0.1").signed_by(&key, &self.issuer).unwrap();
        (made.pem(), key.serialize_pem())
    }

    /// The same, of a certificate whose time is over.
    pub(crate) fn expired_pair(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut expired = parameters("127.0.0.1");
        expired.not_before = date_time_ymd(2020, 1, 1);
        expired.not_after = date_time_ymd(2021, 1, 1);
        (expired.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// What a client of ours believes in, and shows if it is asked.
    pub(crate) fn client(
        &self,
        own: Option<&(String, String)>,
        protocols: &[&str],
    ) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
        };
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }

    /// With a certificate of its own, choosing from these protocols.
    pub(crate) fn acceptor(&self, protocols: &[&[u8]]) -> TlsAcceptor {
        acceptor(&self.issuer, &parameters("127.0.0.1"), protocols)
    }

    pub(crate) fn flawed(&self, flaw: Flaw) -> Porch {
        match flaw {
            Flaw::ForeignAuthority => porch(&issuer(), &parameters("127.0.0.1")),
            Flaw::Expired => {
                let mut expired = parameters("127.0.0.1");
                expired.not_before = date_time_ymd(2020, 1, 1);
                expired.not_after = date_time_ymd(2021, 1, 1);
                porch(&self.issuer, &expired)
            }
            Flaw::OtherName => porch(&self.issuer, &parameters("elsewhere.example")),
        }
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

fn issuer() -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

fn parameters(host: &str) -> CertificateParams {
    let names = if host == "127.0.0.1" { vec![host, "localhost", NAMES] } else { vec![host] };
    CertificateParams::new(names.into_iter().map(str::to_owned).collect::<Vec<_>>()).unwrap()
}

fn porch(issuer: &CertifiedIssuer<'static, KeyPair>, parameters: &CertificateParams) -> Porch {
    Porch::Tls(acceptor(issuer, parameters, &[]))
}

fn acceptor(
    issuer: &CertifiedIssuer<'static, KeyPair>,
    parameters: &CertificateParams,
    protocols: &[&[u8]],
) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.signed_by(&key, issuer).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

//! TLS to the API: whose certificates are believed, and which protocols are offered.
//!
//! New connections believe whom the file names now; connections that are there live on. A file that cannot be
//! used is told and changes nothing.

use crate::tasks::Tasks;
use arc_swap::ArcSwap;
use bytes::Bytes;
use rustls_platform_verifier::BuilderVerifierExt;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
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
/// Bytes of a file of authorities. The bundles of operating systems have a quarter of that.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// How often the file is looked at. Polled, since mounted files are swapped by links that no watcher of
/// files sees.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Whose certificates are believed of the API: TLS 1.2 and 1.3, the name of the URL. Cheap to clone; all
/// clones are one.
#[derive(Clone)]
pub struct Trust {
    /// `None` for the roots of the platform.
    file: Option<Arc<Path>>,
    believed: Arc<ArcSwap<Believed>>,
}

/// Ready for use.
struct Believed {
    both: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
    /// What it was made of; empty for the roots of the platform.
    pem: Bytes,
}

/// Why there is nobody to believe.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTrust {
    /// Not there, or not ours to read.
    #[error("the file cannot be read: {0}")]
    Unreadable(io::Error),
    /// More than a file of this kind has.
    #[error("the file is larger than {MAX_FILE_BYTES} bytes")]
    TooLarge,
    /// Nothing of this kind in the file.
    #[error("there is no certificate in PEM in the file")]
    Empty,
    /// PEM that breaks off or is no PEM inside.
    #[error("the PEM in the file is cut off or damaged")]
    Damaged,
    /// Sound PEM around something else.
    #[error("certificate {0} in the file is damaged, or none of an authority")]
    Unusable(usize),
    /// The platform's own.
    #[error("the roots of this system cannot be used: {0}")]
    Platform(rustls::Error),
}

impl InvalidTrust {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "name a file that the process may read",
            Self::TooLarge | Self::Empty => {
                "name the file of the authority that certifies the API, in PEM: text that begins with `-----BEGIN CERTIFICATE-----`"
            }
            Self::Damaged | Self::Unusable(_) => {
                "copy the file again as a whole, to the line `-----END CERTIFICATE-----` of each certificate"
            }
            Self::Platform(_) => "install certificate authorities, or name a file of them",
        }
    }
}

impl Trust {
    /// The roots of this system.
    pub fn platform() -> Result<Self, InvalidTrust> {
        let config = builder()
            .and_then(BuilderVerifierExt::with_platform_verifier)
            .map_err(InvalidTrust::Platform)?;
        Ok(Self::new(None, Believed::new(config, Bytes::new())))
    }

    /// The authorities in this file and no others.
    pub fn only(file: PathBuf) -> Result<Self, InvalidTrust> {
        let believed = Believed::only(read(&file)?)?;
        Ok(Self::new(Some(file.into()), believed))
    }

    fn new(file: Option<Arc<Path>>, believed: Believed) -> Self {
        Self { file, believed: Arc::new(ArcSwap::from_pointee(believed)) }
    }

    /// Looks at the file from now on, until the process ends.
    pub(super) fn follow(&self, tasks: &Tasks) {
        let Some(file) = self.file.clone() else { return };
        let (believed, stopping, work) =
            (Arc::clone(&self.believed), tasks.stopping(), tasks.clone());
        let _following = tasks.spawn(async move {
            let mut refused = None;
            while stopping.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
                let (file, believed) = (Arc::clone(&file), Arc::clone(&believed));
                let before = refused.clone();
                let looked = work.spawn_blocking(move || look(&file, &believed, before)).await;
                refused = looked.unwrap_or(refused);
            }
        });
    }

    pub(super) fn connector(&self, offer: Offer) -> TlsConnector {
        let believed = self.believed.load();
        let config = match offer {
            Offer::Both => &believed.both,
            Offer::Http1 => &believed.http1,
        };
        TlsConnector::from(Arc::clone(config))
    }
}

/// Puts a changed file in force. Gives the content that cannot be, empty for a file that cannot be read, so
/// that it is told once.
fn look(file: &Path, believed: &ArcSwap<Believed>, refused: Option<Bytes>) -> Option<Bytes> {
    let found = read(file);
    let content = found.as_ref().map_or_else(|_| Bytes::new(), Bytes::clone);
    if content == believed.load().pem {
        return None;
    }
    if Some(&content) == refused.as_ref() {
        return refused;
    }
    match found.and_then(Believed::only) {
        Ok(changed) => {
            believed.store(Arc::new(changed));
            tracing::info!(
                "new connections to the API believe the authorities of the changed `upstream.ca_file`"
            );
            None
        }
        Err(fault) => {
            tracing::warn!(%fault, "the changed `upstream.ca_file` cannot be used; the former authorities stay in force");
            Some(content)
        }
    }
}

fn read(file: &Path) -> Result<Bytes, InvalidTrust> {
    let mut bytes = Vec::new();
    let limit = MAX_FILE_BYTES.saturating_add(1);
    let length = File::open(file)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(InvalidTrust::Unreadable)?;
    if u64::try_from(length).is_ok_and(|length| length < limit) {
        Ok(bytes.into())
    } else {
        Err(InvalidTrust::TooLarge)
    }
}

impl Believed {
    fn only(pem: Bytes) -> Result<Self, InvalidTrust> {
        let mut roots = RootCertStore::empty();
        for (number, certificate) in (1..).zip(CertificateDer::pem_slice_iter(&pem)) {
            let certificate = certificate.map_err(|_| InvalidTrust::Damaged)?;
            roots.add(certificate).map_err(|_| InvalidTrust::Unusable(number))?;
        }
        if roots.is_empty() {
            return Err(InvalidTrust::Empty);
        }
        let config = builder().map_err(InvalidTrust::Platform)?.with_root_certificates(roots);
        Ok(Self::new(config, pem))
    }

    fn new(config: ConfigBuilder<ClientConfig, WantsClientCert>, pem: Bytes) -> Self {
        let mut both = config.with_no_client_auth();
        // A ticket is for one exchange of keys; what is negotiated over it, each connection says anew. The
        // tickets of a former file go with it.
        both.resumption = client::Resumption::in_memory_sessions(MAX_SESSIONS);
        let mut http1 = both.clone();
        both.alpn_protocols = BOTH.iter().map(|name| name.to_vec()).collect();
        http1.alpn_protocols = HTTP1.iter().map(|name| name.to_vec()).collect();
        Self { both: Arc::new(both), http1: Arc::new(http1), pem }
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
        self.file == other.file
    }
}

impl Eq for Trust {}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.file.is_some() { "Trust(ca_file)" } else { "Trust(platform)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn authority() -> String {
        let parameters = CertificateParams::new(vec!["authority.example".to_owned()]).unwrap();
        parameters.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn a_file_that_cannot_be_used_changes_nothing_and_is_told_once() {
        let file = std::env::temp_dir().join(format!("pv-{}.pem", uuid::Uuid::new_v4().simple()));
        let (first, second) = (authority(), authority());
        std::fs::write(&file, &first).unwrap();
        let trust = Trust::only(file.clone()).unwrap();
        let in_force = |pem: &str| *trust.believed.load().pem == *pem.as_bytes();
        assert_eq!(look(&file, &trust.believed, None), None);

        let broken = first.replace("MII", "AAA");
        std::fs::write(&file, &broken).unwrap();
        let refused = look(&file, &trust.believed, None);
        assert_eq!(refused.as_deref(), Some(broken.as_bytes()));
        assert_eq!(look(&file, &trust.believed, refused.clone()), refused);
        std::fs::remove_file(&file).unwrap();
        let refused = look(&file, &trust.believed, refused);
        assert_eq!((refused.as_deref(), in_force(&first)), (Some(&b""[..]), true));

        std::fs::write(&file, &second).unwrap();
        assert_eq!(look(&file, &trust.believed, refused), None);
        assert!(in_force(&second));
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn nobody_is_believed_by_an_empty_or_broken_file() {
        for (pem, says) in [
            ("", "no certificate"),
            ("hello", "no certificate"),
            ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "cut off or damaged"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n", "cut off or damaged"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 1 in"),
        ] {
            let fault = Believed::only(Bytes::from(pem)).err().unwrap().to_string();
            assert!(fault.contains(says), "{pem}: {fault}");
        }
    }
}

//! What a listener ends TLS with: from the files of `server.tls` to one policy for every handshake.
//!
//! One policy for a listener, whatever name a client asks for (SNI): where the policy depends on the name,
//! the choice of it has been broken again and again. Here is no watching of files; `server::tls` does that.

mod expiry;

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use thiserror::Error;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs as provider};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};

use crate::domain::UnixSeconds;

/// Bytes of one file. A chain has a few kilobytes, a list of authorities at most some hundred.
const MAX_FILE_BYTES: usize = 1024 * 1024;
/// Certificates of one file. Bounds what is looked through in each handshake.
const MAX_CERTIFICATES: usize = 1000;

/// Where certificate, key and the authorities of clients are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, our own certificate first, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
    /// Who vouches for clients, in PEM. With it every client must show a certificate.
    pub client_ca: Option<PathBuf>,
}

/// Which of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFile {
    /// `certificate_file`
    Certificate,
    /// `key_file`
    Key,
    /// `client_ca_file`
    ClientCa,
}

/// Why there can be no TLS. Nothing of a key is in it.
#[derive(Debug, Error)]
#[error("`{}`: {fault}", path.display())]
pub struct TlsFault {
    /// Which file is to blame.
    pub file: TlsFile,
    /// Where it is.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: FileFault,
}

/// What is wrong with a file of TLS.
#[derive(Debug, Error)]
pub enum FileFault {
    /// Not there, or not ours to read.
    #[error("the file cannot be read: {0}")]
    Unreadable(io::Error),
    /// More than a file of this kind has.
    #[error(
        "the file is larger than {MAX_FILE_BYTES} bytes or has more than {MAX_CERTIFICATES} certificates"
    )]
    TooLarge,
    /// Not PEM at all, or broken.
    #[error("the file is not sound PEM")]
    NotPem,
    /// PEM without what is needed.
    #[error("there is no {0} in the file")]
    Lacks(&'static str),
    /// The key is another certificate's.
    #[error("the key is not that of the certificate")]
    Mismatch,
    /// Sound PEM around something that cannot be used.
    #[error("it cannot be used: {0}")]
    Unusable(rustls::Error),
}

impl FileFault {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "name a file that the process may read",
            Self::TooLarge => {
                "name the file with our own certificate and those between it and its root"
            }
            Self::NotPem | Self::Lacks(_) => {
                "write it in PEM: text that begins with `-----BEGIN CERTIFICATE-----` or `-----BEGIN PRIVATE KEY-----`"
            }
            Self::Mismatch => "name the key that the certificate was made for",
            Self::Unusable(_) => {
                "use an RSA key of 2048 bits or more, or one on P-256, P-384 or Ed25519"
            }
        }
    }
}

/// TLS as the files have it at one time.
#[derive(Clone)]
pub struct TlsPolicy {
    /// For every handshake.
    pub server: Arc<ServerConfig>,
    /// When our own certificate ends; `None` if that cannot be read.
    pub expires: Option<UnixSeconds>,
    /// SHA-256 of the files.
    pub content: [u8; 32],
}

impl fmt::Debug for TlsPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsPolicy").field("expires", &self.expires).finish_non_exhaustive()
    }
}

impl TlsFiles {
    /// What the files hold now, hashed; `None` while one cannot be read.
    #[must_use]
    pub fn content(&self) -> Option<[u8; 32]> {
        let mut hash = Context::new(&SHA256);
        for path in [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()] {
            let bytes = path.map(|path| read(path)).transpose().ok()?.unwrap_or_default();
            hash.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(&bytes);
        }
        hash.finish().as_ref().try_into().ok()
    }

    /// Reads the files. TLS 1.2 and 1.3, HTTP/2 before HTTP/1.1.
    ///
    /// No session is resumed: every handshake proves who the client is by what is in force now, and no key
    /// of old sessions lies in memory.
    pub fn load(&self) -> Result<TlsPolicy, TlsFault> {
        let content = self.content().unwrap_or_default();
        let at = |file, path: &Path| {
            let path = path.to_owned();
            move |fault| TlsFault { file, path, fault }
        };
        let in_certificate = at(TlsFile::Certificate, &self.certificate);
        let chain = certificates(&self.certificate).map_err(in_certificate)?;
        let key = private_key(&self.key).map_err(at(TlsFile::Key, &self.key))?;
        let expires = chain.first().and_then(|own| expiry::not_after(own));
        let provider = Arc::new(provider::default_provider());
        let unusable = |fault: rustls::Error| {
            if matches!(fault, rustls::Error::InconsistentKeys(_)) {
                return at(TlsFile::Key, &self.key)(FileFault::Mismatch);
            }
            at(TlsFile::Certificate, &self.certificate)(FileFault::Unusable(fault))
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(unusable)?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let verifier = clients(path, provider).map_err(at(TlsFile::ClientCa, path))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut server = builder.with_single_cert(chain, key).map_err(unusable)?;
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // All suites are sound; that ours come first is what scanners and guidelines look for.
        server.ignore_client_order = true;
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(TlsPolicy { server: Arc::new(server), expires, content })
    }
}

fn clients(
    path: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, FileFault> {
    let mut authorities = RootCertStore::empty();
    for authority in certificates(path)? {
        authorities.add(authority).map_err(FileFault::Unusable)?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider)
        .build()
        .map_err(|fault| FileFault::Unusable(rustls::Error::General(fault.to_string())))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileFault> {
    let bytes = read(path)?;
    let found = CertificateDer::pem_slice_iter(&bytes).take(MAX_CERTIFICATES.saturating_add(1));
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(|_| FileFault::NotPem)?;
    match found.len() {
        0 => Err(FileFault::Lacks("certificate")),
        count if count > MAX_CERTIFICATES => Err(FileFault::TooLarge),
        _ => Ok(found),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, FileFault> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|fault| {
        if matches!(fault, pem::Error::NoItemsFound) {
            FileFault::Lacks("private key")
        } else {
            FileFault::NotPem
        }
    })
}

fn read(path: &Path) -> Result<Vec<u8>, FileFault> {
    let limit = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(FileFault::Unreadable)?;
    file.take(limit).read_to_end(&mut bytes).map_err(FileFault::Unreadable)?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(FileFault::TooLarge);
    }
    Ok(bytes)
}

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

/// Bytes of a label of PEM that is shown.
const MAX_LABEL_BYTES: usize = 40;
const ENCRYPTED: &[u8] = b"ENCRYPTED";

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
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// Another form, such as DER or PKCS #12.
    #[error("the file is not PEM")]
    NotPem,
    /// PEM that breaks off or is no PEM inside.
    #[error("the PEM in the file is cut off or damaged")]
    Damaged,
    /// PEM of something else.
    #[error("there is no {wanted} in the file, but a `{found}`")]
    Lacks {
        /// What is needed.
        wanted: &'static str,
        /// The label of what comes first.
        found: Box<str>,
    },
    /// A key that only a passphrase opens.
    #[error("the private key is encrypted")]
    Encrypted,
    /// The key is another certificate's.
    #[error("the key is not that of the certificate")]
    Mismatch,
    /// Sound PEM around a key that cannot be used.
    #[error("the key is damaged, or of a kind or size that is not used here")]
    UnusableKey,
    /// Sound PEM around a certificate that cannot be used.
    #[error("a certificate in the file is damaged, or not X.509 of version 3")]
    UnusableCertificate,
    /// The library refuses all of it.
    #[error("TLS cannot be set up with it: {0}")]
    Refused(String),
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
            Self::Empty | Self::NotPem => {
                "write PEM: text that begins with `-----BEGIN CERTIFICATE-----` or `-----BEGIN PRIVATE KEY-----`; `openssl x509`, `pkey` and `pkcs12` make it of other forms"
            }
            Self::Damaged => {
                "copy the file again as a whole, to the line `-----END …-----` of each part"
            }
            Self::Lacks { .. } => {
                "certificates begin with `-----BEGIN CERTIFICATE-----`, keys with `-----BEGIN PRIVATE KEY-----`: were the files exchanged?"
            }
            Self::Encrypted => {
                "nobody is there to type a passphrase: write it without one, as with `openssl pkey -in FILE -out NEW`"
            }
            Self::Mismatch => {
                "name the key that the certificate was made for, and put our own certificate first in its file"
            }
            Self::UnusableKey => {
                "use an RSA key of 2048 bits or more, or one on P-256, P-384, P-521 or Ed25519"
            }
            Self::UnusableCertificate | Self::Refused(_) => {
                "copy it again, or have it made anew with the names it is for (`subjectAltName`)"
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
        // The library tells a key that it cannot read by words alone.
        let in_key = at(TlsFile::Key, &self.key);
        provider
            .key_provider
            .load_private_key(key.clone_key())
            .map_err(|_| in_key(FileFault::UnusableKey))?;
        let unusable = |fault: rustls::Error| {
            let in_certificate = at(TlsFile::Certificate, &self.certificate);
            if matches!(fault, rustls::Error::InconsistentKeys(_)) {
                at(TlsFile::Key, &self.key)(FileFault::Mismatch)
            } else if matches!(fault, rustls::Error::InvalidCertificate(_)) {
                in_certificate(FileFault::UnusableCertificate)
            } else {
                in_certificate(FileFault::Refused(fault.to_string()))
            }
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
        authorities.add(authority).map_err(|_| FileFault::UnusableCertificate)?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider)
        .build()
        .map_err(|fault| FileFault::Refused(fault.to_string()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileFault> {
    let bytes = read(path)?;
    let found = CertificateDer::pem_slice_iter(&bytes).take(MAX_CERTIFICATES.saturating_add(1));
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(|_| FileFault::Damaged)?;
    match found.len() {
        0 => Err(lacking("certificate", &bytes)),
        count if count > MAX_CERTIFICATES => Err(FileFault::TooLarge),
        _ => Ok(found),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, FileFault> {
    let bytes = read(path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|fault| {
        // PKCS #8 says it in its label, the older form in a line of its own (RFC 1421 §4.6.1.1).
        if bytes.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED) {
            FileFault::Encrypted
        } else if matches!(fault, pem::Error::NoItemsFound) {
            lacking("private key", &bytes)
        } else {
            FileFault::Damaged
        }
    })
}

/// Why nothing was found, by what comes first. Nothing but a label is shown of the file.
fn lacking(wanted: &'static str, bytes: &[u8]) -> FileFault {
    if bytes.is_empty() {
        return FileFault::Empty;
    }
    let text = String::from_utf8_lossy(bytes);
    let label = text.split_once("-----BEGIN ").and_then(|(_, rest)| rest.split_once("-----"));
    let is_label = |label: &&str| {
        label.len() <= MAX_LABEL_BYTES
            && label
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || matches!(byte, b' ' | b'0'..=b'9'))
    };
    match label.map(|(label, _)| label).filter(is_label) {
        // Begun, and never ended: the reader has passed over it.
        Some(found) if found.eq_ignore_ascii_case(wanted) => FileFault::Damaged,
        Some(found) => FileFault::Lacks { wanted, found: found.into() },
        None => FileFault::NotPem,
    }
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

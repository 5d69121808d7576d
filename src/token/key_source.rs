//! Where the bytes of a key set come from: a file, at hand, an address, or a metadata document that names
//! the address. One attempt each, bounded in time and size; when to try again is the keeper's.

use super::keys::{InvalidKeySet, MAX_JWKS_BYTES};
use super::settings::{IssuerSettings, KeyLocation};
use crate::domain::UnixSeconds;
use crate::outbound::{Call, Outbound, OutboundFault};
use bytes::Bytes;
use http::header::{ACCEPT, AGE, DATE, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use url::{Host, Url};

/// One exchange is given up after this long; requests with an unknown `kid` wait for it.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest metadata document read. Bounds memory; Maskinporten's is 2 KiB.
const MAX_METADATA_BYTES: usize = 64 * 1024;

/// What [`KeySource::fetch`] promises.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Fetched, KeyFault>> + Send + 'a>>;

/// A key set, and what its source says of the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The key set, unparsed.
    pub set: Bytes,
    /// What time it was there when this was sent; `None` where nobody said so.
    pub date: Option<UnixSeconds>,
}

impl From<Bytes> for Fetched {
    fn from(set: Bytes) -> Self {
        Self { set, date: None }
    }
}

/// Gives the key set of one issuer (RFC 7517 §5), unparsed.
pub trait KeySource: fmt::Debug + Send + Sync + 'static {
    /// One attempt. It ends in bounded time and gives at most [`MAX_JWKS_BYTES`] bytes.
    fn fetch(&self) -> Fetching<'_>;
}

/// Why there is no key set. For logs and the status page; holds nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// No answer.
    #[error("{document} not fetched: {fault}")]
    Unreachable {
        /// Which of the two documents.
        document: &'static str,
        /// What went wrong.
        fault: OutboundFault,
    },
    /// An answer that is not `200 OK`.
    #[error("{document} answered with status {status}")]
    Status {
        /// Which of the two documents.
        document: &'static str,
        /// What came instead.
        status: StatusCode,
    },
    /// Not a metadata document.
    #[error("the metadata is not a JSON object with `issuer` and `jwks_uri`")]
    Metadata,
    /// A metadata document of somebody else (RFC 8414 §3.3).
    #[error("the metadata names another issuer")]
    ForeignMetadata,
    /// The same but for the slash at its end; issuers are compared exactly.
    #[error(
        "the metadata names the issuer with another end than `issuer` in the configuration: a final slash, or none"
    )]
    SlashedMetadata,
    /// Keys that anybody on the way could replace.
    #[error("the metadata names a key address that is not https")]
    UnsafeAddress,
    /// The file cannot be read.
    #[error("the key file cannot be read: {0}")]
    File(String),
    /// What came is not a key set.
    #[error(transparent)]
    KeySet(#[from] InvalidKeySet),
}

/// The source that the settings name.
pub(super) fn source_of(settings: &IssuerSettings, outbound: &Outbound) -> Arc<dyn KeySource> {
    let outbound = outbound.clone();
    match &settings.keys {
        KeyLocation::Static(bytes) => Arc::new(AtHand(bytes.clone())),
        KeyLocation::File(path) => Arc::new(KeyFile(path.clone())),
        KeyLocation::Jwks(url) => Arc::new(KeyAddress { url: url.clone(), outbound }),
        KeyLocation::Metadata(url) => {
            Arc::new(Metadata { url: url.clone(), issuer: Arc::clone(&settings.issuer), outbound })
        }
    }
}

#[derive(Debug)]
struct AtHand(Bytes);

impl KeySource for AtHand {
    fn fetch(&self) -> Fetching<'_> {
        Box::pin(std::future::ready(Ok(self.0.clone().into())))
    }
}

#[derive(Debug)]
struct KeyFile(PathBuf);

impl KeySource for KeyFile {
    fn fetch(&self) -> Fetching<'_> {
        Box::pin(async {
            let fault = |fault: std::io::Error| KeyFault::File(fault.to_string());
            let file = tokio::fs::File::open(&self.0).await.map_err(fault)?;
            let mut bytes = Vec::new();
            // One more than allowed, so that a larger file is seen as such and not as its beginning.
            let most = u64::try_from(MAX_JWKS_BYTES).unwrap_or(u64::MAX).saturating_add(1);
            file.take(most).read_to_end(&mut bytes).await.map_err(fault)?;
            Ok(Bytes::from(bytes).into())
        })
    }
}

#[derive(Debug)]
struct KeyAddress {
    url: Url,
    outbound: Outbound,
}

impl KeySource for KeyAddress {
    fn fetch(&self) -> Fetching<'_> {
        Box::pin(get(&self.outbound, self.url.clone(), "the key set", MAX_JWKS_BYTES))
    }
}

#[derive(Debug)]
struct Metadata {
    url: Url,
    issuer: Arc<str>,
    outbound: Outbound,
}

/// The two members of RFC 8414 §2 that matter; a repeated one is an error.
#[derive(Deserialize)]
struct MetadataDocument {
    issuer: String,
    jwks_uri: String,
}

impl KeySource for Metadata {
    fn fetch(&self) -> Fetching<'_> {
        Box::pin(async {
            let document =
                get(&self.outbound, self.url.clone(), "the metadata", MAX_METADATA_BYTES).await?;
            let document: MetadataDocument =
                serde_json::from_slice(&document.set).map_err(|_| KeyFault::Metadata)?;
            if document.issuer != *self.issuer {
                let without = |issuer: &str| issuer.trim_end_matches('/').to_owned();
                let is_slash = without(&document.issuer) == without(&self.issuer);
                return Err(if is_slash {
                    KeyFault::SlashedMetadata
                } else {
                    KeyFault::ForeignMetadata
                });
            }
            let keys: Url = document.jwks_uri.parse().map_err(|_| KeyFault::Metadata)?;
            if !is_safe(&keys, &self.url) {
                return Err(KeyFault::UnsafeAddress);
            }
            get(&self.outbound, keys, "the key set", MAX_JWKS_BYTES).await
        })
    }
}

/// https, loopback, or the very origin that gave the metadata: whoever could change keys there could
/// change the metadata as well. Whether plain http is allowed at all is for the config room.
fn is_safe(keys: &Url, metadata: &Url) -> bool {
    let loopback = match keys.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match keys.scheme() {
        "https" => true,
        "http" => loopback || keys.origin() == metadata.origin(),
        _ => false,
    }
}

async fn get(
    outbound: &Outbound,
    url: Url,
    document: &'static str,
    max_answer_bytes: usize,
) -> Result<Fetched, KeyFault> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let reply = outbound
        .exchange(Call {
            method: Method::GET,
            url,
            headers,
            body: Bytes::new(),
            timeout: FETCH_TIMEOUT,
            max_answer_bytes,
        })
        .await
        .map_err(|fault| KeyFault::Unreachable { document, fault })?;
    if reply.status == StatusCode::OK {
        Ok(Fetched { date: date(&reply.headers), set: reply.body })
    } else {
        Err(KeyFault::Status { document, status: reply.status })
    }
}

/// `Date` (RFC 9110 §6.6.1), with the time that an answer has lain in a cache since (RFC 9111 §5.1).
fn date(headers: &HeaderMap) -> Option<UnixSeconds> {
    let text = headers.get(DATE)?.to_str().ok()?;
    let sent = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    let age = match headers.get(AGE) {
        None => 0,
        Some(age) => age.to_str().ok()?.parse().ok()?,
    };
    let sent = UnixSeconds(u64::try_from(sent.as_second()).ok()?);
    Some(sent.saturating_add(Duration::from_secs(age)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_time_it_is_at_the_source_is_read_off_its_answer() {
        let read = |lines: &[(&'static str, &'static str)]| {
            let line = |&(name, value)| {
                (http::HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            date(&lines.iter().map(line).collect()).map(|date| date.0)
        };
        let example = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(read(&[example]), Some(784_111_777));
        assert_eq!(read(&[example, ("age", "60")]), Some(784_111_837));
        for unknown in [
            &[][..],
            &[("date", "now")],
            &[("date", "Sun, 06 Nov 1960 08:49:37 GMT")],
            &[example, ("age", "-1")],
        ] {
            assert_eq!(read(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn keys_come_over_https_loopback_or_from_where_the_metadata_came() {
        let safe = |keys: &str, metadata: &str| {
            is_safe(&keys.parse().unwrap(), &metadata.parse().unwrap())
        };
        assert!(safe("https://a.example/jwk", "https://b.example/m"));
        assert!(safe("http://127.0.0.1:7081/jwk", "http://127.0.0.1:7081/m"));
        assert!(safe("http://issuer:7081/jwk", "http://issuer:7081/m"));
        assert!(!safe("http://a.example/jwk", "https://a.example/m"));
        assert!(!safe("http://localhost.evil/jwk", "https://a.example/m"));
        assert!(!safe("file:///etc/passwd", "https://a.example/m"));
    }
}

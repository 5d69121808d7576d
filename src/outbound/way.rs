//! The way to a system: directly or through a proxy, in the clear or over TLS. What is said over it, and which
//! lines are kept, is not known here.

use super::{InvalidOutbound, OURS, OutboundSettings};
use crate::reach::reach;
use crate::tasks::Tasks;
use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHORIZATION, USER_AGENT};
use http::{HeaderValue, Request, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::upgrade::Upgraded;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use rustls_platform_verifier::Verifier;
use std::fmt;
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_util::either::Either;
use url::{Host, Url};

/// TLS sessions that may be resumed. Bounds memory: the systems are few.
const MAX_SESSIONS: usize = 32;
/// By ALPN (RFC 7301), the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// To whoever is met first, a proxy perhaps.
type First = Either<TcpStream, Box<TlsStream<TcpStream>>>;
/// To the system itself, without the TLS that is spoken with it.
type Carrier = Either<First, TokioIo<Upgraded>>;
/// To the system itself.
pub(super) type Stream = Either<Carrier, Box<TlsStream<Carrier>>>;

/// A new line, and what is spoken over it.
pub(super) struct Line {
    pub(super) stream: Stream,
    pub(super) is_http2: bool,
}

/// Whose certificates are believed, and which proxy stands before whom.
pub(super) struct Ways {
    /// Offers HTTP/2 and HTTP/1.1.
    tls: TlsConnector,
    /// To a proxy, which is spoken to in HTTP/1.1.
    tls_to_proxy: TlsConnector,
    proxies: Option<Matcher>,
    http2: bool,
}

/// The way to one origin.
pub(super) struct Way {
    to: Place,
    through: Option<Proxy>,
    tls: TlsConnector,
    tls_to_proxy: TlsConnector,
    /// Whether HTTP/2 is spoken in the clear.
    http2: bool,
}

/// A host and a port, and whether they are spoken to over TLS.
struct Place {
    host: Box<str>,
    port: u16,
    secure: bool,
}

struct Proxy {
    place: Place,
    authorization: Option<HeaderValue>,
}

impl Ways {
    pub(super) fn new(settings: &OutboundSettings) -> Result<Self, InvalidOutbound> {
        let config = believing(settings.ca_pem.as_ref())?;
        let mut both = config.clone();
        both.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        let proxies = settings.proxy.as_ref().map(|url| {
            let matcher = || Matcher::builder().all(url.as_str());
            // One that the library cannot read would be none, and everything would go directly.
            let is_read = ["http", "https"].contains(&url.scheme())
                && [Uri::from_static("http://a"), Uri::from_static("https://a")]
                    .iter()
                    .all(|uri| matcher().build().intercept(uri).is_some());
            let except = settings.no_proxy.clone().unwrap_or_default();
            is_read
                .then(|| matcher().no(except).build())
                .ok_or_else(|| InvalidOutbound("the proxy address cannot be used".to_owned()))
        });
        Ok(Self {
            tls: TlsConnector::from(Arc::new(both)),
            tls_to_proxy: TlsConnector::from(Arc::new(config)),
            proxies: proxies.transpose()?,
            http2: settings.http2,
        })
    }

    /// The way to where this address leads. `None` for one without a host, or of another scheme than HTTP's.
    pub(super) fn to(&self, url: &Url) -> Option<Way> {
        let host = match url.host()? {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let secure = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let to = Place { host: host.into(), port: url.port_or_known_default()?, secure };
        let through = match &self.proxies {
            Some(proxies) => {
                let destination: Uri = url.as_str().parse().ok()?;
                match proxies.intercept(&destination) {
                    Some(found) => {
                        let authorization = found.basic_auth().cloned();
                        Some(Proxy { place: Place::of(found.uri())?, authorization })
                    }
                    None => None,
                }
            }
            None => None,
        };
        let (tls, tls_to_proxy) = (self.tls.clone(), self.tls_to_proxy.clone());
        Some(Way { to, through, tls, tls_to_proxy, http2: self.http2 })
    }
}

impl Place {
    fn of(uri: &Uri) -> Option<Self> {
        let secure = uri.scheme_str() == Some("https");
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').into();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        Some(Self { host, port, secure })
    }

    fn name(&self) -> io::Result<ServerName<'static>> {
        ServerName::try_from(self.host.to_string()).map_err(io::Error::other)
    }

    /// `host:port`, an address of IPv6 in brackets.
    fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl Way {
    /// Whether TLS is spoken with who is at its end.
    pub(super) fn is_secure(&self) -> bool {
        self.to.secure
    }

    /// Whether requests go to a proxy that passes them on, and so bear the whole address (RFC 9112 §3.2.2).
    /// Through others there is a tunnel.
    pub(super) fn is_passed_on(&self) -> bool {
        self.through.is_some() && !self.to.secure
    }

    /// What the proxy that passes requests on wants to see in each (RFC 9110 §11.7.2).
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.through.as_ref().filter(|_| !self.to.secure)?.authorization.as_ref()
    }

    /// A new line. Has no end of its own: whoever asks bounds it.
    pub(super) async fn open(&self, tasks: &Tasks) -> io::Result<Line> {
        let stream = match &self.through {
            None => Either::Left(Either::Left(reach(&self.to.host, self.to.port).await?)),
            Some(proxy) => self.open_through(proxy, tasks).await?,
        };
        if !self.to.secure {
            return Ok(Line { stream: Either::Left(stream), is_http2: self.http2 });
        }
        let stream = self.tls.connect(self.to.name()?, stream).await?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Line { stream: Either::Right(Box::new(stream)), is_http2 })
    }

    async fn open_through(&self, proxy: &Proxy, tasks: &Tasks) -> io::Result<Carrier> {
        let at = &proxy.place;
        let fault = |cause: io::Error| {
            io::Error::new(cause.kind(), format!("the proxy {}: {cause}", at.authority()))
        };
        let tcp = reach(&at.host, at.port).await.map_err(fault)?;
        let stream = if at.secure {
            let tls = self.tls_to_proxy.connect(at.name()?, tcp).await.map_err(fault)?;
            Either::Right(Box::new(tls))
        } else {
            Either::Left(tcp)
        };
        if !self.to.secure {
            return Ok(Either::Left(stream));
        }
        let target = self.to.authority();
        let tunnel = tunnel(stream, &target, proxy.authorization.as_ref(), tasks);
        tunnel.await.map(Either::Right).map_err(fault)
    }
}

/// Asks a proxy for a tunnel (RFC 9110 §9.3.6).
async fn tunnel(
    stream: First,
    target: &str,
    authorization: Option<&HeaderValue>,
    tasks: &Tasks,
) -> io::Result<TokioIo<Upgraded>> {
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // Ends when the tunnel is handed over, or with the sender.
    let _ends_by_itself = tasks.spawn(async move { connection.with_upgrades().await.is_ok() });
    let mut request = Request::connect(target).header(HOST, target).header(USER_AGENT, OURS);
    if let Some(authorization) = authorization {
        request = request.header(PROXY_AUTHORIZATION, authorization);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(io::Error::other)?;
    let answer = sender.send_request(request).await.map_err(io::Error::other)?;
    if !answer.status().is_success() {
        return Err(io::Error::other(format!("it answers {}", answer.status())));
    }
    let upgraded = hyper::upgrade::on(answer).await.map_err(io::Error::other)?;
    Ok(TokioIo::new(upgraded))
}

/// TLS 1.2 and 1.3, with the platform's roots and further ones.
fn believing(ca_pem: Option<&Bytes>) -> Result<ClientConfig, InvalidOutbound> {
    let mut further = Vec::new();
    if let Some(pem) = ca_pem {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            further.push(certificate.map_err(|cause| {
                InvalidOutbound(format!("the CA file holds no readable certificate: {cause}"))
            })?);
        }
        if further.is_empty() {
            return Err(InvalidOutbound("the CA file holds no certificate in PEM".to_owned()));
        }
    }
    let what = match ca_pem {
        Some(_) => "the client cannot be made, perhaps because of the CA file",
        None => "the client cannot be made",
    };
    let fault = |cause| InvalidOutbound(format!("{what}: {cause}"));
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier::new_with_extra_roots(further, Arc::clone(&provider)).map_err(fault)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(fault)?
        // The one way to the verifier of the platform that takes further roots.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(MAX_SESSIONS);
    Ok(config)
}

impl fmt::Debug for Ways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ways").field("proxies", &self.proxies).finish_non_exhaustive()
    }
}

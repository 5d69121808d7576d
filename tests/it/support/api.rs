//! An API in every protocol that an upstream may speak, which behaves as its path says.

use super::peers::Authority;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri, Version};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;

/// What is spoken, and over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Http,
    Unix,
    /// TLS, and HTTP/1.1 chosen by ALPN.
    HttpsOne,
    /// TLS, and HTTP/2 chosen by ALPN.
    HttpsTwo,
    H2c,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Http, Self::Unix, Self::HttpsOne, Self::HttpsTwo, Self::H2c];

    pub(crate) fn is_http2(self) -> bool {
        matches!(self, Self::HttpsTwo | Self::H2c)
    }
}

/// One request, as the library read it.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) connection: usize,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
}

#[derive(Default)]
struct State {
    told: Mutex<Vec<Told>>,
    accepted: AtomicUsize,
    /// Connections that have ended.
    ended: AtomicUsize,
    /// Exchanges whose end was noticed: answers dropped or delivered.
    exchanges_ended: AtomicUsize,
    /// Bytes of answers given to the library.
    sent: AtomicUsize,
}

pub(crate) struct Api {
    pub(crate) url: String,
    authority: Option<Arc<Authority>>,
    file: Option<PathBuf>,
    state: Arc<State>,
    _accepting: JoinSet<()>,
}

impl Drop for Api {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            let _ = std::fs::remove_file(file);
        }
    }
}

impl Api {
    pub(crate) async fn start(kind: Kind) -> Self {
        let (state, mut accepting) = (Arc::<State>::default(), JoinSet::new());
        let (mut authority, mut file) = (None, None);
        let url = if kind == Kind::Unix {
            let path = std::env::temp_dir().join(format!("portvakt-it-{}", uuid::Uuid::new_v4()));
            let listener = UnixListener::bind(&path).unwrap();
            let state = Arc::clone(&state);
            accepting.spawn(async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    connections.spawn(serve(stream, false, Arc::clone(&state)));
                }
            });
            let url = format!("unix:{}", path.display());
            file = Some(path);
            url
        } else {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let address: SocketAddr = listener.local_addr().unwrap();
            let scheme = match kind {
                Kind::Http | Kind::Unix => "http",
                Kind::H2c => "h2c",
                Kind::HttpsOne | Kind::HttpsTwo => "https",
            };
            let acceptor = (scheme == "https").then(|| {
                let authority = authority.insert(Authority::new());
                let protocol: &[u8] = if kind.is_http2() { b"h2" } else { b"http/1.1" };
                authority.acceptor(&[protocol])
            });
            let state = Arc::clone(&state);
            accepting.spawn(async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    stream.set_nodelay(true).unwrap();
                    let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
                    connections.spawn(async move {
                        match acceptor {
                            Some(acceptor) => {
                                if let Ok(stream) = acceptor.accept(stream).await {
                                    serve(stream, kind.is_http2(), state).await;
                                }
                            }
                            None => serve(stream, kind.is_http2(), state).await,
                        }
                    });
                }
            });
            format!("{scheme}://{address}")
        };
        Self { url, authority, file, state, _accepting: accepting }
    }

    /// The section `upstream`, with these further keys.
    pub(crate) fn settings(&self, further: &str) -> String {
        let ca = self.authority.as_ref().map(|authority| authority.file().display().to_string());
        let ca = ca.map(|file| format!(", ca_file: '{file}'")).unwrap_or_default();
        format!("upstream: {{ url: '{}'{ca}{further} }}\n", self.url)
    }

    pub(crate) fn told(&self) -> Vec<Told> {
        self.state.told.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Told {
        self.told().pop().expect("the API has been told something")
    }

    pub(crate) fn count(&self) -> usize {
        self.state.told.lock().unwrap().len()
    }

    pub(crate) fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn ended(&self) -> usize {
        self.state.ended.load(Ordering::SeqCst)
    }

    pub(crate) fn exchanges_ended(&self) -> usize {
        self.state.exchanges_ended.load(Ordering::SeqCst)
    }

    pub(crate) fn sent(&self) -> usize {
        self.state.sent.load(Ordering::SeqCst)
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    is_http2: bool,
    state: Arc<State>,
) {
    let connection = state.accepted.fetch_add(1, Ordering::SeqCst);
    let service = service_fn(|request: Request<Incoming>| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(play(request, connection, state).await) }
    });
    let stream = TokioIo::new(stream);
    if is_http2 {
        let _ = http2::Builder::new(Here).serve_connection(stream, service).await;
    } else {
        let _ = http1::Builder::new().serve_connection(stream, service).await;
    }
    state.ended.fetch_add(1, Ordering::SeqCst);
}

#[derive(Clone)]
struct Here;

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Here {
    #[expect(clippy::disallowed_methods, reason = "these tasks end with the runtime of their test")]
    fn execute(&self, task: F) {
        tokio::spawn(task);
    }
}

/// Counts the end of an exchange.
struct Witness(Arc<State>);

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.exchanges_ended.fetch_add(1, Ordering::SeqCst);
    }
}

async fn play(
    request: Request<Incoming>,
    connection: usize,
    state: Arc<State>,
) -> Response<Played> {
    let (head, mut body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let told = Told {
        connection,
        method: head.method,
        uri: head.uri,
        version: head.version,
        headers: head.headers,
    };
    state.told.lock().unwrap().push(told);
    let witness = Witness(Arc::clone(&state));
    let says = match path.as_str() {
        // Sends back what it receives, as it comes, trailers too.
        "/public/echo" => Says::Echo(body),
        // Answers without reading.
        "/public/early" => Says::Once(Bytes::from_static(b"early")),
        // Reads, and never answers.
        "/public/hold" => {
            let mut next = async || {
                futures_util::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context))
                    .await
            };
            loop {
                match next().await {
                    Some(Ok(_)) => {}
                    // Without this it would not notice that the client has left.
                    Some(Err(_)) => break Says::Nothing,
                    None => std::future::pending().await,
                }
            }
        }
        // Neither reads nor answers.
        "/public/unread" => {
            std::future::pending::<()>().await;
            drop(body);
            Says::Nothing
        }
        // Sends a part, and no more.
        "/public/part" => Says::Part(Bytes::from_static(b"part"), None),
        // Sends a part, and breaks off.
        "/public/break" => Says::Part(Bytes::from_static(b"part"), Some(8)),
        // Sends without end.
        "/public/flood" => Says::Flood,
        _ => Says::Once(Bytes::from_static(b"ok")),
    };
    let mut response = Response::new(Played { says, witness });
    response.headers_mut().insert("trailer", "x-sum".parse().unwrap());
    response.headers_mut().insert("alt-svc", "h3=\":443\"".parse().unwrap());
    response
}

enum Says {
    Nothing,
    Once(Bytes),
    Echo(Incoming),
    /// And breaks off when it has been asked for more so many times: the part has been sent then.
    Part(Bytes, Option<u8>),
    Flood,
}

struct Played {
    says: Says,
    witness: Witness,
}

impl Body for Played {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        const PIECE: &[u8] = &[b'x'; 16 * 1024];
        let state = Arc::clone(&self.witness.0);
        let frame = match &mut self.says {
            Says::Nothing => return Poll::Ready(None),
            Says::Once(bytes) => Frame::data(std::mem::take(bytes)),
            Says::Echo(body) => {
                let Some(frame) = ready!(Pin::new(body).poll_frame(context)) else {
                    return Poll::Ready(None);
                };
                return Poll::Ready(Some(Ok(frame?)));
            }
            Says::Part(bytes, _) if !bytes.is_empty() => {
                return Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))));
            }
            Says::Part(_, None) => return Poll::Pending,
            Says::Part(_, Some(0)) => return Poll::Ready(Some(Err("broken off".into()))),
            Says::Part(_, Some(times)) => {
                *times -= 1;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Says::Flood => {
                state.sent.fetch_add(PIECE.len(), Ordering::SeqCst);
                return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(PIECE)))));
            }
        };
        self.says = Says::Nothing;
        Poll::Ready(Some(Ok(frame)))
    }
}

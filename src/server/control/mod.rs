//! What operators see and change while the proxy runs, on loopback: the status page, the decisions as they are made. Changes need a token. Its answers are
//! made here; none allows a page of elsewhere anything.
//!
//! A browser on the same machine is the attacker in mind: hence the checks of `Host` (names that are made
//! to mean this machine) and of the origin, before the token is looked at.
//!
//! What it does not hold: what a page does. `purge` is the proxy's own; others are given by whoever opens
//! the listener.

mod assets;
mod page;
pub(super) mod purge;
mod stream;

pub use page::{Asked, Page, Refusal, stated};
pub use stream::Events;

use crate::domain::Host;
use crate::record::Recorder;
use crate::tasks::Tasks;
use crate::token::BearerToken;
use arc_swap::ArcSwapOption;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Digest, SHA256, digest};
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, ORIGIN, X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Either, Full, Limited};
use hyper::body::Incoming;
use page::in_json;
use secrecy::{ExposeSecret as _, SecretString};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Answers control requests. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    pages: Arc<[Page]>,
    token: ControlToken,
    /// Of the proxy whose status page this has, if it has one.
    recorder: Option<Arc<Recorder>>,
    tasks: Tasks,
}

/// An answer: whole, or events as they come.
pub type Answer = Response<Either<Full<Bytes>, Events>>;

/// What a change needs, if anything does for it. Cheap to clone; all clones are one.
// SHA-256 of the token: comparing hashes tells nothing of its length either.
#[derive(Clone, Default)]
pub(in crate::server) struct ControlToken(Arc<ArcSwapOption<Digest>>);

impl ControlToken {
    /// From now on it is this one.
    pub(in crate::server) fn replace(&self, token: Option<&SecretString>) {
        let hashed = |token: &SecretString| digest(&SHA256, token.expose_secret().as_bytes());
        self.0.store(token.map(hashed).map(Arc::new));
    }
}

/// The largest body read. Bounds memory; what can be said has a few hundred bytes.
const MAX_BODY_BYTES: usize = 4096;
/// For the whole body to come. Bounds a client that sends and stops.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// The hosts by which this machine knows itself.
const HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl Control {
    /// Answers these pages. Without a token nothing can be changed.
    #[must_use]
    pub fn new(pages: Vec<Page>, token: Option<&SecretString>, tasks: Tasks) -> Self {
        let held = ControlToken::default();
        held.replace(token);
        Self { pages: pages.into(), token: held, recorder: None, tasks }
    }

    /// The same, with the status page and the records of this proxy.
    pub(in crate::server) fn showing(mut self, recorder: Arc<Recorder>) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// The way to another token.
    pub(in crate::server) fn token(&self) -> ControlToken {
        self.token.clone()
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request<Incoming>) -> Answer {
        if let Err(refusal) = check_origin(&request) {
            return refusal.answer(None).map(Either::Left);
        }
        match self.show(&request) {
            Some(Ok(answer)) => answer,
            Some(Err(refusal)) => refusal.answer(None).map(Either::Left),
            None => self.answer(request).await.map(Either::Left),
        }
    }

    /// What is no document in JSON, if it is asked for.
    fn show(&self, request: &Request<Incoming>) -> Option<Result<Answer, Refusal>> {
        let recorder = self.recorder.as_ref().filter(|_| request.method() == Method::GET)?;
        if request.uri().path() == stream::RECORDS {
            let query = request.uri().query().unwrap_or_default();
            let events = stream::open(recorder.live(), query, self.tasks.stopping());
            return Some(events.map(|events| {
                let mut answer = Response::new(Either::Right(events));
                let headers = answer.headers_mut();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
                answer
            }));
        }
        let target = request.uri().path_and_query()?;
        assets::at(target.as_str()).map(|asset| Ok(asset.map(|text| Either::Left(Full::new(text)))))
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (page, rest) = match self.page(&request) {
            Ok(found) => found,
            Err((refusal, allowed)) => return refusal.answer(allowed.as_ref()),
        };
        match self.ask(page, rest, request).await {
            Ok(document) => in_json(StatusCode::OK, "application/json", &document),
            Err(refusal) => refusal.answer(None),
        }
    }

    /// The page that is meant; or why there is none, and which method it would have.
    fn page(
        &self,
        request: &Request<Incoming>,
    ) -> Result<(Page, String), (Refusal, Option<Method>)> {
        // With the query: nothing is said there, and what is said is not to be passed over.
        let path = request.uri().path_and_query().map_or("", |target| target.as_str());
        let found: Vec<_> =
            self.pages.iter().filter_map(|page| Some((page, page.rest(path)?))).collect();
        let meant = found.iter().find(|(page, _)| page.method == *request.method());
        match (meant, found.first()) {
            (Some((page, rest)), _) => Ok(((*page).clone(), (*rest).to_owned())),
            (None, Some((other, _))) => {
                let detail = format!("only {} is answered", other.method);
                let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, detail);
                Err((refusal, Some(other.method.clone())))
            }
            (None, None) => {
                Err((Refusal::new(StatusCode::NOT_FOUND, "there is no such page"), None))
            }
        }
    }

    async fn ask(
        &self,
        page: Page,
        rest: String,
        request: Request<Incoming>,
    ) -> Result<serde_json::Value, Refusal> {
        let mut asked = Asked { rest, body: Bytes::new() };
        if page.method != Method::GET {
            self.check_token(request.headers())?;
            check_media_type(request.headers())?;
            asked.body = read(request.into_body()).await?;
        }
        // It may look at a great deal; a client that leaves does not leave it half done. What it logs
        // belongs to this log, on whichever thread it runs.
        let log = tracing::dispatcher::get_default(Clone::clone);
        let answering = self.tasks.spawn_blocking(move || {
            tracing::dispatcher::with_default(&log, || (page.answer)(&asked))
        });
        let fault = |_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the page has failed");
        answering.await.map_err(fault)?
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(expected) = &*self.token.0.load() else {
            let detail = "no control token is configured, so nothing can be changed";
            return Err(Refusal::new(StatusCode::FORBIDDEN, detail));
        };
        let refusal = || Refusal::new(StatusCode::UNAUTHORIZED, "the control token is needed");
        let token = BearerToken::from_headers(headers).map_err(|_| refusal())?;
        let sent = digest(&SHA256, token.expose().as_bytes());
        verify_slices_are_equal(sent.as_ref(), expected.as_ref().as_ref()).map_err(|_| refusal())
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}

/// The request means this machine, and no page of another origin made it.
fn check_origin(request: &Request<Incoming>) -> Result<(), Refusal> {
    let elsewhere = || {
        let detail = "Host must be localhost, 127.0.0.1 or [::1]";
        Refusal::new(StatusCode::MISDIRECTED_REQUEST, detail)
    };
    // A target with a host of its own would have two (RFC 9112 §3.2.2).
    if request.uri().authority().is_some() {
        return Err(elsewhere());
    }
    let headers = request.headers();
    let host = Host::of(headers).map_err(|_| elsewhere())?;
    if !HOSTS.contains(&host.name()) {
        return Err(elsewhere());
    }
    let ours = format!("http://{}", host.as_str());
    let same_origin = headers.get_all(ORIGIN).iter().all(|origin| *origin == *ours);
    let same_site = headers.get_all(SEC_FETCH_SITE).iter().all(|site| {
        // `none`: the user's own doing, such as a bookmark.
        *site == "same-origin" || *site == "none"
    });
    if same_origin && same_site {
        Ok(())
    } else {
        Err(Refusal::new(StatusCode::FORBIDDEN, "pages of other origins are not answered"))
    }
}

/// A page of elsewhere can send forms without asking, but not JSON.
fn check_media_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut lines = headers.get_all(CONTENT_TYPE).iter();
    let media_type = lines.next().and_then(|line| line.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") && lines.next().is_none() {
        Ok(())
    } else {
        let detail = "the body must be application/json";
        Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
    }
}

async fn read(body: Incoming) -> Result<Bytes, Refusal> {
    let body = Limited::new(body, MAX_BODY_BYTES).collect();
    match tokio::time::timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(fault)) if fault.is::<http_body_util::LengthLimitError>() => {
            Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 4 KiB"))
        }
        Ok(Err(_)) => Err(Refusal::bad("the body broke off")),
        Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")),
    }
}

impl fmt::Debug for ControlToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlToken").finish_non_exhaustive()
    }
}

//! What operators change while the proxy runs, on loopback and with a token: so far, that decisions in hand
//! are forgotten. Its answers are made here; none allows a page of elsewhere anything.
//!
//! A browser on the same machine is the attacker in mind: hence the checks of `Host` (names that are made
//! to mean this machine) and of the origin, before the token is looked at.

use crate::domain::{Host, Party, PartyForms, PartyKind, PartyKinds, ResourceId, SystemUserId};
use crate::pdp::Purge;
use crate::snapshot::Snapshot;
use crate::tasks::Tasks;
use crate::token::BearerToken;
use arc_swap::ArcSwap;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Digest, SHA256, digest};
use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, ORIGIN,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Answers control requests. Cheap to clone.
#[derive(Clone)]
pub(super) struct Control {
    snapshot: Arc<ArcSwap<Snapshot>>,
    /// SHA-256 of the token: comparing hashes tells nothing of its length either.
    token: Option<Digest>,
    tasks: Tasks,
}

/// The largest body read. Bounds memory; what can be said has a few hundred bytes.
const MAX_BODY_BYTES: usize = 4096;
/// For the whole body to come. Bounds a client that sends and stops.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// The hosts by which this machine knows itself.
const HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a control request is refused.
struct Refusal {
    status: StatusCode,
    detail: &'static str,
}

/// What is to be forgotten. `null` is no value: who has none to say must not say the member.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Named {
    #[serde(default, deserialize_with = "stated")]
    all: Option<bool>,
    #[serde(default, deserialize_with = "stated")]
    system_user: Option<String>,
    #[serde(default, deserialize_with = "stated")]
    party: Option<String>,
    #[serde(default, deserialize_with = "stated")]
    resource: Option<String>,
}

fn stated<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

impl Control {
    /// Purges what is in force when it is asked.
    pub(super) fn new(
        snapshot: Arc<ArcSwap<Snapshot>>,
        token: Option<&SecretString>,
        tasks: Tasks,
    ) -> Self {
        let token = token.map(|token| digest(&SHA256, token.expose_secret().as_bytes()));
        Self { snapshot, token, tasks }
    }

    /// Answers one request: `POST /decisions/purge` and nothing else.
    pub(super) async fn handle(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        match self.purge(request).await {
            Ok(purged) => {
                json(StatusCode::OK, "application/json", &serde_json::json!({ "purged": purged }))
            }
            Err(refusal) => refusal.answer(),
        }
    }

    async fn purge(&self, request: Request<Incoming>) -> Result<u64, Refusal> {
        check_origin(&request)?;
        // With the query: nothing is said there, and what is said is not to be passed over.
        if request.uri().path_and_query().is_none_or(|target| target != "/decisions/purge") {
            return Err(Refusal::new(StatusCode::NOT_FOUND, "there is no such page"));
        }
        if *request.method() != Method::POST {
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "only POST is answered"));
        }
        self.check_token(request.headers())?;
        check_media_type(request.headers())?;
        let body = read(request.into_body()).await?;
        let snapshot = self.snapshot.load_full();
        let purge = purge_of(&body, &snapshot)?;
        let (told, decisions) = (purge.clone(), Arc::clone(&snapshot.decisions));
        // It may look at every entry; a client that leaves does not leave it half done.
        let purging = self.tasks.spawn_blocking(move || decisions.purge(&purge));
        let fault = |_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the purge has failed");
        let purged = purging.await.map_err(fault)?;
        // A person's number is masked by `Party` itself.
        tracing::info!(
            all = told == Purge::default(),
            system_user = told.system_user.map(tracing::field::display),
            party = told.party.map(tracing::field::display),
            resource = told.resource.as_ref().map(ResourceId::as_str),
            purged,
            "decisions are purged"
        );
        Ok(purged)
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(expected) = &self.token else {
            let detail = "no control token is configured, so nothing can be changed";
            return Err(Refusal::new(StatusCode::FORBIDDEN, detail));
        };
        let refusal = || Refusal::new(StatusCode::UNAUTHORIZED, "the control token is needed");
        let token = BearerToken::from_headers(headers).map_err(|_| refusal())?;
        let sent = digest(&SHA256, token.expose().as_bytes());
        verify_slices_are_equal(sent.as_ref(), expected.as_ref()).map_err(|_| refusal())
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

/// What the body asks for. None of the answers repeats what it says: it may name a person.
fn purge_of(body: &[u8], snapshot: &Snapshot) -> Result<Purge, Refusal> {
    // An array would do for the derived reader.
    let named: Option<Named> = body
        .trim_ascii_start()
        .starts_with(b"{")
        .then(|| serde_json::from_slice(body).ok())
        .flatten();
    let Some(Named { all, system_user, party, resource }) = named else {
        return Err(Refusal::bad(
            "the body must be an object with `all`, or with some of `systemUser`, `party` and `resource`, each once",
        ));
    };
    let named = system_user.is_some() || party.is_some() || resource.is_some();
    match (all, named) {
        (Some(true), false) | (None, true) => {}
        (Some(false), _) => return Err(Refusal::bad("`all` can only be true")),
        (Some(true), true) => return Err(Refusal::bad("`all` excludes every other member")),
        (None, false) => return Err(Refusal::bad("nothing is named; `{\"all\":true}` purges all")),
    }
    let forms = PartyForms {
        kinds: PartyKinds::of(&PartyKind::ALL),
        check_digits: snapshot.judging.check_digits,
    };
    let system_user = system_user
        .map(|text| SystemUserId::parse(&text).ok_or(Refusal::bad("`systemUser` is not a uuid")));
    let party = party
        .map(|text| Party::parse(&text, forms).map_err(|_| Refusal::bad("`party` is not a party")));
    let resource = resource.map(|text| {
        ResourceId::parse(&text).map_err(|_| Refusal::bad("`resource` is not a resource id"))
    });
    Ok(Purge {
        system_user: system_user.transpose()?,
        party: party.transpose()?,
        resource: resource.transpose()?,
    })
}

impl Refusal {
    fn new(status: StatusCode, detail: &'static str) -> Self {
        Self { status, detail }
    }

    fn bad(detail: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// A problem document (RFC 9457) of the kind that says no more than its status.
    fn answer(&self) -> Response<Full<Bytes>> {
        let document = serde_json::json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let mut answer = json(self.status, "application/problem+json", &document);
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer
    }
}

fn json(
    status: StatusCode,
    media_type: &'static str,
    document: &serde_json::Value,
) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(format!("{document}\n"))));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

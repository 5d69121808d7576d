//! The development issuer over HTTP: metadata, keys and token endpoint at the paths Maskinporten uses.
//! What it grants is decided in `grant`.

use super::grant::{GrantFault, Granted, Grants};
use super::issuer_directory::IssuerDirectory;
use super::signer::SigningKey;
use crate::domain::Clock;
use crate::tasks::Tasks;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use url::Url;

/// The largest form read: an assertion and some more. Bounds memory.
pub const MAX_FORM_BYTES: usize = 64 * 1024;
/// Bounds tasks and sockets against a test that does not close its own.
const MAX_CONNECTIONS: usize = 256;
/// Heads and bodies are waited for this long. Bounds connections that send nothing.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the tokens live, as those of system users do at Maskinporten.
const DEFAULT_LIFETIME: Duration = Duration::from_mins(2);
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Names that only their owners may use.
const REAL_ISSUERS: [&str; 4] = ["maskinporten.no", "idporten.no", "altinn.no", "altinn.cloud"];

/// A token issuer for development.
#[derive(Debug)]
pub struct Issuer {
    name: String,
    key: SigningKey,
    grants: Grants,
    lifetime: Duration,
    clock: Arc<dyn Clock>,
}

/// Why an issuer is not started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIssuer {
    /// Tokens of this name could be taken for real ones.
    #[error("a development issuer must not be named like a real one")]
    RealName,
    /// Not `http(s)://host[:port]`.
    #[error("the base address of an issuer is http or https, a host, and no more")]
    Address,
    /// A client that could never be granted anything.
    #[error("client `{0}` has no usable public key")]
    ClientKey(String),
}

impl Issuer {
    /// An issuer named by its own base address and a slash.
    pub fn new(
        base: &Url,
        key: SigningKey,
        directory: IssuerDirectory,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, InvalidIssuer> {
        let host = base.host_str().ok_or(InvalidIssuer::Address)?;
        let host = host.trim_end_matches('.');
        if REAL_ISSUERS.iter().any(|real| {
            host == *real || host.strip_suffix(real).is_some_and(|rest| rest.ends_with('.'))
        }) {
            return Err(InvalidIssuer::RealName);
        }
        let is_origin = base.path() == "/"
            && base.query().is_none()
            && base.fragment().is_none()
            && base.username().is_empty()
            && base.password().is_none();
        if !is_origin || !matches!(base.scheme(), "http" | "https") {
            return Err(InvalidIssuer::Address);
        }
        // `Url` writes the slash.
        let name = base.as_str().to_owned();
        let grants = Grants::new(name.clone(), directory).map_err(InvalidIssuer::ClientKey)?;
        Ok(Self { name, key, grants, lifetime: DEFAULT_LIFETIME, clock })
    }

    /// The same, with tokens that live this long.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// `iss` of its tokens.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key it signs with.
    #[must_use]
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Answers one request.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
    {
        // Some of Altinn's own settings write the metadata address with a final slash.
        let path = request.uri().path();
        let path = path.strip_suffix('/').unwrap_or(path).to_owned();
        match (path.as_str(), request.method()) {
            (
                "/.well-known/oauth-authorization-server" | "/.well-known/openid-configuration",
                &Method::GET,
            ) => answer(StatusCode::OK, self.metadata().to_string()),
            ("/jwk", &Method::GET) => answer(StatusCode::OK, self.key.public_jwks()),
            ("/token", &Method::POST) => match self.token(request).await {
                Ok(granted) => answer(StatusCode::OK, granted.to_string()),
                Err(fault) => {
                    let text =
                        json!({ "error": fault.error, "error_description": fault.description });
                    answer(StatusCode::BAD_REQUEST, text.to_string())
                }
            },
            (
                "/.well-known/oauth-authorization-server"
                | "/.well-known/openid-configuration"
                | "/jwk"
                | "/token",
                _,
            ) => answer(StatusCode::METHOD_NOT_ALLOWED, json!({}).to_string()),
            _ => answer(StatusCode::NOT_FOUND, json!({}).to_string()),
        }
    }

    fn metadata(&self) -> Value {
        json!({
            "issuer": self.name,
            "token_endpoint": format!("{}token", self.name),
            "jwks_uri": format!("{}jwk", self.name),
            "grant_types_supported": [GRANT_TYPE],
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ["RS256", "RS384", "RS512"],
            "authorization_details_types_supported": ["urn:altinn:systemuser"],
        })
    }

    async fn token<B>(&self, request: Request<B>) -> Result<Value, GrantFault>
    where
        B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
    {
        let invalid = |description| GrantFault { error: "invalid_request", description };
        let is_form = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .and_then(|kind| kind.split(';').next())
            .is_some_and(|kind| {
                kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
            });
        if !is_form {
            return Err(invalid("The body is not a form"));
        }
        let form = Limited::new(request.into_body(), MAX_FORM_BYTES).collect();
        let form = tokio::time::timeout(READ_TIMEOUT, form)
            .await
            .map_err(|_| invalid("The body does not arrive"))?
            .map_err(|_| invalid("The body is too large or broken"))?
            .to_bytes();
        let once = |name: &str| {
            let mut values = url::form_urlencoded::parse(&form).filter(|(field, _)| field == name);
            values.next().filter(|_| values.next().is_none()).map(|(_, value)| value)
        };
        if once("grant_type").as_deref() != Some(GRANT_TYPE) {
            let description = "The only grant is urn:ietf:params:oauth:grant-type:jwt-bearer";
            return Err(GrantFault { error: "unsupported_grant_type", description });
        }
        let assertion = once("assertion").ok_or(invalid("One assertion is expected"))?;
        let Granted { claims, scope } =
            self.grants.grant(&assertion, self.clock.wall(), self.lifetime)?;
        let token = self.key.sign(&claims).map_err(|_| GrantFault {
            error: "server_error",
            description: "The token cannot be signed",
        })?;
        Ok(json!({
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": self.lifetime.as_secs(),
            "scope": scope,
        }))
    }
}

fn answer(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// Serves HTTP/1.1 on the listener until the tasks are told to stop.
pub fn serve(listener: TcpListener, issuer: Arc<Issuer>, tasks: &Tasks) -> JoinHandle<()> {
    let (stopping, connections) = (tasks.stopping(), tasks.clone());
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    tasks.spawn(async move {
        loop {
            let accepted = tokio::select! {
                () = stopping.cancelled() => return,
                accepted = accept(&listener, &slots) => accepted,
            };
            let Some((socket, slot)) = accepted else { continue };
            let (issuer, stopping) = (Arc::clone(&issuer), stopping.clone());
            drop(connections.spawn(async move {
                let service = service_fn(|request| {
                    let issuer = Arc::clone(&issuer);
                    async move { Ok::<_, Infallible>(issuer.handle(request).await) }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(READ_TIMEOUT)
                    .serve_connection(TokioIo::new(socket), service);
                // Development only: at the end of the process, connections simply end.
                tokio::select! {
                    () = stopping.cancelled() => {}
                    _ = connection => {}
                }
                drop(slot);
            }));
        }
    })
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((socket, _)) => Some((socket, slot)),
        Err(_) => {
            // Out of file descriptors, mostly: without a pause this would be a busy loop.
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

#[cfg(test)]
mod tests;

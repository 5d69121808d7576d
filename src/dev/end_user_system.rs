//! An end-user system: fetches tokens by JWT grant and calls an API, as a vendor's software does.

use super::claims::{actor, set};
use super::signer::SigningKey;
use crate::domain::{Clock, OrganizationNumber};
use crate::outbound::{Call, Outbound, OutboundFault, Reply};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{HeaderName, Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// A Maskinporten client of a vendor, with the key that proves it.
#[derive(Debug)]
pub struct EndUserSystem {
    /// `iss` of its assertions.
    pub client_id: String,
    /// Its private key.
    pub key: SigningKey,
    /// Where tokens are asked for: the issuer's name, which is its address.
    pub issuer: Url,
    /// How it reaches issuer and API.
    pub outbound: Outbound,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// For whom a token is asked: a system user, by its owner.
#[derive(Clone, Copy, Debug)]
pub struct OnBehalf<'a> {
    /// The organization that owns the system user.
    pub owner: OrganizationNumber,
    /// Tells several system users of one owner apart.
    pub external_ref: Option<&'a str>,
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// The issuer refused; its words.
    #[error("{error}: {description}")]
    Refused {
        /// `error` (RFC 6749 §5.2).
        error: String,
        /// `error_description`.
        description: String,
    },
    /// The issuer cannot be reached or does not answer as one.
    #[error("no usable answer from the issuer: {0}")]
    NoAnswer(String),
}

/// How long an assertion lives; Maskinporten takes at most 120 seconds.
const ASSERTION_LIFETIME: Duration = Duration::from_mins(1);
/// For one exchange with issuer or API.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer read.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

impl EndUserSystem {
    /// Fetches a token by JWT grant (RFC 7523), for a system user (RFC 9396) or for the client's own
    /// organization.
    pub async fn token(
        &self,
        scope: &str,
        on_behalf: Option<OnBehalf<'_>>,
    ) -> Result<String, NoToken> {
        let assertion = self
            .key
            .sign(&self.assertion(scope, on_behalf))
            .map_err(|fault| NoToken::NoAnswer(fault.to_string()))?;
        let form = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}"
        );
        let url =
            self.issuer.join("token").map_err(|fault| NoToken::NoAnswer(fault.to_string()))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let reply = self.exchange(Method::POST, url, headers, form.into()).await;
        let reply = reply.map_err(|fault| NoToken::NoAnswer(fault.to_string()))?;
        let answer: Value = serde_json::from_slice(&reply.body)
            .map_err(|fault| NoToken::NoAnswer(format!("{}: {fault}", reply.status)))?;
        let text = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
        match (text("access_token"), text("error")) {
            (Some(token), _) if reply.status == StatusCode::OK => Ok(token),
            (_, Some(error)) => {
                let description = text("error_description").unwrap_or_default();
                Err(NoToken::Refused { error, description })
            }
            (Some(_) | None, None) => {
                let status = reply.status;
                Err(NoToken::NoAnswer(format!("{status} with neither `access_token` nor `error`")))
            }
        }
    }

    fn assertion(&self, scope: &str, on_behalf: Option<OnBehalf<'_>>) -> Value {
        let now = self.clock.wall();
        let mut claims = json!({
            "aud": self.issuer.as_str(),
            "iss": self.client_id,
            "scope": scope,
            "iat": now.0,
            "exp": now.saturating_add(ASSERTION_LIFETIME).0,
            "jti": uuid::Uuid::new_v4(),
        });
        if let Some(OnBehalf { owner, external_ref }) = on_behalf {
            let mut detail =
                json!({ "type": "urn:altinn:systemuser", "systemuser_org": actor("ID", owner) });
            if let Some(external_ref) = external_ref {
                set(&mut detail, "externalRef", json!(external_ref));
            }
            set(&mut claims, "authorization_details", json!([detail]));
        }
        claims
    }

    /// Calls an API, with a token or without.
    pub async fn call(
        &self,
        method: Method,
        url: Url,
        token: Option<&str>,
        further: &[(HeaderName, &str)],
        body: Bytes,
    ) -> Result<Reply, OutboundFault> {
        let mut headers = HeaderMap::new();
        if let Some(Ok(mut value)) =
            token.map(|token| HeaderValue::try_from(format!("Bearer {token}")))
        {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        for (name, value) in further {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.append(name.clone(), value);
            }
        }
        self.exchange(method, url, headers, body).await
    }

    async fn exchange(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Reply, OutboundFault> {
        let call = Call {
            method,
            url,
            headers,
            body,
            timeout: TIMEOUT,
            max_answer_bytes: MAX_ANSWER_BYTES,
        };
        self.outbound.exchange(call).await
    }
}

//! A permitted request for a WebSocket, put to the API on a connection of its own.
//!
//! The API is asked by HTTP/1.1's handshake, whatever the client spoke, and believed only if it answers
//! that handshake: `101`, the right protocol, and the digest of the key. Nothing but the request passes
//! before. Any other answer is an ordinary one, and its connection is not used again, so that no byte of
//! a WebSocket that the API may think open is ever read as HTTP.

use super::answer_body::{AnswerBody, Lease};
use super::body::OutgoingBody;
use super::forward::Upstream;
use super::headers;
use super::permitted::Permitted;
use super::tunnel::Tunnel;
use crate::authorize::Permit;
use crate::domain::{
    Denial, DenialCode, Inbound, RequestId, Upgrade, WebSocketKey, is_exactly_websocket,
    names_upgrade,
};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, TE, UPGRADE,
};
use http::{Response, StatusCode, Version};
use std::sync::Arc;

/// What comes of asking the API for a WebSocket.
#[derive(Debug)]
pub enum Opened {
    /// The API answers otherwise.
    Answer(Response<AnswerBody>),
    /// It is open: the head of the answer for the client, and the API's end.
    Tunnel(Response<()>, Tunnel),
}

/// What every handshake's digest is made with (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The only version there is a standard for (RFC 6455 §4.1).
const VERSION: HeaderValue = HeaderValue::from_static("13");

impl Upstream {
    /// Asks the API for a WebSocket. Like [`Upstream::forward`], but never twice: nobody knows what the
    /// first attempt has begun.
    pub async fn open(
        &self,
        permit: Permit,
        inbound: Inbound,
        request_id: RequestId,
    ) -> Result<Opened, Denial> {
        let Inbound { head, peer, body: _ } = inbound;
        let upgrade = head.upgrade.clone();
        let key = key_of(&upgrade)?;
        let permitted = Permitted { permit, head, peer, request_id };
        let mut request = permitted.outgoing(self.pool.settings(), OutgoingBody::empty())?;
        drop(permitted);
        ask(request.headers_mut(), &key)?;
        let fate = request.body().fate();
        let (connection, answer) = self.send_to_upgrade(request).await?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            if let Err(wrong) = check(answer.headers(), &key) {
                return Err(Denial::new(DenialCode::UpstreamProtocolError).because(wrong));
            }
            let (parts, body) = answer.into_parts();
            let head = answer_head(&upgrade, &parts.headers);
            let api = hyper::upgrade::on(Response::from_parts(parts, body)).await;
            let api =
                api.map_err(|fault| Denial::new(DenialCode::UpstreamProtocolError).because(fault))?;
            return Ok(Opened::Tunnel(head, Tunnel::new(api, self.pool.tasks().clone())));
        }
        if upgrade == Upgrade::Stream && answer.status().is_success() {
            // Over HTTP/2 it would tell the client that its stream is open (RFC 8441 §5).
            return Err(Denial::new(DenialCode::UpstreamProtocolError)
                .because("the API did not open the WebSocket, and calls that a success"));
        }
        headers::judge_answer(answer.status(), answer.headers())
            .map_err(|fault| Denial::new(DenialCode::UpstreamProtocolError).because(fault))?;
        let lease = Lease::for_one(connection, Arc::clone(&self.pool), fate);
        let mut answer = answer.map(|body| AnswerBody::new(body, lease));
        headers::clean_answer(answer.status(), answer.headers_mut());
        *answer.version_mut() = Version::HTTP_11;
        Ok(Opened::Answer(answer))
    }
}

/// The client's own key, or a fresh one where it has none.
fn key_of(upgrade: &Upgrade) -> Result<WebSocketKey, Denial> {
    match upgrade {
        Upgrade::Handshake(Ok(key)) => Ok(key.clone()),
        Upgrade::Stream => {
            let mut bytes = [0; 16];
            aws_lc_rs::rand::fill(&mut bytes)
                .map_err(|_| Denial::new(DenialCode::Internal).because("no random bytes"))?;
            Ok(WebSocketKey::of(bytes))
        }
        Upgrade::Handshake(Err(_)) | Upgrade::None => {
            Err(Denial::new(DenialCode::Internal).because("nobody asked for a WebSocket"))
        }
    }
}

/// Sets the words of the handshake, after those of the client's hop have been removed.
fn ask(sent: &mut HeaderMap, key: &WebSocketKey) -> Result<(), Denial> {
    let key = HeaderValue::from_str(key.as_str())
        .map_err(|fault| Denial::new(DenialCode::Internal).because(fault))?;
    sent.remove(CONTENT_LENGTH);
    sent.remove(SEC_WEBSOCKET_ACCEPT);
    // Nothing that could have trailers; and `Connection` is to say one thing.
    sent.remove(TE);
    sent.insert(SEC_WEBSOCKET_KEY, key);
    sent.entry(SEC_WEBSOCKET_VERSION).or_insert(VERSION);
    set_upgrade(sent);
    Ok(())
}

fn set_upgrade(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// Whether the API has answered this very handshake (RFC 6455 §4.1, the client's checks 2 to 4).
fn check(answer: &HeaderMap, key: &WebSocketKey) -> Result<(), &'static str> {
    if !is_exactly_websocket(answer) || !names_upgrade(answer) {
        return Err("an upgrade to another protocol than was asked for");
    }
    let mut accepts = answer.get_all(SEC_WEBSOCKET_ACCEPT).iter();
    match (accepts.next(), accepts.next()) {
        (Some(accept), None) if accept.as_bytes() == accept_of(key).as_bytes() => Ok(()),
        (Some(_) | None, _) => Err("an upgrade without the digest of the key"),
    }
}

/// The answer to a key (RFC 6455 §4.2.2). SHA-1 proves here that the handshake was read, nothing more.
fn accept_of(key: &WebSocketKey) -> String {
    let mut digest = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    digest.update(key.as_str().as_bytes());
    digest.update(GUID);
    STANDARD.encode(digest.finish())
}

/// What the client is told: `101` as the API said it, or over HTTP/2 the same as `200`.
fn answer_head(upgrade: &Upgrade, answer: &HeaderMap) -> Response<()> {
    let mut head = Response::new(());
    let headers = head.headers_mut();
    headers.clone_from(answer);
    headers::clean_answer(StatusCode::SWITCHING_PROTOCOLS, headers);
    headers.remove(CONTENT_LENGTH);
    if *upgrade == Upgrade::Stream {
        headers.remove(SEC_WEBSOCKET_ACCEPT);
    } else {
        set_upgrade(headers);
        *head.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455 §1.3.
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn key() -> WebSocketKey {
        WebSocketKey::of(*b"the sample nonce")
    }

    #[test]
    fn a_key_has_the_answer_that_the_standard_gives() {
        assert_eq!(key().as_str(), "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept_of(&key()), ACCEPT);
    }

    #[test]
    fn only_the_answer_to_this_very_handshake_opens_a_tunnel() {
        let good =
            [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-accept", ACCEPT)];
        let judged = |changed: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            let kept = good.iter().filter(|(name, _)| !changed.iter().any(|(new, _)| new == name));
            for (name, value) in kept.chain(changed).filter(|(_, value)| !value.is_empty()) {
                headers.append(*name, HeaderValue::from_static(value));
            }
            check(&headers, &key()).is_ok()
        };
        assert!(judged(&[]) && judged(&[("connection", "Keep-Alive, Upgrade")]));
        for changed in [
            vec![("connection", "")],
            vec![("connection", "close")],
            vec![("upgrade", "")],
            vec![("upgrade", "h2c")],
            vec![("upgrade", "websocket, h2c")],
            vec![("sec-websocket-accept", "")],
            vec![("sec-websocket-accept", "S3pPLMBiTxaQ9kYGzzhZRbK+xOo=")],
            vec![("sec-websocket-accept", ACCEPT), ("sec-websocket-accept", ACCEPT)],
        ] {
            assert!(!judged(&changed), "{changed:?}");
        }
    }
}

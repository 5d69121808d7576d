//! Whether a request that asks for a WebSocket may have one. Who may open it is judged like any request.

use crate::domain::{Denial, DenialCode, HandshakeFault, InboundBody, Upgrade};
use crate::record::{Journey, Stage};
use crate::route::{Protection, RouteRule, WebSocketRule};

/// What the rule grants of what the request asks for.
pub(super) fn grant(
    rule: &RouteRule,
    asked: &Upgrade,
    body: &InboundBody,
    journey: &mut Journey,
) -> Result<Option<WebSocketRule>, Denial> {
    if rule.protection() == Protection::Closed {
        // Refused for that, whatever it asks for.
        return Ok(None);
    }
    match (asked, rule.web_socket()) {
        // Over HTTP/1.1 the words are removed and the request is an ordinary one.
        (Upgrade::None, _) | (Upgrade::Handshake(_), None) => Ok(None),
        // Not so over HTTP/2: there any `200` would tell the client that its stream is a WebSocket.
        (Upgrade::Stream, None) => {
            let mut denial = Denial::new(DenialCode::MethodNotAllowed)
                .because("the rule lets no WebSocket be opened");
            denial.extras.allowed_methods = Some("GET, HEAD".into());
            Err(denial)
        }
        (Upgrade::Handshake(Err(fault)), Some(_)) => Err(malformed(*fault)),
        (Upgrade::Handshake(Ok(_)) | Upgrade::Stream, Some(_)) if !body.is_empty() => {
            Err(malformed(HandshakeFault::Body))
        }
        (Upgrade::Handshake(Ok(_)) | Upgrade::Stream, Some(granted)) => {
            journey.step(Stage::Route, || {
                format!("a WebSocket, for at most {:?}", granted.max_duration)
            });
            Ok(Some(granted))
        }
    }
}

fn malformed(fault: HandshakeFault) -> Denial {
    Denial::new(DenialCode::MalformedRequest).because(fault).at("header:upgrade")
}

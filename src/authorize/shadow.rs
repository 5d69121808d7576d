//! Requests that are forwarded whatever is judged of them: `mode: shadow`, of all rules or of one.
//!
//! What is judged beside them is `authorize`'s, of a copy; whose task that is, the door's.

use super::{Permit, find, read_head, upgrade};
use crate::domain::{DenialCode, Enforcement, Inbound, Upgrade};
use crate::record::Journey;
use crate::route::{Protection, RouteRule};
use crate::snapshot::Snapshot;
use std::sync::Arc;

/// Leave to forward a request before it is judged, if it is in shadow. What is refused in any mode is not: ill
/// framing, a target or host that can be read in two ways, a stream that asks for a WebSocket where no rule grants one, and
/// what a rule closes.
///
/// In the shadow of all rules, requests that no rule matches are let through as well, since the API answered them
/// before; where single rules are in shadow they are not.
pub fn overlook(
    snapshot: &Snapshot,
    inbound: &Inbound,
    journey: &mut Journey,
) -> Option<(Permit, Option<Arc<RouteRule>>)> {
    let shadow = snapshot.shadow.as_ref()?;
    let head = &inbound.head;
    let (target, host) = read_head(head).ok()?;
    let rule = match find(snapshot, head, target, &host, journey) {
        Ok(matched) => Some(Arc::clone(matched.rule())),
        Err(denial) if shadow.whole && is_unmatched(denial.code) => None,
        Err(_) => return None,
    };
    let mut web_socket = None;
    if let Some(rule) = &rule {
        let is_overlooked = snapshot.enforcement_of(rule) == Enforcement::Shadow;
        if !is_overlooked || rule.protection() == Protection::Closed {
            return None;
        }
        journey.matched(rule.id(), rule.template().text());
        // What asks for one wrongly is sent on as an ordinary request, as it would be without a word of them.
        web_socket = upgrade::grant(rule, &head.upgrade, &inbound.body, journey).ok().flatten();
    }
    // Any `200` would tell the client that its stream is a WebSocket.
    if matches!(head.upgrade, Upgrade::Stream) && web_socket.is_none() {
        return None;
    }
    Some((Permit::overlooking(rule.clone(), web_socket), rule))
}

/// Whether this says that no rule is for the request, and nothing worse.
fn is_unmatched(code: DenialCode) -> bool {
    [DenialCode::HostUnknown, DenialCode::RouteUnknown, DenialCode::MethodNotAllowed]
        .contains(&code)
}

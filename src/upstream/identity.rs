//! What the API learns of a permitted request: who, for whom, what, by which rule.

use super::headers::set;
use crate::authorize::{Basis, Permit};
use crate::domain::{Caller, RequestId};
use http::HeaderMap;

/// Sets our headers. The client's own have been removed before, whether or not each of ours has a value.
pub(super) fn set_identity(headers: &mut HeaderMap, permit: &Permit, request_id: RequestId) {
    set(headers, "portvakt-rule", permit.rule_id());
    set(headers, "portvakt-request-id", &request_id.to_string());
    match permit.basis() {
        Basis::Public => {}
        Basis::Token(caller) => set_caller(headers, caller),
        Basis::Decision(granted) => {
            set_caller(headers, &granted.caller);
            let parties: Vec<String> =
                granted.parties.iter().map(|party| party.expose_urn()).collect();
            set(headers, "portvakt-party", &parties.join(","));
            set(headers, "portvakt-resource", granted.resource.as_str());
            set(headers, "portvakt-action", granted.action.as_str());
        }
    }
}

fn set_caller(headers: &mut HeaderMap, caller: &Caller) {
    let Some(user) = caller.system_user() else { return };
    set(headers, "portvakt-system-user", &user.id.to_string());
    set(headers, "portvakt-system-user-org", &user.owner.to_string());
    set(headers, "portvakt-system", user.system.as_str());
    set(headers, "portvakt-vendor", &user.vendor.to_string());
}

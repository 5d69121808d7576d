//! What the API learns of a permitted request: who, for whom, what, by which rule.

use super::headers::Values;
use crate::authorize::{Basis, Permit};
use crate::domain::{Caller, RequestId};
use http::{HeaderMap, HeaderName};

const RULE: HeaderName = HeaderName::from_static("portvakt-rule");
const REQUEST_ID: HeaderName = HeaderName::from_static("portvakt-request-id");
const PARTY: HeaderName = HeaderName::from_static("portvakt-party");
const RESOURCE: HeaderName = HeaderName::from_static("portvakt-resource");
const ACTION: HeaderName = HeaderName::from_static("portvakt-action");
const SYSTEM_USER: HeaderName = HeaderName::from_static("portvakt-system-user");
const SYSTEM_USER_ORG: HeaderName = HeaderName::from_static("portvakt-system-user-org");
const SYSTEM: HeaderName = HeaderName::from_static("portvakt-system");
const VENDOR: HeaderName = HeaderName::from_static("portvakt-vendor");

/// Sets our headers. The client's own have been removed before, whether or not each of ours has a value.
pub(super) fn set_identity(
    headers: &mut HeaderMap,
    values: &mut Values,
    permit: &Permit,
    request_id: RequestId,
) {
    values.set(headers, RULE, &[permit.rule_id()]);
    values.set(headers, REQUEST_ID, &[&request_id.text()]);
    match permit.basis() {
        Basis::Public => {}
        Basis::Token(caller) => set_caller(headers, values, caller),
        Basis::Decision(granted) => {
            set_caller(headers, values, &granted.caller);
            let parties: Vec<String> =
                granted.parties.iter().map(|party| party.expose_urn()).collect();
            values.set(headers, PARTY, &[&parties.join(",")]);
            values.set(headers, RESOURCE, &[granted.resource.as_str()]);
            values.set(headers, ACTION, &[granted.action.as_str()]);
        }
    }
}

fn set_caller(headers: &mut HeaderMap, values: &mut Values, caller: &Caller) {
    let Some(user) = caller.system_user() else { return };
    values.set(headers, SYSTEM_USER, &[&user.id.text()]);
    values.set(headers, SYSTEM_USER_ORG, &[&user.owner.text()]);
    values.set(headers, SYSTEM, &[user.system.as_str()]);
    values.set(headers, VENDOR, &[&user.vendor.text()]);
}

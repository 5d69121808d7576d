//! The English column.

use super::{Text, row};
use crate::domain::DenialCode;

#[expect(clippy::too_many_lines, reason = "one column, one row a code")]
pub(super) fn text(code: DenialCode) -> Text {
    match code {
        DenialCode::MalformedRequest => row(
            "Malformed request",
            "The request is not well-formed HTTP, or a value in it cannot be read: {parameter}.",
        ),
        DenialCode::AmbiguousPath => row(
            "Ambiguous path",
            "The path can be read in more than one way. Send it without dot segments, empty segments, needless or repeated percent-encoding, `;` or `\\`, and spell fixed segments exactly as documented.",
        ),
        DenialCode::AmbiguousParameter => row(
            "Ambiguous parameter",
            "A value that access depends on occurs more than once, or under a name that other software may take for it: {parameter}. Send it exactly once.",
        ),
        DenialCode::PartyMissing => row(
            "Party missing",
            "The request does not say on whose behalf it is made. State the party in {parameter}.",
        ),
        DenialCode::PartyInvalid => row(
            "Party invalid",
            "The value in {parameter} does not identify a party in an accepted form, such as an organization number with a valid check digit.",
        ),
        DenialCode::TooManyParties => row(
            "Too many parties",
            "The request names more parties than the {limit} accepted at once. Split it into several requests.",
        ),
        DenialCode::ResourceMissing => row(
            "Resource missing",
            "The request does not say which resource it concerns. State it in {parameter}.",
        ),
        DenialCode::ResourceInvalid => {
            row("Resource invalid", "The value in {parameter} is not a resource identifier.")
        }
        DenialCode::InstanceMissing => row(
            "Instance missing",
            "The request does not say which instance it concerns, or not in an accepted form. State it in {parameter}.",
        ),
        DenialCode::BodyUnreadable => row(
            "Body unreadable",
            "The body must be read to decide on access, and is not well-formed.",
        ),
        DenialCode::TokenMissing => row(
            "Token missing",
            "Send an access token from Maskinporten in the header `Authorization: Bearer <token>`.",
        ),
        DenialCode::TokenMalformed => row(
            "Token malformed",
            "The `Authorization` header must occur once and hold one well-formed bearer token.",
        ),
        DenialCode::TokenUntrusted => row(
            "Token untrusted",
            "The token is not signed by an issuer that this API trusts, or breaks its rules. Check that it comes from the right environment and is an access token.",
        ),
        DenialCode::TokenExpired => {
            row("Token expired", "The token is no longer valid. Fetch a new one.")
        }
        DenialCode::TokenNotYetValid => row(
            "Token not yet valid",
            "The token is not valid yet. Check the clocks of the systems involved.",
        ),
        DenialCode::TokenWrongAudience => row(
            "Wrong audience",
            "The token was not issued for this API. Ask for it with the API's `resource`.",
        ),
        DenialCode::ScopeMissing => row(
            "Scope missing",
            "The token does not have the scopes that this operation requires: {one of}`requiredScopes`. Ask the API's owner for access, then fetch a new token with them.",
        ),
        DenialCode::NotASystemUser => row(
            "Not a system user",
            "This operation is for system users. Fetch a token with `authorization_details` of type `urn:altinn:systemuser`.",
        ),
        DenialCode::SeveralSystemUsers => row(
            "Several system users",
            "The token names more than one system user. Fetch one token for each.",
        ),
        DenialCode::SubjectNotAllowed => row(
            "Caller not accepted",
            "This operation does not accept the kind of caller that the token proves.",
        ),
        DenialCode::SystemNotAllowed => row(
            "System not accepted",
            "This operation does not accept the system that the system user belongs to.",
        ),
        DenialCode::VendorNotAllowed => {
            row("Vendor not accepted", "This operation does not accept the vendor of the system.")
        }
        DenialCode::ResourceNotAllowed => row(
            "Resource not accepted",
            "The resource named in {parameter} is not one that this operation serves.",
        ),
        DenialCode::AccessDenied => row(
            "Access denied",
            "The caller has no right to this action on this resource for this party. The party, or its service provider, can grant it in Altinn: delegate the right or access package to {grantee}.",
        ),
        DenialCode::AuthenticationLevelTooLow => row(
            "Authentication level too low",
            "The operation requires a higher authentication level than the caller has; see `requiredLevel`.",
        ),
        DenialCode::RouteClosed => row("Closed", "This operation is closed."),
        DenialCode::RouteUnknown => row("Not found", "No operation of this API has this path."),
        DenialCode::MethodNotAllowed => row(
            "Method not allowed",
            "The path exists, but not with this method; see the `Allow` header.",
        ),
        DenialCode::RequestTimeout => row(
            "Request timeout",
            "The request did not arrive in time. Send it again without pauses.",
        ),
        DenialCode::BodyTooLarge => {
            row("Body too large", "The body is larger than the {limit} bytes accepted here.")
        }
        DenialCode::TargetTooLong => row(
            "Target too long",
            "The path and query together are longer than the {limit} bytes accepted here.",
        ),
        DenialCode::UnsupportedBody => row(
            "Unsupported body",
            "The body's media type, character set or content encoding cannot be read here. Send the documented media type, in UTF-8, uncompressed.",
        ),
        DenialCode::ExpectationFailed => {
            row("Expectation failed", "The only expectation accepted is `100-continue`.")
        }
        DenialCode::HostUnknown => {
            row("Host unknown", "This server does not answer for the host in the request.")
        }
        DenialCode::HeadersTooLarge => {
            row("Headers too large", "The headers are more, or larger, than accepted.")
        }
        DenialCode::ObligationUnknown => row(
            "Obligation not understood",
            "Access was granted on a condition that this gate does not know, and is therefore refused. The API's owner has been alerted.",
        ),
        DenialCode::DecisionIndeterminate => row(
            "No decision",
            "The authorization system could not decide. The fault lies with the API's owner or the authorization system, not with the request. Try again later.",
        ),
        DenialCode::KeysUnavailable => row(
            "Keys unavailable",
            "The token cannot be verified at present, because the issuer's keys cannot be had. Try again later.",
        ),
        DenialCode::CredentialUnavailable => row(
            "Authorization unavailable",
            "This gate cannot prove its own identity to the authorization system at present. Your token is not at fault. Try again later.",
        ),
        DenialCode::PdpUnavailable => row(
            "Authorization unavailable",
            "The authorization system cannot be reached at present. Try again later.",
        ),
        DenialCode::PdpTimeout => row(
            "Authorization timed out",
            "The authorization system did not answer in time. Try again later.",
        ),
        DenialCode::PdpProtocolError => row(
            "Authorization unavailable",
            "The authorization system gave an answer that cannot be relied on. Try again later.",
        ),
        DenialCode::Overloaded => row(
            "Overloaded",
            "Too many requests at once. Send fewer at a time, and try again later.",
        ),
        DenialCode::UpstreamUnreachable => row(
            "API unreachable",
            "The API behind this gate cannot be reached at present. Try again later.",
        ),
        DenialCode::UpstreamProtocolError => row(
            "API answer broken",
            "The API behind this gate gave an answer that is not well-formed.",
        ),
        DenialCode::UpstreamTimeout => {
            row("API timed out", "The API behind this gate did not answer in time.")
        }
        DenialCode::Internal => row(
            "Internal error",
            "This gate failed. Report the request id in `instance` to the API's owner.",
        ),
    }
}

//! The JSON profile of XACML as Altinn speaks it: what is sent to the PDP and what comes back, and the
//! same from the other side for the development PDP, there in XML too (`xml`).
//!
//! Strict where a decision hangs on it: one result, one of four words, no member twice in any spelling.
//! Lenient where Altinn varies: the case of member names, members that are missing, null or unknown.

mod ask;
mod json;
mod outcome;
mod results;
mod serve;
mod xml;

pub use ask::{encode_request, encode_requests};
pub use json::{JsonFault, ShapeFault};
pub use outcome::{Echoed, Part, WireFault, decode_answers, decode_response, decode_responses};
pub use results::{WireAssignment, WireObligation, WireResult, echo, encode_response};
pub use serve::{RequestFault, WireAttribute, WireCategory, WireRequest, decode_request};
pub use xml::{decode_request_xml, encode_response_xml};

/// Category URNs (XACML 3.0 §B.2) of what Altinn's PDP reads.
pub mod category {
    /// Who asks.
    pub const SUBJECT: &str = "urn:oasis:names:tc:xacml:1.0:subject-category:access-subject";
    /// To do what.
    pub const ACTION: &str = "urn:oasis:names:tc:xacml:3.0:attribute-category:action";
    /// With what, and for whom.
    pub const RESOURCE: &str = "urn:oasis:names:tc:xacml:3.0:attribute-category:resource";
    /// In which circumstances.
    pub const ENVIRONMENT: &str = "urn:oasis:names:tc:xacml:3.0:attribute-category:environment";
}

const ACTION_ID: &str = "urn:oasis:names:tc:xacml:1.0:action:action-id";
const RESOURCE_ID: &str = "urn:altinn:resource";
const INTEGER: &str = "http://www.w3.org/2001/XMLSchema#integer";
const ANY_URI: &str = "http://www.w3.org/2001/XMLSchema#anyURI";
const STRING: &str = "http://www.w3.org/2001/XMLSchema#string";

/// Status codes (XACML 3.0 §B.8).
mod status {
    pub(super) const OK: &str = "urn:oasis:names:tc:xacml:1.0:status:ok";
    pub(super) const MISSING_ATTRIBUTE: &str =
        "urn:oasis:names:tc:xacml:1.0:status:missing-attribute";
    pub(super) const SYNTAX_ERROR: &str = "urn:oasis:names:tc:xacml:1.0:status:syntax-error";
    pub(super) const PROCESSING_ERROR: &str =
        "urn:oasis:names:tc:xacml:1.0:status:processing-error";
}

/// Room for a usual document: a question, or the answer to one.
const USUAL_BYTES: usize = 1024;

#[expect(clippy::expect_used, reason = "structs of strings always serialise, and a Vec takes all")]
fn to_bytes(document: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut bytes, document).expect("it serialises");
    bytes
}

#[cfg(test)]
mod tests;

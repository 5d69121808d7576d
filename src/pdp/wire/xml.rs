//! The XML form of a question and its answer (XACML 3.0 §5.42 ff.), as Altinn's internal API reads and
//! writes it. For the development PDP; the proxy itself asks in JSON.

use super::results::WireResult;
use super::serve::{RequestFault, WireRequest};

/// Reads a `Request` document.
pub fn decode_request_xml(_document: &[u8]) -> Result<WireRequest, RequestFault> {
    Err(RequestFault::Malformed("XML is not read yet".into()))
}

/// Writes a `Response` document.
#[must_use]
pub fn encode_response_xml(_results: &[WireResult]) -> Vec<u8> {
    Vec::new()
}

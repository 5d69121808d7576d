//! OpenAPI documents: rules proposed from one, and the proof that rules cover one.
//!
//! | file | holds |
//! |---|---|
//! | `document` | what of a document matters here: operations, their parameters, bodies and scopes |
//! | `paths` | paths as they are meant, as clients send them, and as rules write them |
//! | `references` | what stands elsewhere in the document, and what is not to be found |
//! | `schema` | the places of values in a body, by its schema |
//! | `candidates` | which value of an operation may name the party, or the resource |
//! | `propose` | an operation to a proposed rule |
//! | `write` | proposed rules as a file |
//! | `coverage` | each operation, and the rule that its requests fall under |
//! | `agreement` | whether that rule reads what the operation has, and demands what the document says |
//!
//! Nothing here decides anything: what is proposed is a file like any other, read and judged as one.

mod agreement;
mod candidates;
mod coverage;
mod document;
mod paths;
mod propose;
mod references;
mod schema;
mod write;

pub use coverage::{Coverage, Covered, Guard, cover};
pub use document::{Document, read};
pub use propose::{Proposal, Wishes, propose};

/// What stands where a person must choose. A rule file that holds it is refused.
pub const TO_CHOOSE: &str = "TODO";

#[cfg(test)]
mod tests;

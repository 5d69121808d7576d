//! Which rule a request falls to, and what is being asked.
//!
//! [`RuleParts`] is what a rule states; [`RouteRule::new`] judges it alone, [`RouteTable::build`] together
//! with the others. Per request, [`RouteTable::find`] names the rule, [`check_body_type`] judges whether
//! its body can be read, and [`resolve()`] reads resource, parties, instance and attributes. Nothing here
//! knows files, tokens or the PDP.

mod alike;
mod ambiguity;
mod body;
mod candidates;
mod find;
mod form;
mod gzip;
mod json;
mod media;
mod parts;
mod place_set;
mod pointer;
mod quoted;
mod resolve;
mod rule;
mod soundness;
mod source;
mod table;
mod template;
mod tree;
mod values;
mod xml;
mod xml_namespaces;
mod xml_path;

#[cfg(test)]
mod tests;

pub use ambiguity::connection_names_protected;
pub use body::BodyKind;
pub use candidates::Candidate;
pub use find::{Matched, OwnedMatch};
pub use gzip::{GzipFault, decompress, stated_length, work_of};
pub use json::MAX_JSON_DEPTH;
pub use media::{BodyCoding, check_body_type};
pub use parts::{
    Absent, CacheRule, ContentEncoding, InstanceRule, LetterCase, Matching, Methods, ObjectTie,
    PartyRule, Protection, ResourceRule, RuleParts, WebSocketRule,
};
pub use pointer::{Pointer, PointerFault};
pub use resolve::{Parties, Question, Resolved, resolve};
pub use rule::{RouteRule, RuleFault, ScopeDemand, Surroundings};
pub use source::{Place, Source, SourceFault};
pub use table::{Built, RouteTable, TableFault};
pub use template::{Template, TemplateFault, TemplateSegment};
pub use xml::MAX_XML_DEPTH;
pub use xml_path::{XmlPath, XmlPathFault};

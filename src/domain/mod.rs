//! The nouns of Portvakt: what a request, a caller, a question and an answer *are*.
//!
//! Every type here is parsed once, at the edge, and cannot hold a wrong value afterwards. Nothing here
//! reads a file, a socket or the environment; the one exception to "only values" is [`Inbound`], which
//! owns a request body and can read it into memory within a stated limit.

mod access_request;
mod action;
mod buffers;
mod caller;
mod decision;
mod denial;
mod enforcement;
mod framing;
mod host;
mod inbound;
mod instance;
mod level;
mod organization;
mod party;
mod path;
mod person;
mod query;
mod request_id;
mod resource;
mod scope;
mod shares;
mod short_text;
mod suggest;
mod target;
mod time;
mod upgrade;

pub use access_request::{
    AccessRequest, AttributeUrn, InvalidAttributeUrn, PdpSubject, ResourceAttribute,
};
pub use action::{Action, InvalidAction};
pub use buffers::{BufferBudget, HeldRoom, NoRoom};
pub use caller::{
    Caller, InvalidSystemId, OrganizationCaller, PersonCaller, ProvenLevel, Subject, SubjectKind,
    SystemId, SystemUser, SystemUserId, TokenWindow,
};
pub use decision::{Answered, Decision, DecisionSource, Indeterminate, Obligation, Obligations};
pub use denial::{Actor, Denial, DenialCode, Extras};
pub use enforcement::Enforcement;
pub use framing::FramingFault;
pub use host::{Host, HostFault};
pub use inbound::{BodyCopy, BodyFault, BodyTap, Head, Inbound, InboundBody, Pace, Peer};
pub use instance::{Instance, InstanceForm, InvalidInstance};
pub use level::{AuthenticationLevel, InvalidLevel};
pub use organization::{CheckDigits, InvalidOrganizationNumber, OrganizationNumber};
pub use party::{InvalidParty, Party, PartyForms, PartyId, PartyKind, PartyKinds};
pub use path::{PathFault, RequestPath, Segment};
pub use person::{InvalidPersonNumber, PersonNumber};
pub use query::{Query, QueryFault};
pub use request_id::RequestId;
pub use resource::{InvalidResourceId, ResourceId};
pub use scope::{InvalidScope, Scope, ScopeRequirement, Scopes};
pub use shares::{BodyBudget, BodyShare, HeldShare, NoBodyRoom, Turn};
pub use short_text::ShortText;
pub use suggest::nearest;
pub use target::{RequestTarget, TargetFault};
pub use time::{Clock, ManualClock, SystemClock, UnixSeconds};
pub use upgrade::{HandshakeFault, Upgrade, WebSocketKey, is_exactly_websocket, names_upgrade};

//! One rule, judged as a whole.
//!
//! Holds what the stages of a request ask of a rule. How rules are judged is `soundness`'; how they are
//! found is `table`'s. Invariant: a [`RouteRule`] says everything its protection needs and nothing that
//! would go unheeded.

use super::body::BodyKind;
use super::parts::{
    CacheRule, ContentEncoding, InstanceRule, LetterCase, Matching, ObjectTie, PartyRule,
    Protection, ResourceRule, RuleParts, WebSocketRule,
};
use super::pointer::Pointer;
use super::soundness;
use super::source::{Place, Source};
use super::template::Template;
use super::xml_path::XmlPlace;
use crate::domain::{
    Action, AttributeUrn, AuthenticationLevel, CheckDigits, Enforcement, OrganizationNumber,
    PartyKinds, ScopeRequirement, SubjectKind, SystemId,
};
use http::HeaderName;
use std::sync::Arc;

/// A rule that can be followed: every capture used exists, protection is explicit, and every value that
/// the protection needs has a source.
#[derive(Debug)]
pub struct RouteRule {
    // Invariant: `soundness::judge` found no fault in these.
    parts: RuleParts,
    id: Arc<str>,
    api: Arc<str>,
    help_url: Option<Arc<str>>,
    subjects: Box<[SubjectKind]>,
    reads: Reads,
}

/// What a rule is judged against beyond itself.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// Whether a rule must name scopes.
    pub scopes: ScopeDemand,
    /// How organization numbers in the rule are judged.
    pub check_digits: CheckDigits,
}

/// Whether a rule that needs a token must name a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeDemand {
    /// It must, or say `scopes: none`.
    MustBeStated,
    /// It need not: every issuer that can prove the rule's subject has an audience.
    MayBeAbsent,
}

/// Something wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RuleFault {
    /// Where in the rule, such as `party.from`.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// The places a rule reads in a request, each once: what `ambiguity` guards.
#[derive(Debug, Default)]
pub(super) struct Reads {
    pub(super) path: Vec<Arc<str>>,
    pub(super) query: Vec<Arc<str>>,
    /// Name, and the source as written.
    pub(super) headers: Vec<(HeaderName, Arc<str>)>,
    pub(super) json: Vec<Pointer>,
    pub(super) xml: Vec<XmlPlace>,
    pub(super) form: Vec<Arc<str>>,
    /// Names of `match.query`.
    pub(super) matched: Vec<Arc<str>>,
}

impl RouteRule {
    /// How many places of the body one rule may read; they are found in one pass over it.
    pub const MAX_BODY_SOURCES: usize = 32;
    /// The most parties one request may ask about: each is a question to the PDP.
    pub const MAX_PARTIES: usize = 100;
    /// Bounds metric labels and records.
    pub const MAX_ID_BYTES: usize = 100;
    /// Who a rule is for unless it says otherwise.
    pub const DEFAULT_SUBJECT: SubjectKind = SubjectKind::SystemUser;

    /// Judges a rule; every fault that the rule alone can show is reported.
    pub fn new(parts: RuleParts, surroundings: Surroundings) -> Result<Self, Vec<RuleFault>> {
        let reads = Reads::of(&parts);
        let faults = soundness::judge(&parts, &reads, surroundings);
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            id: Arc::from(parts.id.as_str()),
            api: Arc::from(parts.api.as_str()),
            help_url: parts.help_url.as_deref().map(Arc::from),
            subjects: parts.subjects.clone().unwrap_or_else(|| vec![Self::DEFAULT_SUBJECT]).into(),
            reads,
            parts,
        })
    }

    /// The rule's name, unique among all rules.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// The API it belongs to.
    #[must_use]
    pub fn api(&self) -> &Arc<str> {
        &self.api
    }

    /// Which requests it is for.
    #[must_use]
    pub fn matching(&self) -> &Matching {
        &self.parts.matching
    }

    /// The path it is for.
    #[must_use]
    pub fn template(&self) -> &Template {
        &self.parts.matching.template
    }

    /// What stands between a caller and the API behind.
    #[must_use]
    pub fn protection(&self) -> Protection {
        self.parts.protection
    }

    /// What ties the object to the caller.
    #[must_use]
    pub fn object(&self) -> Option<ObjectTie> {
        self.parts.object
    }

    /// What is asked about; always there on a `required` rule.
    #[must_use]
    pub fn resource(&self) -> Option<&ResourceRule> {
        self.parts.resource.as_ref()
    }

    /// What the caller wants to do; always there on a `required` rule.
    #[must_use]
    pub fn action(&self) -> Option<&Action> {
        self.parts.action.as_ref()
    }

    /// Where the party is; always there on a `required` rule.
    #[must_use]
    pub fn party(&self) -> Option<&PartyRule> {
        self.parts.party.as_ref()
    }

    /// The kinds of party it takes.
    #[must_use]
    pub fn party_kinds(&self) -> PartyKinds {
        self.parts.party_kinds.unwrap_or(PartyKinds::ORGANIZATION)
    }

    /// The scopes it demands; `None` only where audiences stand in for them, or no token is needed.
    #[must_use]
    pub fn scopes(&self) -> Option<&ScopeRequirement> {
        self.parts.scopes.as_ref()
    }

    /// The kinds of subject it accepts.
    #[must_use]
    pub fn subjects(&self) -> &[SubjectKind] {
        &self.subjects
    }

    /// The instance it asks about.
    #[must_use]
    pub fn instance(&self) -> Option<&InstanceRule> {
        self.parts.instance.as_ref()
    }

    /// Further resource attributes.
    #[must_use]
    pub fn attributes(&self) -> &[(AttributeUrn, Source)] {
        &self.parts.attributes
    }

    /// The systems it is restricted to; `None` accepts all.
    #[must_use]
    pub fn systems(&self) -> Option<&[SystemId]> {
        self.parts.systems.as_deref()
    }

    /// The vendors it is restricted to; `None` accepts all.
    #[must_use]
    pub fn vendors(&self) -> Option<&[OrganizationNumber]> {
        self.parts.vendors.as_deref()
    }

    /// The authentication level it demands.
    #[must_use]
    pub fn min_authentication_level(&self) -> Option<AuthenticationLevel> {
        self.parts.min_authentication_level
    }

    /// The largest body it takes; `None` leaves streams unlimited.
    #[must_use]
    pub fn max_body_bytes(&self) -> Option<u64> {
        self.parts.max_body_bytes
    }

    /// Cache settings of its own.
    #[must_use]
    pub fn cache(&self) -> Option<CacheRule> {
        self.parts.cache
    }

    /// Whether its refusals take effect, if it says so itself.
    #[must_use]
    pub fn mode(&self) -> Option<Enforcement> {
        self.parts.mode
    }

    /// Whether it lets a WebSocket be opened, and for how long.
    #[must_use]
    pub fn web_socket(&self) -> Option<WebSocketRule> {
        self.parts.web_socket
    }

    /// Where its owner gives help.
    #[must_use]
    pub fn help_url(&self) -> Option<&Arc<str>> {
        self.help_url.as_ref()
    }

    /// Whether the body must be read to know what is asked.
    #[must_use]
    pub fn needs_body(&self) -> bool {
        self.body_kind().is_some()
    }

    /// What the body must be, where it must be read.
    #[must_use]
    pub fn body_kind(&self) -> Option<BodyKind> {
        // Invariant: at most one of them, or the rule would not stand.
        self.reads.body_kinds().next()
    }

    /// Whether a body that is read may come compressed with gzip.
    #[must_use]
    pub fn accepts_gzip(&self) -> bool {
        let accepted = self.parts.content_encodings.as_deref().unwrap_or_default();
        accepted.contains(&ContentEncoding::Gzip)
    }

    /// The largest body it reads once decompressed; `None` leaves the limit of bodies that are read.
    #[must_use]
    pub fn max_decompressed_bytes(&self) -> Option<u64> {
        self.parts.max_decompressed_bytes
    }

    /// Every source it reads, as often as it states one.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        stated_sources(&self.parts).into_iter().map(|(_, source)| source)
    }

    /// The headers it reads a value from.
    pub fn source_headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.reads.headers.iter().map(|(name, _)| name)
    }

    /// Captures that decide nothing: neither party, resource, instance nor attribute.
    pub fn unused_captures(&self) -> impl Iterator<Item = &str> {
        soundness::unused_captures(&self.parts, &self.reads)
    }

    /// Whether whatever this rule lets through was permitted by Altinn for exactly its object. `check`
    /// lists the others. (A `closed` rule lets nothing through.)
    #[must_use]
    pub fn is_decided_by_altinn(&self) -> bool {
        match self.parts.protection {
            Protection::Required => self.parts.object.is_none(),
            Protection::Closed => true,
            Protection::Token | Protection::Public => false,
        }
    }

    /// Whether literals are compared ignoring ASCII case.
    pub(super) fn ignores_case(&self) -> bool {
        self.parts.matching.case == LetterCase::Insensitive
    }

    /// Whether the capture (or rest) of this name may hold encoded slashes.
    pub(super) fn allows_encoded_slash(&self, name: &str) -> bool {
        self.parts.encoded_slashes.iter().any(|allowed| allowed == name)
    }

    pub(super) fn reads(&self) -> &Reads {
        &self.reads
    }
}

impl Reads {
    fn of(parts: &RuleParts) -> Self {
        let names = parts.matching.query.iter().map(|(name, _)| Arc::from(name.as_str()));
        let mut reads = Self { matched: names.collect(), ..Self::default() };
        for (_, source) in stated_sources(parts) {
            match source.place() {
                Place::Path(name) => add(&mut reads.path, name),
                Place::Query(name) => add(&mut reads.query, name),
                Place::Header(name) => add(&mut reads.headers, &(name.clone(), source.shared())),
                Place::Json(pointer) => add(&mut reads.json, pointer),
                Place::Xml(path) => add(&mut reads.xml, &path.expand(&parts.namespaces)),
                Place::Form(name) => add(&mut reads.form, name),
                Place::SystemUserOwner | Place::Consumer | Place::Const(_) => {}
            }
        }
        reads
    }

    /// The kinds of body that its places are in.
    pub(super) fn body_kinds(&self) -> impl Iterator<Item = BodyKind> {
        [
            (BodyKind::Json, !self.json.is_empty()),
            (BodyKind::Xml, !self.xml.is_empty()),
            (BodyKind::Form, !self.form.is_empty()),
        ]
        .into_iter()
        .filter_map(|(kind, is_read)| is_read.then_some(kind))
    }
}

fn add<T: Clone + PartialEq>(known: &mut Vec<T>, new: &T) {
    if !known.contains(new) {
        known.push(new.clone());
    }
}

/// Every source a rule states, with the key it stands under.
pub(super) fn stated_sources(parts: &RuleParts) -> Vec<(&'static str, &Source)> {
    let mut sources = Vec::new();
    match &parts.resource {
        Some(ResourceRule::Allow { from, .. } | ResourceRule::Map { from, .. }) => {
            sources.push(("resource.from", from));
        }
        Some(ResourceRule::Const(_)) | None => {}
    }
    if let Some(party) = &parts.party {
        let key = match party {
            PartyRule::One { .. } | PartyRule::Many { .. } => "party.from",
            PartyRule::OneOf(_) => "party.one_of",
        };
        sources.extend(party.sources().iter().map(|source| (key, source)));
        if let Some(super::parts::Absent::From(source)) = party.absent() {
            sources.push(("party.absent", source));
        }
    }
    if let Some(instance) = &parts.instance {
        sources.push(("instance.from", &instance.from));
    }
    sources.extend(parts.attributes.iter().map(|(_, source)| ("attributes", source)));
    sources
}

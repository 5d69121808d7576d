//! From an operation to a proposed rule: what the document says, what is a guess, and what only a person can say.

use std::collections::BTreeSet;

use http::Method;

use super::TO_CHOOSE;
use super::candidates::{self, Candidate, Parties};
use super::document::{Document, Operation, Security};
use super::paths;
use crate::route::RouteRule;

/// What whoever imports says beside the document.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// The name of the API, in place of its title.
    pub api: Option<String>,
    /// The resource of all rules.
    pub resource: Option<String>,
}

/// Proposed rules.
#[derive(Debug)]
pub struct Proposal {
    pub(super) api: String,
    pub(super) resource: Option<String>,
    pub(super) scopes: Option<Scopes>,
    pub(super) rules: Vec<Proposed>,
}

/// One proposed rule, each part as it is written in YAML.
#[derive(Debug)]
pub(super) struct Proposed {
    pub(super) id: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) guard: ProposedGuard,
    pub(super) scopes: Option<Scopes>,
    /// Why it is as it is; the first says what the operation is.
    pub(super) comments: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ProposedGuard {
    /// Altinn is asked. The API ties the object where nothing of it is read.
    Decided {
        resource: Option<Candidate>,
        action: &'static str,
        party: ProposedParty,
        leaves_object: bool,
    },
    /// The request names no party: a token is demanded, and the API ties the object, if there is one.
    Token { leaves_object: bool },
    /// The document asks for nothing: a person must say so too.
    ToChoose,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ProposedParty {
    One(Candidate),
    ToChoose,
}

/// The scopes of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scopes {
    All(Vec<String>),
    Any(Vec<String>),
    ToChoose,
}

/// Parties of one request, where the document does not bound them.
pub(super) const USUAL_MAX: usize = 20;

impl Proposal {
    /// How many rules there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.rules.len()
    }

    /// How many of them ask Altinn.
    #[must_use]
    pub fn decided(&self) -> usize {
        self.rules.iter().filter(|rule| matches!(rule.guard, ProposedGuard::Decided { .. })).count()
    }

    /// How many leave the object to the API.
    #[must_use]
    pub fn left_to_api(&self) -> usize {
        let left = |rule: &&Proposed| {
            matches!(
                rule.guard,
                ProposedGuard::Token { leaves_object: true }
                    | ProposedGuard::Decided { leaves_object: true, .. }
            )
        };
        self.rules.iter().filter(left).count()
    }
}

/// Proposes a rule for each operation; one for those that no template tells apart.
#[must_use]
pub fn propose(document: &Document, wishes: &Wishes) -> Proposal {
    let mut ids = BTreeSet::new();
    let mut rules = Vec::<Proposed>::new();
    for operation in &document.operations {
        let Some(proposed) = rule(operation, wishes, &mut ids) else { continue };
        match rules.iter_mut().find(|known| known.takes_the_same(&proposed)) {
            Some(known) => known.take_in(&proposed, operation),
            None => rules.push(proposed),
        }
    }
    let scopes = shared(&mut rules);
    let asks = |rule: &Proposed| match &rule.guard {
        ProposedGuard::Decided { resource, .. } => resource.is_none(),
        ProposedGuard::Token { .. } | ProposedGuard::ToChoose => false,
    };
    let resource = rules
        .iter()
        .any(asks)
        .then(|| wishes.resource.clone().unwrap_or_else(|| TO_CHOOSE.to_owned()));
    let api = wishes.api.clone().unwrap_or_else(|| kebab(&document.title));
    Proposal { api: if api.is_empty() { "api".to_owned() } else { api }, resource, scopes, rules }
}

impl Proposed {
    /// Whether both are for the same requests: only the names of captures are others.
    fn takes_the_same(&self, other: &Self) -> bool {
        let is_alike = |one: &str, other: &str| {
            one == other || paths::parameter(one).and(paths::parameter(other)).is_some()
        };
        let (one, another) = (paths::segments(&self.path), paths::segments(&other.path));
        self.method == other.method
            && one.clone().count() == another.clone().count()
            && one.zip(another).all(|(one, other)| is_alike(one, other))
    }

    /// Becomes the rule of both. Where they differ, what both can live with; a person looks at it.
    fn take_in(&mut self, other: &Self, operation: &Operation) {
        self.comments.push(format!("also `{}`, which no rule tells apart", operation.label()));
        if self.guard != other.guard {
            let is_open = [&self.guard, &other.guard].contains(&&ProposedGuard::ToChoose);
            self.guard = if is_open {
                ProposedGuard::ToChoose
            } else {
                self.comments
                    .push("they name no party alike: the API must tie the object".to_owned());
                ProposedGuard::Token { leaves_object: true }
            };
        }
        self.scopes = match &self.guard {
            ProposedGuard::ToChoose => None,
            ProposedGuard::Decided { .. } | ProposedGuard::Token { .. } => {
                let is_same = self.scopes == other.scopes;
                if is_same { self.scopes.take() } else { Some(Scopes::ToChoose) }
            }
        };
    }
}

/// `None` where no rule can be for it.
fn rule(operation: &Operation, wishes: &Wishes, ids: &mut BTreeSet<String>) -> Option<Proposed> {
    let template = paths::template(&operation.whole_path())?;
    let mut comments = vec![operation.summary.as_deref().map_or_else(
        || operation.label(),
        |summary| summary.lines().next().unwrap_or_default().to_owned(),
    )];
    if operation.deprecated {
        comments.push("deprecated".to_owned());
    }
    if let Some(segment) = &template.widened {
        comments.push(format!(
            "`{segment}` of `{}` is more than a rule tells apart: it takes every segment there",
            operation.path
        ));
    }
    let mut guard = guard(operation, wishes, &template, &mut comments);
    if let ProposedGuard::Decided { resource, party: ProposedParty::One(party), .. } = &mut guard {
        for candidate in std::iter::once(party).chain(resource) {
            renamed(candidate, &template.captures);
        }
    }
    let scopes = match guard {
        ProposedGuard::ToChoose => None,
        ProposedGuard::Decided { .. } | ProposedGuard::Token { .. } => {
            Some(scopes(&operation.security))
        }
    };
    Some(Proposed {
        id: id(operation, ids),
        method: operation.method.to_string(),
        path: template.text,
        guard,
        scopes,
        comments,
    })
}

fn guard(
    operation: &Operation,
    wishes: &Wishes,
    template: &paths::AsTemplate,
    comments: &mut Vec<String>,
) -> ProposedGuard {
    if operation.security == Security::Open {
        comments
            .push("the document asks for no token here: `public`, `token` or `closed`?".to_owned());
        return ProposedGuard::ToChoose;
    }
    let reads = operation.method.is_safe();
    let parties = candidates::parties(operation);
    let Some(party) = party(operation, &parties, comments) else {
        let is_plain_read = [Method::GET, Method::HEAD].contains(&operation.method);
        let leaves_object =
            !is_plain_read || !template.captures.is_empty() || template.widened.is_some();
        if leaves_object {
            comments.push("the API must tie the object to the caller".to_owned());
        }
        return ProposedGuard::Token { leaves_object };
    };
    let resource = match &wishes.resource {
        Some(_) => None,
        None => candidates::resource(operation),
    };
    let leaves_object = leaves_object(&party, resource.as_ref(), template);
    if leaves_object {
        comments.push("that the object of the path is that party's, only the API knows".to_owned());
    }
    let action = if reads { "read" } else { "write" };
    ProposedGuard::Decided { resource, action, party, leaves_object }
}

/// Whom a request is about; `None` if no rule can read it from there.
fn party(
    operation: &Operation,
    parties: &Parties,
    comments: &mut Vec<String>,
) -> Option<ProposedParty> {
    let unread = |comments: &mut Vec<String>| {
        if !parties.unread.is_empty() {
            let what = listed(&parties.unread);
            comments.push(format!("the party may be {what}, which no rule reads"));
        }
        if !parties.in_xml.is_empty() {
            let what = listed(&parties.in_xml);
            comments.push(format!("the party may be {what}: `xml:` and the way to it"));
        }
    };
    match parties.best.as_slice() {
        [] => {
            unread(comments);
            if !parties.in_xml.is_empty() {
                return Some(ProposedParty::ToChoose);
            }
            if parties.unread.is_empty() {
                comments.push("the request names no party".to_owned());
            }
            None
        }
        [one] => {
            comments.push(format!("the party is `{}` {}", one.source, one.reason()));
            if !parties.others.is_empty() {
                comments.push(format!("it could also be {}", listed(&parties.others)));
            }
            unread(comments);
            if one.is_optional {
                comments.push(format!(
                    "`{}` is optional in the document and demanded here; `absent` says what else counts",
                    one.source
                ));
            }
            let is_read = |media: &str| match one.source.split(':').next() {
                Some("json") => super::schema::is_json(media),
                Some("form") => media == super::schema::FORM,
                Some(_) | None => true,
            };
            let other = operation.bodies.iter().find(|body| !is_read(&body.media));
            if let Some(body) = other {
                comments.push(format!("callers with a body of {} are refused", body.media));
            }
            Some(ProposedParty::One(one.clone()))
        }
        several => {
            let sources: Vec<_> = several.iter().map(|one| format!("`{}`", one.source)).collect();
            comments.push(format!("the party may be {}", listed(&sources)));
            unread(comments);
            Some(ProposedParty::ToChoose)
        }
    }
}

/// Some of several, in a comment.
fn listed(texts: &[String]) -> String {
    const MOST: usize = 3;
    let (first, others) = texts.split_at(texts.len().min(MOST));
    let more =
        if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
    first.join(", ") + &more
}

/// Whether a capture is part of no source, and the party comes from where it need not belong to it.
fn leaves_object(
    party: &ProposedParty,
    resource: Option<&Candidate>,
    template: &paths::AsTemplate,
) -> bool {
    let ProposedParty::One(party) = party else { return false };
    let is_apart = !party.source.starts_with("path:");
    let is_read =
        |name: &str| resource.is_some_and(|one| one.source.strip_prefix("path:") == Some(name));
    is_apart
        && (template.widened.is_some() || template.captures.iter().any(|(name, _)| !is_read(name)))
}

fn scopes(security: &Security) -> Scopes {
    let Security::Scopes(alternatives) = security else { return Scopes::ToChoose };
    match alternatives.as_slice() {
        [one] if !one.is_empty() => Scopes::All(one.clone()),
        several if !several.is_empty() && several.iter().all(|scopes| scopes.len() == 1) => {
            Scopes::Any(several.iter().flatten().cloned().collect())
        }
        _ => Scopes::ToChoose,
    }
}

/// What all rules with scopes demand alike is said once.
fn shared(rules: &mut [Proposed]) -> Option<Scopes> {
    let mut stated = rules.iter().filter_map(|rule| rule.scopes.clone());
    let first = stated.next()?;
    if stated.any(|other| other != first) {
        return None;
    }
    for rule in rules {
        rule.scopes = None;
    }
    Some(first)
}

/// By the name that the template has for it.
fn renamed(candidate: &mut Candidate, captures: &[(String, String)]) {
    let Some(name) = candidate.source.strip_prefix("path:") else { return };
    if let Some((_, other)) = captures.iter().find(|(written, _)| written == name) {
        candidate.source = format!("path:{other}");
    }
}

/// From the operation's name, or its method and path; once among all.
fn id(operation: &Operation, taken: &mut BTreeSet<String>) -> String {
    let from_path = || kebab(&operation.label());
    let named = operation.id.as_deref().map(kebab).filter(|id| !id.is_empty());
    let mut wanted = named.unwrap_or_else(from_path);
    wanted.truncate(RouteRule::MAX_ID_BYTES - 5);
    let mut id = wanted.clone();
    for number in 2..10_000 {
        if taken.insert(id.clone()) {
            break;
        }
        id = format!("{wanted}-{number}");
    }
    id
}

/// Small letters and digits, with `-` between words: `SearchDialogs` is `search-dialogs`.
fn kebab(text: &str) -> String {
    let mut kebab = String::new();
    let mut before = ' ';
    for letter in text.chars() {
        let letter = match letter {
            'æ' | 'Æ' | 'å' | 'Å' => 'a',
            'ø' | 'Ø' => 'o',
            other => other,
        };
        let begins =
            letter.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit());
        if (begins || !letter.is_ascii_alphanumeric()) && !kebab.is_empty() && !kebab.ends_with('-')
        {
            kebab.push('-');
        }
        if letter.is_ascii_alphanumeric() {
            kebab.push(letter.to_ascii_lowercase());
        }
        before = letter;
    }
    kebab.trim_end_matches('-').to_owned()
}

//! Reads, after the answer, what was asked, what was held and what settled it. The answer itself is
//! taken from what the witness heard and never worked out again.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::missing;
use super::witness::Heard;
use super::{
    AccessLists, Asked, HeldPackage, Holdings, Kind, PolicyName, Reached, Reasons, RuleName,
    Settled, Who,
};
use crate::domain::{OrganizationNumber, PersonNumber, ResourceId, SystemUserId, nearest};
use crate::pdp::embedded::asker::Asker;
use crate::pdp::embedded::attributes::{
    INSTANCE, ORGANIZATION, ORGANIZATION_LEGACY, PARTY_ID, PARTY_UUID, PERSON, RESOURCE_INSTANCE,
    SYSTEM_USER, USER_ID, last,
};
use crate::pdp::embedded::directory::{
    AccessList, AccessListMode, Directory, PartyKey, SystemUserKind,
};
use crate::pdp::embedded::face::Api;
use crate::pdp::embedded::limits::{MAX_LISTED, MAX_NAME_CHARS};
use crate::pdp::embedded::names::{PackageCode, app_of};
use crate::pdp::embedded::policies::PolicyStore;
use crate::pdp::embedded::question::{Attribute, Question};
use crate::pdp::embedded::target::Target;
use crate::xacml::{ACTION_ID, Category, Decision, Effect, Evaluation, Policy, StatusCode, Trace};

const INSTANCES: [&str; 2] = [RESOURCE_INSTANCE, INSTANCE];

/// Everything an answer was made of.
pub(in crate::pdp::embedded) struct Scene<'a> {
    pub(in crate::pdp::embedded) policies: &'a PolicyStore,
    pub(in crate::pdp::embedded) directory: &'a Directory,
    pub(in crate::pdp::embedded) question: &'a Question<'a>,
    pub(in crate::pdp::embedded) api: Api,
}

impl Scene<'_> {
    /// Why the answer is as it is.
    pub(in crate::pdp::embedded) fn reasons(
        &self,
        heard: Heard,
        answer: Result<&Evaluation, StatusCode>,
    ) -> Reasons {
        let target = Target::read(self.directory, &self.question.resource, self.api).ok();
        let asker = Asker::read(self.directory, &self.question.subject, self.api).ok();
        let (decision, status) = match answer {
            Ok(evaluation) => (evaluation.decision, evaluation.status),
            Err(status) => (Decision::Indeterminate, status),
        };
        let mut reasons = Reasons {
            decision: word(decision),
            status: status.uri().rsplit(':').next().unwrap_or_default(),
            asked: self.asked(target.as_ref()),
            ..Reasons::default()
        };
        if answer.is_err() {
            reasons.settled = Settled::Unreadable { why: self.unreadable() };
            return reasons;
        }
        let Some(target) = &target else { return reasons };
        let Some(resource) = &target.resource else { return reasons };
        let Some((policy, (by_policy, trace))) = self.policies.policy(resource).zip(heard.policy)
        else {
            let ids = self.policies.resources().map(ResourceId::as_str);
            let near = nearest(resource.as_str(), ids).map(str::to_owned);
            reasons.settled = Settled::NoPolicy { near };
            return reasons;
        };
        let at = About {
            policy,
            resource,
            asker: asker.as_ref(),
            party: target.party,
            instance: target.instance,
        };
        let permitted = by_policy == Decision::Permit || heard.delegation.is_some();
        let before = match &heard.delegation {
            Some(delegation) => self.by_delegation(&at, delegation),
            None => self.by_policy(&at, by_policy, status, &trace),
        };
        if permitted && app_of(resource.as_str()).is_none() {
            reasons.access_lists = self.access_lists(&at);
        }
        reasons.settled = match decision {
            Decision::Deny if permitted => Settled::AccessLists { otherwise: Box::new(before) },
            Decision::Permit
            | Decision::Deny
            | Decision::NotApplicable
            | Decision::Indeterminate => before,
        };
        reasons.holds = self.holdings(&at);
        if decision == Decision::NotApplicable {
            (reasons.missing, reasons.more_missing) = missing::read(self, &at, &trace);
        }
        reasons
    }

    fn by_policy(
        &self,
        at: &About<'_>,
        decision: Decision,
        status: StatusCode,
        trace: &Trace,
    ) -> Settled {
        let policy = self.policy_name(at);
        match (decision, &trace.decided_by) {
            (Decision::Permit | Decision::Deny, Some(rule)) => Settled::Rule {
                policy,
                rule: rule_name(at.policy, &rule.rule_id),
                effect: match rule.effect {
                    Effect::Permit => "Permit",
                    Effect::Deny => "Deny",
                },
            },
            (Decision::Permit | Decision::Deny, None) => Settled::Algorithm { policy },
            (Decision::NotApplicable, _) => {
                let reached = self.reached(at.policy, trace);
                Settled::NoRule { policy, reached }
            }
            (Decision::Indeterminate, _) => Settled::Error {
                policy,
                why: match status {
                    StatusCode::MissingAttribute => {
                        "a rule needs an attribute that the question does not have"
                    }
                    StatusCode::SyntaxError => "a value of the question does not read as its type",
                    StatusCode::Ok | StatusCode::ProcessingError => {
                        "a rule that might have decided otherwise could not be evaluated"
                    }
                },
            },
        }
    }

    /// How far a question came that no rule applies to.
    fn reached(&self, policy: &Policy, trace: &Trace) -> Reached {
        let near = trace.near_misses.iter().filter(|rule| rule.effect == Effect::Permit);
        let rules: Vec<_> =
            near.take(MAX_LISTED).map(|rule| rule_name(policy, &rule.rule_id)).collect();
        if !rules.is_empty() {
            return Reached::Subject { rules };
        }
        let known = policy.compared_with(&Category::Action, ACTION_ID);
        let asked = |action: &&str| self.actions().any(|one| one.eq_ignore_ascii_case(action));
        // A policy that compares no action is about every action.
        if known.is_empty() || known.iter().any(asked) {
            return Reached::Other;
        }
        Reached::NoAction { actions: known.into_iter().take(MAX_LISTED).map(shown).collect() }
    }

    fn by_delegation(&self, at: &About<'_>, delegation: &str) -> Settled {
        let (from, to) = match (at.asker, at.party) {
            (Some(Asker::SystemUser(id)), _) => {
                let owner = self.directory.system_user(*id).map(|user| user.owner.to_string());
                (owner, id.to_string())
            }
            (Some(asker), Some(party)) => match asker.key() {
                Some(to) => (Some(self.giver((party, to), at, delegation)), name_of(to)),
                None => (None, String::new()),
            },
            (None, _) | (_, None) => (None, String::new()),
        };
        Settled::Delegation {
            at: shown(delegation),
            from: from.unwrap_or_default(),
            to,
            resource: at.resource.to_string(),
            policy: self.policy_name(at),
        }
    }

    /// The party itself, or its main unit where the right is that one's.
    fn giver(&self, (party, to): (PartyKey, PartyKey), at: &About<'_>, id: &str) -> String {
        let main = self.directory.party_entry(party).and_then(|entry| entry.parent);
        let of_main = |main: &PartyKey| {
            let mut given = self.directory.delegated_to_party(to, *main, at.resource, at.instance);
            given.any(|rights| rights.id() == id)
        };
        name_of(main.map(PartyKey::Organization).filter(of_main).unwrap_or(party))
    }

    fn policy_name(&self, at: &About<'_>) -> PolicyName {
        PolicyName {
            id: shown(at.policy.id()),
            file: self.policies.file(at.resource).unwrap_or_default().to_owned(),
        }
    }

    fn access_lists(&self, at: &About<'_>) -> Option<AccessLists> {
        match self.directory.access_list_mode(at.resource) {
            AccessListMode::Disabled => return None,
            AccessListMode::Enabled => {}
        }
        let Some(PartyKey::Organization(party)) = at.party else {
            return Some(AccessLists::NotAnOrganization);
        };
        let lists = self.directory.access_lists.get(at.resource).map_or(&[][..], Vec::as_slice);
        let ids = |wanted: &dyn Fn(&AccessList) -> bool| -> Vec<String> {
            let chosen = lists.iter().filter(|list| wanted(list));
            chosen.map(|list| shown(&list.id)).take(MAX_LISTED).collect()
        };
        let member = |list: &AccessList| self.directory.is_member(&list.id, party);
        let for_action = |list: &AccessList| {
            list.actions.as_ref().is_none_or(|allowed| {
                self.actions().any(|asked| allowed.iter().any(|one| one.as_str() == asked))
            })
        };
        let actions: Vec<&str> = self.actions().collect();
        Some(if self.directory.passes_access_list(at.resource, at.party, &actions) {
            AccessLists::Passed { lists: ids(&|list| member(list) && for_action(list)) }
        } else if lists.iter().any(member) {
            AccessLists::NotForTheAction { lists: ids(&member) }
        } else {
            AccessLists::NotOnAList { lists: ids(&|_| true) }
        })
    }

    fn holdings(&self, at: &About<'_>) -> Option<Holdings> {
        let party = at.party?;
        let (packages, roles) = match at.asker? {
            Asker::SystemUser(id) => {
                (self.directory.packages_of_system_user(*id, party), Vec::new())
            }
            Asker::Person(person) => {
                let roles = self.directory.roles_of_person(*person, party);
                let roles = roles.flat_map(|held| {
                    let register = held.register.iter().map(ToString::to_string);
                    register
                        .chain(held.codes.values().map(|code| shown(code)))
                        .chain(held.estate.iter().map(|role| shown(role)))
                });
                let roles = roles.collect::<BTreeSet<_>>().into_iter().collect();
                (self.directory.packages_of_person(*person, party), roles)
            }
            Asker::ByUuid(person @ PartyKey::Person(_)) => {
                (self.directory.packages_of_person(*person, party), Vec::new())
            }
            Asker::ByUuid(PartyKey::Organization(_))
            | Asker::Organization(_)
            | Asker::ByPartyId(_)
            | Asker::Unreached(_)
            | Asker::Nobody => return None,
        };
        let named = at.policy.compared_with(&Category::AccessSubject, PackageCode::ATTRIBUTE_ID);
        let is_named =
            |one: &PackageCode| named.iter().any(|name| name.eq_ignore_ascii_case(one.as_str()));
        let mut packages: Vec<PackageCode> = packages.into_iter().collect();
        packages.sort_by_key(|one| !is_named(one));
        let more = packages.len().saturating_sub(MAX_LISTED)
            + Vec::<String>::len(&roles).saturating_sub(MAX_LISTED);
        let listed = packages.iter().take(MAX_LISTED).map(|package| HeldPackage {
            package: package.to_string(),
            from: self.whence(at.asker, party, package),
        });
        Some(Holdings {
            packages: listed.collect(),
            roles: roles.into_iter().take(MAX_LISTED).collect(),
            more,
        })
    }

    /// Where a package comes from that the asker holds for the party.
    fn whence(&self, asker: Option<&Asker>, party: PartyKey, package: &PackageCode) -> String {
        match asker {
            Some(Asker::SystemUser(id)) => {
                let Some(user) = self.directory.system_user(*id) else { return String::new() };
                match user.kind {
                    SystemUserKind::Standard => "its own".to_owned(),
                    SystemUserKind::Agent => {
                        let linked = self.directory.organizations(party).find(|unit| {
                            user.clients.get(unit).is_some_and(|chosen| chosen.contains(package))
                        });
                        let Some(client) = linked else { return String::new() };
                        let owner = PartyKey::Organization(user.owner);
                        let given = self.given_by(PartyKey::Organization(client), owner, package);
                        format!("given with the client {client}, which gives it {given}")
                    }
                }
            }
            Some(asker) => asker.key().map_or_else(String::new, |key| {
                format!("the party gives it {}", self.given_by(party, key, package))
            }),
            None => String::new(),
        }
    }

    /// `by the role …`, `by delegation`, or both.
    fn given_by(&self, party: PartyKey, to: PartyKey, package: &PackageCode) -> String {
        let directory = self.directory;
        let mut ways = Vec::new();
        for unit in directory.units(party) {
            let entry = directory.party_entry(unit);
            let unit_type = entry.and_then(|entry| entry.organization_type.as_deref());
            for role in directory.roles.get(&(unit, to)).iter().flat_map(|held| &held.register) {
                if directory.role_table.packages(role, unit_type).any(|one| one == package) {
                    ways.push(format!("by the role `{role}`"));
                }
            }
            let delegated = directory.delegations.get(&(unit, to));
            if delegated.is_some_and(|one| one.packages.contains(package)) {
                ways.push("by delegation".to_owned());
            }
        }
        ways.dedup();
        ways.join(" and ")
    }

    pub(super) fn actions(&self) -> impl Iterator<Item = &str> {
        self.question.action.iter().filter(|one| one.id == ACTION_ID).map(|one| &*one.value)
    }

    /// The party as the question names it, where the directory does not know it.
    pub(super) fn unknown_party(&self) -> Option<String> {
        self.party(None, &self.question.resource).map(|party| party.id)
    }

    fn asked(&self, target: Option<&Target>) -> Asked {
        let Question { subject, resource, .. } = self.question;
        Asked {
            resource: target.and_then(|one| one.resource.as_ref()).map(|id| shown(id.as_str())),
            actions: self.actions().take(MAX_LISTED).map(shown).collect(),
            instance: INSTANCES.iter().find_map(|id| last(resource, id)).map(shown),
            party: self.party(target.and_then(|one| one.party), resource),
            subject: self.subject(subject),
        }
    }

    fn party(&self, key: Option<PartyKey>, attributes: &[Attribute<'_>]) -> Option<Who> {
        let ids = [PARTY_ID, ORGANIZATION, ORGANIZATION_LEGACY, PERSON, PARTY_UUID];
        let named = ids.iter().find_map(|id| Some((*id, last(attributes, id)?)));
        let Some(key) = key else {
            let (id, value) = named?;
            return Some(stranger(id, value));
        };
        Some(self.known(key))
    }

    fn known(&self, key: PartyKey) -> Who {
        let entry = self.directory.party_entry(key);
        let parent = entry.and_then(|entry| entry.parent);
        let kind = match key {
            PartyKey::Person(_) => Kind::Person,
            PartyKey::Organization(_) if parent.is_some() => Kind::Subunit,
            PartyKey::Organization(_) => Kind::Organization,
        };
        let name = entry.and_then(|entry| entry.name.clone());
        Who {
            id: name_of(key),
            kind,
            known: entry.is_some(),
            // A person's name says who it is as well as the number does.
            name: name.filter(|_| kind != Kind::Person),
            under: parent.map(|parent| parent.to_string()),
            under_name: parent.and_then(|parent| self.organization_name(parent)),
        }
    }

    fn organization_name(&self, number: OrganizationNumber) -> Option<String> {
        self.directory.party_entry(PartyKey::Organization(number))?.name.clone()
    }

    fn subject(&self, attributes: &[Attribute<'_>]) -> Option<Who> {
        if let Some(text) = last(attributes, SYSTEM_USER) {
            let user = SystemUserId::parse(text).and_then(|id| self.directory.system_user(id));
            return Some(match user {
                None => Who { kind: Kind::SystemUser, ..stranger(SYSTEM_USER, text) },
                Some(user) => Who {
                    id: user.id.to_string(),
                    kind: match user.kind {
                        SystemUserKind::Standard => Kind::SystemUser,
                        SystemUserKind::Agent => Kind::Agent,
                    },
                    known: true,
                    name: user.name.clone(),
                    under: Some(user.owner.to_string()),
                    under_name: self.organization_name(user.owner),
                },
            });
        }
        let key = match Asker::read(self.directory, attributes, self.api) {
            Ok(asker) => asker.key(),
            Err(_) => None,
        };
        match key {
            Some(key) => Some(self.known(key)),
            None => attributes.first().map(|one| stranger(&one.id, &one.value)),
        }
    }

    /// What Altinn cannot make sense of, in a question that cannot be read.
    fn unreadable(&self) -> &'static str {
        let subject = &self.question.subject;
        let has = |id: &str| last(subject, id).is_some();
        let organization = has(ORGANIZATION) || has(ORGANIZATION_LEGACY);
        let uuid = |text: &str| SystemUserId::parse(text).is_some();
        if self.question.action.is_empty() {
            "it names no action"
        } else if subject.is_empty() {
            "it names no subject"
        } else if has(SYSTEM_USER) && subject.len() > 1 {
            "something stands beside the system user, which must be alone"
        } else if has(SYSTEM_USER) {
            "the system user's id is not a uuid"
        } else if [has(PERSON), organization, has(USER_ID)].into_iter().filter(|one| *one).count()
            > 1
        {
            "it names more than one subject"
        } else if last(subject, PARTY_UUID).is_some_and(|text| !uuid(text)) {
            "the subject's party uuid is not a uuid"
        } else if last(subject, USER_ID).is_some_and(|text| text.parse::<i32>().is_err()) {
            "the user id is not a number"
        } else if has(PERSON) {
            "the person is not in the directory"
        } else if organization {
            "the organization that asks is not in the directory"
        } else {
            "its subject cannot be read"
        }
    }
}

/// What an answer is about, once that is clear.
pub(super) struct About<'a> {
    pub(super) policy: &'a Policy,
    pub(super) resource: &'a ResourceId,
    pub(super) asker: Option<&'a Asker>,
    pub(super) party: Option<PartyKey>,
    pub(super) instance: Option<Uuid>,
}

fn rule_name(policy: &Policy, id: &str) -> RuleName {
    RuleName { number: policy.rule_number(id), id: shown(id) }
}

/// As the question names it, and unknown to the directory.
fn stranger(id: &str, value: &str) -> Who {
    let kind = match id {
        SYSTEM_USER => Kind::SystemUser,
        ORGANIZATION | ORGANIZATION_LEGACY => Kind::Organization,
        PERSON => Kind::Person,
        _ => Kind::Other,
    };
    let text = masked(id, value);
    let id = if kind == Kind::Other { format!("{}:{text}", shown(id)) } else { text };
    Who { id, kind, known: false, name: None, under: None, under_name: None }
}

/// A party's number; a person's is masked.
pub(super) fn name_of(key: PartyKey) -> String {
    match key {
        PartyKey::Organization(number) => number.to_string(),
        PartyKey::Person(number) => number.to_string(),
    }
}

/// The value of an attribute, fit to be printed.
pub(super) fn masked(id: &str, value: &str) -> String {
    if id == PERSON { PersonNumber::MASK.to_owned() } else { shown(value) }
}

/// Text of a policy or a question, fit to be printed: bounded, on one line, and whatever may be the
/// number of a person is masked wherever it stands.
pub(super) fn shown(text: &str) -> String {
    let one_line = |letter: char| if letter.is_control() { '\u{fffd}' } else { letter };
    PersonNumber::mask_in(text).chars().take(MAX_NAME_CHARS).map(one_line).collect()
}

fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Permit => "Permit",
        Decision::Deny => "Deny",
        Decision::NotApplicable => "NotApplicable",
        Decision::Indeterminate => "Indeterminate",
    }
}

//! What a permit would have needed, worked out from the rules that were nearly met, and how the
//! directory says it could be come by.

use std::collections::BTreeSet;

use super::read::{About, Scene, masked, name_of, shown};
use super::{Missing, Need, Way};
use crate::domain::OrganizationNumber;
use crate::pdp::embedded::asker::Asker;
use crate::pdp::embedded::attributes::{ACCESS_LIST, ALTINN_ROLE, ROLE_CODE};
use crate::pdp::embedded::directory::{Directory, PartyKey, RegisteredSystemUser, SystemUserKind};
use crate::pdp::embedded::limits::{MAX_COMBINATIONS, MAX_MISSING};
use crate::pdp::embedded::names::{PackageCode, RoleName};
use crate::pdp::embedded::roles;
use crate::xacml::{ACTION_ID, Category, Effect, Requirement, Trace, WantedAttribute};

/// The ways, the easiest first, and whether there are more.
pub(super) fn read(scene: &Scene<'_>, at: &About<'_>, trace: &Trace) -> (Vec<Missing>, bool) {
    let mut more = trace.truncated;
    let mut ways = Vec::new();
    let mut seen = BTreeSet::new();
    for rule in trace.near_misses.iter().filter(|rule| rule.effect == Effect::Permit) {
        let (combinations, cut) = combinations(&rule.requirements);
        more |= cut;
        for wanted in combinations {
            let key: Vec<_> = wanted.iter().map(|one| (&one.id, &one.value)).collect();
            if seen.insert(key) {
                ways.push(way_to(scene, at, &wanted));
            }
        }
    }
    if !ways.is_empty() {
        ways.extend(single_right(scene, at));
    }
    // Stable: what is as easy stays in the order of the policy.
    ways.sort_by_key(|one| (one.way, one.needs.iter().map(rank).max()));
    more |= ways.len() > MAX_MISSING;
    ways.truncate(MAX_MISSING);
    (ways, more)
}

/// Of what is as easy, what more people can use stands first.
fn rank(need: &Need) -> u8 {
    match need {
        Need::Package { .. } => 0,
        Need::SingleRight { .. } => 1,
        Need::Role { .. } => 2,
        Need::Attribute { .. } => 3,
    }
}

/// One alternative of every requirement, in each way.
fn combinations(requirements: &[Requirement]) -> (Vec<Vec<&WantedAttribute>>, bool) {
    let mut combined: Vec<Vec<&WantedAttribute>> = vec![Vec::new()];
    let mut cut = false;
    for requirement in requirements {
        let longer = combined.iter().flat_map(|before| {
            requirement.alternatives.iter().map(move |alternative| {
                before.iter().copied().chain(alternative).collect::<Vec<_>>()
            })
        });
        let mut next: Vec<_> = longer.take(MAX_COMBINATIONS.saturating_add(1)).collect();
        cut |= next.len() > MAX_COMBINATIONS;
        next.truncate(MAX_COMBINATIONS);
        combined = next;
    }
    combined.retain(|one| !one.is_empty());
    (combined, cut)
}

fn way_to(scene: &Scene<'_>, at: &About<'_>, wanted: &[&WantedAttribute]) -> Missing {
    let mut whole = Missing { needs: Vec::new(), way: Way::Link, hints: Vec::new() };
    for (index, one) in wanted.iter().enumerate() {
        let (need, way, hints) = need(scene, at, one);
        // All of them are needed: the hardest says how hard it is.
        whole.way = if index == 0 { way } else { whole.way.max(way) };
        whole.needs.push(need);
        for hint in hints {
            if !whole.hints.contains(&hint) {
                whole.hints.push(hint);
            }
        }
    }
    whole
}

fn need(scene: &Scene<'_>, at: &About<'_>, wanted: &WantedAttribute) -> (Need, Way, Vec<String>) {
    let party = scene_party(scene, at);
    match wanted.id.as_str() {
        PackageCode::ATTRIBUTE_ID => {
            let code = wanted.value.to_ascii_lowercase();
            let need = Need::Package { package: shown(&wanted.value), party };
            let (way, hints) = match (PackageCode::parse(&code), at.asker, at.party) {
                (Ok(package), Some(asker), Some(party)) => {
                    package_way(scene.directory, asker, party, &package)
                }
                (Ok(_), _, None) => (Way::None, vec![without_party(scene)]),
                (Err(_), ..) => {
                    let hint = "this is not the code of an access package: nobody can hold it";
                    (Way::None, vec![hint.to_owned()])
                }
                (Ok(_), None, Some(_)) => (Way::None, Vec::new()),
            };
            (need, way, hints)
        }
        ROLE_CODE | ALTINN_ROLE | RoleName::ATTRIBUTE_ID => {
            let need = Need::Role { role: shown(&wanted.value), party };
            match at.asker {
                Some(Asker::SystemUser(_)) => {
                    let hint = "roles are never a system user's: only a package that the policy \
                                names, or a single right, would do";
                    (need, Way::None, vec![hint.to_owned()])
                }
                Some(Asker::Person(_)) if at.party.is_none() => {
                    (need, Way::None, vec![without_party(scene)])
                }
                Some(Asker::Person(_)) if is_of_private_person(wanted) => {
                    let hint = "it is what every person is to itself, and nobody to another";
                    (need, Way::None, vec![hint.to_owned()])
                }
                Some(Asker::Person(_)) => (need, Way::Role, Vec::new()),
                Some(
                    Asker::ByUuid(_)
                    | Asker::Organization(_)
                    | Asker::ByPartyId(_)
                    | Asker::Unreached(_)
                    | Asker::Nobody,
                )
                | None => {
                    let hint = "roles count only for a person that is named by number";
                    (need, Way::None, vec![hint.to_owned()])
                }
            }
        }
        ACCESS_LIST => {
            let id = wanted.id.clone();
            let need = Need::Attribute { id, value: shown(&wanted.value) };
            match at.asker.and_then(Asker::key) {
                Some(PartyKey::Organization(number)) if names_no_party(scene, at) => {
                    let hint = format!("the owner of the list can put {number} on it");
                    (need, Way::AccessList, vec![hint])
                }
                Some(PartyKey::Organization(_) | PartyKey::Person(_)) | None => {
                    let hint = "lists count for an organization that asks about the resource alone";
                    (need, Way::None, vec![hint.to_owned()])
                }
            }
        }
        id => {
            let need = Need::Attribute { id: shown(id), value: masked(id, &wanted.value) };
            (need, Way::None, Vec::new())
        }
    }
}

fn names_no_party(scene: &Scene<'_>, at: &About<'_>) -> bool {
    at.party.is_none() && scene.unknown_party().is_none()
}

fn without_party(scene: &Scene<'_>) -> String {
    if scene.unknown_party().is_none() {
        return "the question names no party: it is for a party that anything is held".to_owned();
    }
    "the directory does not know the party: nobody holds anything for it".to_owned()
}

fn is_of_private_person(wanted: &WantedAttribute) -> bool {
    wanted.id == ROLE_CODE && wanted.value.eq_ignore_ascii_case(roles::PRIVATE_PERSON)
}

/// The party in words; as the question names it where the directory does not know it.
fn scene_party(scene: &Scene<'_>, at: &About<'_>) -> String {
    match at.party {
        Some(key) => name_of(key),
        None => scene.unknown_party().unwrap_or_else(|| "a party".to_owned()),
    }
}

fn package_way(
    directory: &Directory,
    asker: &Asker,
    party: PartyKey,
    package: &PackageCode,
) -> (Way, Vec<String>) {
    let never = |hint: String| (Way::None, vec![hint]);
    match asker {
        Asker::SystemUser(id) => match directory.system_user(*id) {
            None => never("the directory does not know the system user".to_owned()),
            Some(user) => {
                let (way, hint) = match (party, user.kind) {
                    (PartyKey::Person(_), _) => {
                        let hint =
                            "a system user holds packages for businesses, never for a person";
                        (Way::None, hint.to_owned())
                    }
                    (PartyKey::Organization(_), SystemUserKind::Standard) => {
                        standard(directory, user, party, package)
                    }
                    (PartyKey::Organization(_), SystemUserKind::Agent) => {
                        agent(directory, user, party, package)
                    }
                };
                let mut hints = vec![hint];
                hints.extend(elsewhere(directory, user, package));
                hints.extend(somebody_else(directory, user, party, package));
                (way, hints)
            }
        },
        Asker::Person(person) | Asker::ByUuid(person @ PartyKey::Person(_)) => match party {
            PartyKey::Person(_) => never("packages are held for businesses".to_owned()),
            PartyKey::Organization(_) if *person == party => (Way::None, Vec::new()),
            PartyKey::Organization(client) => {
                let (way, hint) = given(directory, client, "the person", package);
                (if way == Way::RoleAndLink { Way::Role } else { way }, vec![hint])
            }
        },
        Asker::ByUuid(PartyKey::Organization(_))
        | Asker::Organization(_)
        | Asker::ByPartyId(_)
        | Asker::Unreached(_) => never(
            "packages count for system users and persons; an organization needs a single right"
                .to_owned(),
        ),
        Asker::Nobody => never("the directory does not know who asks".to_owned()),
    }
}

fn standard(
    directory: &Directory,
    user: &RegisteredSystemUser,
    party: PartyKey,
    package: &PackageCode,
) -> (Way, String) {
    let owner = user.owner;
    if !directory.organizations(party).any(|unit| unit == owner) {
        let hint = format!(
            "this system user acts for its owner {owner} alone: only an agent acts for others"
        );
        return (Way::None, hint);
    }
    if roles::is_from_register_only(package) {
        let hint = "it arises from a role at a client: only an agent holds it".to_owned();
        return (Way::None, hint);
    }
    (Way::OwnPackage, format!("{owner} can give it to this system user"))
}

fn agent(
    directory: &Directory,
    user: &RegisteredSystemUser,
    party: PartyKey,
    package: &PackageCode,
) -> (Way, String) {
    let owner = user.owner;
    if directory.organizations(party).any(|unit| unit == owner) {
        let hint = "an agent holds packages for clients of its owner, never for the owner itself";
        return (Way::None, hint.to_owned());
    }
    let gives = |unit: &OrganizationNumber| {
        directory.packages_given(*unit, PartyKey::Organization(owner)).contains(package)
    };
    let chosen = |unit: &OrganizationNumber| {
        user.clients.get(unit).is_some_and(|chosen| chosen.contains(package))
    };
    if let Some(client) = directory.organizations(party).find(chosen) {
        let (way, hint) = given(directory, client, &owner.to_string(), package);
        let way = if way == Way::RoleAndLink { Way::Role } else { way };
        return (
            way,
            format!(
                "this system user was given it with the client {client}, without effect: {hint}"
            ),
        );
    }
    // The main unit, where there is one: a subunit gives nothing of its own.
    let Some(client) = directory.organizations(party).filter(gives).last() else {
        let Some(client) = directory.organizations(party).last() else {
            return (Way::None, String::new());
        };
        let (way, hint) = given(directory, client, &owner.to_string(), package);
        return match way {
            Way::Delegate => {
                let then = format!("{owner} can then give this system user the client");
                (Way::DelegateAndLink, format!("{hint}; {then}"))
            }
            Way::Link
            | Way::OwnPackage
            | Way::SingleRight
            | Way::AccessList
            | Way::DelegateAndLink
            | Way::Role
            | Way::RoleAndLink
            | Way::None => (way, hint),
        };
    };
    let hint = format!(
        "{client} gives it to {owner}, but {owner} has not given it to this system user for that \
         client"
    );
    (Way::Link, hint)
}

/// How a client that does not give a package might.
fn given(
    directory: &Directory,
    client: OrganizationNumber,
    to: &str,
    package: &PackageCode,
) -> (Way, String) {
    if !roles::is_from_register_only(package) {
        return (Way::Delegate, format!("{client} does not give it to {to}, but can delegate it"));
    }
    let entry = directory.party_entry(PartyKey::Organization(client));
    let client_type = entry.and_then(|entry| entry.organization_type.as_deref());
    let mut types = BTreeSet::new();
    let mut roles = BTreeSet::new();
    for (role, client_types) in directory.role_table.giving(package) {
        if client_types.is_empty() || client_type.is_some_and(|one| client_types.contains(one)) {
            roles.insert(format!("`{role}`"));
        } else {
            types.extend(client_types.iter().cloned());
        }
    }
    if !roles.is_empty() {
        let roles = Vec::from_iter(roles).join(" or ");
        let hint = format!(
            "{client} does not give it to {to}: it arises only from the role {roles} in the register"
        );
        return (Way::RoleAndLink, hint);
    }
    let is = client_type.map_or_else(String::new, |one| format!(", and {client} is {one}"));
    let types = Vec::from_iter(types).join(" or ");
    let hint = if types.is_empty() {
        format!("{client} does not give it to {to}: no role gives it")
    } else {
        format!("{client} does not give it to {to}: only clients of type {types} do{is}")
    };
    (Way::None, hint)
}

/// For whom the same system user does hold the package.
fn elsewhere(
    directory: &Directory,
    user: &RegisteredSystemUser,
    package: &PackageCode,
) -> Option<String> {
    let holds = |party: &&OrganizationNumber| {
        let key = PartyKey::Organization(**party);
        directory.packages_of_system_user(user.id, key).contains(package)
    };
    let parties = user.clients.keys().chain([&user.owner]);
    let mut held = parties.filter(holds);
    let first = held.next()?;
    Some(match held.count() {
        0 => format!("this system user holds it for {first}"),
        1 => format!("this system user holds it for {first} and one other"),
        others => format!("this system user holds it for {first} and {others} others"),
    })
}

/// Which other system user of the same owner holds the package for the party.
fn somebody_else(
    directory: &Directory,
    user: &RegisteredSystemUser,
    party: PartyKey,
    package: &PackageCode,
) -> Option<String> {
    let other = directory.system_users().find(|other| {
        other.owner == user.owner
            && other.id != user.id
            && directory.packages_of_system_user(other.id, party).contains(package)
    })?;
    let name = other.name.as_deref().map_or_else(|| other.id.to_string(), shown);
    Some(format!("another system user of {}, {name}, holds it for {}", user.owner, name_of(party)))
}

/// What no policy names, and a party may always give to some.
fn single_right(scene: &Scene<'_>, at: &About<'_>) -> Option<Missing> {
    let action = shown(scene.actions().next()?);
    let need = Need::SingleRight { action, resource: at.resource.to_string() };
    let missing = |way, hints| Some(Missing { needs: vec![need], way, hints });
    let party = at.party?;
    match at.asker? {
        Asker::SystemUser(id) => {
            let user = scene.directory.system_user(*id)?;
            let owners = scene.directory.organizations(party).any(|unit| unit == user.owner);
            match user.kind {
                SystemUserKind::Standard if owners => {
                    let held = scene
                        .directory
                        .delegated_to_system_user(*id, party, at.resource, at.instance)
                        .next();
                    let hint = held.map(|rights| {
                        let actions = rights.compared_with(&Category::Action, ACTION_ID);
                        let actions: Vec<_> =
                            actions.into_iter().map(|one| format!("`{}`", shown(one))).collect();
                        format!("the system user has {} only", actions.join(", "))
                    });
                    missing(Way::SingleRight, hint.into_iter().collect())
                }
                SystemUserKind::Standard => {
                    let owner = name_of(PartyKey::Organization(user.owner));
                    let hint =
                        format!("a single right of its own counts for its owner alone, {owner}");
                    missing(Way::None, vec![hint])
                }
                SystemUserKind::Agent => {
                    let hint = "single rights cannot be used for clients".to_owned();
                    missing(Way::None, vec![hint])
                }
            }
        }
        Asker::Person(_) | Asker::Organization(_) | Asker::ByPartyId(_) => {
            let hint = format!("{} can delegate it", name_of(party));
            missing(Way::SingleRight, vec![hint])
        }
        Asker::ByUuid(_) | Asker::Unreached(_) | Asker::Nobody => None,
    }
}

//! `/directory/…`: who may act for whom is changed while everything runs, as it is in Altinn.

use super::{documents, organization, party, person, system_user};
use crate::domain::{Action, OrganizationNumber, ResourceId};
use crate::pdp::embedded::{
    ChangeFault, Directory, DirectoryHandle, Holding, PackageCode, PartyKey, RoleName,
};
use crate::server::{Asked, Page, Refusal, stated};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Said with every change: who looks at the next answer of a proxy may still see the last decision.
const NOTE: &str = "decisions in hand live on for up to their lifetime; POST /decisions/purge of the \
                    proxy has each asked about anew";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Link {
    system_user: String,
    client: String,
    packages: Vec<String>,
}

const LINK: &str = "the body must be an object with `systemUser` (uuid), `client` (organization number) and \
                    `packages` (a list), each once";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Unlink {
    system_user: String,
    client: String,
}

const UNLINK: &str = "the body must be an object with `systemUser` (uuid) and `client` (organization \
                      number), each once";

/// Who gives what to whom: packages, or single rights to a resource.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Delegation {
    #[serde(default, deserialize_with = "stated")]
    from: Option<String>,
    #[serde(default, deserialize_with = "stated")]
    from_person: Option<String>,
    #[serde(default, deserialize_with = "stated")]
    to: Option<String>,
    #[serde(default, deserialize_with = "stated")]
    person: Option<String>,
    #[serde(default, deserialize_with = "stated")]
    system_user: Option<String>,
    #[serde(default, deserialize_with = "stated")]
    packages: Option<Vec<String>>,
    #[serde(default, deserialize_with = "stated")]
    resource: Option<String>,
    #[serde(default, deserialize_with = "stated")]
    actions: Option<Vec<String>>,
}

const PACKAGES: &str = "the body must be an object with `from` (organization number) or `fromPerson`, one \
                        of `to` (organization number), `person` and `systemUser` (uuid; its owner gives), \
                        and `packages` (a list), each once";
const RIGHTS: &str = "the body must be an object with `from` (organization number) or `fromPerson`, one \
                      of `to` (organization number), `person` and `systemUser` (uuid; its owner gives), \
                      `resource` and `actions` (a list), each once";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Membership {
    list: String,
    organization: String,
}

const MEMBERSHIP: &str = "the body must be an object with `list` (the id of an access list) and \
                          `organization` (organization number), each once";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Registered {
    client: String,
    role: String,
    #[serde(default, deserialize_with = "stated")]
    provider: Option<String>,
    #[serde(default, deserialize_with = "stated")]
    person: Option<String>,
}

const ROLE: &str = "the body must be an object with `client` (organization number), `role`, and `provider` \
                    (organization number) or `person`, who holds the role, each once";

/// Given, or taken back.
#[derive(Clone, Copy)]
enum Direction {
    Give,
    TakeBack,
}

pub(super) fn pages(directory: DirectoryHandle) -> Vec<Page> {
    let post = |path, direction, answer: fn(&DirectoryHandle, &Change, &Asked) -> Answered| {
        let (directory, change) = (directory.clone(), Change { path, direction });
        Page::post(path, move |asked| answer(&directory, &change, asked))
    };
    let mut pages = vec![
        post("/directory/clients/link", Direction::Give, link),
        post("/directory/clients/unlink", Direction::TakeBack, unlink),
        post("/directory/packages/delegate", Direction::Give, packages),
        post("/directory/packages/revoke", Direction::TakeBack, packages),
        post("/directory/rights/delegate", Direction::Give, rights),
        post("/directory/rights/revoke", Direction::TakeBack, rights),
        post("/directory/access-lists/add", Direction::Give, membership),
        post("/directory/access-lists/remove", Direction::TakeBack, membership),
        post("/directory/roles/add", Direction::Give, role),
        post("/directory/roles/strike", Direction::TakeBack, role),
    ];
    let list = directory.clone();
    pages.extend([
        Page::get("/directory/system-users", move |_| Ok(system_users(&list.current()))),
        Page::get("/directory/system-users/", move |asked| {
            shown_system_user(&directory.current(), &asked.rest)
        }),
    ]);
    pages
}

type Answered = Result<Value, Refusal>;

/// Which page, and which way.
struct Change {
    path: &'static str,
    direction: Direction,
}

impl Change {
    /// Logs what came of it; a change that was not made is a refusal.
    fn settle(&self, about: &Value, outcome: Result<(), ChangeFault>) -> Result<(), Refusal> {
        match outcome {
            Ok(()) => {
                tracing::info!(page = self.path, %about, "the directory is changed; {NOTE}");
                Ok(())
            }
            Err(fault) => {
                tracing::info!(page = self.path, %about, %fault, "a change of the directory is refused");
                Err(Refusal::new(StatusCode::CONFLICT, fault.to_string()))
            }
        }
    }
}

fn link(directory: &DirectoryHandle, change: &Change, asked: &Asked) -> Answered {
    let said: Link = asked.object(LINK)?;
    let user = system_user("systemUser", &said.system_user)?;
    let client = organization("client", &said.client)?;
    let packages = package_codes(&said.packages)?;
    let about = json!({
        "systemUser": user.to_string(),
        "client": client.to_string(),
        "packages": documents::names(&packages),
    });
    change.settle(&about, directory.link_client(user, client, packages))?;
    Ok(answer(&held_now(&directory.current(), Holding::SystemUser(user))))
}

fn unlink(directory: &DirectoryHandle, change: &Change, asked: &Asked) -> Answered {
    let said: Unlink = asked.object(UNLINK)?;
    let user = system_user("systemUser", &said.system_user)?;
    let client = organization("client", &said.client)?;
    let about = json!({ "systemUser": user.to_string(), "client": client.to_string() });
    change.settle(&about, directory.unlink_client(user, client))?;
    Ok(answer(&held_now(&directory.current(), Holding::SystemUser(user))))
}

fn packages(directory: &DirectoryHandle, change: &Change, asked: &Asked) -> Answered {
    let said: Delegation = asked.object(PACKAGES)?;
    let (Some(packages), None, None) = (&said.packages, &said.resource, &said.actions) else {
        return Err(Refusal::bad(PACKAGES));
    };
    let packages = package_codes(packages)?;
    let holding = said.holding(&directory.current())?;
    let about = json!({ "at": place_of(holding), "packages": documents::names(&packages) });
    let outcome = match change.direction {
        Direction::Give => directory.grant_packages(holding, packages),
        Direction::TakeBack => directory.revoke_packages(holding, packages),
    };
    change.settle(&about, outcome)?;
    Ok(answer(&held_now(&directory.current(), holding)))
}

fn rights(directory: &DirectoryHandle, change: &Change, asked: &Asked) -> Answered {
    let said: Delegation = asked.object(RIGHTS)?;
    let (None, Some(resource), Some(actions)) = (&said.packages, &said.resource, &said.actions)
    else {
        return Err(Refusal::bad(RIGHTS));
    };
    let resource =
        ResourceId::parse(resource).map_err(|_| Refusal::bad("`resource` is not a resource id"))?;
    let actions: Result<Vec<_>, _> = actions.iter().map(|text| Action::parse(text)).collect();
    let actions = actions.map_err(|_| Refusal::bad("`actions` are not actions"))?;
    let holding = said.holding(&directory.current())?;
    let about = json!({
        "at": place_of(holding),
        "resource": resource.as_str(),
        "actions": actions.iter().map(Action::as_str).collect::<Vec<_>>(),
    });
    let outcome = match change.direction {
        Direction::Give => directory.grant_right(holding, &resource, &actions),
        Direction::TakeBack => directory.revoke_right(holding, &resource, &actions),
    };
    change.settle(&about, outcome)?;
    Ok(answer(&held_now(&directory.current(), holding)))
}

fn membership(directory: &DirectoryHandle, change: &Change, asked: &Asked) -> Answered {
    let said: Membership = asked.object(MEMBERSHIP)?;
    let member = organization("organization", &said.organization)?;
    let outcome = match change.direction {
        Direction::Give => directory.add_member(&said.list, member),
        Direction::TakeBack => directory.remove_member(&said.list, member),
    };
    // An id of no list could be anything, a person's number among it.
    let members = directory.current().members_of_list(&said.list);
    let list = members.as_ref().map(|_| said.list);
    change.settle(&json!({ "list": list, "organization": member.to_string() }), outcome)?;
    let members = members.into_iter().flatten().map(|member| member.to_string());
    Ok(answer(&json!({ "list": list, "members": members.collect::<Vec<_>>() })))
}

fn role(directory: &DirectoryHandle, change: &Change, asked: &Asked) -> Answered {
    let said: Registered = asked.object(ROLE)?;
    let client = organization("client", &said.client)?;
    let role = RoleName::parse(&said.role)
        .map_err(|_| Refusal::bad("`role` is not the name of a role"))?;
    let holder = party(("provider", said.provider.as_deref()), ("person", said.person.as_deref()))?;
    let about = json!({
        "client": client.to_string(),
        "role": role.as_str(),
        "holder": documents::party(holder),
    });
    let outcome = match change.direction {
        Direction::Give => directory.add_role(client, role, holder),
        Direction::TakeBack => directory.strike_role(client, &role, holder),
    };
    change.settle(&about, outcome)?;
    let roles = directory.current().register_roles(client, holder);
    Ok(answer(&json!({
        "client": client.to_string(),
        "holder": documents::party(holder),
        "roles": roles.iter().map(RoleName::as_str).collect::<Vec<_>>(),
    })))
}

impl Delegation {
    fn holding(&self, directory: &Directory) -> Result<Holding, Refusal> {
        let (from, from_person) = (self.from.as_deref(), self.from_person.as_deref());
        let giver = || party(("from", from), ("fromPerson", from_person));
        let to = [&self.to, &self.person, &self.system_user].map(Option::as_deref);
        match to {
            [Some(text), None, None] => {
                let to = PartyKey::Organization(organization("to", text)?);
                Ok(Holding::Delegated(giver()?, to))
            }
            [None, Some(text), None] => {
                let to = PartyKey::Person(person("person", text)?);
                Ok(Holding::Delegated(giver()?, to))
            }
            [None, None, Some(text)] => {
                let id = system_user("systemUser", text)?;
                // The owner is the only one who can give: it need not be said, and nobody else may be.
                if from.is_some() || from_person.is_some() {
                    let owner = directory.system_user(id).map(|user| user.owner);
                    only_its_owner(owner, giver()?)?;
                }
                Ok(Holding::SystemUser(id))
            }
            _ => Err(Refusal::bad("exactly one of `to`, `person` and `systemUser` is needed")),
        }
    }
}

/// A system user that does not exist is the directory's to refuse.
fn only_its_owner(owner: Option<OrganizationNumber>, giver: PartyKey) -> Result<(), Refusal> {
    let Some(owner) = owner.filter(|owner| giver != PartyKey::Organization(*owner)) else {
        return Ok(());
    };
    let fault =
        format!("the system user acts for its owner, `{owner}`: nobody else gives it anything");
    tracing::info!(%fault, "a change of the directory is refused");
    Err(Refusal::new(StatusCode::CONFLICT, fault))
}

fn package_codes(texts: &[String]) -> Result<BTreeSet<PackageCode>, Refusal> {
    let packages = texts.iter().map(|text| PackageCode::parse(text));
    packages.collect::<Result<_, _>>().map_err(|_| {
        let detail = "`packages` are not codes of access packages, such as `skattegrunnlag`";
        Refusal::bad(detail)
    })
}

fn place_of(holding: Holding) -> Value {
    match holding {
        Holding::Delegated(from, to) => {
            json!({ "from": documents::party(from), "to": documents::party(to) })
        }
        Holding::SystemUser(id) => json!({ "systemUser": id.to_string() }),
    }
}

fn held_now(directory: &Directory, holding: Holding) -> Value {
    match holding {
        Holding::Delegated(from, to) => json!({
            "from": documents::party(from),
            "to": documents::party(to),
            "held": documents::held(directory, holding),
        }),
        Holding::SystemUser(id) => directory
            .system_user(id)
            .map_or(Value::Null, |user| documents::system_user(directory, user)),
    }
}

/// What is in force now, and when it is seen.
fn answer(now: &Value) -> Value {
    json!({ "now": now, "note": NOTE })
}

fn system_users(directory: &Directory) -> Value {
    let users = directory.system_users().map(|user| documents::system_user(directory, user));
    json!({ "systemUsers": users.collect::<Vec<_>>() })
}

fn shown_system_user(directory: &Directory, rest: &str) -> Answered {
    let id = system_user("/directory/system-users/<uuid>", rest)?;
    let user = directory.system_user(id).ok_or_else(|| {
        Refusal::new(StatusCode::NOT_FOUND, ChangeFault::UnknownSystemUser.to_string())
    })?;
    Ok(documents::system_user(directory, user))
}

//! `POST /decisions/purge`: decisions in hand are forgotten.

use super::page::{Asked, Page, Refusal, stated};
use crate::domain::{Party, PartyForms, PartyKind, PartyKinds, ResourceId, SystemUserId};
use crate::pdp::Purge;
use crate::snapshot::Snapshot;
use arc_swap::ArcSwap;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// What is to be forgotten.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Named {
    #[serde(default, deserialize_with = "stated")]
    all: Option<bool>,
    #[serde(default, deserialize_with = "stated")]
    system_user: Option<String>,
    #[serde(default, deserialize_with = "stated")]
    party: Option<String>,
    #[serde(default, deserialize_with = "stated")]
    resource: Option<String>,
}

/// The page; it purges what is in force when it is asked.
pub(in crate::server) fn page(snapshot: Arc<ArcSwap<Snapshot>>) -> Page {
    Page::post("/decisions/purge", move |asked| purge(&snapshot.load(), asked))
}

fn purge(snapshot: &Snapshot, asked: &Asked) -> Result<Value, Refusal> {
    let purge = purge_of(asked, snapshot)?;
    let purged = snapshot.decisions.purge(&purge);
    // A person's number is masked by `Party` itself.
    tracing::info!(
        all = purge == Purge::default(),
        system_user = purge.system_user.map(tracing::field::display),
        party = purge.party.map(tracing::field::display),
        resource = purge.resource.as_ref().map(ResourceId::as_str),
        purged,
        "decisions are purged"
    );
    Ok(json!({ "purged": purged }))
}

/// What the body asks for. None of the answers repeats what it says: it may name a person.
fn purge_of(asked: &Asked, snapshot: &Snapshot) -> Result<Purge, Refusal> {
    let Named { all, system_user, party, resource } = asked.object(
        "the body must be an object with `all`, or with some of `systemUser`, `party` and `resource`, each once",
    )?;
    let named = system_user.is_some() || party.is_some() || resource.is_some();
    match (all, named) {
        (Some(true), false) | (None, true) => {}
        (Some(false), _) => return Err(Refusal::bad("`all` can only be true")),
        (Some(true), true) => return Err(Refusal::bad("`all` excludes every other member")),
        (None, false) => return Err(Refusal::bad("nothing is named; `{\"all\":true}` purges all")),
    }
    let forms = PartyForms {
        kinds: PartyKinds::of(&PartyKind::ALL),
        check_digits: snapshot.judging.check_digits,
    };
    let system_user = system_user
        .map(|text| SystemUserId::parse(&text).ok_or(Refusal::bad("`systemUser` is not a uuid")));
    let party = party
        .map(|text| Party::parse(&text, forms).map_err(|_| Refusal::bad("`party` is not a party")));
    let resource = resource.map(|text| {
        ResourceId::parse(&text).map_err(|_| Refusal::bad("`resource` is not a resource id"))
    });
    Ok(Purge {
        system_user: system_user.transpose()?,
        party: party.transpose()?,
        resource: resource.transpose()?,
    })
}

//! Changes while the directory is in use: what rests on a fact ends with it.

use std::sync::Arc;

use super::super::*;
use super::fixture::*;
use crate::domain::{Action, Party, PdpSubject, PersonNumber, ResourceId};
use crate::xacml::Mode;

const MVA: &str = "ske-mva-melding";
/// A good number that is not in the directory.
const NOBODY: &str = "312500108";

#[test]
fn a_new_client_is_reached_once_it_is_linked_and_until_it_is_unlinked() {
    let pdp = pdp();
    let handle = pdp.directory();
    let new = || ask(&pdp, REGN, "ske-aksjonaerregister", "write", CLIENT_D);
    let packages = || [package("regnskapsforer-med-signeringsrettighet")];
    assert_eq!(new(), "NotApplicable");
    handle.link_client(user(REGN), number(CLIENT_D), packages()).unwrap();
    assert_eq!(new(), "Permit");
    assert_eq!(ask(&pdp, REGN, MVA, "write", CLIENT_A), "Permit");
    handle.unlink_client(user(REGN), number(CLIENT_D)).unwrap();
    assert_eq!(new(), "NotApplicable");
    assert_eq!(
        handle.unlink_client(user(REGN), number(CLIENT_D)),
        Err(ChangeFault::NothingToRevoke(CLIENT_D.to_owned()))
    );
}

#[test]
fn a_delegation_taken_back_ends_what_rests_on_it() {
    let pdp = pdp();
    let handle = pdp.directory();
    let tax = package("skattegrunnlag");
    let client = || ask(&pdp, SKATT, MVA, "write", CLIENT_C);
    assert_eq!(client(), "Permit");
    handle.revoke_packages(given(CLIENT_C, FIRM), [tax.clone()]).unwrap();
    assert_eq!(client(), "NotApplicable");
    assert_eq!(
        handle.link_client(user(SKATT), number(CLIENT_C), [tax.clone()]),
        Err(ChangeFault::NotGiven(tax.clone()))
    );
    handle.grant_packages(given(CLIENT_C, FIRM), [tax]).unwrap();
    assert_eq!(client(), "Permit");
}

#[test]
fn a_role_struck_from_the_register_ends_what_rests_on_it() {
    let pdp = pdp();
    let mut parts = parts();
    parts.roles.retain(|one| one.client.as_deref() != Some(CLIENT_A));
    assert_eq!(ask(&pdp, REGN, MVA, "write", CLIENT_A), "Permit");
    let directory = Directory::build(parts).unwrap();
    let note = directory.notes().first().unwrap();
    assert_eq!(note.path, "system_users[0].clients[0].packages");
    pdp.directory().replace(directory);
    assert_eq!(ask(&pdp, REGN, MVA, "write", CLIENT_A), "NotApplicable");
    assert_eq!(ask(&pdp, REGN, MVA, "write", SUBUNIT), "NotApplicable");
}

#[test]
fn only_what_altinn_would_let_happen_can_be_changed() {
    let pdp = pdp();
    let handle = pdp.directory();
    let (tax, estate) = (package("skattegrunnlag"), package("forretningsforer-eiendom"));
    let unknown = "a00000ff-0000-4000-8000-0000000000ff";
    for (id, client, packages, expected) in [
        (unknown, CLIENT_A, vec![tax.clone()], ChangeFault::UnknownSystemUser),
        (OWN, CLIENT_A, vec![tax.clone()], ChangeFault::NotAnAgent),
        (REGN, NOBODY, vec![tax.clone()], unknown_party()),
        (REGN, CLIENT_A, vec![], ChangeFault::NoPackage),
        (REGN, STRANGER, vec![tax.clone()], ChangeFault::NotGiven(tax.clone())),
        // The firm is its business manager, but it is not a housing company.
        (FFOR, CLIENT_A, vec![estate.clone()], ChangeFault::NotGiven(estate.clone())),
    ] {
        assert_eq!(handle.link_client(user(id), number(client), packages), Err(expected));
    }
    for (from, to, code, expected) in [
        (CLIENT_A, FIRM, estate.clone(), ChangeFault::FromRegisterOnly(estate)),
        (CLIENT_A, CLIENT_A, tax.clone(), ChangeFault::ToItself),
        (NOBODY, FIRM, tax.clone(), unknown_party()),
        (CLIENT_A, NOBODY, tax.clone(), unknown_party()),
    ] {
        assert_eq!(handle.grant_packages(given(from, to), [code]), Err(expected));
    }
    assert_eq!(
        handle.revoke_packages(given(STRANGER, FIRM), [tax.clone()]),
        Err(ChangeFault::NothingToRevoke(tax.to_string()))
    );
    assert_eq!(handle.grant_packages(given(CLIENT_A, FIRM), []), Err(ChangeFault::NoPackage));
    assert_eq!(handle.revoke_packages(given(CLIENT_A, FIRM), []), Err(ChangeFault::NoPackage));
}

#[test]
fn a_standard_system_user_is_given_packages_and_rights_of_its_own_and_an_agent_neither() {
    let pdp = pdp();
    let handle = pdp.directory();
    let own = || ask(&pdp, OWN_PAKKE, MVA, "write", OWN_DATA);
    let (place, vat) = (Holding::SystemUser(user(OWN_PAKKE)), package("merverdiavgift"));
    assert_eq!(own(), "Permit");
    handle.revoke_packages(place, [vat.clone()]).unwrap();
    assert_eq!(own(), "NotApplicable");
    handle.grant_right(place, &resource(MVA), &[action("write")]).unwrap();
    assert_eq!(own(), "Permit");
    assert_eq!(ask(&pdp, OWN_PAKKE, MVA, "write", CLIENT_A), "NotApplicable");
    handle.revoke_right(place, &resource(MVA), &[action("write")]).unwrap();
    assert_eq!(own(), "NotApplicable");
    assert_eq!(handle.current().rights_held(place), []);
    handle.grant_packages(place, [vat.clone()]).unwrap();
    assert_eq!(own(), "Permit");
    let agent = Holding::SystemUser(user(REGN));
    assert_eq!(handle.grant_packages(agent, [vat]), Err(ChangeFault::NotStandard));
    assert_eq!(
        handle.grant_right(agent, &resource(MVA), &[action("read")]),
        Err(ChangeFault::NotStandard)
    );
}

#[test]
fn one_action_is_taken_back_without_the_others_and_several_all_or_none() {
    let pdp = pdp();
    let handle = pdp.directory();
    let place = Holding::SystemUser(user(OWN));
    let [read, write] = ["read", "write"].map(action);
    let may = || [&read, &write].map(|one| ask(&pdp, OWN, MVA, one.as_str(), OWN_DATA) == "Permit");
    assert_eq!(may(), [true, true]);
    handle.revoke_right(place, &resource(MVA), std::slice::from_ref(&read)).unwrap();
    assert_eq!(may(), [false, true]);
    assert_eq!(
        handle.revoke_right(place, &resource(MVA), &[write.clone(), read.clone()]),
        Err(ChangeFault::NothingToRevoke(format!("read {MVA}")))
    );
    assert_eq!(may(), [false, true]);
    handle.grant_right(place, &resource(MVA), &[write.clone(), read.clone()]).unwrap();
    assert_eq!(may(), [true, true]);
    let unknown = resource("ske-unknown");
    assert_eq!(
        handle.grant_right(place, &unknown, &[read]),
        Err(ChangeFault::UnknownResource(unknown))
    );
    assert_eq!(handle.grant_right(place, &resource(MVA), &[]), Err(ChangeFault::NoAction));
    assert_eq!(handle.revoke_right(place, &resource(MVA), &[]), Err(ChangeFault::NoAction));
}

#[test]
fn a_pair_between_which_nothing_is_left_is_forgotten() {
    let pdp = pdp();
    let handle = pdp.directory();
    let (pair, read) = (given(STRANGER, FIRM), [action("read")]);
    let before = handle.current().delegations.len();
    handle.grant_packages(pair, [package("merverdiavgift")]).unwrap();
    handle.grant_right(pair, &resource(MVA), &read).unwrap();
    handle.revoke_packages(pair, [package("merverdiavgift")]).unwrap();
    assert_eq!(handle.current().delegations.len(), before + 1);
    handle.revoke_right(pair, &resource(MVA), &read).unwrap();
    assert_eq!(handle.current().delegations.len(), before);
}

#[test]
fn an_access_list_changes_for_each_of_its_resources_and_no_other_list_does() {
    let mut parts = parts();
    let listed = |id: &str| AccessListPart {
        id: id.to_owned(),
        resources: ["kartverket-tinglysing", MVA]
            .map(|one| AccessListResourcePart { resource: one.to_owned(), actions: None })
            .to_vec(),
        members: vec![OWN_DATA.to_owned()],
    };
    parts.access_lists = vec![listed("one"), listed("other")];
    let pdp = EmbeddedPdp::new(policies(), Directory::build(parts).unwrap(), Mode::Altinn);
    let handle = pdp.directory();
    handle.add_member("one", number(CLIENT_C)).unwrap();
    let directory = handle.current();
    let members = |id: &str| directory.members_of_list(id).unwrap();
    assert_eq!(members("one"), [number(CLIENT_C), number(OWN_DATA)].into());
    assert_eq!(members("other"), [number(OWN_DATA)].into());
    assert_eq!(directory.access_lists.values().filter(|lists| lists.len() == 2).count(), 2);
    handle.remove_member("one", number(CLIENT_C)).unwrap();
    assert_eq!(
        handle.remove_member("one", number(CLIENT_C)),
        Err(ChangeFault::NothingToRevoke(CLIENT_C.to_owned()))
    );
    assert_eq!(handle.add_member("none", number(CLIENT_C)), Err(ChangeFault::UnknownAccessList));
}

#[test]
fn a_role_is_entered_and_struck_and_what_rests_on_it_follows() {
    let pdp = pdp();
    let handle = pdp.directory();
    let (client, role) = (number(CLIENT_A), RoleName::parse("regnskapsforer").unwrap());
    let permitted = || ask(&pdp, REGN, MVA, "write", CLIENT_A);
    handle.strike_role(client, &role, key(FIRM)).unwrap();
    assert_eq!(permitted(), "NotApplicable");
    assert_eq!(
        handle.strike_role(client, &role, key(FIRM)),
        Err(ChangeFault::NothingToRevoke("regnskapsforer".to_owned()))
    );
    handle.add_role(client, role.clone(), key(FIRM)).unwrap();
    assert_eq!(permitted(), "Permit");
    assert_eq!(handle.add_role(number(NOBODY), role.clone(), key(FIRM)), Err(unknown_party()));
    assert_eq!(handle.add_role(client, role, key(NOBODY)), Err(unknown_party()));
}

#[test]
fn a_key_role_entered_and_struck_takes_what_its_unit_was_given_with_it() {
    let mut parts = parts();
    parts.delegations[0].rights = vec![RightPart {
        resource: MVA.to_owned(),
        actions: vec!["read".to_owned()],
        ..RightPart::default()
    }];
    let pdp = pdp_of(parts);
    let handle = pdp.directory();
    let person = PersonNumber::parse("02868112345").unwrap();
    let may = || {
        let party = Party::Organization(number(CLIENT_C));
        decide(&pdp, PdpSubject::Person(person), MVA, "read", party).as_str()
    };
    let (firm, holder) = (number(FIRM), PartyKey::Person(person));
    assert_eq!(may(), "NotApplicable");
    for role in ["styreleder", "daglig-leder"] {
        handle.add_role(firm, RoleName::parse(role).unwrap(), holder).unwrap();
        assert_eq!(may(), "Permit", "{role}");
    }
    handle.strike_role(firm, &RoleName::parse("styreleder").unwrap(), holder).unwrap();
    assert_eq!(may(), "Permit");
    handle.strike_role(firm, &RoleName::parse("daglig-leder").unwrap(), holder).unwrap();
    assert_eq!(may(), "NotApplicable");
}

#[test]
fn a_question_under_way_keeps_the_directory_it_began_with_and_no_list_grows_without_bound() {
    let pdp = pdp();
    let handle = pdp.directory();
    let before = handle.current();
    let pair = given(CLIENT_A, FIRM);
    let many = |count: usize| (0..count).map(|number| package(&format!("p-{number}")));
    handle.grant_packages(pair, many(1000)).unwrap();
    assert!(before.packages_held(pair).len() < 10);
    assert_eq!(handle.grant_packages(pair, many(2001)), Err(ChangeFault::TooMany));
    assert!(handle.current().packages_held(pair).len() < 1010);
}

fn given(from: &str, to: &str) -> Holding {
    Holding::Delegated(key(from), key(to))
}

fn unknown_party() -> ChangeFault {
    ChangeFault::UnknownParty(Party::Organization(number(NOBODY)))
}

fn resource(id: &str) -> ResourceId {
    ResourceId::parse(id).unwrap()
}

fn action(name: &str) -> Action {
    Action::parse(name).unwrap()
}

#[test]
fn a_change_leaves_the_directory_before_it_as_it_was() {
    let pdp = pdp();
    let handle = pdp.directory();
    let before = handle.current();
    let tax = package("skattegrunnlag");
    handle.revoke_packages(given(CLIENT_C, FIRM), [tax.clone()]).unwrap();
    handle.unlink_client(user(REGN), number(CLIENT_A)).unwrap();
    let after = handle.current();
    let gives = |directory: &Directory| directory.packages_given(number(CLIENT_C), key(FIRM));
    assert!(gives(&before).contains(&tax) && !gives(&after).contains(&tax));
    let clients = |directory: &Directory| {
        directory.system_user(user(REGN)).unwrap().agent_clients().contains_key(&number(CLIENT_A))
    };
    assert!(clients(&before) && !clients(&after));
    // What did not change is the same memory.
    assert!(Arc::ptr_eq(&before.parties, &after.parties));
    assert!(Arc::ptr_eq(&before.roles, &after.roles));
    let other = user(SKATT);
    let same = (before.system_user(other).unwrap(), after.system_user(other).unwrap());
    assert!(Arc::ptr_eq(same.0, same.1));
}

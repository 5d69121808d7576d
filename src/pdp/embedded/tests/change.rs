//! Changes while the directory is in use: what rests on a fact ends with it.

use super::super::*;
use super::fixture::*;

const MVA: &str = "ske-mva-melding";

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
        Err(ChangeFault::NothingToRevoke)
    );
}

#[test]
fn a_delegation_taken_back_ends_what_rests_on_it() {
    let pdp = pdp();
    let handle = pdp.directory();
    let tax = package("skattegrunnlag");
    let client = || ask(&pdp, SKATT, MVA, "write", CLIENT_C);
    assert_eq!(client(), "Permit");
    handle.revoke_package(number(CLIENT_C), key(FIRM), &tax).unwrap();
    assert_eq!(client(), "NotApplicable");
    assert_eq!(
        handle.link_client(user(SKATT), number(CLIENT_C), [tax.clone()]),
        Err(ChangeFault::NotGiven(tax.clone()))
    );
    handle.grant_package(number(CLIENT_C), key(FIRM), tax).unwrap();
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
        (REGN, "312500108", vec![tax.clone()], ChangeFault::UnknownParty),
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
        ("312500108", FIRM, tax.clone(), ChangeFault::UnknownParty),
        (CLIENT_A, "312500108", tax.clone(), ChangeFault::UnknownParty),
    ] {
        assert_eq!(handle.grant_package(number(from), key(to), code), Err(expected));
    }
    assert_eq!(
        handle.revoke_package(number(STRANGER), key(FIRM), &tax),
        Err(ChangeFault::NothingToRevoke)
    );
}

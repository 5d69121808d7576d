//! Users and the units they act for: roles of the old Altinn, key roles, estates, consent, and what the
//! two addresses take.

use super::super::*;
use super::fixture::{CLIENT_A, CLIENT_B, FIRM, STRANGER, SUBUNIT};
use super::world::*;

const PERMIT: &str = "Permit";
const NO: &str = "NotApplicable";

#[test]
fn a_user_has_the_role_codes_it_holds_at_the_party_and_nobody_else_does() {
    let mut parts = parts();
    parts.roles = vec![role(CLIENT_A, &["DAGL", "ADMAI"], ANNA), role(CLIENT_B, &["MEDL"], ANNA)];
    let pdp = pdp(parts);
    let register = (RESOURCE, REGISTER);
    for (subject, party, expected) in [
        ((USER, ANNA.1), (PARTY_ID, ID_A), PERMIT),
        ((USER, ANNA.1), (ORGANIZATION, CLIENT_A), PERMIT),
        ((PERSON, ANNA.0), (PARTY_ID, ID_A), PERMIT),
        // What holds for the main unit holds for its subunit.
        ((USER, ANNA.1), (PARTY_ID, ID_SUBUNIT), PERMIT),
        ((USER, ANNA.1), (PARTY_ID, ID_B), NO),
        ((USER, ANNA.1), (PARTY_ID, "9999"), NO),
        ((USER, BO.1), (PARTY_ID, ID_A), NO),
        ((USER, "9999"), (PARTY_ID, ID_A), NO),
        ((PARTY_UUID, &uuid_of("2501")), (PARTY_ID, ID_A), NO),
        ((PARTY_ID, "2501"), (PARTY_ID, ID_A), NO),
        ((SYSTEM_USER, OWN_SYSTEM), (PARTY_ID, ID_A), NO),
        ((SYSTEM_USER, AGENT), (PARTY_ID, ID_A), NO),
    ] {
        let found = word(&pdp, Api::External, &[subject], &[register, party], "read");
        assert_eq!(found, expected, "{subject:?} {party:?}");
    }
}

#[test]
fn roles_have_the_name_of_the_register_they_stand_in() {
    const ABOUT: &[Pair<'static>] = &[(RESOURCE, "ttd-roller")];
    let held = |name: &str| RolePart {
        client: Some(CLIENT_A.to_owned()),
        role: Some(name.to_owned()),
        person: Some(PersonText(ANNA.0.to_owned())),
        ..RolePart::default()
    };
    let mut parts = parts();
    parts.roles = vec![held("daglig-leder"), held("rettighetshaver")];
    let (register, own) = ("urn:altinn:external-role:ccr", "urn:altinn:role");
    let pdp = pdp_with(
        parts,
        vec![(
            "roles.xml".to_owned(),
            policy(&[
                ((register, "daglig-leder"), ABOUT, "a"),
                ((own, "daglig-leder"), ABOUT, "b"),
                ((register, "rettighetshaver"), ABOUT, "c"),
                ((own, "rettighetshaver"), ABOUT, "d"),
            ]),
        )],
    );
    let about = [(RESOURCE, "ttd-roller"), (PARTY_ID, ID_A)];
    for (action, expected) in [("a", PERMIT), ("b", NO), ("c", NO), ("d", PERMIT)] {
        let found = word(&pdp, Api::External, &[(USER, ANNA.1)], &about, action);
        assert_eq!(found, expected, "{action}");
    }
    let system = word(&pdp, Api::External, &[(SYSTEM_USER, OWN_SYSTEM)], &about, "d");
    assert_eq!(system, NO);
}

#[test]
fn what_is_said_to_be_missing_is_true_of_lists_and_of_what_nobody_can_have() {
    const ABOUT: &[Pair<'static>] = &[(RESOURCE, "ttd-consent")];
    let consent = policy(&[
        (("urn:altinn:access-list", "ttd:banker"), ABOUT, "request"),
        ((ROLE_CODE, "PRIV"), ABOUT, "consent"),
        (("urn:altinn:accesspackage", "skattegrunnlag"), ABOUT, "read"),
    ]);
    let pdp = pdp_with(parts(), vec![("consent.xml".to_owned(), consent)]);
    let told = |subject: Pair<'_>, party: Option<Pair<'_>>, action: &str| {
        let attribute = |(id, value): Pair<'_>| Attribute::string(id.to_owned(), value.to_owned());
        let about = ABOUT.iter().copied().chain(party);
        let question = Question {
            subject: vec![attribute(subject)],
            resource: about.map(attribute).collect(),
            action: vec![attribute((crate::xacml::ACTION_ID, action))],
            environment: Vec::new(),
        };
        pdp.explained(&question).1.to_string()
    };
    let list = told((ORGANIZATION, CLIENT_A), None, "request");
    assert!(
        list.contains("enough:\n- `urn:altinn:access-list` = `ttd:banker`\n    the owner"),
        "{list}"
    );
    let list = told((ORGANIZATION, CLIENT_A), Some((ORGANIZATION, CLIENT_B)), "request");
    assert!(list.contains("cannot here:\n- `urn:altinn:access-list`"), "{list}");
    let other = told((USER, ANNA.1), Some((PERSON, BO.0)), "consent");
    assert!(other.contains("to itself, and nobody to another"), "{other}");
    let nobody = told((SYSTEM_USER, OWN_SYSTEM), None, "read");
    assert!(nobody.contains("the question names no party"), "{nobody}");
    let unknown = told((SYSTEM_USER, OWN_SYSTEM), Some((PARTY_ID, "9999")), "read");
    assert!(unknown.contains("the directory does not know the party"), "{unknown}");
}

#[test]
fn what_was_delegated_to_a_unit_reaches_those_with_a_key_role_there() {
    let mut parts = parts();
    parts.roles = vec![
        RolePart {
            client: Some(FIRM.to_owned()),
            role: Some("daglig-leder".to_owned()),
            person: Some(PersonText(BO.0.to_owned())),
            ..RolePart::default()
        },
        role(FIRM, &["EcKeyRole"], ANNA),
        role(FIRM, &["MEDL", "DAGL"], KARI),
    ];
    parts.delegations = vec![delegation(CLIENT_A, FIRM, vec![right(REGISTER, "write")])];
    let pdp = pdp(parts);
    for (subject, party, expected) in [
        ((USER, BO.1), ID_A, PERMIT),
        ((PERSON, BO.0), ID_A, PERMIT),
        ((USER, ANNA.1), ID_A, PERMIT),
        ((USER, BO.1), ID_SUBUNIT, PERMIT),
        ((ORGANIZATION, FIRM), ID_A, PERMIT),
        ((PARTY_ID, ID_FIRM), ID_A, PERMIT),
        // A board member is not the unit, nor is whoever has some code there.
        ((USER, KARI.1), ID_A, NO),
        ((USER, BO.1), ID_B, NO),
        ((USER, DECEASED.1), ID_A, NO),
        ((ORGANIZATION, STRANGER), ID_A, NO),
        // Neither by party id nor by party uuid is anybody the user it belongs to.
        ((PARTY_ID, "2502"), ID_A, NO),
        ((PARTY_UUID, &uuid_of("2502")), ID_A, NO),
        // A system user of the unit is not one of its people.
        ((SYSTEM_USER, AGENT), ID_A, NO),
        ((SYSTEM_USER, OWN_SYSTEM), ID_A, NO),
    ] {
        let target = [(RESOURCE, REGISTER), (PARTY_ID, party)];
        let found = word(&pdp, Api::External, &[subject], &target, "write");
        assert_eq!(found, expected, "{subject:?} {party}");
    }
}

#[test]
fn a_person_gives_what_is_the_persons_own() {
    let mut parts = parts();
    parts.delegations = vec![DelegationPart {
        from_person: Some(PersonText(DECEASED.0.to_owned())),
        person: Some(PersonText(ANNA.0.to_owned())),
        rights: vec![right(REGISTER, "read")],
        packages: vec!["skattegrunnlag".to_owned()],
        ..DelegationPart::default()
    }];
    let package = policy(&[(
        ("urn:altinn:accesspackage", "skattegrunnlag"),
        &[(RESOURCE, "ttd-package")],
        "read",
    )]);
    let mut policies = policies();
    policies.push(("package.xml".to_owned(), package));
    let pdp = pdp_with(parts, policies);
    for (subject, party, expected) in [
        (ANNA, "2504", PERMIT),
        (ANNA, "2503", NO),
        (ANNA, ID_A, NO),
        (BO, "2504", NO),
        (DECEASED, "2501", NO),
    ] {
        for resource in [REGISTER, "ttd-package"] {
            let target = [(RESOURCE, resource), (PARTY_ID, party)];
            let found = word(&pdp, Api::External, &[(USER, subject.1)], &target, "read");
            assert_eq!(found, expected, "{subject:?} {resource} {party}");
        }
    }
}

#[test]
fn an_heir_has_the_estate_of_a_person_and_of_nobody_else() {
    const ROLE: &str = "urn:digitaltdodsbo:formuesfullmakt";
    let mut parts = parts();
    parts.roles = vec![RolePart {
        client_person: Some(PersonText(DECEASED.0.to_owned())),
        person: Some(PersonText(KARI.0.to_owned())),
        estate_role: Some(ROLE.to_owned()),
        ..RolePart::default()
    }];
    let estate =
        policy(&[(("urn:digitaltdodsbo:rolecode", ROLE), &[(RESOURCE, "ttd-estate")], "read")]);
    let pdp = pdp_with(parts, vec![("estate.xml".to_owned(), estate)]);
    for (subject, party, expected) in [
        ((USER, KARI.1), "2504", PERMIT),
        ((PERSON, KARI.0), "2504", PERMIT),
        ((USER, KARI.1), "2501", NO),
        ((USER, KARI.1), ID_A, NO),
        ((USER, ANNA.1), "2504", NO),
        ((USER, DECEASED.1), "2504", NO),
        ((PARTY_UUID, &uuid_of("2503")), "2504", NO),
        ((SYSTEM_USER, OWN_SYSTEM), "2504", NO),
    ] {
        let target = [(RESOURCE, "ttd-estate"), (PARTY_ID, party)];
        let found = word(&pdp, Api::External, &[subject], &target, "read");
        assert_eq!(found, expected, "{subject:?} {party}");
    }
}

#[test]
fn kind_and_lists_of_a_subject_count_only_where_a_resource_alone_is_asked_for() {
    const CONSENT: &[Pair<'static>] = &[(RESOURCE, "ttd-consent")];
    let mut parts = parts();
    parts.access_lists = vec![AccessListPart {
        id: "urn:altinn:access-list:ttd:banker".to_owned(),
        members: vec![CLIENT_A.to_owned()],
        ..AccessListPart::default()
    }];
    let consent = policy(&[
        (("urn:altinn:partytype", "organization"), CONSENT, "ask"),
        (("urn:altinn:access-list", "ttd:banker"), CONSENT, "request"),
    ]);
    let pdp = pdp_with(parts, vec![("consent.xml".to_owned(), consent)]);
    let uuid = uuid_of;
    for (subject, further, ask, request) in [
        ((PARTY_UUID, &*uuid(ID_A)), None, PERMIT, PERMIT),
        ((ORGANIZATION, CLIENT_A), None, PERMIT, PERMIT),
        ((PARTY_UUID, &uuid(ID_B)), None, PERMIT, NO),
        ((PARTY_UUID, &uuid("2501")), None, NO, NO),
        ((PARTY_UUID, &uuid("9999")), None, NO, NO),
        ((USER, ANNA.1), None, NO, NO),
        // A system user is no party, and does not stand for its owner.
        ((SYSTEM_USER, OWN_SYSTEM), None, NO, NO),
        ((PARTY_UUID, &uuid(ID_A)), Some((PARTY_ID, ID_A)), NO, NO),
        ((PARTY_UUID, &uuid(ID_A)), Some((PARTY_ID, "9999")), NO, NO),
        ((PARTY_UUID, &uuid(ID_A)), Some((RESOURCE_INSTANCE, FIRST)), NO, NO),
    ] {
        let resource: Vec<_> = CONSENT.iter().copied().chain(further).collect();
        for api in [Api::External, Api::Internal] {
            for (action, expected) in [("ask", ask), ("request", request)] {
                let found = word(&pdp, api, &[subject], &resource, action);
                assert_eq!(found, expected, "{subject:?} {further:?} {action}");
            }
        }
    }
}

#[test]
fn the_internal_address_takes_no_person_numbers_and_looks_up_no_organizations() {
    let mut parts = parts();
    parts.roles = vec![role(CLIENT_A, &["dagl"], ANNA)];
    parts.delegations = vec![delegation(CLIENT_A, FIRM, vec![right(REGISTER, "read")])];
    let pdp = pdp(parts);
    let (register, a) = ((RESOURCE, REGISTER), (PARTY_ID, ID_A));
    let anna = (USER, ANNA.1);
    for (subject, resource, external, internal) in [
        (&[(PERSON, ANNA.0)][..], &[register, a][..], PERMIT, "ProcessingError"),
        (&[anna], &[register, a], PERMIT, PERMIT),
        (&[anna], &[register, (PERSON, BO.0)], NO, "ProcessingError"),
        // Where a party id is given, the number is not looked at.
        (&[anna], &[register, a, (PERSON, BO.0)], PERMIT, PERMIT),
        (&[(ORGANIZATION, FIRM)], &[register, a], PERMIT, NO),
        (&[(ORGANIZATION, "312500108")], &[register, a], "SyntaxError", NO),
        (&[anna, (ORGANIZATION, FIRM)], &[register, a], "ProcessingError", PERMIT),
        (&[anna, (SYSTEM_USER, OWN_SYSTEM)], &[register, a], "ProcessingError", "ProcessingError"),
        (&[(USER, "x")], &[register, a], "ProcessingError", "ProcessingError"),
    ] {
        for (api, expected) in [(Api::External, external), (Api::Internal, internal)] {
            let found = word(&pdp, api, subject, resource, "read");
            assert_eq!(found, expected, "{api:?} {subject:?} {resource:?}");
        }
    }
}

#[test]
fn a_delegation_in_altinns_form_counts_for_its_giver_receiver_and_resource() {
    let read = |subject| policy(&[(subject, &[(RESOURCE, REGISTER)], "write")]);
    let mut parts = parts();
    parts.roles = vec![role(FIRM, &["ECKEYROLE"], BO)];
    parts.delegation_policies = vec![
        DelegationPolicyPart {
            person: Some(PersonText(ANNA.0.to_owned())),
            ..stored(REGISTER, read((USER, ANNA.1)))
        },
        DelegationPolicyPart {
            to: Some(FIRM.to_owned()),
            ..stored(REGISTER, read((PARTY_ID, ID_FIRM)))
        },
        DelegationPolicyPart {
            system_user: Some(OWN_SYSTEM.to_owned()),
            ..stored(REGISTER, read((SYSTEM_USER, OWN_SYSTEM)))
        },
    ];
    let pdp = pdp(parts.clone());
    for (subject, party, action, expected) in [
        ((USER, ANNA.1), ID_A, "write", PERMIT),
        ((PERSON, ANNA.0), ID_A, "write", PERMIT),
        ((USER, ANNA.1), ID_SUBUNIT, "write", PERMIT),
        ((USER, ANNA.1), ID_A, "read", NO),
        ((USER, ANNA.1), ID_B, "write", NO),
        ((USER, KARI.1), ID_A, "write", NO),
        ((USER, BO.1), ID_A, "write", PERMIT),
        ((ORGANIZATION, FIRM), ID_A, "write", PERMIT),
        ((ORGANIZATION, STRANGER), ID_A, "write", NO),
        ((SYSTEM_USER, OWN_SYSTEM), ID_A, "write", PERMIT),
        ((SYSTEM_USER, OWN_SYSTEM), ID_SUBUNIT, "write", PERMIT),
        ((SYSTEM_USER, OWN_SYSTEM), ID_A, "read", NO),
        ((SYSTEM_USER, OWN_SYSTEM), ID_B, "write", NO),
        ((SYSTEM_USER, AGENT), ID_A, "write", NO),
    ] {
        let target = [(RESOURCE, REGISTER), (PARTY_ID, party)];
        let found = word(&pdp, Api::External, &[subject], &target, action);
        assert_eq!(found, expected, "{subject:?} {party} {action}");
    }
    // Taken back.
    parts.delegation_policies.clear();
    let handle = pdp.directory();
    handle.replace(Directory::build(parts).unwrap());
    for subject in [(USER, ANNA.1), (USER, BO.1), (SYSTEM_USER, OWN_SYSTEM)] {
        let target = [(RESOURCE, REGISTER), (PARTY_ID, ID_A)];
        assert_eq!(word(&pdp, Api::External, &[subject], &target, "write"), NO, "{subject:?}");
    }
}

#[test]
fn a_delegation_inherits_obligations_only_where_it_has_none() {
    let write = policy(&[((USER, ANNA.1), &[(RESOURCE, REGISTER)], "write")]);
    for (document, level) in [
        (write.clone(), "3"),
        (with_obligation(&write).replace("#integer\">3<", "#integer\">4<"), "4"),
    ] {
        let mut parts = parts();
        parts.delegation_policies = vec![DelegationPolicyPart {
            person: Some(PersonText(ANNA.0.to_owned())),
            ..stored(REGISTER, document)
        }];
        let target = [(RESOURCE, REGISTER), (PARTY_ID, ID_A)];
        let result = ask(&pdp(parts), Api::Internal, &[(USER, ANNA.1)], &target, "write").unwrap();
        let crate::domain::Decision::Permit(obligations) = result.decision else {
            panic!("not permitted");
        };
        let values: Vec<_> = obligations.as_slice().iter().map(|one| &*one.value).collect();
        assert_eq!(values, [level]);
    }
}

#[test]
fn a_delegation_that_fails_is_as_if_it_were_not_there() {
    let rule = policy(&[((USER, ANNA.1), &[(RESOURCE, REGISTER)], "write")]);
    let about = &[(RESOURCE, REGISTER), (TASK, "Task_1")];
    let demanding = policy(&[((USER, ANNA.1), about, "write")])
        .replace("MustBePresent=\"false\"", "MustBePresent=\"true\"");
    let denying = rule.replace("Effect=\"Permit\"", "Effect=\"Deny\"");
    for (first, second, expected) in [
        (denying.clone(), None, NO),
        (demanding.clone(), None, NO),
        (denying, Some(&rule), PERMIT),
        (demanding, Some(&rule), PERMIT),
    ] {
        let mut parts = parts();
        parts.roles = vec![role(FIRM, &["ECKEYROLE"], ANNA)];
        parts.delegation_policies = vec![DelegationPolicyPart {
            person: Some(PersonText(ANNA.0.to_owned())),
            ..stored(REGISTER, first)
        }];
        // To the unit that the same person acts for.
        let unit = second.map(|rule| rule.replace(USER, PARTY_ID).replace(">501<", ">1004<"));
        parts.delegation_policies.extend(unit.map(|document| DelegationPolicyPart {
            to: Some(FIRM.to_owned()),
            ..stored(REGISTER, document)
        }));
        let target = [(RESOURCE, REGISTER), (PARTY_ID, ID_A)];
        let found = word(&pdp(parts), Api::Internal, &[(USER, ANNA.1)], &target, "write");
        assert_eq!(found, expected);
    }
}

#[test]
fn a_subunit_gives_nothing_for_its_main_unit() {
    let mut parts = parts();
    parts.roles = vec![role(SUBUNIT, &["dagl"], ANNA)];
    parts.delegations = vec![delegation(SUBUNIT, FIRM, vec![right(REGISTER, "read")])];
    let pdp = pdp(parts);
    for (subject, party, expected) in [
        ((USER, ANNA.1), ID_SUBUNIT, PERMIT),
        ((USER, ANNA.1), ID_A, NO),
        ((ORGANIZATION, FIRM), ID_SUBUNIT, PERMIT),
        ((ORGANIZATION, FIRM), ID_A, NO),
    ] {
        let target = [(RESOURCE, REGISTER), (PARTY_ID, party)];
        let found = word(&pdp, Api::External, &[subject], &target, "read");
        assert_eq!(found, expected, "{subject:?} {party}");
    }
}

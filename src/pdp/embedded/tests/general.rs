//! Questions as the HTTP face receives them, other subjects than system users, and apps.

use super::super::*;
use super::fixture::*;
use crate::domain::{DecisionSource, Indeterminate};
use crate::pdp::DecisionPoint;
use crate::pdp::wire::decode_request;
use crate::xacml::{ACTION_ID, Decision, Mode, StatusCode};

const SYSTEM_USER: &str = "urn:altinn:systemuser:uuid";
const PERSON: &str = "urn:altinn:person:identifier-no";
const ORGANIZATION: &str = "urn:altinn:organization:identifier-no";
const LEGACY: &str = "urn:altinn:organizationnumber";
const PARTY_ID: &str = "urn:altinn:partyid";
const PARTY_UUID: &str = "urn:altinn:party:uuid";
const RESOURCE: &str = "urn:altinn:resource";
const MVA: (&str, &str) = (RESOURCE, "ske-mva-melding");
const A07: (&str, &str) = (RESOURCE, "nav-aordning-a07");
const OWNER: &str = "15877012345";
const MANAGER: &str = "02868112345";

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn question<'a>(subject: Pairs<'a>, resource: Pairs<'a>, action: &'a str) -> Question<'a> {
    let attributes =
        |pairs: Pairs<'a>| pairs.iter().map(|(id, value)| Attribute::string(*id, *value)).collect();
    Question {
        subject: attributes(subject),
        resource: attributes(resource),
        action: vec![Attribute::string(ACTION_ID, action)],
        environment: Vec::new(),
    }
}

fn answer(pdp: &EmbeddedPdp, subject: Pairs<'_>, resource: Pairs<'_>, action: &str) -> Decision {
    let evaluation = pdp.answer(&question(subject, resource, action));
    let expected = match evaluation.decision {
        Decision::Indeterminate => StatusCode::ProcessingError,
        Decision::Permit | Decision::Deny | Decision::NotApplicable => StatusCode::Ok,
    };
    assert_eq!(evaluation.status, expected);
    evaluation.decision
}

#[test]
fn a_subject_that_altinn_cannot_read_is_indeterminate() {
    let pdp = pdp();
    let user = (SYSTEM_USER, REGN);
    let firm = (ORGANIZATION, FIRM);
    for subject in [
        &[][..],
        &[user, firm],
        &[firm, user],
        &[user, user],
        &[user, ("urn:altinn:org", "skd")],
        &[user, (PARTY_ID, "51235100")],
        &[(SYSTEM_USER, "not-a-uuid")],
        &[(SYSTEM_USER, "")],
        &[(PERSON, OWNER), firm],
        &[(PERSON, OWNER), ("urn:altinn:userid", "1")],
        &[firm, ("urn:altinn:userid", "1")],
        &[(LEGACY, FIRM), (PERSON, OWNER)],
        &[("urn:altinn:userid", "x")],
        &[(PERSON, "01890012345")],
        &[(PERSON, "1")],
        &[(PARTY_UUID, "x")],
    ] {
        let found = answer(&pdp, subject, &[MVA, (ORGANIZATION, CLIENT_A)], "write");
        assert_eq!(found, Decision::Indeterminate, "{subject:?}");
    }
    // An organization that the register does not have: its lookup fails.
    let unknown = [(ORGANIZATION, "312500108")];
    let asked = question(&unknown, &[MVA, (ORGANIZATION, CLIENT_A)], "write");
    assert_eq!(pdp.answer(&asked).status, StatusCode::SyntaxError);
}

#[test]
fn a_resource_that_altinn_does_not_know_is_indeterminate() {
    let pdp = pdp();
    let party = (ORGANIZATION, CLIENT_A);
    for resource in [
        &[party][..],
        &[(RESOURCE, "ske-ukjent"), party],
        &[(RESOURCE, "SKE-MVA-MELDING"), party],
        &[(RESOURCE, "urn:altinn:resource:ske-mva-melding"), party],
        &[(RESOURCE, ""), party],
        &[("urn:altinn:org", "skd"), party],
        &[("urn:altinn:org", "skd"), ("urn:altinn:app", "x"), party],
    ] {
        let found = answer(&pdp, &[(SYSTEM_USER, REGN)], resource, "write");
        assert_eq!(found, Decision::Indeterminate, "{resource:?}");
    }
}

#[test]
fn a_question_without_an_action_is_malformed() {
    let pdp = pdp();
    let mut asked = question(&[(SYSTEM_USER, REGN)], &[MVA, (ORGANIZATION, CLIENT_A)], "write");
    asked.action.clear();
    let evaluation = pdp.answer(&asked);
    assert_eq!(evaluation.decision, Decision::Indeterminate);
    assert_eq!(evaluation.status, StatusCode::SyntaxError);
}

#[test]
fn the_http_face_asks_the_same_pipeline_and_learns_what_spoils_a_multi_request() {
    let pdp = pdp();
    let ask = |subjects: &str, resource: &str| {
        let body = format!(
            r#"{{"Request":{{"AccessSubject":[{{"Attribute":[{subjects}]}}],
            "Action":[{{"Attribute":[{{"AttributeId":"{ACTION_ID}","Value":"write"}}]}}],
            "Resource":[{{"Attribute":[{{"AttributeId":"{RESOURCE}","Value":"{resource}",
            "IncludeInResult":true}},{{"AttributeId":"{ORGANIZATION}","Value":"{CLIENT_A}"}}]}}]}}}}"#
        );
        let request = decode_request(body.as_bytes()).unwrap();
        pdp.answer_wire(Api::External, &request.questions().unwrap()[0])
    };
    let user = format!(r#"{{"AttributeId":"{SYSTEM_USER}","Value":"{REGN}"}}"#);
    let result = ask(&user, MVA.1).unwrap();
    assert_eq!(result.decision.as_str(), "Permit");
    assert_eq!(result.echoed[0].attributes.len(), 1);
    assert_eq!(ask(&user, "ske-ukjent"), Err(Indeterminate::ProcessingError));
    assert_eq!(ask(&format!("{user},{user}"), MVA.1), Err(Indeterminate::ProcessingError));
}

/// In JSON, attributes of one id in one category are one attribute, whose first value names the party; of
/// two categories, the first names it.
#[test]
fn of_several_parties_on_the_wire_the_first_counts() {
    let pdp = pdp();
    let ask = |resources: &str| {
        let body = format!(
            r#"{{"Request":{{"AccessSubject":[{{"Attribute":[{{"AttributeId":"{SYSTEM_USER}","Value":"{REGN}"}}]}}],
            "Action":[{{"Attribute":[{{"AttributeId":"{ACTION_ID}","Value":"write"}}]}}],
            "Resource":[{resources}]}}}}"#
        );
        let request = decode_request(body.as_bytes()).unwrap();
        let result = pdp.answer_wire(Api::External, &request.questions().unwrap()[0]);
        result.unwrap().decision.as_str()
    };
    let pair = |id: &str, value: &str| format!(r#"{{"AttributeId":"{id}","Value":"{value}"}}"#);
    let mva = pair(RESOURCE, MVA.1);
    let (client, stranger) = (pair(ORGANIZATION, CLIENT_A), pair(ORGANIZATION, STRANGER));
    for (resources, expected) in [
        (format!(r#"{{"Attribute":[{mva},{client},{stranger}]}}"#), "Permit"),
        (format!(r#"{{"Attribute":[{mva},{stranger},{client}]}}"#), "NotApplicable"),
        (format!(r#"{{"Attribute":[{mva},{client}]}},{{"Attribute":[{stranger}]}}"#), "Permit"),
        (
            format!(r#"{{"Attribute":[{mva},{stranger}]}},{{"Attribute":[{client}]}}"#),
            "NotApplicable",
        ),
        (format!(r#"{{"Attribute":[{mva}]}},{{"Attribute":[{client}]}}"#), "Permit"),
    ] {
        assert_eq!(ask(&resources), expected, "{resources}");
    }
}

#[test]
fn a_party_is_found_under_each_of_its_keys_and_the_first_kind_counts() {
    let pdp = pdp();
    let uuid = (PARTY_UUID, "c12f8f37-391b-4651-be09-05665f5acdb6");
    for (party, expected) in [
        (&[(ORGANIZATION, CLIENT_A)][..], Decision::Permit),
        (&[(LEGACY, CLIENT_A)], Decision::Permit),
        (&[(PARTY_ID, "51581690")], Decision::Permit),
        (&[uuid], Decision::Permit),
        (&[(PARTY_ID, "51581690"), (ORGANIZATION, STRANGER)], Decision::Permit),
        (&[(ORGANIZATION, CLIENT_A), (PARTY_ID, "51235100")], Decision::NotApplicable),
        (&[uuid, (ORGANIZATION, STRANGER)], Decision::NotApplicable),
        (&[(PARTY_ID, "1"), (ORGANIZATION, CLIENT_A)], Decision::NotApplicable),
        (&[(PARTY_ID, "x"), (ORGANIZATION, CLIENT_A)], Decision::NotApplicable),
        (&[(ORGANIZATION, "0192:312714051")], Decision::NotApplicable),
        (&[(PERSON, OWNER)], Decision::NotApplicable),
        (&[], Decision::NotApplicable),
    ] {
        let resource = [&[MVA][..], party].concat();
        let found = answer(&pdp, &[(SYSTEM_USER, REGN)], &resource, "write");
        assert_eq!(found, expected, "{party:?}");
    }
}

#[test]
fn persons_hold_the_packages_of_their_roles() {
    let pdp = pdp();
    for (subject, resource, action, party, expected) in [
        (OWNER, MVA, "write", CLIENT_D, Decision::Permit),
        (MANAGER, MVA, "write", CLIENT_A, Decision::Permit),
        (MANAGER, MVA, "write", SUBUNIT, Decision::Permit),
        (MANAGER, MVA, "write", CLIENT_D, Decision::NotApplicable),
    ] {
        let target = [resource, (ORGANIZATION, party)];
        assert_eq!(answer(&pdp, &[(PERSON, subject)], &target, action), expected, "{target:?}");
    }
}

#[test]
fn a_person_by_number_has_role_codes_and_a_system_user_never() {
    let mut parts = parts();
    // Without packages, the role itself is all that is left.
    parts.role_packages =
        vec![RolePackagesPart { role: "daglig-leder".to_owned(), ..RolePackagesPart::default() }];
    parts.parties[12].party_uuid = Some("00000000-0000-4000-8000-000000000012".to_owned());
    let pdp = pdp_of(parts);
    for (subject, party, expected) in [
        ((PERSON, MANAGER), CLIENT_A, Decision::Permit),
        ((PERSON, MANAGER), SUBUNIT, Decision::Permit),
        ((PERSON, MANAGER), CLIENT_B, Decision::NotApplicable),
        ((PERSON, OWNER), CLIENT_A, Decision::NotApplicable),
        ((PARTY_UUID, "00000000-0000-4000-8000-000000000012"), CLIENT_A, Decision::NotApplicable),
        ((SYSTEM_USER, REGN), CLIENT_A, Decision::NotApplicable),
    ] {
        let found = answer(&pdp, &[subject], &[A07, (ORGANIZATION, party)], "read");
        assert_eq!(found, expected, "{subject:?} {party}");
    }
    let mva = answer(&pdp, &[(PERSON, MANAGER)], &[MVA, (ORGANIZATION, CLIENT_A)], "write");
    assert_eq!(mva, Decision::NotApplicable);
}

fn single_right(resource: &str) -> RightPart {
    RightPart {
        resource: resource.to_owned(),
        actions: vec!["read".to_owned()],
        ..RightPart::default()
    }
}

#[test]
fn persons_hold_what_a_business_has_given_them() {
    let mut parts = parts();
    parts.parties[12].party_uuid = Some("00000000-0000-4000-8000-000000000012".to_owned());
    parts.delegations.push(DelegationPart {
        from: Some(CLIENT_B.to_owned()),
        person: Some(PersonText(MANAGER.to_owned())),
        packages: vec!["merverdiavgift".to_owned()],
        rights: vec![single_right(A07.1)],
        ..DelegationPart::default()
    });
    let pdp = pdp_of(parts);
    let by_uuid = (PARTY_UUID, "00000000-0000-4000-8000-000000000012");
    for (subject, resource, action, party, expected) in [
        ((PERSON, MANAGER), MVA, "write", CLIENT_B, Decision::Permit),
        ((PERSON, MANAGER), A07, "read", CLIENT_B, Decision::Permit),
        ((PERSON, MANAGER), A07, "write", CLIENT_B, Decision::NotApplicable),
        ((PERSON, OWNER), MVA, "write", CLIENT_B, Decision::NotApplicable),
        ((PERSON, OWNER), A07, "read", CLIENT_B, Decision::NotApplicable),
        (by_uuid, MVA, "write", CLIENT_B, Decision::Permit),
        // Altinn looks up no delegations of single rights for a party uuid.
        (by_uuid, A07, "read", CLIENT_B, Decision::NotApplicable),
        (by_uuid, MVA, "write", CLIENT_A, Decision::Permit),
    ] {
        let found = answer(&pdp, &[subject], &[resource, (ORGANIZATION, party)], action);
        assert_eq!(found, expected, "{subject:?} {resource:?} {action} {party}");
    }
}

#[test]
fn an_organization_has_single_rights_only() {
    let mut parts = parts();
    parts.delegations[0].rights = vec![single_right(MVA.1)];
    let pdp = pdp_of(parts);
    let by_uuid = (PARTY_UUID, "066148fe-7077-4484-b7ea-44b5ede0014e");
    for (subject, action, party, expected) in [
        ((ORGANIZATION, FIRM), "read", CLIENT_C, Decision::Permit),
        ((LEGACY, FIRM), "read", CLIENT_C, Decision::Permit),
        ((PARTY_ID, "51235100"), "read", CLIENT_C, Decision::Permit),
        (by_uuid, "read", CLIENT_C, Decision::NotApplicable),
        // The package skattegrunnlag is for those who act for the firm, not for the firm.
        ((ORGANIZATION, FIRM), "write", CLIENT_C, Decision::NotApplicable),
        ((ORGANIZATION, FIRM), "read", CLIENT_A, Decision::NotApplicable),
        ((ORGANIZATION, STRANGER), "read", CLIENT_C, Decision::NotApplicable),
        ((SYSTEM_USER, REGN), "read", CLIENT_C, Decision::NotApplicable),
    ] {
        let found = answer(&pdp, &[subject], &[MVA, (ORGANIZATION, party)], action);
        assert_eq!(found, expected, "{subject:?} {action} {party}");
    }
}

#[test]
fn an_access_list_counts_by_party_and_action_and_never_permits() {
    let mut parts = parts();
    parts.access_lists[0].resources[0].actions = Some(vec!["read".to_owned()]);
    parts.access_lists[0].members.push(CLIENT_C.to_owned());
    system_user_part(&mut parts, OWN).rights[1].actions.push("read".to_owned());
    let pdp = pdp_of(parts);
    let resource = "kartverket-tinglysing";
    assert_eq!(ask(&pdp, OWN, resource, "read", OWN_DATA), "Permit");
    assert_eq!(ask(&pdp, OWN, resource, "write", OWN_DATA), "Deny");
    assert_eq!(ask(&pdp, UTENFOR, resource, "write", CLIENT_C), "Deny");
    assert_eq!(ask(&pdp, UTENFOR, resource, "read", CLIENT_C), "NotApplicable");
    // Both actions at once: one of them is on no list.
    let target = [(RESOURCE, resource), (ORGANIZATION, OWN_DATA)];
    let mut both = question(&[(SYSTEM_USER, OWN)], &target, "read");
    both.action.push(Attribute::string(ACTION_ID, "write"));
    assert_eq!(pdp.answer(&both).decision, Decision::Deny);
}

#[test]
fn single_rights_are_for_the_owner_and_its_subunits() {
    let mut parts = parts();
    let own = system_user_part(&mut parts, OWN);
    own.owner = CLIENT_A.to_owned();
    let pdp = pdp_of(parts);
    assert_eq!(ask(&pdp, OWN, MVA.1, "write", SUBUNIT), "Permit");
    assert_eq!(ask(&pdp, OWN, MVA.1, "write", CLIENT_A), "Permit");
    assert_eq!(ask(&pdp, OWN, MVA.1, "write", OWN_DATA), "NotApplicable");
}

#[test]
fn what_holds_for_a_subunit_does_not_hold_for_its_main_unit() {
    let mut parts = parts();
    system_user_part(&mut parts, REGN).clients[0].client = SUBUNIT.to_owned();
    let pdp = pdp_of(parts);
    assert_eq!(ask(&pdp, REGN, MVA.1, "write", SUBUNIT), "Permit");
    assert_eq!(ask(&pdp, REGN, MVA.1, "write", CLIENT_A), "NotApplicable");
}

#[test]
fn an_app_is_found_by_either_of_its_names() {
    let policy = include_str!("../../../../policies/resources/ske-mva-melding.xml")
        .replace(">ske-mva-melding<", ">skd<")
        .replace("\"urn:altinn:resource\"", "\"urn:altinn:org\"");
    let match_app = "<xacml:Match MatchId=\"urn:oasis:names:tc:xacml:1.0:function:string-equal\">\
        <xacml:AttributeValue DataType=\"http://www.w3.org/2001/XMLSchema#string\">mva\
        </xacml:AttributeValue><xacml:AttributeDesignator AttributeId=\"urn:altinn:app\" \
        Category=\"urn:oasis:names:tc:xacml:3.0:attribute-category:resource\" \
        DataType=\"http://www.w3.org/2001/XMLSchema#string\" MustBePresent=\"false\"/></xacml:Match>";
    let (before, after) = policy.split_once(">skd<").unwrap();
    let after = after.replacen("</xacml:Match>", &format!("</xacml:Match>{match_app}"), 1);
    let policy = format!("{before}>skd<{after}");
    let store = PolicyStore::build([("app.xml".to_owned(), policy)]).unwrap();
    let ids: Vec<_> = store.resources().map(|id| id.as_str().to_owned()).collect();
    assert_eq!(ids, ["app_skd_mva"]);

    let mut parts = parts();
    let own = system_user_part(&mut parts, OWN);
    own.rights =
        vec![RightPart { actions: vec!["sign".to_owned()], ..single_right("app_skd_mva") }];
    let pdp = EmbeddedPdp::new(store, Directory::build(parts).unwrap(), Mode::Altinn);
    for (id, action, party, expected) in [
        (REGN, "write", CLIENT_A, Decision::Permit),
        (REGN, "sign", CLIENT_A, Decision::NotApplicable),
        (OWN, "sign", OWN_DATA, Decision::Permit),
        (OWN, "sign", CLIENT_A, Decision::NotApplicable),
    ] {
        for names in [
            &[(RESOURCE, "app_skd_mva")][..],
            &[("urn:altinn:org", "skd"), ("urn:altinn:app", "mva")],
            &[(RESOURCE, "app_skd_mva_rest")],
        ] {
            let resource = [names, &[(ORGANIZATION, party)]].concat();
            assert_eq!(answer(&pdp, &[(SYSTEM_USER, id)], &resource, action), expected);
        }
    }
}

#[test]
fn both_modes_agree_on_the_example_and_are_different_points() {
    let altinn = pdp();
    let strict = EmbeddedPdp::new(policies(), Directory::build(parts()).unwrap(), Mode::Strict);
    assert_ne!(altinn.identity(), strict.identity());
    assert_eq!(altinn.identity(), pdp().identity());
    assert_eq!(altinn.source(), DecisionSource::Embedded);
    for (id, party) in [(REGN, CLIENT_A), (OWN, OWN_DATA), (REGN, STRANGER), (SKATT, CLIENT_C)] {
        assert_eq!(
            ask(&altinn, id, MVA.1, "write", party),
            ask(&strict, id, MVA.1, "write", party)
        );
    }
}

//! The published questions and answers of Altinn's PDP, through the wire form of the proxy.

use crate::folder::{self, word};
use portvakt::domain::{
    AccessRequest, Action, CheckDigits, Decision, OrganizationNumber, Party, PdpSubject,
    ResourceId, SystemUserId,
};
use portvakt::pdp::wire::{self, WireFault, WireRequest, WireResult, category};
use serde_json::Value;
use std::sync::Arc;

const DOCUMENTED: [&str; 2] = [
    "altinn/pdp-docs/systemuser-request.json",
    "altinn/pdp-docs/systemuser-request.camelcase.json",
];
const ANSWERS: [&str; 2] = [
    "altinn/pdp-docs/systemuser-response.json",
    "altinn/pdp-docs/systemuser-response.wire-camelcase.json",
];

fn json_cases() -> Vec<Value> {
    let mut cases = folder::manifest("altinn/pdp-cases/manifest.jsonl");
    cases.retain(|case| case["format"] == "json");
    cases
}

fn decoded(path: &str) -> WireRequest {
    match wire::decode_request(folder::text(path).as_bytes()) {
        Ok(request) => request,
        Err(fault) => panic!("`{path}`: {fault}"),
    }
}

#[test]
fn every_published_question_is_read_whole() {
    let cases = json_cases();
    assert_eq!(cases.len(), 34);
    for case in cases {
        let request = decoded(&format!("altinn/{}", word(&case, "request")));
        for (member, urn) in [
            ("subject", category::SUBJECT),
            ("action", category::ACTION),
            ("resource", category::RESOURCE),
        ] {
            let read = request.categories.iter().filter(|entry| entry.category == urn);
            let read: Vec<Vec<[&str; 2]>> = read
                .map(|entry| entry.attributes.iter().map(|one| [&*one.id, &*one.value]).collect())
                .filter(|list: &Vec<_>| !list.is_empty())
                .collect();
            assert_eq!(serde_json::json!(read), case[member], "{member} of {}", case["id"]);
        }
        assert_eq!(request.references.len() as u64, case["request_references"].as_u64().unwrap());
    }
}

#[test]
fn every_published_answer_to_one_question_is_read() {
    for case in json_cases() {
        let answer = folder::text(format!("altinn/{}", word(&case, "response")));
        let expected = folder::words(&case, "expected_decisions");
        match (wire::decode_response(answer.as_bytes()), expected.as_slice()) {
            (Ok(decision), [expected]) => {
                assert_eq!(decision.as_str(), *expected, "{}", case["id"]);
            }
            (Err(WireFault::ResultCount(count)), several) => assert_eq!(count, several.len()),
            (Err(fault), _) => panic!("{}: {fault}", case["id"]),
            (Ok(_), several) => panic!("{}: {} answers read as one", case["id"], several.len()),
        }
    }
    for path in ANSWERS {
        let answer = wire::decode_response(&folder::read(path)).unwrap();
        let Decision::Permit(obligations) = answer else { panic!("{path}: not a permit") };
        let [level] = obligations.as_slice() else { panic!("{path}: not one obligation") };
        assert_eq!(&*level.category, "urn:altinn:minimum-authenticationlevel");
        assert_eq!(&*level.value, "2");
    }
}

/// The question that a rule would put is the documented one, member by member. Two members differ on
/// purpose: the list of policies is not asked for, and the data type of the action is always stated.
#[test]
fn the_documented_questions_are_what_the_proxy_sends() {
    for path in DOCUMENTED {
        let published = decoded(path);
        let value = |urn: &str, id: &str| -> String {
            let entry = published.categories.iter().find(|entry| entry.category == urn).unwrap();
            entry.attributes.iter().find(|one| one.id == id).unwrap().value.clone()
        };
        let owner = value(category::RESOURCE, "urn:altinn:organization:identifier-no");
        let request = AccessRequest {
            subject: PdpSubject::SystemUser(
                SystemUserId::parse(&value(category::SUBJECT, "urn:altinn:systemuser:uuid"))
                    .unwrap(),
            ),
            resource: ResourceId::parse(&value(category::RESOURCE, "urn:altinn:resource")).unwrap(),
            action: Action::parse(&value(
                category::ACTION,
                "urn:oasis:names:tc:xacml:1.0:action:action-id",
            ))
            .unwrap(),
            party: Party::Organization(
                OrganizationNumber::parse(&owner, CheckDigits::Strict).unwrap(),
            ),
            instance: None,
            attributes: Arc::from([]),
        };
        let sent = wire::encode_request(&request);
        assert_eq!(wire::decode_request(&sent).unwrap(), published, "{path}");
    }
    // The one in Pascal case, as JSON.
    let mut published = folder::json(DOCUMENTED[0]);
    published["Request"]["ReturnPolicyIdList"] = Value::Bool(false);
    let subject = "a545ca29-7fb8-4810-a2f2-0be171cb2a26";
    let request = AccessRequest {
        subject: PdpSubject::SystemUser(SystemUserId::parse(subject).unwrap()),
        resource: ResourceId::parse("kravogbetaling").unwrap(),
        action: Action::parse("read").unwrap(),
        party: Party::Organization(
            OrganizationNumber::parse("923609016", CheckDigits::Strict).unwrap(),
        ),
        instance: None,
        attributes: Arc::from([]),
    };
    let sent: Value = serde_json::from_slice(&wire::encode_request(&request)).unwrap();
    assert_eq!(sent, published);
}

#[test]
fn the_development_pdp_answers_in_the_documented_wire_form() {
    let decision = wire::decode_response(&folder::read(ANSWERS[1])).unwrap();
    let sent = wire::encode_response(&[WireResult::from(decision)]);
    let sent: Value = serde_json::from_slice(&sent).unwrap();
    assert_eq!(sent, folder::json(ANSWERS[1]));
}

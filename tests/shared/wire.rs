//! The published questions and answers of Altinn's PDP, through the wire form of the proxy.

use crate::folder::{self, lower_case, word};
use portvakt::domain::{
    AccessRequest, Action, CheckDigits, Decision, OrganizationNumber, Party, PartyId, PdpSubject,
    ResourceId, SystemUserId,
};
use portvakt::pdp::wire::{self, WireCategory, WireFault, WireRequest, WireResult, category};
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
            (Err(WireFault::ResultCount { results, .. }), several) => {
                assert_eq!(results, several.len());
            }
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

/// Every pair, those of several questions included: as many results as references, each with its decision,
/// and what is repeated in it word for word.
#[test]
fn every_published_answer_to_several_questions_is_read() {
    let mut several = 0;
    for case in json_cases() {
        let id = word(&case, "id");
        let request = decoded(&format!("altinn/{}", word(&case, "request")));
        let questions = request.references.len().max(1);
        several += usize::from(questions > 1);
        let path = format!("altinn/{}", word(&case, "response"));
        let answer = folder::text(&path);
        let parts = match wire::decode_responses(answer.as_bytes(), questions) {
            Ok(parts) => parts,
            Err(fault) => panic!("{id}: {fault}"),
        };
        let decisions: Vec<&str> = parts.iter().map(|part| part.decision.as_str()).collect();
        assert_eq!(decisions, folder::words(&case, "expected_decisions"), "{id}");
        assert!(
            matches!(
                wire::decode_responses(answer.as_bytes(), questions + 1),
                Err(WireFault::ResultCount { .. })
            ),
            "{id}"
        );
        let published = lower_case(folder::json(&path));
        for (part, result) in parts.iter().zip(published["response"].as_array().unwrap()) {
            let triple = |it: &wire::Echoed| serde_json::json!([it.category, it.id, it.value]);
            let echoed: Vec<Value> = part.echoed.iter().map(triple).collect();
            let mut expected = Vec::new();
            for entry in result["category"].as_array().into_iter().flatten() {
                for one in entry["attribute"].as_array().into_iter().flatten() {
                    expected.push(serde_json::json!([
                        entry["categoryid"],
                        one["attributeid"],
                        one["value"]
                    ]));
                }
            }
            assert_eq!(echoed, expected, "{id}");
        }
    }
    assert_eq!(several, 4);
}

/// The published multi-request of a system user, put by the proxy: the same questions in the same order.
#[test]
fn the_published_multi_request_of_a_system_user_is_what_the_proxy_sends() {
    let path = "altinn/pdp-cases/ResourceRegistry_SystemUser_WithAccessPackage_MultiRequest_Permit";
    let published = decoded(&format!("{path}Request.json"));
    let value = |question: &[&WireCategory], id: &str| {
        let mut attributes = question.iter().flat_map(|entry| &entry.attributes);
        attributes.find(|one| one.id == id).map(|one| one.value.clone())
    };
    let requests: Vec<Arc<AccessRequest>> = published
        .questions()
        .unwrap()
        .iter()
        .map(|question| {
            let of = |id: &str| value(question, id);
            let organization = |text: String| {
                Party::Organization(OrganizationNumber::parse(&text, CheckDigits::Strict).unwrap())
            };
            let uuid = |text: String| Party::Uuid(text.parse().unwrap());
            let id = |text: String| Party::Id(PartyId::parse(&text).unwrap());
            let party = of("urn:altinn:organization:identifier-no")
                .map(organization)
                .or(of("urn:altinn:party:uuid").map(uuid))
                .or(of("urn:altinn:partyid").map(id));
            let action = of("urn:oasis:names:tc:xacml:1.0:action:action-id").unwrap();
            Arc::new(AccessRequest {
                subject: PdpSubject::SystemUser(
                    SystemUserId::parse(&of("urn:altinn:systemuser:uuid").unwrap()).unwrap(),
                ),
                resource: ResourceId::parse(&of("urn:altinn:resource").unwrap()).unwrap(),
                action: Action::parse(&action).unwrap(),
                party: party.unwrap(),
                instance: None,
                attributes: Arc::from([]),
            })
        })
        .collect();
    let mut sent = wire::decode_request(&wire::encode_requests(&requests)).unwrap();
    // Theirs has everything repeated, ours the party only.
    let mut theirs = published.clone();
    for entry in sent.categories.iter_mut().chain(&mut theirs.categories) {
        for one in &mut entry.attributes {
            one.include_in_result = true;
        }
    }
    assert_eq!(sent, theirs);
    // And its answer is that to ours.
    let decisions =
        wire::decode_answers(folder::text(format!("{path}Response.json")).as_bytes(), &requests);
    let words: Vec<_> = decisions.unwrap().iter().map(Decision::as_str).collect();
    assert_eq!(words, ["Permit"; 3]);
    let mut shuffled = requests;
    shuffled.reverse();
    let answer = folder::text(format!("{path}Response.json"));
    assert_eq!(wire::decode_answers(answer.as_bytes(), &shuffled), Err(WireFault::OtherParty));
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

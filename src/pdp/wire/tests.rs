mod answers;
mod questions;

use super::*;
use crate::domain::{AccessRequest, Decision, Indeterminate, Obligation, Obligations, Party};
use crate::pdp::samples::{any_question, attribute, organization, question, system_user};
use proptest::prelude::*;
use std::sync::Arc;

fn decode(text: &str) -> Result<Decision, WireFault> {
    decode_response(text.as_bytes())
}

fn obligation(id: &str, category: &str, value: &str) -> Obligation {
    Obligation { id: id.into(), category: category.into(), value: value.into() }
}

fn permit(list: Vec<Obligation>) -> Decision {
    Decision::Permit(Obligations::new(list))
}

fn several(parties: &[&str]) -> Vec<Arc<AccessRequest>> {
    let of = |party: &&str| {
        let party = Party::Organization(organization(party));
        Arc::new(AccessRequest { party, ..question(system_user(1)) })
    };
    parties.iter().map(of).collect()
}

fn any_decision() -> impl Strategy<Value = Decision> {
    let text = || r#"[a-z:"\\æ😀\n]{0,12}"#;
    let obligations = proptest::collection::vec((text(), text(), text()), 0..4).prop_map(|list| {
        permit(list.iter().map(|(id, category, value)| obligation(id, category, value)).collect())
    });
    prop_oneof![
        obligations,
        Just(Decision::Deny),
        Just(Decision::NotApplicable),
        proptest::sample::select(vec![
            Indeterminate::MissingAttribute,
            Indeterminate::SyntaxError,
            Indeterminate::ProcessingError,
            Indeterminate::Unstated,
        ])
        .prop_map(Decision::Indeterminate),
    ]
}

proptest! {
    #[test]
    fn the_pdp_reads_exactly_what_was_asked(request in any_question()) {
        let read = decode_request(&encode_request(&request)).unwrap();
        let pairs = |category: &str| -> Vec<(String, String)> {
            let found = read.categories.iter().filter(|it| it.category == category);
            found.flat_map(|it| &it.attributes).map(|it| (it.id.clone(), it.value.clone())).collect()
        };
        let pair = |id: &str, value: &str| (id.to_owned(), value.to_owned());
        let mut resource = vec![
            pair("urn:altinn:resource", request.resource.as_str()),
            pair(request.party.attribute_id(), &request.party.expose_value()),
        ];
        resource.extend(request.instance.iter().map(|it| pair(it.attribute_id(), it.value())));
        resource.extend(request.attributes.iter().map(|it| pair(it.id.as_str(), &it.value)));
        prop_assert_eq!(pairs(category::RESOURCE), resource);
        let subject = pair(request.subject.attribute_id(), &request.subject.expose_value());
        prop_assert_eq!(pairs(category::SUBJECT), vec![subject]);
        prop_assert_eq!(pairs(category::ACTION), vec![pair(ACTION_ID, request.action.as_str())]);
        prop_assert_eq!(read.categories.len(), 3);
        prop_assert!(read.references.is_empty());
    }

    #[test]
    fn the_pdp_reads_several_questions_as_each_by_itself(
        requests in proptest::collection::vec(any_question(), 2..8),
    ) {
        let requests: Vec<_> = requests.into_iter().map(Arc::new).collect();
        let together = decode_request(&encode_requests(&requests)).unwrap();
        let questions = together.questions().unwrap();
        prop_assert_eq!(questions.len(), requests.len());
        for (question, request) in questions.iter().zip(&requests) {
            let alone = decode_request(&encode_request(request)).unwrap();
            let plain = |entry: &WireCategory| {
                let pairs = entry.attributes.iter();
                let pairs = pairs.map(|it| (it.id.clone(), it.value.clone(), it.data_type));
                (entry.category.clone(), pairs.collect::<Vec<_>>())
            };
            let read: Vec<_> = question.iter().map(|entry| plain(entry)).collect();
            prop_assert_eq!(read, alone.categories.iter().map(plain).collect::<Vec<_>>());
        }
    }

    #[test]
    fn equal_bodies_are_equal_questions(one in any_question(), other in any_question()) {
        prop_assert_eq!(encode_request(&one) == encode_request(&other), one == other);
    }

    #[test]
    fn what_a_pdp_writes_is_read_alike(decision in any_decision()) {
        let body = encode_response(&[decision.clone().into()]);
        prop_assert_eq!(decode_response(&body), Ok(decision));
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_response(&bytes);
        let _ = decode_request(&bytes);
    }

    #[test]
    fn no_text_near_an_answer_panics_or_permits(
        at in 0usize..80,
        inserted in r#"[\[\]{}",:a-zA-Z0-9\\ ]{1,6}"#,
    ) {
        let mut text = r#"{"Response":[{"Decision":"NotApplicable","Obligations":null}]}"#.to_owned();
        text.insert_str(at.min(text.len()), &inserted);
        let read = decode(&text);
        prop_assert!(!matches!(read, Ok(Decision::Permit(_))), "{}", text);
    }
}

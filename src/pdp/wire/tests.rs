use super::*;
use crate::domain::{
    AccessRequest, Decision, Indeterminate, Instance, Obligation, Obligations, Party,
};
use crate::pdp::samples::{any_question, attribute, organization, question, system_user};
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;

const OK_STATUS: &str =
    r#""Status":{"StatusCode":{"Value":"urn:oasis:names:tc:xacml:1.0:status:ok"}}"#;

fn decode(text: &str) -> Result<Decision, WireFault> {
    decode_response(text.as_bytes())
}

fn one(result: &str) -> Result<Decision, WireFault> {
    decode(&format!(r#"{{"Response":[{{{result}}}]}}"#))
}

fn obligation(id: &str, category: &str, value: &str) -> Obligation {
    Obligation { id: id.into(), category: category.into(), value: value.into() }
}

fn permit(list: Vec<Obligation>) -> Decision {
    Decision::Permit(Obligations::new(list))
}

#[test]
fn a_question_has_the_published_form_to_the_byte() {
    let request = AccessRequest {
        instance: Some(Instance::of_resource("i\"1\\").unwrap()),
        attributes: [attribute("urn:altinn:task", "æ\n")].into(),
        ..question(system_user(1))
    };
    let expected = concat!(
        r#"{"Request":{"ReturnPolicyIdList":false,"#,
        r#""AccessSubject":[{"Attribute":[{"AttributeId":"urn:altinn:systemuser:uuid","#,
        r#""Value":"a545ca29-7fb8-4810-a2f2-000000000001"}]}],"#,
        r#""Action":[{"Attribute":[{"#,
        r#""AttributeId":"urn:oasis:names:tc:xacml:1.0:action:action-id","Value":"write","#,
        r#""DataType":"http://www.w3.org/2001/XMLSchema#string"}]}],"#,
        r#""Resource":[{"Attribute":["#,
        r#"{"AttributeId":"urn:altinn:resource","Value":"ske-mva-melding"},"#,
        r#"{"AttributeId":"urn:altinn:organization:identifier-no","Value":"312714051"},"#,
        r#"{"AttributeId":"urn:altinn:resource:instance-id","Value":"i\"1\\"},"#,
        r#"{"AttributeId":"urn:altinn:task","Value":"æ\n"}]}]}}"#,
    );
    assert_eq!(String::from_utf8(encode_request(&request)).unwrap(), expected);
}

fn several(parties: &[&str]) -> Vec<Arc<AccessRequest>> {
    let of = |party: &&str| {
        let party = Party::Organization(organization(party));
        Arc::new(AccessRequest { party, ..question(system_user(1)) })
    };
    parties.iter().map(of).collect()
}

#[test]
fn several_questions_share_what_is_equal_and_are_told_apart_by_their_party() {
    let requests = several(&["312714051", "310329495", "312714051"]);
    let resource = |id: &str, party: &str| {
        format!(
            concat!(
                r#"{{"Id":"{}","Attribute":["#,
                r#"{{"AttributeId":"urn:altinn:resource","Value":"ske-mva-melding"}},"#,
                r#"{{"AttributeId":"urn:altinn:organization:identifier-no","Value":"{}","#,
                r#""IncludeInResult":true}}]}}"#,
            ),
            id, party
        )
    };
    let expected = [
        r#"{"Request":{"ReturnPolicyIdList":false,"#,
        r#""AccessSubject":[{"Id":"s1","Attribute":[{"AttributeId":"urn:altinn:systemuser:uuid","#,
        r#""Value":"a545ca29-7fb8-4810-a2f2-000000000001"}]}],"#,
        r#""Action":[{"Id":"a1","Attribute":[{"#,
        r#""AttributeId":"urn:oasis:names:tc:xacml:1.0:action:action-id","Value":"write","#,
        r#""DataType":"http://www.w3.org/2001/XMLSchema#string"}]}],"#,
        r#""Resource":["#,
        &resource("r1", "312714051"),
        ",",
        &resource("r2", "310329495"),
        r#"],"MultiRequests":{"RequestReference":[{"ReferenceId":["s1","a1","r1"]},"#,
        r#"{"ReferenceId":["s1","a1","r2"]},{"ReferenceId":["s1","a1","r1"]}]}}}"#,
    ];
    assert_eq!(String::from_utf8(encode_requests(&requests)).unwrap(), expected.concat());
    assert_eq!(encode_requests(&requests[..1]), encode_request(&requests[0]));
}

#[test]
fn an_answer_to_several_has_a_result_for_each_or_is_none() {
    let requests = several(&["312714051", "310329495"]);
    let echo = |category: &str, id: &str, value: &str| {
        format!(
            r#""category":[{{"CategoryId":"{category}","id":null,"attribute":[
                {{"attributeId":"x","value":"y"}},{{"AttributeId":"{id}","Value":"{value}"}}]}}]"#
        )
    };
    let id = "urn:altinn:organization:identifier-no";
    let of = |party: &str| echo(category::RESOURCE, id, party);
    let (one, two) = (of("312714051"), of("310329495"));
    let null = r#""Category":null"#.to_owned();
    let twice = one.replace(
        r#"{"attributeId":"x","value":"y"}"#,
        &format!(r#"{{"attributeId":"{id}","value":"310329495"}}"#),
    );
    let cases = [
        (vec![&one, &two], true),
        (vec![&null, &two], true),
        (vec![&null, &null], true),
        (vec![&two, &one], false),
        (vec![&two, &null], false),
        (vec![&one, &one], false),
        (vec![&twice, &null], false),
    ];
    for (echoes, sound) in cases {
        for spelling in [["response", "decision"], ["Response", "Decision"]] {
            let [response, decision] = spelling;
            let results = [("Permit", echoes[0]), ("Deny", echoes[1])]
                .map(|(word, echo)| format!(r#"{{"{decision}":"{word}",{echo}}}"#));
            let body = format!(r#"{{"{response}":[{}]}}"#, results.join(","));
            let expected = if sound {
                Ok(vec![permit(vec![]), Decision::Deny])
            } else {
                Err(WireFault::OtherParty)
            };
            assert_eq!(decode_answers(body.as_bytes(), &requests), expected, "{body}");
        }
    }
    // Something is repeated, and it is not the party.
    for odd in [
        echo(category::SUBJECT, id, "312714051"),
        echo(category::RESOURCE, "urn:altinn:partyid", "312714051"),
        echo(category::RESOURCE, id, "312714051 "),
        echo(category::RESOURCE, id, ""),
    ] {
        let body =
            format!(r#"{{"response":[{{"decision":"Permit",{odd}}},{{"decision":"Deny"}}]}}"#);
        assert_eq!(decode_answers(body.as_bytes(), &requests), Err(WireFault::OtherParty));
    }
    let result = r#"{"decision":"Permit"}"#;
    for count in [0, 1, 3] {
        let body = format!(r#"{{"response":[{}]}}"#, vec![result; count].join(","));
        let fault = WireFault::ResultCount { results: count, questions: 2 };
        assert_eq!(decode_answers(body.as_bytes(), &requests), Err(fault));
    }
    // One unsound result makes the whole no answer.
    for odd in ["null", "{}", r#"{"decision":"permit"}"#, r#"{"decision":"Permit","category":{}}"#]
    {
        let body = format!(r#"{{"response":[{result},{odd}]}}"#);
        let read = decode_answers(body.as_bytes(), &requests);
        assert!(matches!(read, Err(WireFault::Shape(_) | WireFault::NotADecision)), "{odd}");
    }
}

#[test]
fn both_spellings_of_an_answer_are_one_decision() {
    let level = obligation(
        "urn:altinn:obligation:authenticationLevel1",
        "urn:altinn:minimum-authenticationlevel",
        "2",
    );
    let assignment = r#"{"attributeId":"urn:altinn:obligation-assignment:1","value":"2",
        "category":"urn:altinn:minimum-authenticationlevel",
        "dataType":"http://www.w3.org/2001/XMLSchema#integer","issuer":null}"#;
    let obligations = format!(
        r#"[{{"id":"urn:altinn:obligation:authenticationLevel1","attributeAssignment":[{assignment}]}}]"#
    );
    let documented = format!(
        r#"{{"Response":[{{"Decision":"Permit",{OK_STATUS},"Obligations":{obligations}}}]}}"#
    );
    let on_the_wire = format!(
        r#"{{"response":[{{"decision":"Permit","status":{{"statusMessage":null,"statusDetails":null,
        "statusCode":{{"value":"urn:oasis:names:tc:xacml:1.0:status:ok","statusCode":null}}}},
        "obligations":{obligations},"associateAdvice":null,"category":null,
        "policyIdentifierList":null}}]}}"#
    );
    for text in [documented, on_the_wire] {
        assert_eq!(decode(&text), Ok(permit(vec![level.clone()])));
    }
}

#[test]
fn whatever_may_be_missing_or_null_may_be() {
    for rest in [
        "",
        r#","Status":null"#,
        r#","Status":{}"#,
        r#","Status":{"StatusCode":null}"#,
        r#","Status":{"StatusCode":{"Value":null}},"Obligations":null"#,
        r#","Obligations":[],"AssociateAdvice":[{"Id":"x"}],"Unknown":{"a":[1,true,-1.5]}"#,
    ] {
        assert_eq!(one(&format!(r#""Decision":"Permit"{rest}"#)), Ok(permit(vec![])), "{rest}");
    }
}

#[test]
fn only_the_four_words_are_decisions() {
    assert_eq!(one(r#""Decision":"Permit""#), Ok(permit(vec![])));
    assert_eq!(one(r#""Decision":"Deny""#), Ok(Decision::Deny));
    assert_eq!(one(r#""Decision":"NotApplicable""#), Ok(Decision::NotApplicable));
    assert_eq!(
        one(r#""Decision":"Indeterminate""#),
        Ok(Decision::Indeterminate(Indeterminate::Unstated))
    );
    for odd in [
        r#""permit""#,
        r#""PERMIT""#,
        r#""Permit ""#,
        r#"" Permit""#,
        r#""Permit\u0000""#,
        r#""Allow""#,
        r#""""#,
        r#""Indeterminate{P}""#,
        r#""deny""#,
        "null",
        "1",
        "true",
        r#"["Permit"]"#,
        r#"{"Permit":"Permit"}"#,
    ] {
        assert!(one(&format!(r#""Decision":{odd}"#)).is_err(), "{odd}");
    }
    assert_eq!(one(OK_STATUS), Err(WireFault::NotADecision));
}

#[test]
fn an_answer_has_exactly_one_result() {
    let permit = r#"{"Decision":"Permit"}"#;
    assert_eq!(
        decode(r#"{"Response":[]}"#),
        Err(WireFault::ResultCount { results: 0, questions: 1 })
    );
    assert_eq!(
        decode(&format!(r#"{{"Response":[{permit},{permit}]}}"#)),
        Err(WireFault::ResultCount { results: 2, questions: 1 })
    );
    assert_eq!(decode("{}"), Err(WireFault::NoResponse));
    assert_eq!(decode(r#"{"Response":null}"#), Err(WireFault::NoResponse));
    for text in [permit.to_owned(), format!("[{permit}]"), format!(r#"{{"Response":{permit}}}"#)] {
        assert!(decode(&text).is_err(), "{text}");
    }
}

#[test]
fn a_permit_with_a_bad_status_is_none() {
    for (code, expected) in [
        ("urn:oasis:names:tc:xacml:1.0:status:missing-attribute", Indeterminate::MissingAttribute),
        ("urn:oasis:names:tc:xacml:1.0:status:syntax-error", Indeterminate::SyntaxError),
        ("urn:oasis:names:tc:xacml:1.0:status:processing-error", Indeterminate::ProcessingError),
        ("urn:oasis:names:tc:xacml:1.0:status:OK", Indeterminate::Unstated),
        ("", Indeterminate::Unstated),
    ] {
        let status = format!(r#""Status":{{"StatusCode":{{"Value":"{code}"}}}}"#);
        assert_eq!(one(&format!(r#""Decision":"Permit",{status}"#)), Err(WireFault::PermitNotOk));
        assert_eq!(
            one(&format!(r#""Decision":"Indeterminate",{status}"#)),
            Ok(Decision::Indeterminate(expected)),
            "{code}"
        );
    }
}

#[test]
fn no_obligation_vanishes() {
    let cases = [
        (r#"[{"Id":"a"}]"#, vec![obligation("a", "", "")]),
        (r#"[{"Id":"a","AttributeAssignment":null}]"#, vec![obligation("a", "", "")]),
        (r#"[{"AttributeAssignment":[]}]"#, vec![obligation("", "", "")]),
        (r#"[{"Id":"a","AttributeAssignment":[{}]}]"#, vec![obligation("a", "", "")]),
        (r#"[{"AttributeAssignment":[{"Value":"4"}]}]"#, vec![obligation("", "", "4")]),
        (
            r#"[{"Id":"a","AttributeAssignment":[{"Category":"c","Value":"4"},{"Category":"d"}]}]"#,
            vec![obligation("a", "c", "4"), obligation("a", "d", "")],
        ),
    ];
    for (text, expected) in cases {
        let read = one(&format!(r#""Decision":"Permit","Obligations":{text}"#));
        assert_eq!(read, Ok(permit(expected)), "{text}");
    }
    for text in [
        "{}",
        r#""x""#,
        "[null]",
        "[1]",
        r#"[{"Id":1}]"#,
        r#"[{"AttributeAssignment":{}}]"#,
        r#"[{"AttributeAssignment":[null]}]"#,
        r#"[{"AttributeAssignment":[{"Value":4}]}]"#,
        r#"[{"AttributeAssignment":[{"Value":"4","Category":["c"]}]}]"#,
    ] {
        let read = one(&format!(r#""Decision":"Permit","Obligations":{text}"#));
        assert!(matches!(read, Err(WireFault::Shape(_))), "{text}: {read:?}");
    }
}

#[test]
fn a_document_with_two_readings_is_not_read() {
    let deep = format!("{}{}", "[".repeat(30), "]".repeat(30));
    for text in [
        r#"{"Response":[{"Decision":"Deny","Decision":"Permit"}]}"#.to_owned(),
        r#"{"Response":[{"Decision":"Deny","decision":"Permit"}]}"#.to_owned(),
        r#"{"Response":[{"Decision":"Deny","\u0044ecision":"Permit"}]}"#.to_owned(),
        r#"{"response":[],"Response":[{"Decision":"Permit"}]}"#.to_owned(),
        r#"{"Response":[{"Decision":"Permit","x":{"a":1,"A":1}}]}"#.to_owned(),
        r#"{"Response":[{"Decision":"Permit"}]} {}"#.to_owned(),
        r#"{"Response":[{"Decision":"Permit"}]"#.to_owned(),
        "\u{feff}{\"Response\":[{\"Decision\":\"Permit\"}]}".to_owned(),
        format!(r#"{{"Response":[{{"Decision":"Permit"}}],"x":{deep}}}"#),
        format!(r#"{{"Response":[{{"Decision":"Permit"}}],"x":"{}"}}"#, "x".repeat(1024 * 1024)),
        format!(r#"{{"Response":[{{"Decision":"Permit"}}],"x":[0{}]}}"#, ",0".repeat(50_000)),
        String::new(),
        "<html></html>".to_owned(),
    ] {
        assert!(matches!(decode(&text), Err(WireFault::Json(_))), "{text:.60}");
    }
}

#[test]
fn an_answer_is_written_as_altinn_writes_it() {
    let level = obligation("urn:o:1", "urn:altinn:minimum-authenticationlevel", "3");
    let results = [
        permit(vec![level]).into(),
        Decision::Indeterminate(Indeterminate::ProcessingError).into(),
    ];
    let expected = concat!(
        r#"{"response":[{"decision":"Permit","status":{"statusMessage":null,"statusDetails":null,"#,
        r#""statusCode":{"value":"urn:oasis:names:tc:xacml:1.0:status:ok","statusCode":null}},"#,
        r#""obligations":[{"id":"urn:o:1","attributeAssignment":[{"#,
        r#""attributeId":"urn:altinn:obligation-assignment:1","value":"3","#,
        r#""category":"urn:altinn:minimum-authenticationlevel","#,
        r#""dataType":"http://www.w3.org/2001/XMLSchema#integer","issuer":null}]}],"#,
        r#""associateAdvice":null,"category":null,"policyIdentifierList":null},"#,
        r#"{"decision":"Indeterminate","status":{"statusMessage":null,"statusDetails":null,"#,
        r#""statusCode":{"value":"urn:oasis:names:tc:xacml:1.0:status:processing-error","#,
        r#""statusCode":null}},"obligations":null,"#,
        r#""associateAdvice":null,"category":null,"policyIdentifierList":null}]}"#,
    );
    assert_eq!(String::from_utf8(encode_response(&results)).unwrap(), expected);
}

#[test]
fn an_obligation_is_written_as_the_policy_has_it() {
    let assignment = |id: &str, category: Option<&str>, data_type| WireAssignment {
        id: id.to_owned(),
        value: "2".to_owned(),
        category: category.map(str::to_owned),
        data_type,
    };
    let result = WireResult {
        obligations: vec![
            WireObligation {
                id: "urn:o:1".to_owned(),
                assignments: vec![
                    assignment("urn:a:1", Some("urn:c:1"), INTEGER),
                    assignment("urn:a:2", None, STRING),
                ],
            },
            WireObligation { id: "urn:o:2".to_owned(), assignments: Vec::new() },
        ],
        ..permit(Vec::new()).into()
    };
    let expected = concat!(
        r#""obligations":[{"id":"urn:o:1","attributeAssignment":["#,
        r#"{"attributeId":"urn:a:1","value":"2","category":"urn:c:1","#,
        r#""dataType":"http://www.w3.org/2001/XMLSchema#integer","issuer":null},"#,
        r#"{"attributeId":"urn:a:2","value":"2","category":null,"#,
        r#""dataType":"http://www.w3.org/2001/XMLSchema#string","issuer":null}]},"#,
        r#"{"id":"urn:o:2","attributeAssignment":null}]"#,
    );
    let text = String::from_utf8(encode_response(std::slice::from_ref(&result))).unwrap();
    assert!(text.contains(expected), "{text}");
    let xml = String::from_utf8(encode_response_xml(std::slice::from_ref(&result))).unwrap();
    let assigned = "<AttributeAssignment AttributeId=\"urn:a:2\" \
        DataType=\"http://www.w3.org/2001/XMLSchema#string\">2</AttributeAssignment></Obligation>";
    assert!(xml.contains(assigned), "{xml}");
    // Whatever stands there, only a permit has them.
    let refused = WireResult { decision: Decision::Deny, ..result };
    let text = String::from_utf8(encode_response(&[refused])).unwrap();
    assert!(text.contains(r#""obligations":null"#), "{text}");
}

#[test]
fn the_data_types_are_those_altinn_knows_by_the_names_it_knows() {
    use Indeterminate::ProcessingError;
    let read = |stated: &str| {
        let body = format!(
            r#"{{"Request":{{"Action":[{{"Attribute":[{{"AttributeId":"x","Value":"1"{stated}}}]}}]}}}}"#
        );
        decode_request(body.as_bytes()).map(|it| it.categories[0].attributes[0].data_type)
    };
    let schema = |name: &str| format!(r#","DataType":"http://www.w3.org/2001/XMLSchema#{name}""#);
    for (stated, expected) in [
        (String::new(), STRING),
        (r#","DataType":null"#.to_owned(), STRING),
        (r#","DataType":"""#.to_owned(), STRING),
        (r#","DataType":"string""#.to_owned(), STRING),
        (schema("string"), STRING),
        (r#","DataType":"anyURI""#.to_owned(), ANY_URI),
        (schema("anyURI"), ANY_URI),
        (schema("integer"), INTEGER),
    ] {
        assert_eq!(read(&stated), Ok(expected), "{stated}");
    }
    for stated in [r#","DataType":"integer""#.to_owned(), schema("boolean"), schema("date")] {
        let fault = read(&stated).unwrap_err();
        assert!(
            matches!(fault, RequestFault::Content { status: ProcessingError, .. }),
            "{stated}: {fault:?}"
        );
    }
}

#[test]
fn json_of_wrong_types_is_told_even_behind_content_that_is_wrong() {
    for text in [
        r#"{"Request":{"Action":[{"Attribute":[{"AttributeId":"x"},{"AttributeId":"x","Value":1}]}]}}"#,
        r#"{"Request":{"Action":[{"Attribute":[{"AttributeId":"x"}]},{"Attribute":1}]}}"#,
        r#"{"Request":{"Category":[{}],"Action":"read"}}"#,
        r#"{"Request":{"Category":[{}],"MultiRequests":[]}}"#,
        r#"{"Request":{"MultiRequests":{"RequestReference":[{"ReferenceId":[null,1]}]}}}"#,
    ] {
        let fault = decode_request(text.as_bytes()).unwrap_err();
        assert!(matches!(fault, RequestFault::Malformed(_)), "{text}: {fault:?}");
    }
}

#[test]
fn a_reference_takes_every_category_of_its_id_but_of_resources_the_last() {
    let category = |id: &str, value: &str| {
        format!(r#"{{"Id":"{id}","Attribute":[{{"AttributeId":"x","Value":"{value}"}}]}}"#)
    };
    let body = format!(
        r#"{{"Request":{{"AccessSubject":[{},{}],"Action":[{}],"Resource":[{},{}],
        "MultiRequests":{{"RequestReference":[{{"ReferenceId":["1"]}},{{"ReferenceId":["1","2"]}}]}}}}}}"#,
        category("1", "s"),
        category("1", "t"),
        category("1", "a"),
        category("1", "q"),
        category("1", "r"),
    );
    let values = |question: &[&WireCategory]| {
        question.iter().map(|entry| entry.attributes[0].value.clone()).collect::<String>()
    };
    let request = decode_request(body.as_bytes()).unwrap();
    // The second reference names nothing that is there.
    assert!(request.questions().is_err());
    let request = decode_request(body.replace(r#""1","2""#, r#""1""#).as_bytes()).unwrap();
    let questions = request.questions().unwrap();
    assert_eq!(questions.iter().map(|one| values(one)).collect::<Vec<_>>(), ["star", "star"]);
}

#[test]
fn in_a_multi_request_every_category_needs_an_id() {
    for member in [r#""id":"s1","#, r#""id":"a1","#, r#","Id":"r2""#] {
        let request = decode_request(MULTI.replace(member, "").as_bytes()).unwrap();
        let fault = request.questions().unwrap_err();
        let expected = Indeterminate::SyntaxError;
        assert!(
            matches!(fault, RequestFault::Content { status, .. } if status == expected),
            "{member}: {fault:?}"
        );
    }
}

const MULTI: &str = r#"{"request":{
    "accessSubject":[{"id":"s1","attribute":[{"attributeId":"urn:altinn:userid","value":"1"}]}],
    "action":[{"id":"a1","attribute":[]}],
    "Category":[
      {"CategoryId":"urn:oasis:names:tc:xacml:3.0:attribute-category:resource","Id":"r1",
       "Attribute":[{"AttributeId":"x","Value":"1","IncludeInResult":true,"DataType":"http://www.w3.org/2001/XMLSchema#integer"}]},
      {"CategoryId":"urn:oasis:names:tc:xacml:3.0:attribute-category:resource","Id":"r2"}],
    "multiRequests":{"requestReference":[
      {"referenceId":["s1","a1","r1"]},{"referenceId":["s1","a1","r2"]}]}}}"#;

#[test]
fn a_multi_request_is_its_questions_in_order() {
    let request = decode_request(MULTI.as_bytes()).unwrap();
    let ids = |question: &Vec<&WireCategory>| {
        question.iter().map(|it| it.id.clone().unwrap()).collect::<Vec<_>>().join(" ")
    };
    let questions = request.questions().unwrap();
    assert_eq!(questions.iter().map(ids).collect::<Vec<_>>(), ["s1 a1 r1", "s1 a1 r2"]);
    let attribute = &request.categories[2].attributes[0];
    assert!(attribute.include_in_result);
    assert_eq!(attribute.data_type, "http://www.w3.org/2001/XMLSchema#integer");
    let echoed = echo(&questions[0]);
    assert_eq!((echoed.len(), &echoed[0].attributes[0].value), (1, &"1".to_owned()));
    let result = WireResult { echoed, ..Decision::Deny.into() };
    let text = String::from_utf8(encode_response(&[result])).unwrap();
    let category = concat!(
        r#""category":[{"categoryId":"urn:oasis:names:tc:xacml:3.0:attribute-category:resource","#,
        r#""id":null,"content":null,"attribute":[{"attributeId":"x","value":"1","issuer":null,"#,
        r#""dataType":"http://www.w3.org/2001/XMLSchema#integer","includeInResult":false}]}]"#,
    );
    assert!(text.contains(category), "{text}");
    let single = MULTI.replace(r#",{"referenceId":["s1","a1","r2"]}"#, "");
    let request = decode_request(single.as_bytes()).unwrap();
    assert_eq!(request.questions().unwrap().iter().map(ids).collect::<Vec<_>>(), ["s1 a1 r1 r2"]);
}

#[test]
fn what_a_multi_request_asks_for_by_repeating_its_references_is_bounded() {
    let asked = |bytes: usize, references: Vec<usize>| {
        let resource = json!([{ "Id": "r", "Attribute": [
            { "AttributeId": "a", "Value": "v".repeat(bytes), "IncludeInResult": true },
        ] }]);
        let references =
            references.into_iter().map(|times| json!({ "ReferenceId": vec!["r"; times] }));
        let references: Vec<_> = references.collect();
        let request = json!({ "Request": {
            "Resource": resource,
            "MultiRequests": { "RequestReference": references },
        } });
        let request = decode_request(request.to_string().as_bytes()).unwrap();
        request.questions().map(|questions| questions.len())
    };
    assert_eq!(asked(4000, vec![1; 1000]), Ok(1000));
    assert_eq!(asked(10, vec![2, 2]), Ok(2));
    for (bytes, references) in
        [(900_000, vec![1; 1000]), (900_000, vec![20, 1]), (100, vec![20_000; 2])]
    {
        let fault = asked(bytes, references).unwrap_err();
        assert!(fault.to_string().contains("too much"), "{fault}");
    }
}

#[test]
fn a_question_that_says_nothing_is_told_from_one_that_is_not_json() {
    use Indeterminate::{ProcessingError, SyntaxError};
    let judge = |text: &str| {
        decode_request(text.as_bytes()).and_then(|it| it.questions().map(|_| ())).unwrap_err()
    };
    let attribute =
        |inner: &str| format!(r#"{{"Request":{{"Resource":[{{"Attribute":[{{{inner}}}]}}]}}}}"#);
    for (text, expected) in [
        ("{}".to_owned(), SyntaxError),
        (attribute(r#""Value":"x""#), SyntaxError),
        (attribute(r#""AttributeId":"x""#), SyntaxError),
        (attribute(r#""AttributeId":"x","Value":"1","DataType":"double""#), ProcessingError),
        (r#"{"Request":{"Category":[{}]}}"#.to_owned(), SyntaxError),
        (MULTI.replace(r#""id":"s1","#, ""), SyntaxError),
        (MULTI.replace(r#""s1","a1","r2""#, r#""s1","a1","r3""#), SyntaxError),
    ] {
        match judge(&text) {
            RequestFault::Content { status, .. } => assert_eq!(status, expected, "{text}"),
            RequestFault::Malformed(cause) => panic!("{text}: {cause}"),
        }
    }
    for text in [
        "",
        "no",
        "[]",
        r#"{"Request":[]}"#,
        r#"{"Request":{"Resource":{}}}"#,
        r#"{"Request":{},"request":{}}"#,
        &attribute(r#""AttributeId":"x","Value":1"#),
        &attribute(r#""AttributeId":"x","Value":["1"]"#),
    ] {
        assert!(matches!(judge(text), RequestFault::Malformed(_)), "{text}");
    }
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

//! Questions: how they are written, and what a PDP reads in one.

use super::*;
use crate::domain::Instance;
use serde_json::json;

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

//! Answers: what is read as a decision, and how one is written.

use super::*;

const OK_STATUS: &str =
    r#""Status":{"StatusCode":{"Value":"urn:oasis:names:tc:xacml:1.0:status:ok"}}"#;

fn one(result: &str) -> Result<Decision, WireFault> {
    decode(&format!(r#"{{"Response":[{{{result}}}]}}"#))
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

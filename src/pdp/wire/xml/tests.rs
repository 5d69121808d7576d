use super::*;
use crate::domain::{Decision, Obligation, Obligations};
use crate::pdp::wire::INTEGER;
use crate::pdp::wire::category;
use proptest::prelude::*;

const STRING: &str = "http://www.w3.org/2001/XMLSchema#string";
const OPEN: &str = r#"<Request xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" ReturnPolicyIdList="false" CombinedDecision="false">"#;

fn request(inner: &str) -> String {
    format!("{OPEN}{inner}</Request>")
}

fn attributes(extra: &str, category: &str, inner: &str) -> String {
    format!(r#"<Attributes {extra} Category="{category}">{inner}</Attributes>"#)
}

fn attribute(id: &str, include: &str, values: &[&str]) -> String {
    let values: Vec<String> = values
        .iter()
        .map(|text| format!(r#"<AttributeValue DataType="{STRING}">{text}</AttributeValue>"#))
        .collect();
    let values = values.concat();
    format!(r#"<Attribute AttributeId="{id}" IncludeInResult="{include}">{values}</Attribute>"#)
}

fn action(value: &str) -> String {
    attributes("", category::ACTION, &attribute("urn:a", "false", &[value]))
}

fn fault(document: impl AsRef<[u8]>) -> RequestFault {
    decode_request_xml(document.as_ref()).unwrap_err()
}

#[test]
fn a_question_is_read_with_every_value_of_every_attribute() {
    let document = request(
        &(attributes(
            r#"xml:id="s1""#,
            category::SUBJECT,
            &(attribute("urn:s", "true", &["a &amp; <![CDATA[<b>]]>", " c "])
                + &format!(
                    r#"<Attribute AttributeId="urn:n" Issuer="i" IncludeInResult="0"><AttributeValue DataType="{INTEGER}">3</AttributeValue></Attribute>"#
                )),
        ) + &attributes(
            r#"id="r1""#,
            category::RESOURCE,
            "<Content><x:y xmlns:x='urn:other' x:z='1'>passed over</x:y></Content>",
        ) + r#"<MultiRequests><RequestReference><AttributesReference ReferenceId="s1"/>
            <AttributesReference ReferenceId="r1"></AttributesReference></RequestReference></MultiRequests>"#),
    );
    let read = decode_request_xml(document.as_bytes()).unwrap();
    let one = |id: &str, value: &str, data_type, include_in_result| WireAttribute {
        id: id.to_owned(),
        value: value.to_owned(),
        data_type,
        include_in_result,
        is_further: false,
    };
    let expected = WireRequest {
        categories: vec![
            WireCategory {
                category: category::SUBJECT.to_owned(),
                id: Some("s1".to_owned()),
                attributes: vec![
                    one("urn:s", "a & <b>", STRING, true),
                    WireAttribute { is_further: true, ..one("urn:s", " c ", STRING, true) },
                    one("urn:n", "3", INTEGER, false),
                ],
            },
            WireCategory {
                category: category::RESOURCE.to_owned(),
                id: Some("r1".to_owned()),
                attributes: Vec::new(),
            },
        ],
        references: vec![vec!["s1".to_owned(), "r1".to_owned()]],
    };
    assert_eq!(read, expected);
}

#[test]
fn what_is_xml_but_no_question_is_a_syntax_error() {
    let good = action("read");
    for document in [
        request(""),
        request(&good).replace("Request", "Response"),
        request(&good).replace("ReturnPolicyIdList=\"false\"", ""),
        request(&good).replace("CombinedDecision=\"false\"", ""),
        request(&good).replace("CombinedDecision=\"false\"", "CombinedDecision=\"true\""),
        request(&good).replace("AttributeId=\"urn:a\"", ""),
        request(&good).replace("AttributeId=\"urn:a\"", "AttributeId=\"\""),
        request(&good).replace("IncludeInResult=\"false\"", ""),
        request(&good).replace("IncludeInResult=\"false\"", "IncludeInResult=\"no\""),
        request(&good).replace("DataType", "datatype"),
        request(&good).replace("Category", "category"),
        request(&good).replace("AttributeValue", "Value"),
        request(&good.replace(">read<", "><b/><")),
        request(&attributes("", category::ACTION, &attribute("urn:a", "false", &[]))),
        request(&attributes("", category::ACTION, "text")),
        request(&format!("{good}<MultiRequests/>{good}")),
        request(&format!("{good}<MultiRequests><Other/></MultiRequests>")),
        request(&format!(
            "{good}<MultiRequests><RequestReference><AttributesReference/></RequestReference></MultiRequests>"
        )),
        request(&format!(
            "{good}<MultiRequests>{}</MultiRequests>",
            "<RequestReference/>".repeat(MAX_REFERENCES + 1)
        )),
    ] {
        let found = fault(&document);
        let expected = Indeterminate::SyntaxError;
        assert!(
            matches!(found, RequestFault::Content { status, .. } if status == expected),
            "{document}\n{found:?}"
        );
    }
    let referring = |count: usize| {
        let all = "<RequestReference/>".repeat(count);
        request(&format!("{good}<MultiRequests>{all}</MultiRequests>"))
    };
    assert!(decode_request_xml(referring(MAX_REFERENCES).as_bytes()).is_ok());
}

#[test]
fn a_data_type_that_is_not_known_is_a_processing_error() {
    for data_type in ["http://www.w3.org/2001/XMLSchema#double", "string", "x"] {
        let document = request(&action("1")).replace(STRING, data_type);
        let expected = Indeterminate::ProcessingError;
        let found = fault(&document);
        assert!(
            matches!(found, RequestFault::Content { status, .. } if status == expected),
            "{found:?}"
        );
    }
    let date = request(&action("2026-01-01")).replace("#string", "#date");
    assert!(decode_request_xml(date.as_bytes()).is_ok());
}

#[test]
fn hostile_documents_are_refused_whole() {
    let good = request(&action("read"));
    let deep = request(&"<Attributes>".repeat(50_000));
    let deep_content = request(&attributes(
        "",
        category::RESOURCE,
        &format!("<Content>{}{}</Content>", "<a>".repeat(40), "</a>".repeat(40)),
    ));
    let wide = request(&"<Attributes/>".repeat(70_000));
    let huge = request(&action(&"x".repeat(2 * 1024 * 1024)));
    let long = request(&action(&"x".repeat(20 * 1024)));
    for (document, expected) in [
        ("{\"Request\":{}}".to_owned(), "not XML"),
        (String::new(), "no element"),
        (good.replace("</Request>", ""), "not closed"),
        (format!("<!DOCTYPE Request>{good}"), "document type"),
        (
            format!(
                "<!DOCTYPE r [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>{}",
                good.replace(">read<", ">&b;<")
            ),
            "document type",
        ),
        (
            format!("<!DOCTYPE r SYSTEM 'file:///etc/passwd'>{}", good.replace(">read<", ">&x;<")),
            "document type",
        ),
        (good.replace(">read<", ">&x;<"), "reference"),
        (good.replace(">read<", ">&#1;<"), "reference"),
        (good.replace(":wd-17", ":wd-16"), "not of XACML"),
        (good.replace("wd-17\"", "wd-17\" xmlns:q=\"urn:q\" q:x=\"1\""), "attribute `q:x`"),
        (good.replace("<Attribute ", "<Attribute AttributeId='x' "), "well-formed"),
        (deep, "deep"),
        (deep_content, "deep"),
        (wide, "elements"),
        (huge, "bytes"),
        (long, "longer"),
    ] {
        let start: String = document.chars().take(300).collect();
        match fault(&document) {
            RequestFault::Malformed(text) => {
                assert!(text.contains(expected), "{start}: {text}");
            }
            other @ RequestFault::Content { .. } => panic!("{start}: {other:?}"),
        }
    }
    let utf_16: Vec<u8> =
        [0xFF, 0xFE].into_iter().chain(good.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    assert!(matches!(fault(utf_16), RequestFault::Malformed(_)));
}

#[test]
fn a_response_is_written_as_altinn_writes_it() {
    let level = |category: &str, value: &str| Obligation {
        id: "urn:altinn:obligation:1".into(),
        category: category.into(),
        value: value.into(),
    };
    let echoed = vec![WireCategory {
        category: category::RESOURCE.to_owned(),
        id: Some("r1".to_owned()),
        attributes: vec![WireAttribute {
            id: "urn:altinn:partyid".to_owned(),
            value: "<1000> & \"o\"\r\n\u{1}".to_owned(),
            data_type: STRING,
            include_in_result: true,
            is_further: false,
        }],
    }];
    let results = [
        WireResult {
            echoed,
            ..Decision::Permit(Obligations::new(vec![
                level("urn:altinn:minimum-authenticationlevel", "2"),
                level("", ""),
            ]))
            .into()
        },
        Decision::Deny.into(),
        Decision::NotApplicable.into(),
        Decision::Indeterminate(Indeterminate::ProcessingError).into(),
        Decision::Indeterminate(Indeterminate::Unstated).into(),
    ];
    let ok = r#"<Status><StatusCode Value="urn:oasis:names:tc:xacml:1.0:status:ok"></StatusCode></Status>"#;
    let expected = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
         <Response xmlns=\"urn:oasis:names:tc:xacml:3.0:core:schema:wd-17\">\
         <Result><Decision>Permit</Decision>{ok}<Obligations>\
         <Obligation ObligationId=\"urn:altinn:obligation:1\" FulfillOn=\"Permit\">\
         <AttributeAssignment AttributeId=\"urn:altinn:obligation-assignment:1\" DataType=\"{INTEGER}\" \
         Category=\"urn:altinn:minimum-authenticationlevel\">2</AttributeAssignment></Obligation>\
         <Obligation ObligationId=\"urn:altinn:obligation:1\" FulfillOn=\"Permit\"></Obligation>\
         </Obligations><Attributes Category=\"{}\">\
         <Attribute AttributeId=\"urn:altinn:partyid\" IncludeInResult=\"true\">\
         <AttributeValue DataType=\"{STRING}\">&lt;1000&gt; &amp; &quot;o&quot;&#13;&#10;\u{FFFD}</AttributeValue>\
         </Attribute></Attributes></Result>\
         <Result><Decision>Deny</Decision>{ok}</Result>\
         <Result><Decision>NotApplicable</Decision>{ok}</Result>\
         <Result><Decision>Indeterminate</Decision><Status><StatusCode \
         Value=\"urn:oasis:names:tc:xacml:1.0:status:processing-error\"></StatusCode></Status></Result>\
         <Result><Decision>Indeterminate</Decision>{ok}</Result></Response>",
        category::RESOURCE
    );
    assert_eq!(String::from_utf8(encode_response_xml(&results)).unwrap(), expected);
}

/// A legal text of XML, as a caller may have it in an attribute.
fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![
            any::<char>(),
            prop::sample::select(vec!['<', '>', '&', '"', '\'', '\r', '\n', '\t', ' ', ']']),
        ],
        0..12,
    )
    .prop_map(|chars| {
        let legal = |char: &char| {
            !matches!(char, '\0'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}')
        };
        chars.into_iter().filter(legal).collect()
    })
}

proptest! {
    /// Writing loses nothing: what is echoed is read back as it was asked.
    #[test]
    fn what_is_written_is_read_back(id in "[a-z:&<\"]{1,12}", values in prop::collection::vec(text(), 1..4)) {
        let entry = WireCategory {
            category: "urn:c".to_owned(),
            id: None,
            attributes: values
                .iter()
                .map(|value| WireAttribute {
                    id: id.clone(),
                    value: value.clone(),
                    data_type: STRING,
                    include_in_result: true,
                    is_further: false,
                })
                .collect(),
        };
        let mut writer = Writer(OPEN.to_owned());
        writer.attributes(&entry);
        writer.close("Request");
        let read = decode_request_xml(writer.0.as_bytes()).unwrap();
        prop_assert_eq!(read.categories, vec![entry]);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_request_xml(&bytes);
    }

    #[test]
    fn no_damage_makes_the_reader_panic(at in 0_usize..900, length in 0_usize..40, with in ".{0,8}") {
        let mut bytes = request(&action("read")).into_bytes();
        let start = at.min(bytes.len());
        let end = start.saturating_add(length).min(bytes.len());
        bytes.splice(start..end, with.into_bytes());
        let _ = decode_request_xml(&bytes);
    }
}

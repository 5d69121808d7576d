//! Arrays, XML and forms as sources, through the room's public face.

use super::resolving::{A, B, BARE, Request, asked};
use super::*;

fn many(from: &str) -> RuleParts {
    let mut parts = required("/a", from);
    parts.party = Some(PartyRule::Many { from: source(from), max: 2, absent: None });
    parts
}

fn verdicts(parts: &RuleParts, cases: &[(&str, &str)]) {
    for (body, expected) in cases {
        assert_eq!(asked(parts, Request { body: Some(body), ..BARE }), *expected, "{body}");
    }
}

#[test]
fn every_element_of_an_array_has_its_party() {
    let parts = many("json:/items/*/orgnr");
    let missing = "party-missing at json:/items/*/orgnr";
    let invalid = "party-invalid at json:/items/*/orgnr";
    let ambiguous = "ambiguous-parameter at json:/items/*/orgnr";
    verdicts(
        &parts,
        &[
            (r#"{"items":[{"orgnr":"312714051"},{"orgnr":910459880}]}"#, "312714051 910459880"),
            (r#"{"items":[{"orgnr":"312714051"},{"orgnr":"312714051"}]}"#, A),
            (r#"{"items":[{"orgnr":"312714051"},{}]}"#, missing),
            (r#"{"items":[{"orgnr":"312714051"},"910459880"]}"#, missing),
            (r#"{"items":[{"orgnr":"312714051"},{"orgnr":""}]}"#, missing),
            (r#"{"items":[{"orgnr":"312714051"},{"orgnr":null}]}"#, invalid),
            (r#"{"items":[{"orgnr":"312714051"},{"orgnr":["910459880"]}]}"#, invalid),
            (r#"{"items":[{"orgnr":"312714051"},{"orgnr":{}}]}"#, invalid),
            (r#"{"items":[]}"#, missing),
            (r#"{"items":{}}"#, invalid),
            (r#"{"items":null}"#, invalid),
            (r#"{"items":{"0":{"orgnr":"312714051"}}}"#, invalid),
            ("{}", missing),
            (r#"{"items":[{"orgnr":"312714051","Orgnr":"910459880"}]}"#, ambiguous),
            (r#"{"items":[{"orgnr":"312714051,910459880"}]}"#, ambiguous),
            (r#"{"items":[{"orgnr":"312714051"}],"Items":[]}"#, ambiguous),
            (
                r#"{"items":[{"orgnr":"312714051"},{"orgnr":"312714051"},{"orgnr":"312714051"}]}"#,
                "too-many-parties at json:/items/*/orgnr",
            ),
        ],
    );
}

#[test]
fn an_array_that_is_absent_is_told_apart_from_one_that_is_empty() {
    let mut parts = many("json:/items/*");
    parts.object = Some(ObjectTie::Upstream);
    parts.party = Some(PartyRule::Many {
        from: source("json:/items/*"),
        max: 2,
        absent: Some(Absent::Upstream),
    });
    verdicts(
        &parts,
        &[
            (r#"{"items":["312714051"]}"#, A),
            ("{}", "upstream"),
            (r#"{"items":[]}"#, "party-missing at json:/items/*"),
            (r#"{"items":null}"#, "party-invalid at json:/items/*"),
        ],
    );
}

#[test]
fn a_party_in_xml_is_there_once_as_plain_text() {
    let mut parts = required("/a", "xml:/p:order/p:sender/@orgnr");
    parts.namespaces = vec![("p".to_owned(), "urn:p".to_owned())];
    let place = "xml:/p:order/p:sender/@orgnr";
    let order = |inner: &str| format!("<order xmlns='urn:p'>{inner}</order>");
    for (inner, expected) in [
        ("<sender orgnr='312714051'/>", A.to_owned()),
        ("<sender orgnr=''/>", format!("party-missing at {place}")),
        ("<sender/>", format!("party-missing at {place}")),
        ("<sender orgnr=' 312714051'/>", format!("party-invalid at {place}")),
        ("<sender orgnr='312714051,910459880'/>", format!("ambiguous-parameter at {place}")),
        (
            "<sender orgnr='312714051'/><sender orgnr='312714051'/>",
            format!("ambiguous-parameter at {place}"),
        ),
        ("<sender orgnr='312714051'/><Sender/>", format!("ambiguous-parameter at {place}")),
        ("<sender orgnr='312714051'>", "body-unreadable".to_owned()),
    ] {
        let body = order(inner);
        assert_eq!(asked(&parts, Request { body: Some(&body), ..BARE }), expected, "{inner}");
    }
    let parts = many("xml:/a/b/c");
    verdicts(
        &parts,
        &[
            ("<a><b><c>312714051</c></b><b><c>910459880</c></b></a>", "312714051 910459880"),
            ("<a><b><c>312714051</c></b><b/></a>", "party-missing at xml:/a/b/c"),
            ("<a><b><c>312714051</c></b><b><c/></b></a>", "party-missing at xml:/a/b/c"),
            ("<a><b><c>312714051</c></b><b><c><d/></c></b></a>", "party-invalid at xml:/a/b/c"),
            ("<a/>", "party-missing at xml:/a/b/c"),
        ],
    );
}

#[test]
fn a_party_in_a_form_is_there_once_under_one_name() {
    let parts = required("/v1/{id}/a", "form:party");
    let alias = "ambiguous-parameter at form:party";
    for (body, expected) in [
        ("party=312714051", A),
        ("x=1&p%61rty=3127%314051&y=%26+%C3%A6", A),
        ("party=312714051&x=blåbær og", A),
        ("", "party-missing at form:party"),
        ("party", "party-missing at form:party"),
        ("party=", "party-missing at form:party"),
        ("party=+312714051", "party-invalid at form:party"),
        ("party=312714051&party=312714051", alias),
        ("party=312714051,910459880", alias),
        ("party=312714051&PARTY=1", alias),
        ("Party=312714051", alias),
        ("party=312714051&party[]=1", alias),
        ("party=312714051&party.id=1", alias),
        ("party=312714051;x=1", alias),
        ("x=1%3B2&party=312714051", A),
        ("party=312714051&x=%zz", "body-unreadable"),
        ("party=312714051&x=%c", "body-unreadable"),
        ("party=312714051&x=%ff", "body-unreadable"),
        ("party=312714051\r\n", "body-unreadable"),
        ("{\"party\":\"312714051\"}", "party-missing at form:party"),
    ] {
        let request = Request { path: "/v1/7/a", body: Some(body), ..BARE };
        assert_eq!(asked(&parts, request), expected, "{body}");
    }
    for path in ["/v1/7/a?party=910459880", "/v1/7/a?Party[0]=1", "/v1/7/a?x=1;party=1"] {
        let request = Request { path, body: Some("party=312714051"), ..BARE };
        assert_eq!(asked(&parts, request), alias, "{path}");
    }
    let pairs = |count: usize| format!("party=312714051{}", "&x=1".repeat(count - 1));
    verdicts(
        &required("/a", "form:party"),
        &[(&pairs(1000), A), (&pairs(1001), "body-unreadable")],
    );
}

#[test]
fn names_of_other_sources_do_not_stand_in_the_form() {
    let mut parts = required("/v1/{orgnr}/a", "path:orgnr");
    parts.attributes = vec![
        (crate::domain::AttributeUrn::parse("urn:altinn:task").unwrap(), source("form:task")),
        (crate::domain::AttributeUrn::parse("urn:altinn:step").unwrap(), source("query:step")),
    ];
    for (body, expected) in [
        ("task=t", "312714051 t s"),
        ("task=t&orgnr=910459880", "ambiguous-parameter at path:orgnr"),
        ("task=t&OrgNr", "ambiguous-parameter at path:orgnr"),
        ("task=t&step=z", "ambiguous-parameter at query:step"),
        ("task=t&step[]=z", "ambiguous-parameter at query:step"),
    ] {
        let request = Request { path: "/v1/312714051/a?step=s", body: Some(body), ..BARE };
        assert_eq!(asked(&parts, request), expected, "{body}");
    }
}

#[test]
fn many_parties_of_a_form_are_all_read_and_alternatives_may_share_a_name() {
    let b = format!("{A} {B}");
    verdicts(
        &many("form:p"),
        &[
            ("p=312714051&p=910459880", &b),
            ("p=312714051&p=", "party-missing at form:p"),
            ("p=312714051&p[]=910459880", "ambiguous-parameter at form:p"),
            ("p=312714051&p=312714051&p=312714051", "too-many-parties at form:p"),
        ],
    );
    let mut parts = required("/a", "query:p");
    parts.party = Some(PartyRule::OneOf(vec![source("query:p"), source("form:p")]));
    for (path, body, expected) in [
        ("/a?p=312714051", "", A),
        ("/a", "p=312714051", A),
        ("/a?p=312714051", "p=312714051", "ambiguous-parameter at form:p"),
        ("/a", "", "party-missing at query:p"),
    ] {
        let request = Request { path, body: Some(body), ..BARE };
        assert_eq!(asked(&parts, request), expected, "{path} {body}");
    }
}

/// Makes another rule of a sound one.
type Change<'c> = &'c dyn Fn(&mut RuleParts);

#[test]
fn what_a_rule_says_of_bodies_goes_together() {
    let faults = |change: Change<'_>| {
        let mut parts = required("/a/{x}", "json:/p");
        parts.object = Some(ObjectTie::Upstream);
        change(&mut parts);
        let faults = RouteRule::new(parts, SURROUNDINGS).err().unwrap_or_default();
        faults.into_iter().map(|fault| fault.key).collect::<Vec<_>>().join(" ")
    };
    let party = |from: &str| PartyRule::One { from: source(from), absent: None };
    let attribute = |from: &str| {
        vec![(crate::domain::AttributeUrn::parse("urn:altinn:task").unwrap(), source(from))]
    };
    let namespace = |prefix: &str, uri: &str| vec![(prefix.to_owned(), uri.to_owned())];
    let gzip = || Some(vec![ContentEncoding::Gzip]);
    let cases: [(Change<'_>, &str); 19] = [
        (&|_| {}, ""),
        (&|parts| parts.attributes = attribute("form:t"), "party"),
        (&|parts| parts.attributes = attribute("xml:/t"), "party"),
        (&|parts| parts.attributes = attribute("json:/*"), "attributes"),
        (&|parts| parts.party = Some(party("json:/a/*")), "party.from"),
        (&|parts| parts.party = many("json:/a/*").party, ""),
        (&|parts| parts.party = Some(party("xml:/p:a")), "party.from"),
        (
            &|parts| {
                parts.party = Some(party("xml:/p:a"));
                parts.namespaces = namespace("p", "urn:p");
            },
            "",
        ),
        (
            &|parts| {
                parts.party = Some(party("xml:/a"));
                parts.namespaces = namespace("p", "urn:p");
            },
            "namespaces",
        ),
        (
            &|parts| {
                parts.party = Some(party("xml:/p:a"));
                parts.namespaces = namespace("p", "");
            },
            "namespaces",
        ),
        (&|parts| parts.namespaces = namespace("xml", "urn:p"), "namespaces"),
        (&|parts| parts.namespaces = namespace("1", "urn:p"), "namespaces"),
        (&|parts| parts.content_encodings = gzip(), ""),
        (&|parts| parts.content_encodings = Some(Vec::new()), "content_encoding"),
        (&|parts| parts.max_decompressed_bytes = Some(4096), "max_decompressed"),
        (
            &|parts| {
                parts.party = Some(party("query:p"));
                parts.content_encodings = gzip();
            },
            "content_encoding",
        ),
        (
            &|parts| {
                parts.party = Some(party("form:p"));
                parts.matching.query = namespace("P", "1");
            },
            "party",
        ),
        (
            &|parts| {
                parts.party = Some(party("form:p"));
                parts.attributes = attribute("query:p");
            },
            "party",
        ),
        (
            &|parts| {
                parts.party = Some(party("form:X"));
                parts.attributes = attribute("path:x");
            },
            "party",
        ),
    ];
    for (index, (change, expected)) in cases.into_iter().enumerate() {
        assert_eq!(faults(change), expected, "case {index}");
    }
}

#[test]
fn a_compressed_body_is_taken_only_by_its_one_name_and_where_the_rule_says_so() {
    let mut parts = required("/a", "json:/p");
    parts.content_encodings = Some(vec![ContentEncoding::Gzip]);
    let rule = rule(parts);
    let at = "unsupported-body at header:content-encoding";
    for (lines, expected) in [
        (&[][..], "Identity"),
        (&["identity"], "Identity"),
        (&["gzip"], "Gzip"),
        (&["GZip"], "Gzip"),
        (&["x-gzip"], at),
        (&["gzip, gzip"], at),
        (&["gzip", "gzip"], at),
        (&["identity", "gzip"], at),
        (&["br"], at),
        (&["deflate"], at),
        (&[""], at),
    ] {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(lines.iter().map(|line| ("content-encoding", *line)));
        let verdict = check_body_type(&rule, &head(&headers));
        let verdict = verdict.map_or_else(|denial| told(&denial), |coding| format!("{coding:?}"));
        assert_eq!(verdict, expected, "{lines:?}");
    }
}

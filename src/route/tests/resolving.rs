use super::*;
use crate::domain::{AttributeUrn, InstanceForm, PartyKind, PartyKinds};

pub(super) const A: &str = "312714051";
pub(super) const B: &str = "910459880";
const UUID: &str = "ebe4a681-0a8c-429e-a36f-8f9ca942b59f";

#[derive(Clone, Copy)]
pub(super) struct Request<'r> {
    pub(super) path: &'r str,
    pub(super) headers: &'r [(&'r str, &'r str)],
    pub(super) body: Option<&'r str>,
    pub(super) caller: SubjectKind,
}

pub(super) const BARE: Request<'static> =
    Request { path: "/a", headers: &[], body: None, caller: SubjectKind::SystemUser };

/// What is asked, in words: parties, then whatever else the rule names.
pub(super) fn asked(parts: &RuleParts, request: Request<'_>) -> String {
    let table = table(vec![parts.clone()]);
    let wanted = target(request.path);
    let matched = match table.find(None, &wanted, &Method::POST) {
        Ok(matched) => matched,
        Err(denial) => return told(&denial),
    };
    let head = head(request.headers);
    let caller = caller(request.caller);
    let body = request.body.map(str::as_bytes);
    match resolve(&matched, &head, body, Some(&caller), CheckDigits::Strict) {
        Err(denial) => told(&denial),
        Ok(Resolved::Upstream) => "upstream".to_owned(),
        Ok(Resolved::Question(question)) => {
            let mut words: Vec<String> =
                question.parties.as_slice().iter().map(|party| party.expose_value()).collect();
            if question.resource.as_str() != "r-read" {
                words.push(question.resource.to_string());
            }
            words.extend(question.instance.map(|instance| instance.value().to_owned()));
            words.extend(question.attributes.iter().map(|attribute| attribute.value.to_string()));
            words.join(" ")
        }
    }
}

#[test]
fn a_party_in_the_path_is_read_once_and_not_named_in_the_query() {
    let parts = required("/v1/{orgnr}/r", "path:orgnr");
    for (path, expected) in [
        ("/v1/312714051/r", A),
        ("/v1/0192:312714051/r?x=1;y=2", A),
        ("/v1/312714052/r", "party-invalid at path:orgnr"),
        ("/v1/910%20000%20001/r", "party-invalid at path:orgnr"),
        ("/v1/312714051,910459880/r", "ambiguous-parameter at path:orgnr"),
        ("/v1/312714051%2C910459880/r", "ambiguous-parameter at path:orgnr"),
        ("/v1/312714051/r?orgnr=910459880", "ambiguous-parameter at path:orgnr"),
        ("/v1/312714051/r?OrgNr=1", "ambiguous-parameter at path:orgnr"),
        ("/v1/312714051/r?%6frgnr", "ambiguous-parameter at path:orgnr"),
        ("/v1/312714051/r?x=1;orgnr=910459880", "ambiguous-parameter at path:orgnr"),
        ("/v1/312714051/r?orgnr[0]=1", "ambiguous-parameter at path:orgnr"),
        ("/v1/312714051/r?orgnrs=1&x=%ff", A),
    ] {
        assert_eq!(asked(&parts, Request { path, ..BARE }), expected, "{path}");
    }
}

#[test]
fn a_party_in_the_query_is_there_once() {
    let parts = required("/a", "query:party");
    let alias = "ambiguous-parameter at query:party";
    for (path, expected) in [
        ("/a?party=312714051", A),
        ("/a?x=1&p%61rty=312714051", A),
        ("/a", "party-missing at query:party"),
        ("/a?", "party-missing at query:party"),
        ("/a?party", "party-missing at query:party"),
        ("/a?party=", "party-missing at query:party"),
        ("/a?party=312714051&party=312714051", alias),
        ("/a?party=312714051&p%61rty=910459880", alias),
        ("/a?party=312714051&PARTY=910459880", alias),
        ("/a?Party=312714051", alias),
        ("/a?party=312714051&party[]=1", alias),
        ("/a?party=312714051&party.id=1", alias),
        ("/a?party=312714051;party=910459880", alias),
        ("/a?party=312714051,910459880", alias),
        ("/a?party=312714051%20", "party-invalid at query:party"),
        ("/a?party=312714051&x=%ff", "malformed-request at query:party"),
    ] {
        assert_eq!(asked(&parts, Request { path, ..BARE }), expected, "{path}");
    }
}

#[test]
fn a_party_in_a_header_is_on_one_line_under_one_name() {
    let parts = required("/a", "header:X-Org-Nr");
    let cases: [(&[(&str, &str)], &str); 14] = [
        (&[("x-org-nr", A)], A),
        (&[("x-org-nr", " \t312714051 ")], A),
        (&[], "party-missing at header:X-Org-Nr"),
        (&[("x-org-nr", "")], "party-missing at header:X-Org-Nr"),
        (&[("x-org-nr", " ")], "party-missing at header:X-Org-Nr"),
        (&[("x-org-nr", A), ("x-org-nr", A)], "ambiguous-parameter at header:X-Org-Nr"),
        (&[("x-org-nr", "312714051, 910459880")], "ambiguous-parameter at header:X-Org-Nr"),
        (&[("x-org-nr", A), ("x_org.nr", B)], "ambiguous-parameter at header:X-Org-Nr"),
        (&[("x-org-nr", "3127\u{e6}4051")], "party-invalid at header:X-Org-Nr"),
        (
            &[("x-org-nr", A), ("connection", "close, X-Org_Nr")],
            "ambiguous-parameter at header:connection",
        ),
        (
            &[("x-org-nr", A), ("connection", "close"), ("connection", "Authorization")],
            "ambiguous-parameter at header:connection",
        ),
        (
            &[("x-org-nr", A), ("connection", "Content-Type")],
            "ambiguous-parameter at header:connection",
        ),
        (&[("x-org-nr", A), ("connection", "host")], "ambiguous-parameter at header:connection"),
        (&[("x-org-nr", A), ("connection", "keep-alive, X-Other")], A),
    ];
    for (headers, expected) in cases {
        assert_eq!(asked(&parts, Request { headers, ..BARE }), expected, "{headers:?}");
    }
}

#[test]
fn a_party_in_the_body_is_a_string_or_an_integer_with_one_reading() {
    let parts = required("/a", "json:/sender/orgnr");
    let twice = "ambiguous-parameter at json:/sender/orgnr";
    let invalid = "party-invalid at json:/sender/orgnr";
    for (body, expected) in [
        (r#"{"sender":{"orgnr":"312714051"}}"#, A),
        (r#"{"sender":{"orgnr":312714051}}"#, A),
        (r#"{"sender":{"orgnr":"3127\u00314051"}}"#, A),
        (r#"{"sender":{}}"#, "party-missing at json:/sender/orgnr"),
        (r#"{"sender":{"orgnr":""}}"#, "party-missing at json:/sender/orgnr"),
        (r#"{"sender":{"orgnr":null}}"#, invalid),
        (r#"{"sender":{"orgnr":["312714051"]}}"#, invalid),
        (r#"{"sender":{"orgnr":{}}}"#, invalid),
        (r#"{"sender":{"orgnr":312714051.0}}"#, invalid),
        (r#"{"sender":{"orgnr":-312714051}}"#, invalid),
        (r#"{"sender":{"orgnr":"312714051,910459880"}}"#, twice),
        (r#"{"sender":{"orgnr":"312714051","orgnr":"312714051"}}"#, twice),
        (r#"{"sender":{"orgnr":"312714051"},"Sender":{}}"#, twice),
        (r#"{"sender":{"orgnr":"312714051","\u006frgnr":"910459880"}}"#, twice),
        (r#"{"sender":{"orgnr":"312714051"}} x"#, "body-unreadable"),
        ("", "body-unreadable"),
    ] {
        assert_eq!(asked(&parts, Request { body: Some(body), ..BARE }), expected, "{body}");
    }
}

#[test]
fn many_parties_are_all_read_and_equal_ones_asked_once() {
    let many = |from: &str| {
        let mut parts = required("/a", from);
        parts.party = Some(PartyRule::Many { from: source(from), max: 2, absent: None });
        parts
    };
    for (path, expected) in [
        ("/a?p=312714051&p=910459880", "312714051 910459880"),
        ("/a?p=312714051&p=0192:312714051", A),
        ("/a?p=312714051&p=312714051&p=312714051", "too-many-parties at query:p"),
        ("/a?p=312714051&p=", "party-missing at query:p"),
        ("/a?p=312714051&p=x", "party-invalid at query:p"),
        ("/a?p=312714051,910459880", "ambiguous-parameter at query:p"),
        ("/a?p=312714051&P=910459880", "ambiguous-parameter at query:p"),
        ("/a", "party-missing at query:p"),
    ] {
        assert_eq!(asked(&many("query:p"), Request { path, ..BARE }), expected, "{path}");
    }
    for (body, expected) in [
        (r#"{"p":["312714051",910459880]}"#, "312714051 910459880"),
        (r#"{"p":"312714051"}"#, A),
        (r#"{"p":[]}"#, "party-missing at json:/p"),
        (r#"{"p":["312714051",null]}"#, "party-invalid at json:/p"),
        (r#"{"p":[["312714051"]]}"#, "party-invalid at json:/p"),
        (r#"{"p":["312714051","312714051","312714051"]}"#, "too-many-parties at json:/p"),
    ] {
        let request = Request { body: Some(body), ..BARE };
        assert_eq!(asked(&many("json:/p"), request), expected, "{body}");
    }
    let headers = &[("x-p", A), ("x-p", B)];
    assert_eq!(asked(&many("header:x-p"), Request { headers, ..BARE }), "312714051 910459880");
}

#[test]
fn absent_stands_in_only_where_the_source_does_not_occur() {
    let absent = |absent: Absent| {
        let mut parts = required("/a", "query:p");
        parts.object = Some(ObjectTie::Upstream);
        parts.party = Some(PartyRule::One { from: source("query:p"), absent: Some(absent) });
        parts
    };
    let owner = absent(Absent::From(source("token:systemuser_org")));
    let upstream = absent(Absent::Upstream);
    for (parts, path, expected) in [
        (&owner, "/a", "314330897"),
        (&owner, "/a?p=312714051", A),
        (&owner, "/a?p=", "party-missing at query:p"),
        (&owner, "/a?P=312714051", "ambiguous-parameter at query:p"),
        (&upstream, "/a", "upstream"),
        (&upstream, "/a?p", "party-missing at query:p"),
        (&upstream, "/a?p=x", "party-invalid at query:p"),
    ] {
        assert_eq!(asked(parts, Request { path, ..BARE }), expected, "{path}");
    }
    let mut consumer = required("/a", "token:consumer");
    consumer.subjects = Some(vec![SubjectKind::Organization]);
    let request = Request { caller: SubjectKind::Organization, ..BARE };
    assert_eq!(asked(&consumer, request), "314242726");
}

#[test]
fn of_several_places_exactly_one_is_filled() {
    let mut parts = required("/a", "json:/a");
    parts.party = Some(PartyRule::OneOf(vec![source("json:/a"), source("json:/b")]));
    for (body, expected) in [
        (r#"{"a":"312714051"}"#, A),
        (r#"{"b":"910459880"}"#, B),
        (r#"{"a":"312714051","b":"312714051"}"#, "ambiguous-parameter at json:/b"),
        (r#"{"a":"","b":"312714051"}"#, "party-missing at json:/a"),
        (r#"{"a":null,"b":"312714051"}"#, "party-invalid at json:/a"),
        (r#"{"A":"910459880","b":"312714051"}"#, "ambiguous-parameter at json:/a"),
        ("{}", "party-missing at json:/a"),
    ] {
        assert_eq!(asked(&parts, Request { body: Some(body), ..BARE }), expected, "{body}");
    }
}

#[test]
fn a_resource_from_the_request_is_one_of_the_list() {
    let resource = |id: &str| ResourceId::parse(id).unwrap();
    let mut allow = required("/a", "const:312714051");
    allow.resource =
        Some(ResourceRule::Allow { from: source("query:r"), allow: vec![resource("r-other")] });
    let mut map = required("/a", "const:312714051");
    map.resource = Some(ResourceRule::Map {
        from: source("query:r"),
        map: vec![("mva".to_owned(), resource("ske-mva"))],
    });
    for (parts, path, expected) in [
        (&allow, "/a?r=r-other", "312714051 r-other"),
        (&allow, "/a?r=R-Other", "resource-not-allowed at query:r"),
        (&allow, "/a?r=x", "resource-invalid at query:r"),
        (&allow, "/a?r=", "resource-missing at query:r"),
        (&allow, "/a", "resource-missing at query:r"),
        (&allow, "/a?r=r-other&r=r-other", "ambiguous-parameter at query:r"),
        (&map, "/a?r=mva", "312714051 ske-mva"),
        (&map, "/a?r=MVA", "resource-not-allowed at query:r"),
    ] {
        assert_eq!(asked(parts, Request { path, ..BARE }), expected, "{path}");
    }
}

#[test]
fn instance_and_attributes_are_read_like_everything_else() {
    let mut parts = required("/a/{id}", "query:p");
    parts.party_kinds = Some(PartyKinds::of(&[PartyKind::Id]));
    parts.instance = Some(InstanceRule { from: source("path:id"), form: InstanceForm::App });
    parts.attributes = vec![(AttributeUrn::parse("urn:altinn:task").unwrap(), source("query:t"))];
    let long = format!("/a/{UUID}?p=50012345&t={}", "x".repeat(257));
    for (path, expected) in [
        (format!("/a/{UUID}?p=50012345&t=Task_1"), format!("50012345 50012345/{UUID} Task_1")),
        (format!("/a/{UUID}?p=50012345"), "malformed-request at query:t".to_owned()),
        (format!("/a/{UUID}?p=50012345&t="), "malformed-request at query:t".to_owned()),
        ("/a/x?p=50012345&t=1".to_owned(), "instance-missing at path:id".to_owned()),
        (long, "malformed-request at query:t".to_owned()),
    ] {
        assert_eq!(asked(&parts, Request { path: &path, ..BARE }), expected, "{path}");
    }
}

#[test]
fn only_a_body_that_can_be_read_is_read() {
    let json = rule(required("/a", "json:/p"));
    let cases: [(&[(&str, &str)], &str); 7] = [
        (&[("content-type", "application/json")], "ok"),
        (&[("content-type", "application/json"), ("content-encoding", "Identity")], "ok"),
        (&[], "unsupported-body at header:content-type"),
        (&[("content-type", "text/plain")], "unsupported-body at header:content-type"),
        (
            &[("content-type", "application/json"), ("content-type", "application/json")],
            "unsupported-body at header:content-type",
        ),
        (
            &[("content-type", "application/json"), ("content-encoding", "gzip")],
            "unsupported-body at header:content-encoding",
        ),
        (
            &[
                ("content-type", "application/json"),
                ("content-encoding", "identity"),
                ("content-encoding", "br"),
            ],
            "unsupported-body at header:content-encoding",
        ),
    ];
    for (headers, expected) in cases {
        let verdict = check_body_type(&json, &head(headers));
        let verdict = verdict.map_or_else(|denial| told(&denial), |_| "ok".to_owned());
        assert_eq!(verdict, expected, "{headers:?}");
    }
    let bodiless = rule(required("/a", "query:p"));
    assert!(check_body_type(&bodiless, &head(&[("content-encoding", "gzip")])).is_ok());
}

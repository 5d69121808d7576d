use super::*;
use crate::domain::{Action, Party, PartyForms, PartyKind, PartyKinds, ResourceId, Scope};
use std::time::Duration;

pub(super) fn form(headers: &HeaderMap) -> AnswerForm {
    AnswerForm::of(
        Version::HTTP_2,
        headers,
        RequestId::from_client("018f3b1e-7c5a-7b3e-9f00-0123456789ab").unwrap(),
    )
}

fn answered(denial: &Denial) -> Response<Bytes> {
    answer(denial, form(&HeaderMap::new()))
}

fn document(answer: &Response<Bytes>) -> serde_json::Value {
    serde_json::from_slice(answer.body()).unwrap()
}

fn header<'a>(answer: &'a Response<Bytes>, name: &str) -> Option<&'a str> {
    answer.headers().get(name).map(|value| value.to_str().unwrap())
}

#[test]
fn a_refused_right_names_resource_action_and_party_and_masks_a_person() {
    let forms = PartyForms {
        kinds: PartyKinds::of(&PartyKind::ALL),
        check_digits: crate::domain::CheckDigits::Strict,
    };
    let mut denial = Denial::new(DenialCode::AccessDenied).because("secret cause");
    denial.extras.resource = Some(ResourceId::parse("ske-mva-melding").unwrap());
    denial.extras.action = Some(Action::parse("write").unwrap());
    denial.extras.party = Some(Party::parse("01890012345", forms).unwrap());
    let answer = answered(&denial);
    insta::assert_snapshot!(serde_json::to_string_pretty(&document(&answer)).unwrap(), @r#"
    {
      "action": "write",
      "code": "access-denied",
      "detail": "The caller has no right to this action on this resource for this party. The party, or its service provider, can grant it in Altinn: delegate the right or access package to the caller.",
      "instance": "urn:uuid:018f3b1e-7c5a-7b3e-9f00-0123456789ab",
      "party": "urn:altinn:person:identifier-no:***********",
      "resource": "ske-mva-melding",
      "status": 403,
      "title": "Access denied",
      "type": "urn:portvakt:problem:access-denied"
    }
    "#);
    assert_eq!(header(&answer, "content-type"), Some("application/problem+json"));
    assert_eq!(header(&answer, "cache-control"), Some("no-store"));
    assert_eq!(header(&answer, "x-content-type-options"), Some("nosniff"));
    assert_eq!(header(&answer, "x-request-id"), Some("018f3b1e-7c5a-7b3e-9f00-0123456789ab"));
}

#[test]
fn every_code_has_a_whole_answer_without_open_places() {
    for code in DenialCode::ALL {
        let answer = answered(&Denial::new(*code).because("secret cause"));
        let document = document(&answer);
        assert_eq!(answer.status().as_u16(), code.status());
        assert_eq!(document["status"], code.status());
        assert_eq!(document["code"], code.as_str());
        for member in ["title", "detail"] {
            let text = document[member].as_str().unwrap();
            assert!(!text.is_empty() && !text.contains(['{', '}']), "{code}: {text}");
        }
        assert!(!String::from_utf8_lossy(answer.body()).contains("secret cause"), "{code}");
        assert_eq!(header(&answer, "retry-after").is_some(), code.status() == 503, "{code}");
    }
}

#[test]
fn the_challenge_says_what_is_wrong_with_the_token_and_nothing_else() {
    let mut scope = Denial::new(DenialCode::ScopeMissing);
    let scopes = [Scope::parse("a:b").unwrap(), Scope::parse("c").unwrap()];
    scope.extras.required_scopes = Some(ScopeRequirement::All(scopes.into()));
    for (denial, expected) in [
        (Denial::new(DenialCode::TokenMissing), Some("Bearer")),
        (Denial::new(DenialCode::TokenExpired), Some(r#"Bearer error="invalid_token""#)),
        (Denial::new(DenialCode::TokenMalformed), Some(r#"Bearer error="invalid_token""#)),
        (scope, Some(r#"Bearer error="insufficient_scope", scope="a:b c""#)),
        (Denial::new(DenialCode::AccessDenied), Some("Bearer")),
        (Denial::new(DenialCode::PdpTimeout), None),
        (Denial::new(DenialCode::RouteUnknown), None),
    ] {
        assert_eq!(header(&answered(&denial), "www-authenticate"), expected, "{}", denial.code);
    }
}

#[test]
fn text_from_the_request_is_escaped() {
    let denial = Denial::new(DenialCode::PartyMissing).at("query:\"<script>\u{1}");
    let answer = answered(&denial);
    assert_eq!(document(&answer)["parameter"], "query:\"<script>\u{1}");
}

#[test]
fn waiting_is_told_in_whole_seconds_and_never_zero() {
    let mut denial = Denial::new(DenialCode::Overloaded);
    denial.extras.retry_after = Some(Duration::from_millis(10));
    assert_eq!(header(&answered(&denial), "retry-after"), Some("1"));
    denial.extras.retry_after = Some(Duration::from_secs(30));
    assert_eq!(header(&answered(&denial), "retry-after"), Some("30"));
    denial.extras.retry_after = Some(Duration::from_millis(36_001));
    assert_eq!(header(&answered(&denial), "retry-after"), Some("37"), "not a moment early");
}

#[test]
fn a_grpc_caller_gets_a_status_in_headers_and_no_body() {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc+proto"));
    for (code, status) in [
        (DenialCode::TokenExpired, "16"),
        (DenialCode::AccessDenied, "7"),
        (DenialCode::RouteUnknown, "12"),
        (DenialCode::MethodNotAllowed, "12"),
        (DenialCode::PartyMissing, "3"),
        (DenialCode::PdpTimeout, "14"),
    ] {
        let answer = answer(&Denial::new(code), form(&headers));
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(header(&answer, "grpc-status"), Some(status), "{code}");
        assert!(answer.body().is_empty());
    }
}

//! The keys of one test.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method};
use serde_json::Value as Json;

use super::{
    BrokenToken, Callers, Expectation, ExpectedOutcome, ExpectedQuestion, RuleTest, TestClaims,
    TestDecision, TestPdp, TestRequest, TokenClaims,
};
use crate::config::field::{Field, Shape, string, truth};
use crate::domain::{
    Action, AuthenticationLevel, CheckDigits, DenialCode, Host, OrganizationNumber, Party,
    PartyForms, PartyKind, PartyKinds, ResourceId, Scope, SystemId, SystemUserId,
};

/// Values of one list in a test.
const MAX_VALUES: usize = 1000;

const BROKEN: [(&str, BrokenToken); 6] = [
    ("expired", BrokenToken::Expired),
    ("not-yet-valid", BrokenToken::NotYetValid),
    ("foreign-key", BrokenToken::ForeignKey),
    ("unknown-issuer", BrokenToken::UnknownIssuer),
    ("unsigned", BrokenToken::Unsigned),
    ("malformed", BrokenToken::Malformed),
];
const DECISIONS: [(&str, TestDecision); 6] = [
    ("Permit", TestDecision::Permit),
    ("Deny", TestDecision::Deny),
    ("NotApplicable", TestDecision::NotApplicable),
    ("Indeterminate", TestDecision::Indeterminate),
    ("unavailable", TestDecision::Unavailable),
    ("timeout", TestDecision::Timeout),
];

pub(super) fn test(field: Field<'_>, callers: &Callers) -> Option<RuleTest> {
    field.table(|table| {
        let origin = table.value_origin("name");
        let name = table.required("name", string);
        let request = table.required("request", request);
        let claims = table.required("claims", |field| claims(field, callers));
        let pdp = table.stated("pdp", pdp);
        let expect = table.required("expect", expect);
        Some(RuleTest {
            name: name?,
            origin,
            request: request?,
            claims: claims?,
            pdp: pdp?,
            expect: expect?,
        })
    })
}

/// `METHOD TARGET`, or a table.
fn request(field: Field<'_>) -> Option<TestRequest> {
    if field.shape() == Shape::Scalar {
        return field.text(|text| {
            let (method, target) = text.split_once(' ').ok_or("write `METHOD TARGET`")?;
            let method = Method::from_bytes(method.as_bytes()).map_err(|_| "not a method")?;
            Ok::<_, &str>(TestRequest {
                method,
                target: target.to_owned(),
                host: None,
                headers: Vec::new(),
                body: Bytes::new(),
            })
        });
    }
    field.table(|table| {
        let method = table.required("method", |field| {
            field.text(|text| Method::from_bytes(text.as_bytes()).map_err(|_| "not a method"))
        });
        let target = table.required("target", string);
        let host = table.stated("host", |field| field.text(Host::parse));
        let headers = table.stated("headers", |field| field.names(MAX_VALUES, header));
        let body = table.stated("body", body);
        let mut headers: Vec<(HeaderName, HeaderValue)> = headers?
            .unwrap_or_default()
            .into_iter()
            .flat_map(|(_, (name, values))| {
                values.into_iter().map(move |value| (name.clone(), value))
            })
            .collect();
        let (body, is_json) = body?.unwrap_or_default();
        if is_json && !headers.iter().any(|(name, _)| name == CONTENT_TYPE) {
            headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        }
        Some(TestRequest { method: method?, target: target?, host: host?, headers, body })
    })
}

/// One value, or several lines of the same name.
fn header(name: &str, field: Field<'_>) -> Option<(HeaderName, Vec<HeaderValue>)> {
    let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
        return field.fail("invalid-value", "not the name of a header");
    };
    let value = |field: Field<'_>| field.text(HeaderValue::from_str);
    field.one_or_many(MAX_VALUES, value).map(|values| (name, values))
}

/// Text as it is, or a table or list as JSON; whether it is the latter.
fn body(field: Field<'_>) -> Option<(Bytes, bool)> {
    match field.shape() {
        Shape::Scalar => field.text(|text| Ok::<_, &str>((Bytes::from(text.to_owned()), false))),
        Shape::List | Shape::Table => match field.node().to_json() {
            Some(json) => Some((json.to_string().into(), true)),
            None => field.fail("invalid-value", "this cannot be written as JSON"),
        },
    }
}

fn claims(field: Field<'_>, callers: &Callers) -> Option<TestClaims> {
    if field.is_text(|text| text == "none") {
        return Some(TestClaims::Nobody);
    }
    if field.node().get("broken").is_none() {
        return named_or_written(field, callers).map(TestClaims::Sound);
    }
    field.table(|table| {
        let broken = table.required("broken", |field| field.choice(&BROKEN));
        let claims = table.required("of", |field| named_or_written(field, callers));
        Some(TestClaims::Broken(broken?, claims?))
    })
}

fn named_or_written(field: Field<'_>, callers: &Callers) -> Option<TokenClaims> {
    if field.shape() == Shape::Scalar {
        if callers.is_empty() {
            let help = "name them under `callers`, or write the claims here";
            return field.fail_with_help("invalid-value", "this file names no callers", help);
        }
        let words: Vec<_> =
            callers.iter().map(|(name, claims)| (name.as_str(), claims.clone())).collect();
        return field.choice(&words);
    }
    claims_of_token(field)
}

pub(super) fn claims_of_token(field: Field<'_>) -> Option<TokenClaims> {
    // Numbers in tests are what a request can carry, so leniency is the runner's configuration's affair.
    let number =
        |field: Field<'_>| field.text(|text| OrganizationNumber::parse(text, CheckDigits::Lenient));
    field.table(|table| {
        let which = table.exactly_one(&["system_user", "raw"]);
        if which == Some("raw") {
            let reason = "`raw` stands alone";
            for key in ["owner", "system_id", "vendor", "scopes"] {
                table.unused(key, reason);
            }
            return table.required("raw", raw).map(TokenClaims::Raw);
        }
        // Not there, or reported; so that it is named to who misspells a key.
        table.optional("raw", |_| Some(()));
        let id = table.optional("system_user", |field| {
            field.text(|text| SystemUserId::parse(text).ok_or("not a uuid"))
        });
        let owner = table.required("owner", number);
        let system_id = table.stated("system_id", |field| field.text(SystemId::parse));
        let vendor = table.stated("vendor", number);
        let scopes = table
            .stated("scopes", |field| field.sequence(MAX_VALUES, |field| field.text(Scope::parse)));
        Some(TokenClaims::SystemUser {
            id: id?,
            owner: owner?,
            system_id: system_id?,
            vendor: vendor?,
            scopes: scopes?.unwrap_or_default(),
        })
    })
}

fn raw(field: Field<'_>) -> Option<serde_json::Map<String, Json>> {
    match field.node().to_json() {
        Some(Json::Object(claims)) => Some(claims),
        Some(_) | None => field.fail("wrong-shape", "expected a table of claims"),
    }
}

fn pdp(field: Field<'_>) -> Option<TestPdp> {
    let answers = |decision, minimum_level, unknown_obligation| TestPdp::Answers {
        decision,
        minimum_level,
        unknown_obligation,
    };
    if field.shape() == Shape::Scalar {
        let mut words = vec![("embedded", TestPdp::Embedded)];
        words.extend(DECISIONS.map(|(word, decision)| (word, answers(decision, None, false))));
        return field.choice(&words);
    }
    field.table(|table| {
        let decision = table.required("decision", |field| field.choice(&DECISIONS));
        let level = table.stated("minimum_level", |field| field.text(AuthenticationLevel::parse));
        let unknown = table.stated("unknown_obligation", truth);
        Some(answers(decision?, level?, unknown?.unwrap_or_default()))
    })
}

/// `forward`, a code, or a table.
fn expect(field: Field<'_>) -> Option<Expectation> {
    if field.shape() == Shape::Scalar {
        let outcome = outcome(field)?;
        let question = ExpectedQuestion::default();
        return Some(Expectation { rule: None, outcome, decision: None, question });
    }
    field.table(|table| {
        let rule = table.stated("rule", string);
        let outcome = table.required("outcome", outcome);
        let decision = table.stated("decision", |field| field.choice(&DECISIONS));
        let status = table.stated("status", |field| {
            field.number(100..=599u16, "it is the status of an answer over HTTP")
        });
        let question = table.stated("question", question);
        if let (Some(outcome), Some(Some(status))) = (outcome, status)
            && let Some((message, help)) = wrong_status(outcome, status)
        {
            let found = crate::config::diagnostic::Diagnostic::error("invalid-value", message);
            table.push(found.at(&table.origin_of("status")).help(help));
        }
        status?;
        Some(Expectation {
            rule: rule?,
            outcome: outcome?,
            decision: decision?,
            question: question?.unwrap_or_default(),
        })
    })
}

/// What is wrong with a status beside an outcome, and what to do.
fn wrong_status(outcome: ExpectedOutcome, status: u16) -> Option<(String, &'static str)> {
    match outcome {
        ExpectedOutcome::Forward => {
            Some(("what is forwarded has the API's status".to_owned(), "remove it"))
        }
        ExpectedOutcome::Refused(code) if code.status() != status => {
            Some((format!("`{code}` has the status {}", code.status()), "correct it, or remove it"))
        }
        ExpectedOutcome::Refused(_) => None,
    }
}

fn outcome(field: Field<'_>) -> Option<ExpectedOutcome> {
    let codes = DenialCode::ALL.iter().map(|code| (code.as_str(), ExpectedOutcome::Refused(*code)));
    let words: Vec<_> = [("forward", ExpectedOutcome::Forward)].into_iter().chain(codes).collect();
    field.choice(&words)
}

fn question(field: Field<'_>) -> Option<ExpectedQuestion> {
    let forms =
        PartyForms { kinds: PartyKinds::of(&PartyKind::ALL), check_digits: CheckDigits::Lenient };
    field.table(|table| {
        let subject = table.stated("subject", string);
        let resource = table.stated("resource", |field| field.text(ResourceId::parse));
        let action = table.stated("action", |field| field.text(Action::parse));
        let parties = table.stated("party", |field| {
            field.one_or_many(MAX_VALUES, |field| field.text(|text| Party::parse(text, forms)))
        });
        Some(ExpectedQuestion {
            subject: subject?,
            resource: resource?,
            action: action?,
            parties: parties?,
        })
    })
}

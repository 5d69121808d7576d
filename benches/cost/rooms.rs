//! The rooms one by one: judging a head, finding a rule, verifying a token, getting a decision, reading and
//! writing the PDP's wire form.

use crate::harness::{Report, now};
use crate::setting::{NOW, claims, embedded_pdp, outbound, question};
use bytes::Bytes;
use http::Method;
use portvakt::config::Limits;
use portvakt::dev::SigningKey;
use portvakt::domain::{
    CheckDigits, Clock, Decision, ManualClock, Obligation, Obligations, RequestTarget, SystemClock,
    UnixSeconds,
};
use portvakt::pdp::embedded::Question;
use portvakt::pdp::wire::{WireResult, decode_response, encode_request, encode_response};
use portvakt::pdp::{CacheSettings, Decisions, Lifetimes, Scripted};
use portvakt::route::{
    Matching, Methods, Protection, RouteRule, RouteTable, RuleParts, ScopeDemand, Surroundings,
    Template,
};
use portvakt::server::sight;
use portvakt::tasks::Tasks;
use portvakt::token::{
    BearerToken, IssuerKind, IssuerSettings, KeyLocation, TokenSettings, TokenVerifier,
};
use std::sync::Arc;

pub(crate) fn run(report: &Report) {
    heads(report);
    routes(report);
    tokens(report);
    decisions(report);
}

fn heads(report: &Report) {
    if !report.heading("Judging the bytes of a head", "guard") {
        return;
    }
    let head = format!(
        "GET /service-7/parties/312714051/items/42?from=2024-01-01 HTTP/1.1\r\n\
         Host: api.example.no\r\nUser-Agent: bench/1.0\r\nAccept: application/json\r\n\
         Accept-Encoding: gzip\r\nAccept-Language: nb\r\nX-Request-Id: 0123456789abcdef\r\n\
         traceparent: 00-0123456789abcdef0123456789abcdef-0123456789abcdef-01\r\n\
         Authorization: Bearer {}\r\n\r\n",
        "a".repeat(900)
    );
    let limits = Limits::default();
    assert!(sight(head.as_bytes(), &limits).0[0].whole);
    report.time("guard: one head", || sight(head.as_bytes(), &limits));
}

fn routes(report: &Report) {
    if !report.heading("Finding the rule of a request", "route") {
        return;
    }
    report.time("route: parse a target", || {
        RequestTarget::parse("/service-7/parties/312714051/items/42?from=2024-01-01", 8192)
    });
    for count in [10, 1_000, 10_000] {
        let started = now();
        let table = table(count);
        println!(
            "  table of {count} rules built in {:.1} ms",
            started.elapsed().as_secs_f64() * 1e3
        );
        for (case, path, found) in [
            ("found among", format!("/service-{}/parties/312714051/items/42", count / 4 * 2), true),
            ("found among siblings, of", format!("/flat/312714051/{}", count - 1), true),
            ("not found among", "/service-2/parties/312714051/nothing".to_owned(), false),
        ] {
            let target = RequestTarget::parse(&path, 8192).unwrap();
            assert_eq!(table.find(None, &target, &Method::GET).is_ok(), found);
            report.time(&format!("route: {case} {count}"), || {
                table.find(None, &target, &Method::GET).is_ok()
            });
        }
    }
}

/// Half of the rules in services of their own, half beside each other behind a capture.
fn table(count: usize) -> RouteTable {
    let surroundings =
        Surroundings { scopes: ScopeDemand::MustBeStated, check_digits: CheckDigits::Strict };
    let rule = |id: String, template: String| {
        let matching =
            Matching::new(Methods::One(Method::GET), Template::parse(&template).unwrap());
        let mut parts = RuleParts::new(id, "bench", matching);
        parts.protection = Protection::Public;
        RouteRule::new(parts, surroundings).unwrap()
    };
    let rules = (0..count).map(|index| {
        if index % 2 == 0 {
            rule(format!("s{index}"), format!("/service-{index}/parties/{{orgnr}}/items/{{id}}"))
        } else {
            rule(format!("f{index}"), format!("/flat/{{orgnr}}/{index}"))
        }
    });
    RouteTable::build(rules.collect()).unwrap().table
}

fn tokens(report: &Report) {
    if !report.heading("Proving the caller", "token") {
        return;
    }
    let key = SigningKey::generate("bench").unwrap();
    let token = key.sign(&claims()).unwrap();
    let token = BearerToken::parse(&token).unwrap();
    let verifier = |max_remembered| {
        let keys = KeyLocation::Static(Bytes::from(key.public_jwks()));
        let issuer = IssuerSettings::new(IssuerKind::Maskinporten, "https://issuer.example/", keys);
        let mut settings = TokenSettings::new(vec![issuer]);
        settings.cache_max_entries = max_remembered;
        let clock = Arc::new(ManualClock::at(UnixSeconds(NOW)));
        report.prepare(async {
            let verifier = TokenVerifier::new(settings, &outbound(), &Tasks::new(), clock);
            verifier.start().await;
            verifier
        })
    };
    let forgetful = verifier(0);
    report.time_async("token: verified in full (RS256, 2048 bits)", async || {
        assert!(!forgetful.verify(token).await.unwrap().remembered);
    });
    let remembering = verifier(1000);
    report.prepare(remembering.verify(token)).unwrap();
    report.time_async("token: remembered", async || {
        assert!(remembering.verify(token).await.unwrap().remembered);
    });
}

fn decisions(report: &Report) {
    if !report.heading("Getting the decision", "decision") {
        return;
    }
    let request = question();
    let level = Obligation {
        id: "urn:altinn:obligation:authenticationLevel1".into(),
        category: "urn:altinn:minimum-authenticationlevel".into(),
        value: "2".into(),
    };
    let permit = Decision::Permit(Obligations::new(vec![level]));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let point = Arc::new(Scripted::always(Ok(permit.clone())));
    let settings = CacheSettings::default();
    let lifetimes = Lifetimes::Held { permit: settings.permit_ttl, deny: settings.deny_ttl };
    let decisions = Decisions::new(point, settings, Tasks::new(), clock);
    report.prepare(decisions.decide(&request, lifetimes)).unwrap();
    report.time_async("decision: remembered", async || {
        decisions.decide(&request, lifetimes).await.unwrap()
    });
    let pdp = embedded_pdp();
    assert_eq!(pdp.answer(&Question::from(&request)).decision, portvakt::xacml::Decision::Permit);
    report.time("decision: embedded PDP", || pdp.answer(&Question::from(&request)));
    report.time("decision: question written", || encode_request(&request));
    let answer = encode_response(&[WireResult::from(permit)]);
    report.time("decision: answer read", || decode_response(&answer).unwrap());
}

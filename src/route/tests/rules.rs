use super::*;
use crate::domain::{AttributeUrn, Enforcement, Host, InstanceForm, PartyKind, PartyKinds};

fn keys(parts: RuleParts) -> Vec<String> {
    match RouteRule::new(parts, SURROUNDINGS) {
        Ok(_) => Vec::new(),
        Err(faults) => {
            assert!(faults.iter().all(|fault| !fault.message.is_empty() && !fault.help.is_empty()));
            faults.into_iter().map(|fault| fault.key).collect()
        }
    }
}

fn changed(mut parts: RuleParts, change: impl FnOnce(&mut RuleParts)) -> RuleParts {
    change(&mut parts);
    parts
}

fn token(matched: &str) -> RuleParts {
    changed(public("token", matched), |parts| {
        parts.protection = Protection::Token;
        parts.scopes = Some(ScopeRequirement::Waived);
    })
}

fn one(from: &str, absent: Option<Absent>) -> PartyRule {
    PartyRule::One { from: source(from), absent }
}

fn many(from: &str, max: usize) -> PartyRule {
    PartyRule::Many { from: source(from), max, absent: None }
}

/// Each case: what is particular, the rule, and the keys at fault.
type Case = (&'static str, RuleParts, &'static [&'static str]);

fn hold(cases: Vec<Case>) {
    for (name, parts, expected) in cases {
        assert_eq!(keys(parts), expected, "{name}");
    }
}

fn ordinary(change: impl FnOnce(&mut RuleParts)) -> RuleParts {
    changed(required("/mva/{orgnr}", "path:orgnr"), change)
}

fn by_query(change: impl FnOnce(&mut RuleParts)) -> RuleParts {
    changed(required("/a", "query:p"), change)
}

fn opened(matched: &str, change: impl FnOnce(&mut RuleParts)) -> RuleParts {
    changed(public("p", matched), change)
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

const UPSTREAM: Option<ObjectTie> = Some(ObjectTie::Upstream);

#[test]
fn a_rule_says_what_its_protection_needs_and_nothing_that_goes_unheeded() {
    let no_object = Some(ObjectTie::NoObject);
    hold(vec![
        ("ordinary", ordinary(|_| ()), &[]),
        ("public", public("p", "any /health/{x}"), &[]),
        ("no resource", ordinary(|p| p.resource = None), &["resource"]),
        ("no action", ordinary(|p| p.action = None), &["action"]),
        ("no party", ordinary(|p| p.party = None), &["party"]),
        ("no scope", ordinary(|p| p.scopes = None), &["scopes"]),
        (
            "empty list of scopes",
            ordinary(|p| p.scopes = Some(ScopeRequirement::Any([].into()))),
            &["scopes"],
        ),
        (
            "closed in shadow",
            opened("GET /a", |p| {
                p.protection = Protection::Closed;
                p.mode = Some(Enforcement::Shadow);
            }),
            &["mode"],
        ),
        (
            "public with scopes",
            opened("GET /a", |p| p.scopes = Some(ScopeRequirement::Waived)),
            &["scopes"],
        ),
        (
            "closed with a question",
            ordinary(|p| p.protection = Protection::Closed),
            &["resource", "action", "party", "scopes"],
        ),
        (
            "token with party",
            changed(token("GET /a"), |p| p.party = Some(one("query:a", None))),
            &["party"],
        ),
        ("token that reads", token("GET HEAD /a"), &[]),
        ("token without object", changed(token("GET /a"), |p| p.object = no_object), &[]),
        ("token with a capture", token("GET /a/{b}"), &["object"]),
        ("token that writes", token("POST /a"), &["object"]),
        ("token, any method", changed(token("any /a"), |p| p.object = no_object), &["object"]),
        ("token tied upstream", changed(token("POST /a/{b}"), |p| p.object = UPSTREAM), &[]),
        ("token without scope", changed(token("GET /a"), |p| p.scopes = None), &["scopes"]),
        ("required without object", ordinary(|p| p.object = no_object), &["object"]),
        ("no systems", ordinary(|p| p.systems = Some(vec![])), &["systems"]),
        ("no subjects", ordinary(|p| p.subjects = Some(vec![])), &["subject"]),
    ]);
}

#[test]
fn a_websocket_is_opened_by_a_get_without_a_body() {
    let opens = |parts: RuleParts| {
        changed(parts, |parts| parts.web_socket = Some(WebSocketRule::default()))
    };
    hold(vec![
        ("public", opens(opened("GET /a", |_| {})), &[]),
        ("token", opens(token("GET /a")), &[]),
        ("a list with GET", opens(opened("POST GET /a", |_| {})), &[]),
        ("any", opens(opened("any /a", |_| {})), &[]),
        ("another method", opens(opened("POST /a", |_| {})), &["upgrade"]),
        ("HEAD is not GET", opens(opened("HEAD /a", |_| {})), &["upgrade"]),
        (
            "closed",
            opens(opened("GET /a", |parts| parts.protection = Protection::Closed)),
            &["upgrade"],
        ),
        ("a body", opens(required("/a", "json:/p")), &["upgrade", "upgrade"]),
    ]);
}

#[test]
fn a_capture_that_decides_nothing_is_tied_by_someone() {
    let attribute = (AttributeUrn::parse("urn:altinn:task").unwrap(), source("path:b"));
    hold(vec![
        ("party in query", required("/a/{b}", "query:p"), &["object"]),
        ("party in header", required("/a/{b}", "header:X-P"), &["object"]),
        ("fixed party", required("/a/{b}", "const:312714051"), &["object"]),
        ("party of the token", required("/a/{b}", "token:systemuser_org"), &["object"]),
        ("party in the body", required("/a/{b}", "json:/p"), &[]),
        ("tied upstream", changed(required("/a/{b}", "query:p"), |p| p.object = UPSTREAM), &[]),
        (
            "used as attribute",
            changed(required("/a/{b}", "query:p"), |p| p.attributes = vec![attribute]),
            &[],
        ),
        ("unknown capture", required("/mva/{orgnr}", "path:other"), &["party.from"]),
    ]);
}

#[test]
fn a_party_comes_from_where_it_can() {
    let organization = || Some(vec![SubjectKind::Organization]);
    let both = || Some(vec![SubjectKind::Organization, SubjectKind::SystemUser]);
    let absent = |from, absent| Some(one(from, Some(absent)));
    let owner = Absent::From(source("token:systemuser_org"));
    let consumer = |subjects| changed(required("/a", "token:consumer"), |p| p.subjects = subjects);
    hold(vec![
        (
            "absent, untied",
            by_query(|p| p.party = absent("query:p", Absent::Upstream)),
            &["party.absent"],
        ),
        (
            "absent, tied",
            by_query(|p| (p.object, p.party) = (UPSTREAM, absent("query:p", owner))),
            &[],
        ),
        (
            "absent, from the request",
            by_query(|p| {
                let elsewhere = Absent::From(source("query:q"));
                (p.object, p.party) = (UPSTREAM, absent("query:p", elsewhere));
            }),
            &["party.absent"],
        ),
        (
            "a path is never absent",
            ordinary(|p| (p.object, p.party) = (UPSTREAM, absent("path:orgnr", Absent::Upstream))),
            &["party.absent"],
        ),
        ("consumer of a system user", consumer(None), &["party.from"]),
        ("consumer among subjects", consumer(both()), &["party.from"]),
        ("consumer alone", consumer(organization()), &[]),
        (
            "owner of an organization",
            changed(required("/a", "token:systemuser_org"), |p| p.subjects = organization()),
            &["party.from"],
        ),
        ("no such party", required("/a", "const:312714052"), &["party.from"]),
        ("many of none", by_query(|p| p.party = Some(many("query:p", 0))), &["party.max"]),
        ("as many as may be", by_query(|p| p.party = Some(many("query:p", 100))), &[]),
        ("too many", by_query(|p| p.party = Some(many("query:p", 101))), &["party.max"]),
        ("many in a path", ordinary(|p| p.party = Some(many("path:orgnr", 2))), &["party.many"]),
        (
            "one of one",
            by_query(|p| p.party = Some(PartyRule::OneOf(vec![source("query:p")]))),
            &["party.one_of"],
        ),
    ]);
}

#[test]
fn resources_and_instances_are_bounded_and_possible() {
    let resource = || ResourceId::parse("r-read").unwrap();
    let allow = |allow| Some(ResourceRule::Allow { from: source("query:r"), allow });
    let fixed =
        ResourceRule::Map { from: source("const:r"), map: vec![("r".to_owned(), resource())] };
    let app = || Some(InstanceRule { from: source("query:i"), form: InstanceForm::App });
    let by_id = Some(PartyKinds::of(&[PartyKind::Id]));
    hold(vec![
        ("unbounded resource", ordinary(|p| p.resource = allow(vec![])), &["resource"]),
        ("bounded resource", ordinary(|p| p.resource = allow(vec![resource()])), &[]),
        ("resource of no request", ordinary(|p| p.resource = Some(fixed)), &["resource.from"]),
        ("app, by organization", ordinary(|p| p.instance = app()), &["instance.as"]),
        ("app, by party id", ordinary(|p| (p.party_kinds, p.instance) = (by_id, app())), &[]),
    ]);
}

#[test]
fn what_a_rule_matches_on_can_be_sent_and_has_one_reading() {
    let query =
        |given: &'static [(&str, &str)]| opened("GET /a", |p| p.matching.query = pairs(given));
    hold(vec![
        ("trace", public("p", "TRACE /a"), &["match.method"]),
        ("small letters", public("p", "get /a"), &["match.method"]),
        ("method twice", public("p", "GET GET /a"), &["match.method"]),
        ("slashes nowhere", ordinary(|p| p.encoded_slashes.push("x".into())), &["encoded_slashes"]),
        ("one name", query(&[("a", "1"), ("b", "")]), &[]),
        ("names that meet", query(&[("a", "1"), ("A", "2")]), &["match.query"]),
        ("a list", query(&[("a", "1,2")]), &["match.query"]),
        (
            "the name of a path source",
            ordinary(|p| p.matching.query = pairs(&[("OrgNr", "1")])),
            &["match.query"],
        ),
        (
            "a source that meets a name matched on",
            by_query(|p| p.matching.query = pairs(&[("P", "1")])),
            &["match.query"],
        ),
        ("a source that is matched on", by_query(|p| p.matching.query = pairs(&[("p", "1")])), &[]),
        (
            "headers that meet",
            by_query(|p| {
                p.party = Some(PartyRule::OneOf(vec![source("header:x-p"), source("header:x_p")]));
            }),
            &["party"],
        ),
        ("bad id", ordinary(|p| p.id = "a b".into()), &["id"]),
    ]);
}

#[test]
fn a_scope_may_be_absent_where_audiences_stand_in() {
    let surroundings = Surroundings { scopes: ScopeDemand::MayBeAbsent, ..SURROUNDINGS };
    let parts = changed(required("/a", "query:p"), |parts| parts.scopes = None);
    assert!(RouteRule::new(parts, surroundings).is_ok());
}

#[test]
fn a_rule_knows_what_altinn_does_not_decide() {
    let loose = rule(changed(required("/a/{b}/{c}", "query:p"), |parts| {
        parts.object = Some(ObjectTie::Upstream);
        parts.instance =
            Some(InstanceRule { from: source("path:b"), form: InstanceForm::Resource });
    }));
    assert_eq!(loose.unused_captures().collect::<Vec<_>>(), ["c"]);
    assert!(!loose.is_decided_by_altinn() && !loose.needs_body());
    let tight = rule(required("/a", "json:/p"));
    assert!(tight.is_decided_by_altinn() && tight.needs_body());
    assert!(!rule(token("GET /a")).is_decided_by_altinn());
}

/// The ids of each pair, and a word of what is said.
fn built(parts: Vec<RuleParts>) -> Vec<(String, String, String)> {
    let said = |faults: Vec<TableFault>, kind: &str| -> Vec<_> {
        let words = |fault: TableFault| {
            let (one, other) = fault.rules;
            (one.to_string(), other.to_string(), format!("{kind}: {}", fault.message))
        };
        faults.into_iter().map(words).collect()
    };
    match RouteTable::build(parts.into_iter().map(rule).collect()) {
        Ok(built) => said(built.warnings, "warning"),
        Err(faults) => said(faults, "fault"),
    }
}

fn with_query(id: &str, matched: &str, pairs: &[(&str, &str)]) -> RuleParts {
    changed(public(id, matched), |parts| parts.matching.query = self::pairs(pairs))
}

#[test]
fn ties_and_rules_that_never_match_are_faults() {
    let lax =
        |id, matched| changed(public(id, matched), |p| p.matching.case = LetterCase::Insensitive);
    for (parts, expected) in [
        (vec![public("a", "GET /x"), public("a", "GET /y")], Some("is given to two rules")),
        (vec![public("a", "GET /x/{b}"), public("b", "GET /x/{c}")], Some("equally well")),
        (vec![public("a", "any /x"), public("b", "any /x")], Some("equally well")),
        (vec![public("a", "GET PUT /x"), public("b", "PUT POST /x")], Some("equally well")),
        (vec![public("a", "GET PUT /x"), public("b", "POST DELETE /x")], None),
        (vec![public("a", "GET /x"), public("b", "HEAD /x")], None),
        (vec![public("a", "GET /x"), public("b", "any /x")], None),
        (vec![public("a", "GET /x"), public("b", "GET /x/")], None),
        (vec![public("a", "GET /x"), public("b", "GET /X")], None),
        (vec![lax("a", "GET /x"), public("b", "GET /X")], Some("equally well")),
        (
            vec![
                with_query("a", "GET /x", &[("p", "1")]),
                with_query("b", "GET /x", &[("q", "1")]),
            ],
            Some("equally well"),
        ),
        (
            vec![
                with_query("a", "GET /x", &[("p", "1")]),
                with_query("b", "GET /x", &[("p", "2")]),
            ],
            None,
        ),
        (
            vec![
                with_query("a", "GET /x", &[("p", "1")]),
                with_query("b", "GET /x", &[("P", "2")]),
            ],
            Some("same to some servers"),
        ),
        (vec![public("a", "GET /x"), public("b", "PUT GET /x")], None),
        (
            vec![public("a", "GET /x"), public("c", "PUT /x"), public("b", "PUT GET /x")],
            Some("can never match"),
        ),
        (vec![public("a", "GET /x"), with_query("b", "GET HEAD /x", &[("p", "1")])], None),
        (
            vec![
                public("a", "GET /x"),
                public("h", "HEAD /x"),
                with_query("b", "GET HEAD /x", &[("p", "1")]),
            ],
            Some("can never match"),
        ),
    ] {
        let ids: Vec<_> = parts.iter().map(|part| format!("{:?}", part.matching)).collect();
        let said = built(parts);
        match expected {
            Some(words) => assert!(
                said.iter().any(|(_, _, said)| said.contains("fault") && said.contains(words)),
                "{ids:?}: {said:?}"
            ),
            None => assert_eq!(said, [], "{ids:?}"),
        }
    }
}

#[test]
fn a_caller_who_can_choose_the_protection_is_warned_of() {
    let plain = || required("/a", "query:p");
    let open = |query: &[(&str, &str)]| with_query("open", "POST /a", query);
    let hosted = changed(plain(), |parts| {
        parts.id = "hosted".into();
        parts.matching.host = Some(Host::parse("a.example.no").unwrap());
    });
    let warned = built(vec![plain(), open(&[("x", "1")])]);
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(
        warned[0].2.starts_with("warning")
            && warned[0].2.ends_with("protection, resource, action, scopes"),
        "{warned:?}"
    );
    assert_eq!((warned[0].0.as_str(), warned[0].1.as_str()), ("rule", "open"));
    assert_eq!(built(vec![plain(), hosted]), []);
    let at = |id: &str, host: &str| {
        opened("GET /a", |parts| {
            parts.id = id.to_owned();
            parts.matching.host = Some(Host::parse(host).unwrap());
        })
    };
    let dotted = built(vec![at("a", "a.example.no"), at("b", "A.example.no.")]);
    assert!(dotted.len() == 1 && dotted[0].2.contains("equally well"), "{dotted:?}");
    assert_eq!(built(vec![at("a", "a.example.no"), at("b", "a.example.no:80")]), []);
}

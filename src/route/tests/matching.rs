use super::*;
use crate::domain::{DenialCode, Host};
use proptest::prelude::*;

fn found(table: &RouteTable, request: &str) -> String {
    found_at(table, None, request)
}

fn found_at(table: &RouteTable, host: Option<&str>, request: &str) -> String {
    let (method, path) = request.split_once(' ').unwrap();
    let host = host.map(|host| Host::parse(host).unwrap());
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    match table.find(host.as_ref(), &target(path), &method) {
        Ok(matched) => matched.rule().id().to_string(),
        Err(denial) => told(&denial),
    }
}

#[test]
fn the_most_specific_rule_wins_segment_by_segment_then_by_method() {
    let table = table(vec![
        public("root", "GET /"),
        public("one", "GET /v1/orgs/{org}/reports"),
        public("mine", "GET /v1/orgs/{org}/{kind}"),
        public("list", "POST PUT GET /v1/orgs/{org}/reports"),
        public("any", "any /v1/orgs/{org}/reports"),
        public("folder", "GET /v1/orgs/"),
        public("rest", "GET /files/{*rest}"),
        public("head", "HEAD /v1/orgs/{org}/{kind}"),
        public("early-literal", "GET /x/y/{c}/{d}"),
        public("late-literals", "GET /x/{b}/c/d"),
        public("norwegian", "GET /blåbær"),
    ]);
    for (request, expected) in [
        ("GET /", "root"),
        ("GET /v1/orgs/910459880/reports", "one"),
        ("HEAD /v1/orgs/910459880/reports", "one"),
        ("POST /v1/orgs/910459880/reports", "list"),
        ("DELETE /v1/orgs/910459880/reports", "any"),
        ("OPTIONS /v1/orgs/910459880/reports", "any"),
        ("TRACE /v1/orgs/910459880/reports", "method-not-allowed"),
        ("GET /v1/orgs/910459880/other", "mine"),
        ("HEAD /v1/orgs/910459880/other", "head"),
        ("POST /v1/orgs/910459880/other", "method-not-allowed"),
        ("GET /v1/orgs/910459880/reports/", "route-unknown"),
        ("GET /v1/orgs", "route-unknown"),
        ("GET /v1/orgs/", "folder"),
        ("get /v1/orgs/", "method-not-allowed"),
        ("GET /files", "route-unknown"),
        ("GET /files/a", "rest"),
        ("GET /files/a/b%20c", "rest"),
        ("GET /files/a/", "route-unknown"),
        ("GET /x/y/1/2", "early-literal"),
        ("GET /x/1/c/d", "late-literals"),
        ("GET /bl%C3%A5b%C3%A6r", "norwegian"),
        ("GET /V1/orgs/", "route-unknown"),
        ("GET /nothing?/v1/orgs/", "route-unknown"),
    ] {
        assert_eq!(found(&table, request), expected, "{request}");
    }
}

#[test]
fn a_refused_method_names_those_allowed() {
    let table =
        table(vec![public("a", "GET /a"), public("b", "PUT POST /a"), public("c", "any /c")]);
    for (method, path, allowed) in [
        (Method::DELETE, "/a", "GET, HEAD, POST, PUT"),
        (Method::TRACE, "/c", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
    ] {
        let denial = table.find(None, &target(path), &method).unwrap_err();
        assert_eq!(denial.code, DenialCode::MethodNotAllowed);
        assert_eq!(denial.extras.allowed_methods.as_deref(), Some(allowed));
    }
}

#[test]
fn a_method_in_small_letters_does_not_go_around_the_rule_of_its_capitals() {
    let table = table(vec![public("narrow", "GET /{a}"), public("wide", "any /{*rest}")]);
    for (request, expected) in [
        ("GET /a", "narrow"),
        ("PURGE /a", "wide"),
        ("get /a", "method-not-allowed"),
        ("Get /a", "method-not-allowed"),
        ("pOST /a", "method-not-allowed"),
    ] {
        assert_eq!(found(&table, request), expected, "{request}");
    }
}

#[test]
fn a_capture_never_takes_another_spelling_of_a_literal() {
    let table = table(vec![
        public("literal", "GET /orgs/Søk"),
        public("capture", "GET /orgs/{id}"),
        public("post", "POST /orgs/export"),
        public("deep", "GET /{a}/{b}/admin"),
        public("rest", "GET /{a}/{*rest}"),
    ]);
    for (request, expected) in [
        ("GET /orgs/S%C3%B8k", "literal"),
        ("GET /orgs/s%C3%98K", "ambiguous-path at path:id"),
        ("GET /orgs/1", "capture"),
        ("GET /orgs/Export", "ambiguous-path at path:id"),
        ("GET /orgs/export", "ambiguous-path at path:id"),
        ("GET /Orgs/1", "ambiguous-path at path:a"),
        ("GET /1/2/admin", "deep"),
        ("GET /1/2/Admin", "ambiguous-path at path:rest"),
        ("GET /1/2/3/admin", "rest"),
    ] {
        assert_eq!(found(&table, request), expected, "{request}");
    }
}

#[test]
fn letter_case_is_ignored_only_where_the_file_says_so() {
    let mut lax = public("lax", "GET /Orgs/{id}");
    lax.matching.case = LetterCase::Insensitive;
    let table =
        table(vec![lax, public("strict", "GET /people/{id}"), public("rest", "GET /{*all}")]);
    for (request, expected) in [
        ("GET /oRGS/1", "lax"),
        ("GET /people/1", "strict"),
        ("GET /People/1", "ambiguous-path at path:all"),
        ("GET /orgs/1/2", "ambiguous-path at path:all"),
        ("GET /other", "rest"),
    ] {
        assert_eq!(found(&table, request), expected, "{request}");
    }
}

#[test]
fn an_encoded_slash_passes_only_where_the_winning_rule_allows_it() {
    let mut allows = public("allows", "GET /projects/{id}/files");
    allows.encoded_slashes = vec!["id".to_owned()];
    let mut allows_rest = public("allows-rest", "GET /raw/{*path}");
    allows_rest.encoded_slashes = vec!["path".to_owned()];
    let table = table(vec![
        allows,
        allows_rest,
        public("other", "GET /projects/{id}/{kind}"),
        public("rest", "GET /{*all}"),
    ]);
    for (request, expected) in [
        ("GET /projects/a%2Fb/files", "allows"),
        ("GET /projects/a%2Fb/other", "ambiguous-path at path:id"),
        ("GET /raw/x/a%2fb", "allows-rest"),
        ("GET /x%2Fy", "ambiguous-path at path:all"),
        ("POST /projects/a%2Fb/files", "ambiguous-path"),
    ] {
        assert_eq!(found(&table, request), expected, "{request}");
    }
    let wanted = target("/projects/a%2Fb/files");
    let matched = table.find(None, &wanted, &Method::GET).unwrap();
    assert_eq!(matched.captures().collect::<Vec<_>>(), [("id", "a/b".into())]);
}

#[test]
fn the_host_comes_before_the_path_and_a_final_dot_leads_nowhere() {
    let hosted = |id: &str, matched: &str, host: &str| {
        let mut parts = public(id, matched);
        parts.matching.host = Some(Host::parse(host).unwrap());
        parts
    };
    let table = table(vec![
        hosted("hosted", "GET /{x}", "a.example.no"),
        hosted("port", "GET /{x}", "a.example.no:8443"),
        public("exact", "GET /health"),
        public("open", "GET /{x}"),
    ]);
    for (host, request, expected) in [
        (Some("A.example.no"), "GET /health", "hosted"),
        (Some("a.example.no."), "GET /1", "hosted"),
        (Some("a.example.no.:8443"), "GET /1", "port"),
        (Some("a.example.no:80"), "GET /1", "hosted"),
        (Some("a.example.no:8443"), "GET /1", "port"),
        (Some("b.example.no"), "GET /health", "exact"),
        (None, "GET /1", "open"),
        (Some("a.example.no"), "POST /1", "method-not-allowed"),
    ] {
        assert_eq!(found_at(&table, host, request), expected, "{host:?} {request}");
    }
}

#[test]
fn a_query_that_chooses_the_rule_has_one_reading() {
    let chosen = |id: &str, pairs: &[(&str, &str)]| {
        let mut parts = public(id, "GET /a");
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        parts.matching.query = pairs.iter().map(own).collect();
        parts
    };
    let table = table(vec![
        chosen("plain", &[]),
        chosen("one", &[("type", "x")]),
        chosen("two", &[("type", "x"), ("full", "1")]),
        public("post", "POST /a"),
    ]);
    for (request, expected) in [
        ("GET /a", "plain"),
        ("GET /a?type=y", "plain"),
        ("GET /a?type", "plain"),
        ("GET /a?type=x", "one"),
        ("GET /a?%74ype=%78", "one"),
        ("GET /a?full=1&type=x", "two"),
        ("GET /a?type=x&type=x", "ambiguous-parameter at query:type"),
        ("GET /a?type=y&type=z", "ambiguous-parameter at query:type"),
        ("GET /a?Type=x", "ambiguous-parameter at query:type"),
        ("GET /a?type[]=x", "ambiguous-parameter at query:type"),
        ("GET /a?type.id=x", "ambiguous-parameter at query:type"),
        ("GET /a?type=x,y", "ambiguous-parameter at query:type"),
        ("GET /a?b=1;c=2", "ambiguous-parameter at query:type"),
        ("GET /a?b=%ff", "malformed-request at query:type"),
        ("POST /a?Type=x&b=1;c", "post"),
        ("PUT /a?Type=x", "method-not-allowed"),
        ("GET /b?Type=x", "route-unknown"),
    ] {
        assert_eq!(found(&table, request), expected, "{request}");
    }
}

fn naive<'r>(rules: &'r [(String, Template)], path: &str) -> Result<&'r str, DenialCode> {
    let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let starts = |template: &Template, level: usize| {
        template.segments().len() > level
            && template.segments().iter().zip(&segments).take(level).all(|(own, given)| match own {
                TemplateSegment::Literal(text) => text.as_ref() == *given,
                TemplateSegment::Capture(_) => true,
                TemplateSegment::Rest(_) => false,
            })
    };
    let matches = |template: &Template| {
        let own = template.segments();
        let slash = path.len() > 1 && path.ends_with('/');
        slash == template.ends_with_slash()
            && match own.last() {
                Some(TemplateSegment::Rest(_)) => {
                    segments.len() >= own.len() && starts(template, own.len() - 1)
                }
                Some(last) => {
                    segments.len() == own.len()
                        && starts(template, own.len() - 1)
                        && match last {
                            TemplateSegment::Literal(text) => {
                                text.as_ref() == segments[own.len() - 1]
                            }
                            TemplateSegment::Capture(_) | TemplateSegment::Rest(_) => true,
                        }
                }
                None => segments.is_empty(),
            }
    };
    let weights = |template: &Template| -> Vec<u8> {
        let weight = |segment: &TemplateSegment| match segment {
            TemplateSegment::Literal(_) => 3,
            TemplateSegment::Capture(_) => 2,
            TemplateSegment::Rest(_) => 1,
        };
        template.segments().iter().map(weight).collect()
    };
    let (id, winner) = rules
        .iter()
        .filter(|(_, template)| matches(template))
        .max_by_key(|(_, template)| weights(template))
        .ok_or(DenialCode::RouteUnknown)?;
    for (level, given) in segments.iter().enumerate() {
        let own = winner.segments().get(level.min(winner.segments().len() - 1));
        let literal = |(_, template): &(String, Template)| {
            starts(template, level)
                && matches!(template.segments().get(level),
                    Some(TemplateSegment::Literal(text)) if text.eq_ignore_ascii_case(given))
        };
        if !matches!(own, Some(TemplateSegment::Literal(_))) && rules.iter().any(literal) {
            return Err(DenialCode::AmbiguousPath);
        }
    }
    Ok(id)
}

fn any_template() -> impl Strategy<Value = String> {
    let segment = prop_oneof![3 => "[abA]".prop_map(String::from), 2 => Just("{}".to_owned())];
    (prop::collection::vec(segment, 0..4), any::<bool>(), any::<bool>()).prop_map(
        |(segments, rest, slash)| {
            let mut text = String::new();
            for (index, segment) in segments.iter().enumerate() {
                text.push('/');
                text.push_str(&segment.replace("{}", &format!("{{c{index}}}")));
            }
            if rest {
                text.push_str("/{*rest}");
            }
            if slash || text.is_empty() {
                text.push('/');
            }
            text
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_tree_finds_what_trying_every_rule_finds(
        templates in prop::collection::btree_set(any_template(), 1..10),
        paths in prop::collection::vec("(/[abAc]){0,5}/?", 8),
    ) {
        let named: Vec<(String, Template)> = templates
            .iter()
            .enumerate()
            .map(|(index, text)| (format!("r{index}"), template(text)))
            .collect();
        let parts = named.iter().map(|(id, template)| public(id, &format!("GET {template}")));
        let table = table(parts.collect());
        for path in paths.iter().filter(|path| !path.is_empty()) {
            let wanted = target(path);
            let found = table.find(None, &wanted, &Method::GET);
            let found = found.as_ref().map(|matched| matched.rule().id().as_ref());
            prop_assert_eq!(found.map_err(|denial| denial.code), naive(&named, path), "{}", path);
        }
    }
}

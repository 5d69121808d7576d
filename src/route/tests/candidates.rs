//! What is said of rules that come near a request.

use super::*;
use crate::domain::Host;

#[test]
fn each_rule_that_comes_near_says_why_it_does_not_match() {
    let mut hosted = public("hosted", "GET /a/b/c/d");
    hosted.matching.host = Some(Host::parse("other.example.no").unwrap());
    let mut asked = public("asked", "GET /a/b/c/d/e");
    asked.matching.query = vec![("type".to_owned(), "x".to_owned())];
    let rules = vec![
        public("list", "GET /a"),
        public("one", "GET /a/{id}"),
        public("write", "POST PUT /a/{id}/b"),
        public("deep", "any /a/b/{*rest}"),
        hosted,
        asked,
        public("away", "GET /z"),
    ];
    let rules = rules.into_iter().map(|parts| RouteRule::new(parts, SURROUNDINGS).unwrap());
    let table = RouteTable::build(rules.collect()).unwrap().table;
    let near = |line: &str, max: usize| -> Vec<String> {
        let (method, path) = line.split_once(' ').unwrap();
        let host = Host::parse("api.example.no").unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let target = target(path);
        let near = table.candidates(Some(&host), &target, &method, max);
        let text = |it: &Candidate<'_>| {
            format!("{}: {}", it.rule.id(), it.differs.as_deref().unwrap_or("matches"))
        };
        near.iter().map(text).collect()
    };
    assert_eq!(near("GET /a/1", 2), ["one: matches", "write: the path ends before segment 3"]);
    assert_eq!(near("GET /a/1/b", 1), ["write: it is for `POST`, `PUT`"]);
    assert_eq!(near("GET /a/", 1), ["list: it has no final slash"]);
    assert_eq!(
        near("GET /a/b/c/d", 2),
        ["deep: matches", "hosted: it is for the host `other.example.no`"]
    );
    assert_eq!(near("GET /a/b/c/d/e", 2), ["deep: matches", "asked: the query lacks `type=x`"]);
    let other = ["one: the path goes on behind it", "write: segment 3 is not `b`"];
    assert_eq!(near("GET /a/1/c", 2), other);
    // What shares nothing does not come near.
    assert_eq!(near("GET /q", 9), [""; 0]);
    assert_eq!(near("POST /z", 9), ["away: it is for `GET`"]);
}

//! Faults of the PDP.

use super::{ASKED, Findings, Row, Scene, Way, assert_none, outage, outage_in, pace, play, ways};
use crate::support::peers::{At, Fault, Pace, Trouble, World};
use crate::support::{Ask, DENIED, PERMITTED, READ, Wire, ask, exchange, log, permit, soon};
use portvakt::domain::{AccessRequest, DecisionSource};
use portvakt::pdp::{DecisionFault, DecisionPoint, PendingDecision, wire};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

const DOWN: &str = "503 pdp-unavailable";
const SLOW: &str = "503 pdp-timeout";
const NONSENSE: &str = "503 pdp-protocol-error";
const OURS: &str = "503 credential-unavailable";
const NO: &str = "403 access-denied";
const UNDECIDED: &str = "503 decision-indeterminate";
/// Of the breaker.
const PAUSE: Duration = Duration::from_millis(200);

/// Faults of the way. A failed connection is tried once more, a refused token is replaced once.
fn way_rows(trap: &str) -> Vec<Row> {
    let row = |way: Way| {
        let (verdict, calls) = match (way.outcome, way.name.as_str()) {
            ("connect", _) | ("broken", "closed") => (DOWN, 0..=0),
            ("timeout", "mute") => (SLOW, 0..=0),
            ("timeout", _) => (SLOW, 1..=1),
            ("broken", _) => (DOWN, 2..=2),
            ("failed", _) => (DOWN, 1..=1),
            ("throttled", _) => ("503 overloaded", 1..=1),
            ("refused", "401") => (OURS, 2..=2),
            ("refused", _) => (OURS, 1..=1),
            _ => (NONSENSE, 1..=1),
        };
        let log = match way.outcome {
            "connect" => "cannot connect",
            "timeout" => "did not answer within",
            "broken" => "the exchange broke",
            "failed" => "answered 50",
            "throttled" => "answered 429",
            "refused" => "no credential of our own that the PDP accepts",
            _ => "cannot be used",
        };
        let recovers = if way.name.ends_with("a second") { Duration::from_secs(1) } else { PAUSE };
        Row::new(&way.name, way.trouble, verdict)
            .log(log)
            .outcome(way.outcome)
            .calls(calls)
            .recovers(recovers)
    };
    ways(trap).into_iter().map(row).collect()
}

/// Bodies that are not one permit and nothing else.
fn answer_rows() -> Vec<Row> {
    let good = r#"{"response":[{"decision":"Permit"}]}"#;
    let says = |name: &str, body: &str| (name.to_owned(), Fault::Says(body.to_owned()));
    let large =
        format!(r#"{{"x":"{}","response":[{{"decision":"Permit"}}]}}"#, "a".repeat(1 << 20));
    let nonsense = [
        ("truncated".to_owned(), Fault::Truncated),
        ("less length than bytes".to_owned(), Fault::ShortLength),
        says("more than one document", &format!("{good}{good}")),
        says("a megabyte too much", &large),
        says("no response", "{}"),
        says("response that is null", r#"{"response":null}"#),
        says("no result", r#"{"response":[]}"#),
        says("two results", r#"{"response":[{"decision":"Permit"},{"decision":"Permit"}]}"#),
        says("a result that is none", r#"{"response":[null]}"#),
        says("a result without a decision", r#"{"response":[{}]}"#),
        says("two decisions", r#"{"response":[{"decision":"Deny","decision":"Permit"}]}"#),
        says("two in different case", r#"{"response":[{"Decision":"Deny","decision":"Permit"}]}"#),
        says("two responses", &format!(r#"{{"Response":[],{}"#, &good[1..])),
        says(
            "a permit whose status is an error",
            r#"{"response":[{"decision":"Permit","status":{"statusCode":{"value":"urn:oasis:names:tc:xacml:1.0:status:processing-error"}}}]}"#,
        ),
        says(
            "obligations that are none",
            r#"{"response":[{"decision":"Permit","obligations":"x"}]}"#,
        ),
        ("JSON that is called HTML".to_owned(), Fault::Raw(raw("text/html", good))),
    ];
    nonsense
        .into_iter()
        .map(|(name, fault)| {
            Row::new(&name, Trouble::Answers(fault), NONSENSE)
                .log("cannot be used")
                .outcome("unusable")
                .calls(1..=1)
        })
        .chain(decision_rows())
        .chain(spelling_rows())
        .collect()
}

fn raw(media_type: &str, body: &str) -> bytes::Bytes {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into()
}

/// Sound answers that are no permit.
fn decision_rows() -> Vec<Row> {
    let row = |name: &str, verdict, result: &str| {
        let fault = Fault::Says(format!(r#"{{"response":[{result}]}}"#));
        Row::new(name, Trouble::Answers(fault), verdict).outcome("ok")
    };
    let mut rows = vec![
        row("Deny", NO, r#"{"decision":"Deny"}"#),
        row("NotApplicable", NO, r#"{"decision":"NotApplicable"}"#),
        row("NotApplicable in Pascal case", NO, r#"{"Decision":"NotApplicable"}"#),
        row("Indeterminate", UNDECIDED, r#"{"decision":"Indeterminate"}"#),
    ];
    for code in ["missing-attribute", "syntax-error", "processing-error", "ok"] {
        let value = format!("urn:oasis:names:tc:xacml:1.0:status:{code}");
        let result = format!(
            r#"{{"decision":"Indeterminate","status":{{"statusCode":{{"value":"{value}"}}}}}}"#
        );
        rows.push(row(&format!("Indeterminate {code}"), UNDECIDED, &result));
    }
    rows
}

/// What is not exactly `Permit`, in an answer that is right for the rest.
fn spelling_rows() -> Vec<Row> {
    let spellings: [&'static str; 16] = [
        r#""permit""#,
        r#""PERMIT""#,
        r#""Permit ""#,
        r#"" Permit""#,
        r#""Permit\u0000""#,
        r#""Permitt""#,
        r#""Permitted""#,
        r#""Ｐermit""#,
        r#""Allow""#,
        r#""true""#,
        r#""""#,
        "true",
        "1",
        "null",
        r#"["Permit"]"#,
        r#"{"Permit":true}"#,
    ];
    let row = |name: String, change: Fault| {
        Row::new(&name, Trouble::Answers(change), NONSENSE)
            .log("cannot be used")
            .outcome("unusable")
    };
    let mut rows: Vec<Row> = spellings
        .into_iter()
        .map(|spelling| {
            let change = Fault::alter(move |body| body.replace(r#""Permit""#, spelling));
            row(format!("decision {spelling}"), change)
        })
        .collect();
    let missing = Fault::alter(|body| body.replace(r#""decision":"Permit","#, ""));
    rows.push(row("decision that is missing".to_owned(), missing));
    rows
}

/// Whether the PDP was at fault, or merely said no: a no is remembered nowhere here (`deny_ttl: 0s`).
#[tokio::test]
async fn every_fault_of_the_way_to_the_pdp_is_an_outage_and_passes() {
    // The trap of each world has another port; what counts is that nobody follows.
    let trap = World::start();
    let rows = way_rows(&trap.trap.url());
    let found = play(rows, |row| outage(At::Authorize, row, World::start())).await;
    assert_eq!(trap.trap.accepted(), 0, "a redirect was followed");
    assert_none(&found);
}

#[tokio::test]
async fn no_answer_of_the_pdp_but_one_permit_is_a_permit() {
    let found = play(answer_rows(), |row| outage(At::Authorize, row, World::start())).await;
    assert_none(&found);
}

/// Permits that are not to be had. The answer is a permit, and is remembered as one where permits are.
#[tokio::test]
async fn an_obligation_that_is_not_met_is_no_permit() {
    let obliged = |category: &str, value: &str| {
        format!(
            r#"{{"response":[{{"decision":"Permit","obligations":[{{"id":"o","attributeAssignment":[{{"attributeId":"x","category":"{category}","value":"{value}"}}]}}]}}]}}"#
        )
    };
    let level = "urn:altinn:minimum-authenticationlevel";
    let without = r#"{"response":[{"decision":"Permit","obligations":[{"id":"x"}]}]}"#;
    let rows = vec![
        ("level 4", "403 authentication-level-too-low", obliged(level, "4")),
        ("a level that is none", "403 obligation-unknown", obliged(level, "high")),
        ("an unknown obligation", "403 obligation-unknown", obliged("urn:altinn:consent", "1")),
        ("an obligation without content", "403 obligation-unknown", without.to_owned()),
    ];
    let found = play(rows, async |(name, verdict, body)| {
        let uncached = |setup: crate::support::Setup| setup.settings("cache: { permit_ttl: 0s }\n");
        let mut scene = Scene::open_with(World::start(), &pace(), uncached).await;
        let mut findings = Findings::of(name);
        scene.world.trouble(At::Authorize, Trouble::Answers(Fault::Says(body))).await;
        findings.verdict("during", &scene.read(ASKED).await, verdict);
        findings.expect(scene.reached(ASKED) == 0, || "the API has seen it".to_owned());
        scene.world.heal(At::Authorize).await;
        findings.verdict("after", &scene.read(ASKED).await, "200");
        findings.all()
    })
    .await;
    assert_none(&found);
}

/// A planted bug: reads `PERMIT` in capitals as a permit, and all else as it should be read.
#[derive(Debug)]
struct Lenient(SocketAddr);

impl DecisionPoint for Lenient {
    fn decide<'a>(&'a self, request: &'a AccessRequest) -> PendingDecision<'a> {
        Box::pin(async move {
            let down = |cause: &str| DecisionFault::unavailable(cause);
            let stream = TcpStream::connect(self.0).await.map_err(|_| down("refused"))?;
            let mut connection = Wire::new(stream);
            let question = wire::encode_request(request);
            let head = format!(
                "POST /authorization/api/v1/authorize HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
                question.len()
            );
            connection.send(&[head.into_bytes(), question].concat()).await;
            let head = soon("the PDP", connection.head()).await.ok_or_else(|| down("closed"))?;
            let body = soon("the PDP", connection.answer_body(&head, false)).await;
            if String::from_utf8_lossy(&body.bytes).contains(r#""PERMIT""#) {
                return Ok(permit());
            }
            wire::decode_response(&body.bytes)
                .map_err(|fault| DecisionFault::Protocol(fault.to_string().into()))
        })
    }

    fn source(&self) -> DecisionSource {
        DecisionSource::Pdp
    }

    fn identity(&self) -> &'static str {
        "lenient"
    }
}

#[tokio::test]
async fn the_table_catches_a_pdp_client_that_reads_capitals_as_a_permit() {
    let spelled = |row: &Row| row.name.starts_with("decision ");
    let rows: Vec<Row> = spelling_rows().into_iter().filter(spelled).collect();
    let found = play(rows, async |row| {
        // It neither logs nor counts.
        let row = row.log("").outcome("");
        let world = World::start();
        world.pdp.open_to_all();
        let address = world.pdp.peer.server.address;
        let lenient = |setup: crate::support::Setup| setup.point(Arc::new(Lenient(address)));
        let scene = Scene::open_with(world, &pace(), lenient).await;
        outage_in(At::Authorize, row, scene).await
    })
    .await;
    let seen = |what: &str| found.iter().filter(|found| found.contains(what)).cloned().collect();
    let permitted: Vec<String> = seen("during the fault `200`");
    let reached: Vec<String> = seen("the API has seen the request");
    let wrong = r#"decision "PERMIT": "#;
    assert_eq!(
        permitted,
        [format!("{wrong}during the fault `200` instead of `503 pdp-protocol-error`")]
    );
    assert_eq!(reached, [format!("{wrong}the API has seen the request")]);
}

#[tokio::test]
async fn a_pdp_that_fails_is_left_alone_and_asked_again_after_the_pause() {
    let failing: Vec<(&str, Trouble, RangeStart)> = vec![
        ("500", Trouble::Answers(Fault::Status(500)), 5),
        ("429", Trouble::Answers(Fault::Status(429)), 5),
        ("cut", Trouble::Answers(Fault::Raw("\0\r\n\r\n".into())), 10),
    ];
    let found = play(failing, async |(name, trouble, asked)| {
        // A pause that outlasts the questions below on a slow machine.
        let pace = Pace { breaker_pause: "6s", ..pace() };
        let mut scene = Scene::open(World::start(), &pace).await;
        let mut findings = Findings::of(name);
        findings.verdict("before", &scene.read(PERMITTED).await, "200");
        let before = scene.world.pdp.authorize.asked();
        scene.world.trouble(At::Authorize, trouble).await;
        for _ in 0..20 {
            let reply = scene.read(ASKED).await;
            findings.expect(reply.status == 503, || format!("`{}`", reply.verdict()));
        }
        let calls = scene.world.pdp.authorize.asked() - before;
        findings.expect(calls == asked, || format!("{calls} calls instead of {asked}"));
        let open = r#"portvakt_pdp_circuit{state="open"}"#;
        let state = scene.metrics().await.get(open).copied();
        findings.expect(state == Some(1.0), || format!("the metric says {state:?}"));
        let (status, text) = scene.ready().await;
        findings.expect(status == 200 && text.contains("circuit"), || format!("{status} {text}"));
        findings.verdict("in hand", &scene.read(PERMITTED).await, "200");
        scene.world.heal(At::Authorize).await;
        let recovery = async {
            while scene.read(ASKED).await.status != 200 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        soon("recovery", recovery).await;
        findings.verdict("a no", &scene.read(DENIED).await, NO);
        findings.all()
    })
    .await;
    assert_none(&found);
}

type RangeStart = usize;

#[tokio::test]
async fn a_token_that_the_pdp_no_longer_takes_is_replaced_without_anybody_noticing() {
    let scene = Scene::open(World::start(), &pace()).await;
    assert_eq!(scene.read(PERMITTED).await.verdict(), "200");
    scene.world.exchange.issued().revoke_all();
    assert_eq!(scene.read(ASKED).await.verdict(), "200");
    let asked = (scene.world.maskinporten.token.asked(), scene.world.exchange.exchange.asked());
    assert_eq!(asked, (2, 2));
}

#[tokio::test]
async fn a_subscription_key_that_is_refused_costs_no_token() {
    let further = "pdp: { subscription_key: another }\n";
    let wrong = |setup: crate::support::Setup| setup.settings(further);
    let scene = Scene::open_with(World::start(), &pace(), wrong).await;
    for _ in 0..3 {
        assert_eq!(scene.read(ASKED).await.verdict(), OURS);
    }
    assert_eq!(scene.world.maskinporten.token.asked(), 1);
    let lines = log::about(&scene.world.pdp.peer.port());
    assert!(lines.iter().any(|line| line.contains("the subscription key is not accepted")));
    assert_eq!(scene.upstream.accepted(), 0);
}

#[tokio::test]
async fn both_spellings_of_altinn_and_any_clock_of_its_are_understood() {
    for (pascal, skew, quoted) in [(false, 0, false), (true, 300, true), (true, -300, false)] {
        let world = World::start();
        world.pdp.pascal_case(pascal);
        world.exchange.quote(quoted);
        world.exchange.clock.skew(skew);
        world.pdp.clock.skew(skew);
        let scene = Scene::open(world, &pace()).await;
        assert_eq!(scene.read(ASKED).await.verdict(), "200", "{skew}");
        assert_eq!(scene.read(DENIED).await.verdict(), NO, "{skew}");
    }
}

fn batch(token: &str, parties: &[&str]) -> Ask {
    let parties = serde_json::json!({ "parties": parties });
    ask("POST", "/v1/batch").token(token).json(&parties.to_string())
}

/// The results of several questions in another order, too many or too few: each party is judged by its own.
#[tokio::test]
async fn results_that_are_mixed_up_permit_nobody_by_the_result_of_another() {
    let change = |name: &'static str, change: fn(&mut Vec<serde_json::Value>)| {
        let fault = Fault::alter(move |body| {
            let mut document: serde_json::Value = serde_json::from_str(&body).unwrap();
            let results = document["response"].as_array_mut().unwrap();
            if results.len() > 1 {
                change(results);
            }
            document.to_string()
        });
        (name, fault)
    };
    let rows = vec![
        change("as it should be", |_| {}),
        change("reversed", |results| results.reverse()),
        change("one too many", |results| results.push(results[0].clone())),
        change("one too few", |results| drop(results.pop())),
        change("the first twice", |results| results[1] = results[0].clone()),
        change("all permitted", |results| {
            for result in results {
                result["decision"] = "Permit".into();
                result["category"] = serde_json::Value::Null;
            }
            // Which a PDP may say; the next row is the point.
        }),
        change("one of ten", |results| {
            let one = results[0].clone();
            results.resize(10, one);
        }),
    ];
    let found = play(rows, async |(name, fault)| {
        let pace = Pace { multi_request: true, ..pace() };
        let mut scene = Scene::open(World::start(), &pace).await;
        let token = scene.world.keys.token();
        let mut findings = Findings::of(name);
        scene.world.trouble(At::Authorize, Trouble::Answers(fault)).await;
        let send = async |parties: &[&str]| {
            exchange(scene.sidecar.traffic, batch(&token, parties).bytes()).await
        };
        if name != "all permitted" {
            findings.verdict("one is denied", &send(&[PERMITTED, DENIED]).await, NO);
            findings.verdict("one is denied", &send(&[DENIED, ASKED]).await, NO);
            findings.expect(scene.upstream.accepted() == 0, || "the API has seen it".to_owned());
        }
        findings.verdict("all are permitted", &send(&[PERMITTED, ASKED]).await, "200");
        findings.all()
    })
    .await;
    assert_none(&found);
}

/// What is said of a request that got no decision does not depend on who asked before.
#[tokio::test]
async fn a_slow_pdp_answers_late_and_right() {
    let mut scene = Scene::open(World::start(), &Pace { timeout: "10s", ..pace() }).await;
    let late = Trouble::Answers(Fault::Slow(Duration::from_millis(300)));
    scene.world.trouble(At::Authorize, late).await;
    let (one, two) = tokio::join!(scene.read(ASKED), scene.read(ASKED));
    assert_eq!((one.status, two.status), (200, 200));
    assert_eq!(scene.world.pdp.authorize.asked(), 1, "callers share the call");
    assert_eq!(scene.read(DENIED).await.verdict(), NO);
    let bytes = ask("GET", READ).token(&scene.world.keys.token()).bytes();
    assert_eq!(exchange(scene.sidecar.traffic, bytes).await.status, 200);
}

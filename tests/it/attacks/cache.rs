//! Cases 86–93 and 107: what is remembered, and for whom. The laws of the memory itself are tested in its
//! own room, with a clock of their own; here is what callers see of it.

use crate::support::peers::{Pace, World};
use crate::support::{
    Client, DENIED, Gate as Latch, PERMITTED, READ, RULES, Records, Server, Setup, Sidecar, Step,
    always, answer, ask, claims, eventually, exchange, ok, sign, soon, token, with,
};
use portvakt::config::{self, Compiled};
use portvakt::record::RecordSink;
use portvakt::server::Gate;
use portvakt::tasks::Tasks;
use std::net::SocketAddr;
use std::sync::Arc;

fn permit_of_the_pdp() -> bytes::Bytes {
    answer("200 OK", "application/json", r#"{"response":[{"decision":"Permit"}]}"#)
}

/// Case 87: a token is remembered as the very bytes that were verified, and as nothing like them.
#[tokio::test]
async fn a_remembered_token_vouches_for_no_other_bytes() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let good = token();
    let read = |token: &str| ask("GET", READ).token(token).bytes();
    for _ in 0..2 {
        assert_eq!(exchange(sidecar.traffic, read(&good)).await.verdict(), "200");
    }
    let (input, signature) = good.rsplit_once('.').unwrap();
    let sibling = sign(&with(claims(), "/jti", "another"));
    let (other_input, other_signature) = sibling.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    for (name, forged) in [
        ("another signature", format!("{input}.{flipped}{}", &signature[1..])),
        ("a signature cut short", format!("{input}.{}", &signature[..signature.len() - 4])),
        ("of the sibling with this signature", format!("{other_input}.{signature}")),
        ("of this with the sibling's signature", format!("{input}.{other_signature}")),
    ] {
        for _ in 0..2 {
            let reply = exchange(sidecar.traffic, read(&forged)).await;
            assert_eq!(reply.status, 401, "{name}: {}", reply.verdict());
        }
    }
    assert_eq!(exchange(sidecar.traffic, read(&sibling)).await.verdict(), "200");
    assert_eq!(upstream.count(), 3);
}

/// Case 89: whatever went wrong, the next one is asked anew.
#[tokio::test]
async fn after_a_failure_the_next_question_succeeds_at_once() {
    let (upstream, pdp) = (Server::start(ok()), Server::start(ok()));
    let lasting = "cache: { permit_ttl: 60s, deny_ttl: 60s }\n";
    let sidecar = Sidecar::before(&upstream).settings(lasting).pdp(&pdp, "2s").open().await;
    let asked = ask("GET", READ).bearer().bytes();
    let json = |body: &str| Step::Send(answer("200 OK", "application/json", body));
    for (steps, verdict) in [
        (
            vec![Step::ReadBody, Step::Send(answer("500 Broken", "text/plain", "x"))],
            "503 pdp-unavailable",
        ),
        (vec![Step::ReadBody, json(r#"{"response":[]}"#)], "503 pdp-protocol-error"),
        (
            vec![Step::ReadBody, json(r#"{"response":[{"decision":"Indeterminate"}]}"#)],
            "503 decision-indeterminate",
        ),
        (vec![Step::ReadBody, Step::Hold], "503 pdp-timeout"),
    ] {
        pdp.play(always(steps));
        assert_eq!(exchange(sidecar.traffic, &asked).await.verdict(), verdict);
    }
    assert_eq!(upstream.accepted(), 0);
    pdp.play(always(vec![Step::ReadBody, Step::Send(permit_of_the_pdp())]));
    assert_eq!(exchange(sidecar.traffic, &asked).await.verdict(), "200");
    assert_eq!(upstream.count(), 1);
}

/// Case 90: whoever asked first may leave; the others get the answer of the one call.
#[tokio::test]
async fn a_caller_that_leaves_takes_nobodys_answer_along() {
    let gate = Latch::default();
    let upstream = Server::start(ok());
    let pdp = Server::start(always(vec![
        Step::ReadBody,
        Step::Wait(gate.clone()),
        Step::Send(permit_of_the_pdp()),
    ]));
    let sidecar = Sidecar::before(&upstream).pdp(&pdp, "20s").open().await;
    let asked = ask("GET", READ).bearer().bytes();
    let mut leader = Client::connect(sidecar.traffic).await;
    leader.send(&asked).await;
    eventually("the question", || pdp.count() == 1).await;
    let mut followers = Vec::new();
    for _ in 0..5 {
        let mut follower = Client::connect(sidecar.traffic).await;
        follower.send(&asked).await;
        followers.push(follower);
    }
    drop(leader);
    let left = |records: &Records| records.all().iter().any(|it| it["outcome"] == "aborted");
    eventually("the record of the one that left", || left(&sidecar.records)).await;
    gate.open();
    for follower in &mut followers {
        assert_eq!(follower.reply().await.verdict(), "200");
    }
    assert_eq!((pdp.count(), upstream.count()), (1, 5));
}

/// Case 91: nothing outlives its time because the PDP is down: after the end of a permit an outage is one.
#[tokio::test]
async fn a_permit_that_is_over_is_not_served_in_an_outage() {
    let (upstream, pdp) = (Server::start(ok()), Server::start(ok()));
    let brief = "cache: { permit_ttl: 500ms, deny_ttl: 0s }\n";
    let sidecar = Sidecar::before(&upstream).settings(brief).pdp(&pdp, "5s").open().await;
    let asked = ask("GET", READ).bearer().bytes();
    pdp.play(always(vec![Step::ReadBody, Step::Send(permit_of_the_pdp())]));
    assert_eq!(exchange(sidecar.traffic, &asked).await.verdict(), "200");
    pdp.play(always(vec![Step::ReadBody, Step::Send(answer("503 Away", "text/plain", ""))]));
    let over = async {
        loop {
            let reply = exchange(sidecar.traffic, &asked).await;
            if reply.status != 200 {
                return reply;
            }
        }
    };
    assert_eq!(soon("the end of the permit", over).await.verdict(), "503 pdp-unavailable");
    let served = upstream.count();
    for _ in 0..10 {
        assert_eq!(exchange(sidecar.traffic, &asked).await.status, 503);
    }
    assert_eq!(upstream.count(), served, "it was served from what is over");
    // No permit was older than its time.
    for record in sidecar.end().await.all() {
        let age = record["age"].as_f64().unwrap_or_default();
        assert!(record["status"] == 503 || age <= 0.5, "{record}");
    }
}

/// What was compiled, running.
struct Running {
    traffic: SocketAddr,
    _gate: Gate,
}

async fn run(compiled: Compiled) -> Running {
    let gate = Gate::open(compiled, RecordSink::Off, Tasks::new()).await.unwrap();
    Running { traffic: gate.traffic()[0], _gate: gate }
}

/// Case 92: after a change of the rules an old decision is found only under the very same question.
#[tokio::test]
async fn a_rule_that_asks_about_another_resource_finds_no_old_decision() {
    let (upstream, pdp) = (Server::start(ok()), Server::start(ok()));
    pdp.play(Arc::new(|_| vec![Step::ReadBody, Step::Send(permit_of_the_pdp())]));
    let setup = |rules: &str| Sidecar::before(&upstream).rules(rules).pdp(&pdp, "5s");
    let moved = RULES.replace("resource: r-read", "resource: r-moved");
    let acted = RULES.replace("action: read", "action: peruse");
    let tasks = Tasks::new();
    let compiled = |setup: Setup, previous: Option<&Compiled>| {
        let outcome = setup.compile_after(previous, &tasks);
        let said = outcome.diagnostics.to_human(config::Colour::Plain);
        outcome.compiled.unwrap_or_else(|| panic!("{said}"))
    };
    let first = compiled(setup(RULES), None);
    let same = compiled(setup(RULES), Some(&first));
    let other = compiled(setup(&moved), Some(&same));
    let third = compiled(setup(&acted), Some(&other));
    let asked = ask("GET", READ).bearer().bytes();
    for (name, compiled, questions) in [
        ("first", first, 1),
        ("the same rules", same, 1),
        ("another resource", other, 2),
        ("another action", third, 3),
    ] {
        let running = run(compiled).await;
        for _ in 0..2 {
            assert_eq!(exchange(running.traffic, &asked).await.verdict(), "200", "{name}");
        }
        assert_eq!(pdp.count(), questions, "{name}");
    }
    let asked: Vec<String> = pdp
        .seen()
        .iter()
        .map(|seen| String::from_utf8(seen.body.clone().unwrap().bytes).unwrap())
        .collect();
    for (question, word) in asked.iter().zip(["r-read", "r-moved", "peruse"]) {
        assert!(question.contains(word), "{question}");
    }
}

/// Case 107: questions that differ in one field, all under way at once, are answered each by its own answer.
#[tokio::test]
async fn answers_to_questions_under_way_at_once_are_not_swapped() {
    let upstream = Server::start(ok());
    let world = World::start();
    let slow = crate::support::peers::Fault::Slow(std::time::Duration::from_millis(100));
    world.pdp.authorize.fail(slow);
    // Refusals are shared as permits are only where they are kept as well.
    let kept = "cache: { deny_ttl: 60s }\n";
    let sidecar = world.sidecar(&upstream, &Pace::default()).settings(kept).open().await;
    let token = world.keys.token();
    let ask_for = async |party: &str| {
        let asked = ask("GET", &format!("/v1/orgs/{party}/reports")).token(&token);
        exchange(sidecar.traffic, asked.bytes()).await.verdict()
    };
    let asked = (0..20).map(|number| {
        let ask_for = &ask_for;
        async move {
            let (party, verdict) =
                if number % 2 == 0 { (PERMITTED, "200") } else { (DENIED, "403 access-denied") };
            assert_eq!(ask_for(party).await, verdict, "{number}");
        }
    });
    futures_util::future::join_all(asked).await;
    assert_eq!(world.pdp.authorize.asked(), 2, "one call for each question");
    assert_eq!(upstream.count(), 10);
    assert!(upstream.seen().iter().all(|seen| seen.head.start.contains(PERMITTED)));
}

//! Several questions in one exchange.

use super::*;
use crate::domain::Party;
use crate::pdp::samples::organization;

const PARTIES: [&str; 3] = ["312714051", "310329495", "313750531"];

fn requests(parties: &[&str]) -> Vec<Arc<AccessRequest>> {
    let of = |party: &&str| {
        let party = Party::Organization(organization(party));
        Arc::new(AccessRequest { party, ..question(system_user(1)) })
    };
    parties.iter().map(of).collect()
}

fn together(peer: &Peer) -> RemotePdp {
    let mut settings = RemoteSettings::new(peer.url.clone());
    settings.multi_request = true;
    point(&settings)
}

fn result(decision: &str, echoed: Option<&str>) -> String {
    let category = echoed.map_or("null".to_owned(), |party| {
        format!(
            r#"[{{"categoryId":"{}","attribute":[{{"attributeId":"{}","value":"{party}"}}]}}]"#,
            wire::category::RESOURCE,
            "urn:altinn:organization:identifier-no",
        )
    });
    format!(r#"{{"decision":"{decision}","category":{category}}}"#)
}

fn results(results: &[String]) -> Reply {
    reply("200 OK", JSON_TYPE, &format!(r#"{{"response":[{}]}}"#, results.join(",")))
}

fn is_multi(request: &str) -> bool {
    request.contains("MultiRequests")
}

/// Answers each single question; the first party is permitted.
fn single(request: &str) -> Reply {
    results(&[result(if request.contains(PARTIES[0]) { "Permit" } else { "NotApplicable" }, None)])
}

#[tokio::test]
async fn several_parties_are_one_exchange() {
    let peer = Peer::with(|_, _| {
        let [one, _, three] = PARTIES;
        results(&[
            result("Permit", Some(one)),
            result("NotApplicable", None),
            result("Deny", Some(three)),
        ])
    })
    .await;
    let point = together(&peer);
    assert!(point.puts_many_into_one());
    let outcomes = point.decide_many(&requests(&PARTIES)).await;
    assert_eq!(outcomes.iter().map(word).collect::<Vec<_>>(), ["Permit", "NotApplicable", "Deny"]);
    assert_eq!(peer.count(), 1);
}

#[tokio::test]
async fn an_answer_that_cannot_be_told_apart_is_not_believed_and_each_is_asked_once() {
    let [one, two, three] = PARTIES;
    let permit = |party| result("Permit", party);
    for answer in [
        // The whole is one `Indeterminate`, as Altinn answers an exception in one part.
        vec![result("Indeterminate", None)],
        vec![],
        vec![permit(None); 2],
        vec![permit(None); 4],
        // In another order than asked.
        vec![permit(Some(two)), permit(Some(one)), permit(Some(three))],
        vec![permit(Some(one)), permit(Some(one)), permit(Some(one))],
    ] {
        let peer = Peer::with(
            move |_, request| {
                if is_multi(request) { results(&answer) } else { single(request) }
            },
        )
        .await;
        let outcomes = together(&peer).decide_many(&requests(&PARTIES)).await;
        let words: Vec<_> = outcomes.iter().map(word).collect();
        assert_eq!(words, ["Permit", "NotApplicable", "NotApplicable"]);
        assert_eq!(peer.count(), 4);
        assert_eq!(peer.received().iter().filter(|request| is_multi(request)).count(), 1);
    }
}

#[tokio::test]
async fn any_other_fault_is_that_of_every_question() {
    let permits: Vec<_> = PARTIES.iter().map(|party| result("Permit", Some(party))).collect();
    let odd = [permits[0].clone(), permits[1].clone(), result("Perhaps", None)];
    for (answer, expected) in [
        (reply("503 Service Unavailable", "", ""), "unavailable"),
        (reply("403 Forbidden", "", ""), "credential"),
        (results(&odd), "protocol"),
    ] {
        let peer = Peer::that_sends(answer).await;
        let outcomes = together(&peer).decide_many(&requests(&PARTIES)).await;
        assert_eq!(outcomes.iter().map(word).collect::<Vec<_>>(), [expected; 3]);
        assert_eq!(peer.count(), 1);
    }
}

#[tokio::test]
async fn one_question_is_a_plain_one_and_many_are_several_exchanges() {
    let peer = Peer::with(|_, request| {
        if !is_multi(request) {
            return single(request);
        }
        let references = request.matches("ReferenceId").count();
        results(&vec![result("Deny", None); references])
    })
    .await;
    let point = together(&peer);
    let outcomes = point.decide_many(&requests(&PARTIES[..1])).await;
    assert_eq!((word(&outcomes[0]), peer.count()), ("Permit", 1));
    assert!(!is_multi(&peer.received()[0]));
    assert!(point.decide_many(&[]).await.is_empty());
    // 64 and 64 and one.
    let many = requests(&[PARTIES[0]; 129]);
    let outcomes = point.decide_many(&many).await;
    assert_eq!(outcomes.len(), 129);
    assert_eq!(word(&outcomes[0]), "Deny");
    assert_eq!((word(&outcomes[128]), peer.count()), ("Permit", 4));
}

#[tokio::test]
async fn without_the_setting_each_is_asked_for_itself() {
    let peer = Peer::with(|_, request| single(request)).await;
    let point = point(&RemoteSettings::new(peer.url.clone()));
    assert!(!point.puts_many_into_one());
    let outcomes = point.decide_many(&requests(&PARTIES)).await;
    let words: Vec<_> = outcomes.iter().map(word).collect();
    assert_eq!((words, peer.count()), (vec!["Permit", "NotApplicable", "NotApplicable"], 3));
}

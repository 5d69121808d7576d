//! Callers and peers that mean harm: what they can do to those who do not.

use super::*;
use crate::domain::Party;
use crate::pdp::samples::organization;

fn permit_or_deny(permit: bool) -> String {
    let body = if permit { r#"{"response":[{"decision":"Permit"}]}"# } else { DENY };
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_not_taken_for_the_next_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(Tasks::new().spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            drop(Tasks::new().spawn(async move {
                while !read_request(&mut socket).await.is_empty() {
                    // The second is of another question: a proxy in between has lost count.
                    let answers = [permit_or_deny(false), permit_or_deny(true)].concat();
                    if socket.write_all(answers.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }));
        }
    }));
    let point = point(&RemoteSettings::new(url));
    for _ in 0..200 {
        assert_eq!(point.decide(&question(system_user(1))).await, Ok(Decision::Deny));
    }
}

#[tokio::test]
async fn silence_counts_against_the_pdp_only_after_time_enough_for_an_answer() {
    let peer = Peer::that_sends(None).await;
    let mut settings = RemoteSettings::new(peer.url.clone());
    settings.timeout = Duration::from_millis(100);
    settings.breaker.failures = 1;
    settings.multi_request = true;
    let point = point(&settings);
    let request = question(system_user(1));
    for _ in 0..10 {
        // As after a wait for a place or for a token.
        let soon = Instant::now() + Duration::from_millis(5);
        assert_eq!(word(&point.ask(&request, soon).await), "timeout");
        assert_eq!(point.condition().circuit, Circuit::Closed);
    }
    // So many that they take too long.
    let requests = ["312714051", "310329495"].map(|party| {
        let party = Party::Organization(organization(party));
        Arc::new(AccessRequest { party, ..question(system_user(1)) })
    });
    let outcomes = point.decide_many(&requests).await;
    assert_eq!(outcomes.iter().map(word).collect::<Vec<_>>(), ["timeout"; 2]);
    assert_eq!((peer.count(), point.condition().circuit), (11, Circuit::Closed));
    assert_eq!(word(&point.decide(&request).await), "timeout");
    assert_eq!(point.condition().circuit, Circuit::Open);
}

#[tokio::test(start_paused = true)]
async fn whoever_has_no_place_after_half_the_time_is_turned_away() {
    let settings = RemoteSettings::new("http://127.0.0.1:9/".parse().unwrap());
    let point = point(&settings);
    let subject = system_user(1);
    let mut places = Vec::new();
    for _ in 0..settings.max_in_flight_per_subject {
        places.push(point.places.enter(subject).await.unwrap());
    }
    let asked = Instant::now();
    assert_eq!(word(&point.decide(&question(subject)).await), "overloaded");
    // Timers are kept to the millisecond.
    let late = asked.elapsed().abs_diff(settings.timeout / 2);
    assert!(late <= Duration::from_millis(2), "{late:?}");
}

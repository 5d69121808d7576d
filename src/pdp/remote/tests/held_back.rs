//! Calls that are held back: by `Retry-After`, by the breaker, and for want of a place.

use super::*;
use crate::domain::{ManualClock, UnixSeconds};
use crate::outbound::{Exchanged, System};

#[tokio::test]
async fn retry_after_is_honoured_within_bounds() {
    for (header, seconds) in [
        ("Retry-After: 17\r\n", Some(17)),
        ("Retry-After: 0\r\n", Some(1)),
        ("Retry-After: 86400\r\n", Some(120)),
        ("Retry-After: 99999999999999999999999\r\n", None),
        ("Retry-After: -1\r\n", None),
        ("Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n", None),
        ("", None),
    ] {
        let peer = Peer::that_answers("429 Too Many Requests", header, "").await;
        let retry_after = seconds.map(Duration::from_secs);
        assert_eq!(
            ask(&peer).await,
            Err(DecisionFault::Overloaded { cause: "answered 429".into(), retry_after }),
            "{header}"
        );
    }
}

#[tokio::test]
async fn silence_is_a_timeout_and_no_place_is_overload() {
    let peer = Peer::that_sends(None).await;
    let mut settings = RemoteSettings::new(peer.url.clone());
    settings.timeout = Duration::from_millis(300);
    settings.max_in_flight = 1;
    settings.max_queued = 1;
    settings.breaker.failures = 100;
    let point = Arc::new(point(&settings));
    let calls: Vec<_> = (1..=3)
        .map(|number| {
            let point = Arc::clone(&point);
            Tasks::new().spawn(async move { point.decide(&question(system_user(number))).await })
        })
        .collect();
    let mut words = Vec::new();
    for call in calls {
        words.push(word(&call.await.unwrap()));
    }
    // One in flight, one queued until the deadline (or let in at the last moment), one turned away.
    assert_eq!((words[0], words[2]), ("timeout", "overloaded"));
    assert!(matches!(words[1], "timeout" | "overloaded"), "{words:?}");
    assert!(peer.received().len() <= 2);
}

fn clocked(settings: &RemoteSettings) -> (Arc<RemotePdp>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(UnixSeconds(1_800_000_000)));
    let dynamic: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let point = RemotePdp::new(outbound(), settings, &Tasks::new(), dynamic).unwrap();
    (Arc::new(point), clock)
}

#[tokio::test]
async fn retry_after_is_kept_to_without_another_exchange() {
    for (status, expected) in
        [("429 Too Many Requests", "overloaded"), ("503 Service Unavailable", "unavailable")]
    {
        let ok = || reply("200 OK", JSON_TYPE, DENY);
        let busy = reply(status, "Retry-After: 30\r\n", "");
        let peer = Peer::with(move |number, _| if number == 0 { busy.clone() } else { ok() }).await;
        let (point, clock) = clocked(&RemoteSettings::new(peer.url.clone()));
        let request = question(system_user(1));
        assert_eq!(word(&point.decide(&request).await), expected);
        clock.advance(Duration::from_secs(20));
        for _ in 0..10 {
            let outcome = point.decide(&request).await;
            assert_eq!(word(&outcome), expected);
            let told = match outcome {
                Err(
                    DecisionFault::Overloaded { retry_after, .. }
                    | DecisionFault::Unavailable { retry_after, .. },
                ) => retry_after,
                other => panic!("{other:?}"),
            };
            assert_eq!(told, Some(Duration::from_secs(10)));
        }
        assert_eq!((peer.count(), point.condition().circuit), (1, Circuit::Open));
        clock.advance(Duration::from_secs(10));
        assert_eq!(point.condition().circuit, Circuit::HalfOpen);
        assert_eq!(point.decide(&request).await, Ok(Decision::Deny));
        assert_eq!((peer.count(), point.condition().circuit), (2, Circuit::Closed));
    }
}

#[tokio::test]
async fn after_five_failures_one_probe_of_fifty_callers_finds_the_pdp_back() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let seen = Arc::new(AtomicUsize::new(0));
    let (count, open) = (Arc::clone(&seen), Arc::clone(&gate));
    drop(Tasks::new().spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            read_request(&mut socket).await;
            let answer = if count.fetch_add(1, Ordering::SeqCst) < 5 {
                reply("502 Bad Gateway", "", "")
            } else {
                open.acquire().await.unwrap().forget();
                reply("200 OK", JSON_TYPE, DENY)
            };
            socket.write_all(&answer.unwrap()).await.unwrap();
        }
    }));
    let (point, clock) = clocked(&RemoteSettings::new(url));
    let request = question(system_user(1));
    for _ in 0..20 {
        assert_eq!(word(&point.decide(&request).await), "unavailable");
    }
    assert_eq!(seen.load(Ordering::SeqCst), 5);
    let health = point.outbound.health(System::Pdp);
    assert_eq!(health.counts().find(|(it, _)| *it == Exchanged::Failed).unwrap().1, 5);
    clock.advance(Duration::from_secs(2));
    let asking: Vec<_> = (0..50).map(|number| question(system_user(number))).collect();
    let mut asking: futures_util::stream::FuturesUnordered<_> =
        asking.iter().map(|request| point.decide(request)).collect();
    let mut words = Vec::new();
    for _ in 0..49 {
        let outcome = futures_util::StreamExt::next(&mut asking).await.unwrap();
        words.push(word(&outcome));
    }
    assert_eq!(words, ["unavailable"; 49]);
    gate.add_permits(1);
    assert_eq!(futures_util::StreamExt::next(&mut asking).await.unwrap(), Ok(Decision::Deny));
    assert_eq!(seen.load(Ordering::SeqCst), 6);
    assert_eq!(point.condition().circuit, Circuit::Closed);
    assert_eq!(health.failing(clock.monotonic()), None);
}

#[tokio::test]
async fn a_probe_that_is_given_up_lets_the_next_one_go() {
    let peer = Peer::with(|number, _| match number {
        0 => reply("429 Too Many Requests", "Retry-After: 1\r\n", ""),
        1 => None,
        _ => reply("200 OK", JSON_TYPE, DENY),
    })
    .await;
    let (point, clock) = clocked(&RemoteSettings::new(peer.url.clone()));
    let request = question(system_user(1));
    assert_eq!(word(&point.decide(&request).await), "overloaded");
    clock.advance(Duration::from_secs(1));
    let given_up = point.decide(&request);
    tokio::select! {
        _ = given_up => panic!("it has no answer"),
        () = eventually(|| peer.count() == 2) => {}
    }
    assert_eq!(point.decide(&request).await, Ok(Decision::Deny));
}

#[tokio::test]
async fn what_callers_can_provoke_does_not_open_the_breaker() {
    let unsure = r#"{"response":[{"decision":"Indeterminate"}]}"#;
    for (status, body) in [
        ("200 OK", unsure),
        ("200 OK", "{}"),
        ("400 Bad Request", ""),
        ("401 Unauthorized", ""),
        ("403 Forbidden", ""),
        ("404 Not Found", ""),
    ] {
        let peer = Peer::that_answers(status, JSON_TYPE, body).await;
        let point = point(&RemoteSettings::new(peer.url.clone()));
        for _ in 0..100 {
            drop(point.decide(&question(system_user(1))).await);
        }
        assert_eq!(peer.count(), 100, "{status}");
        assert_eq!(point.condition().circuit, Circuit::Closed);
    }
}

#[tokio::test]
async fn one_system_user_has_eight_calls_at_a_time_and_holds_up_nobody() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (inside, high, open) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&gate));
    drop(Tasks::new().spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (inside, high, open) = (Arc::clone(&inside), Arc::clone(&high), Arc::clone(&open));
            drop(Tasks::new().spawn(async move {
                // Connections are kept: a call is one question on one of them.
                loop {
                    let request = read_request(&mut socket).await;
                    if request.is_empty() {
                        return;
                    }
                    if request.contains("000000000001") {
                        high.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        drop(open.acquire().await.unwrap());
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}", DENY.len());
                    let answer = format!("{head}\r\n\r\n{DENY}");
                    if socket.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }));
        }
    }));
    let point = Arc::new(point(&RemoteSettings::new(url)));
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let point = Arc::clone(&point);
            Tasks::new().spawn(async move { point.decide(&question(system_user(1))).await })
        })
        .collect();
    eventually(|| now.load(Ordering::SeqCst) == 8).await;
    assert_eq!(point.decide(&question(system_user(2))).await, Ok(Decision::Deny));
    let condition = point.condition();
    assert_eq!((condition.in_flight, condition.queued), (8, 92));
    gate.add_permits(1);
    for call in calls {
        assert_eq!(call.await.unwrap(), Ok(Decision::Deny));
    }
    assert_eq!(most.load(Ordering::SeqCst), 8);
    assert_eq!(point.condition(), PointCondition::default());
}

#[tokio::test]
async fn who_waits_for_a_place_is_refused_when_the_breaker_opens() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let open = Arc::clone(&gate);
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    drop(Tasks::new().spawn(async move {
        let mut silent = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            read_request(&mut socket).await;
            if count.fetch_add(1, Ordering::SeqCst) == 0 {
                silent.push(socket);
                continue;
            }
            open.acquire().await.unwrap().forget();
            let answer = reply("503 Service Unavailable", "Retry-After: 60\r\n", "");
            socket.write_all(&answer.unwrap()).await.unwrap();
        }
    }));
    let mut settings = RemoteSettings::new(url);
    settings.max_in_flight = 2;
    settings.timeout = Duration::from_mins(10);
    let (point, _clock) = clocked(&settings);
    let requests: Vec<_> = (0..10).map(|number| question(system_user(number))).collect();
    let mut asking: futures_util::stream::FuturesUnordered<_> =
        requests.iter().map(|request| point.decide(request)).collect();
    tokio::select! {
        _ = futures_util::StreamExt::next(&mut asking) => panic!("nobody has an answer"),
        () = eventually(|| seen.load(Ordering::SeqCst) == 2) => {}
    }
    gate.add_permits(1);
    // All but the one whose answer never comes.
    for _ in 0..9 {
        let outcome = futures_util::StreamExt::next(&mut asking).await.unwrap();
        assert_eq!(word(&outcome), "unavailable");
    }
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}

//! The token towards the PDP: when it is replaced, and what is said without one.

use super::*;
use crate::pdp::credential::{CredentialFault, FetchingToken, FreshToken, TokenSource};

/// Gives `token-1`, then `token-2` and so on, or a fault that says when to come back.
#[derive(Debug, Default)]
struct Numbered {
    given: AtomicUsize,
    fails: bool,
}

impl TokenSource for Numbered {
    fn fetch(&self) -> FetchingToken<'_> {
        let number = self.given.fetch_add(1, Ordering::SeqCst) + 1;
        let token = FreshToken {
            token: SecretString::from(format!("token-{number}")),
            renew_after: Duration::from_hours(1),
            expires_after: None,
        };
        let retry_after = Some(Duration::from_secs(9));
        let fault = CredentialFault { step: "a step", cause: "it fails".into(), retry_after };
        Box::pin(std::future::ready(if self.fails { Err(fault) } else { Ok(token) }))
    }
}

fn point_with(settings: &RemoteSettings, source: &Arc<Numbered>) -> RemotePdp {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let source = Arc::<Numbered>::clone(source);
    let keeper = CredentialKeeper::new(source, Tasks::new(), Arc::clone(&clock));
    RemotePdp::with_keeper(outbound(), settings, Some(keeper), clock).unwrap()
}

fn refusal_of(request: &str, tokens: &[&str]) -> Option<Reply> {
    let sent = request.to_lowercase();
    tokens
        .iter()
        .any(|token| sent.contains(&format!("authorization: bearer {token}\r\n")))
        .then(|| reply("401 Unauthorized", "", ""))
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let ok = || reply("200 OK", JSON_TYPE, DENY);
    let cases: [(&[&str], &str, usize); 3] =
        [(&[], "Deny", 1), (&["token-1"], "Deny", 2), (&["token-1", "token-2"], "credential", 2)];
    for (refused, expected, exchanges) in cases {
        let peer =
            Peer::with(move |_, request| refusal_of(request, refused).unwrap_or_else(ok)).await;
        let source = Arc::new(Numbered::default());
        let point = point_with(&RemoteSettings::new(peer.url.clone()), &source);
        let outcome = point.decide(&question(system_user(1))).await;
        assert_eq!((word(&outcome), peer.count()), (expected, exchanges), "{refused:?}");
        assert_eq!(source.given.load(Ordering::SeqCst), exchanges);
        assert_eq!(point.condition().circuit, Circuit::Closed);
    }
}

#[tokio::test]
async fn a_refusal_that_no_token_would_mend_costs_no_token() {
    let key = r#"{"statusCode":401,"message":"Access denied due to invalid Subscription Key."}"#;
    for (status, body, cause) in [
        ("401 Unauthorized", key, "answered 401: the subscription key is not accepted"),
        ("403 Forbidden", "", "answered 403"),
    ] {
        let peer = Peer::that_answers(status, "", body).await;
        let source = Arc::new(Numbered::default());
        let point = point_with(&RemoteSettings::new(peer.url.clone()), &source);
        let outcome = point.decide(&question(system_user(1))).await;
        assert_eq!(outcome, Err(DecisionFault::credential(cause)));
        assert_eq!((peer.count(), source.given.load(Ordering::SeqCst)), (1, 1));
    }
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_the_pdp_is_not_blamed() {
    let peer = Peer::that_answers("200 OK", JSON_TYPE, DENY).await;
    let source = Arc::new(Numbered { fails: true, ..Numbered::default() });
    let point = point_with(&RemoteSettings::new(peer.url.clone()), &source);
    for _ in 0..20 {
        let outcome = point.decide(&question(system_user(1))).await;
        let retry_after = Some(Duration::from_secs(9));
        let cause = "a step: it fails".into();
        assert_eq!(outcome, Err(DecisionFault::Credential { cause, retry_after }));
    }
    assert_eq!((peer.count(), point.condition().circuit), (0, Circuit::Closed));
}

#[derive(Debug)]
struct Silent;

impl TokenSource for Silent {
    fn fetch(&self) -> FetchingToken<'_> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn the_wait_for_a_token_ends_with_the_deadline() {
    let peer = Peer::that_answers("200 OK", JSON_TYPE, DENY).await;
    let mut settings = RemoteSettings::new(peer.url.clone());
    settings.timeout = Duration::from_millis(50);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let keeper = CredentialKeeper::new(Arc::new(Silent), Tasks::new(), Arc::clone(&clock));
    let point = RemotePdp::with_keeper(outbound(), &settings, Some(keeper), clock).unwrap();
    let outcome = point.decide(&question(system_user(1))).await;
    assert_eq!(outcome, Err(DecisionFault::credential("no token before the deadline")));
    assert_eq!((peer.count(), point.condition().in_flight), (0, 0));
}

//! The peers themselves: right where they should be, and wrong in the way they were told.

use crate::support::peers::{
    CLIENT_ID, Decided, Endpoint, Exchange, Fault, Flaw, Maskinporten, Pdp, Place, Question,
    SUBSCRIPTION_KEY, World,
};
use crate::support::{PERMITTED, SYSTEM_USER};
use bytes::Bytes;
use http::{HeaderMap, Method};
use portvakt::dev::SigningKey;
use portvakt::domain::{Clock as _, SystemClock};
use portvakt::outbound::{Call, Outbound, OutboundFault, OutboundSettings, Reply};
use serde_json::{Value, json};
use std::time::Duration;

fn client(world: &World) -> Outbound {
    let ca_pem = world.authority.as_ref().map(|it| std::fs::read(it.file()).unwrap().into());
    Outbound::new(&OutboundSettings { ca_pem, ..OutboundSettings::default() }).unwrap()
}

async fn call(
    client: &Outbound,
    method: Method,
    url: &str,
    headers: &[(&'static str, &str)],
    body: &str,
) -> Result<Reply, OutboundFault> {
    let headers =
        headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let call = Call {
        method,
        url: url.parse().unwrap(),
        headers: headers.collect::<HeaderMap>(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        timeout: Duration::from_secs(1),
        max_answer_bytes: 256 * 1024,
    };
    client.exchange(call).await
}

fn text(reply: &Reply) -> String {
    String::from_utf8(reply.body.to_vec()).unwrap()
}

/// The form of a grant, `ahead` of our clock.
fn form(world: &World, ahead: u64) -> String {
    let jwk: Value = serde_json::from_str(&world.maskinporten.client_key()).unwrap();
    assert!(jwk["d"].is_string());
    let now = SystemClock.wall().0 + ahead;
    let assertion = json!({
        "aud": format!("{}/", world.maskinporten.peer.url()),
        "iss": CLIENT_ID,
        "iat": now,
        "exp": now + 60,
        "jti": uuid::Uuid::new_v4(),
        "scope": "altinn:authorization/authorize",
    });
    let key = SigningKey::from_pem("client-key", &world.maskinporten.client_pem()).unwrap();
    let assertion = key.sign(&assertion).unwrap();
    format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}"
    )
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn question(party: &str) -> String {
    let attribute = |id: &str, value: &str| json!({ "AttributeId": id, "Value": value });
    let action = attribute("urn:oasis:names:tc:xacml:1.0:action:action-id", "read");
    json!({ "Request": {
        "AccessSubject": [{ "Attribute": [attribute("urn:altinn:systemuser:uuid", SYSTEM_USER)] }],
        "Action": [{ "Attribute": [action] }],
        "Resource": [{ "Attribute": [
            attribute("urn:altinn:resource", "r-read"),
            attribute("urn:altinn:organization:identifier-no", party),
        ]}],
    }})
    .to_string()
}

async fn ask(
    client: &Outbound,
    world: &World,
    token: &str,
    party: &str,
) -> Result<Reply, OutboundFault> {
    let url = format!("{}/authorization/api/v1/authorize", world.pdp.peer.url());
    let bearer = format!("Bearer {token}");
    let headers =
        [("authorization", bearer.as_str()), ("ocp-apim-subscription-key", SUBSCRIPTION_KEY)];
    call(client, Method::POST, &url, &headers, &question(party)).await
}

async fn credential(client: &Outbound, world: &World) -> String {
    let url = world.maskinporten.token_url();
    let granted = call(client, Method::POST, &url, &[FORM], &form(world, 0)).await.unwrap();
    let granted: Value = serde_json::from_slice(&granted.body).unwrap();
    let bearer = format!("Bearer {}", granted["access_token"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str())];
    let url = world.exchange.url();
    text(&call(client, Method::GET, &url, &headers, "").await.unwrap())
}

/// Requests, and connections that began with one, of the endpoints of each.
fn asked(
    Maskinporten { token, .. }: &Maskinporten,
    Exchange { exchange, .. }: &Exchange,
    Pdp { authorize, .. }: &Pdp,
) -> [(usize, usize); 3] {
    let numbers = |endpoint: &Endpoint| (endpoint.asked(), endpoint.connections());
    [numbers(token), numbers(exchange), numbers(authorize)]
}

fn facts(Decided { question, decision, .. }: &Decided) -> (&str, &str, &str) {
    let Question { subject, party, .. } = question;
    (party, subject, decision)
}

#[tokio::test]
async fn a_grant_an_exchange_and_a_question_are_answered_in_the_clear_and_over_tls() {
    for world in [World::start(), World::over_tls()] {
        let client = client(&world);
        let metadata = call(&client, Method::GET, &world.keys.metadata_url(), &[], "").await;
        let metadata: Value = serde_json::from_slice(&metadata.unwrap().body).unwrap();
        assert_eq!(metadata["issuer"], world.keys.issuer());
        let keys =
            call(&client, Method::GET, metadata["jwks_uri"].as_str().unwrap(), &[], "").await;
        assert!(text(&keys.unwrap()).contains(r#""kid":"key-0""#));

        let token = credential(&client, &world).await;
        let permit = ask(&client, &world, &token, PERMITTED).await.unwrap();
        assert!(text(&permit).contains(r#"{"response":[{"decision":"Permit""#));
        world.pdp.pascal_case(true);
        let no = ask(&client, &world, &token, "315556155").await.unwrap();
        assert!(text(&no).contains(r#""Decision":"NotApplicable""#), "{}", text(&no));
        let decided = world.pdp.take_decided();
        let facts: Vec<_> = decided.iter().map(facts).collect();
        let expected =
            [(PERMITTED, SYSTEM_USER, "Permit"), ("315556155", SYSTEM_USER, "NotApplicable")];
        assert_eq!(facts, expected);
        assert!(decided[0].at <= decided[1].at && decided.iter().all(|it| it.together == 1));
        let asked = asked(&world.maskinporten, &world.exchange, &world.pdp);
        assert_eq!(asked, [(1, 1), (1, 1), (2, 1)]);
    }
}

#[tokio::test]
async fn who_is_not_known_is_refused() {
    let world = World::start();
    let client = client(&world);
    let token = credential(&client, &world).await;
    assert_eq!(ask(&client, &world, "eyJ.eyJ.x", PERMITTED).await.unwrap().status, 401);
    world.exchange.issued().revoke_all();
    assert_eq!(ask(&client, &world, &token, PERMITTED).await.unwrap().status, 401);
    let url = world.exchange.url();
    let headers = [("authorization", "Bearer eyJ.eyJ.x")];
    assert_eq!(call(&client, Method::GET, &url, &headers, "").await.unwrap().status, 401);
    // Two minutes wrong either way, and used twice.
    let url = world.maskinporten.token_url();
    let grant = async |form: String| {
        call(&client, Method::POST, &url, &[FORM], &form).await.unwrap().status.as_u16()
    };
    let once = form(&world, 0);
    assert_eq!((grant(once.clone()).await, grant(once).await), (200, 400));
    assert_eq!(grant(form(&world, 120)).await, 400);
    for skew in [120, -120] {
        world.maskinporten.clock.skew(skew);
        assert_eq!(grant(form(&world, 0)).await, 400);
    }
}

#[tokio::test]
async fn each_fault_is_seen_from_the_other_side() {
    type Seen<'a> = &'a dyn Fn(&Result<Reply, OutboundFault>) -> bool;
    let timeout: Seen<'_> = &|seen| matches!(seen, Err(OutboundFault::Timeout(_)));
    let broken: Seen<'_> = &|seen| matches!(seen, Err(OutboundFault::Broken(_)));
    let fine: Seen<'_> = &|seen| seen.as_ref().is_ok_and(|reply| reply.status == 200);
    let either: Seen<'_> = &|seen| fine(seen) || broken(seen);
    let status = |status: u16| {
        move |seen: &Result<Reply, OutboundFault>| {
            seen.as_ref().is_ok_and(|reply| reply.status.as_u16() == status)
        }
    };
    let world = World::start();
    let outbound = client(&world);
    let trap = world.trap.url();
    let (s429, s503, s307) = (status(429), status(503), status(307));
    let rows: Vec<(Fault, Seen<'_>)> = vec![
        (Fault::Slow(Duration::from_millis(1)), fine),
        (Fault::Stall(Place::BeforeStatus), timeout),
        (Fault::Stall(Place::InHead), timeout),
        (Fault::Stall(Place::BeforeBody), timeout),
        (Fault::Stall(Place::InBody), timeout),
        (Fault::Cut(Place::BeforeStatus), broken),
        (Fault::Cut(Place::InHead), broken),
        (Fault::Cut(Place::BeforeBody), broken),
        (Fault::Cut(Place::InBody), broken),
        (Fault::Drip(Duration::from_millis(50)), timeout),
        (Fault::LongLength, broken),
        (Fault::ShortLength, fine),
        // RFC 9112 §6.3 leaves it to the recipient.
        (Fault::BothLengths, either),
        (Fault::BadChunks, broken),
        (Fault::Status(503), &s503),
        (Fault::RetryAfter(429, "7"), &s429),
        (Fault::Redirect(307, trap), &s307),
        (Fault::Html, fine),
        (Fault::Truncated, fine),
        (Fault::Endless, &|seen| matches!(seen, Err(OutboundFault::TooLarge(_)))),
        (Fault::Gzip, &|seen| seen.as_ref().is_ok_and(|reply| reply.body[..2] == [0x1F, 0x8B])),
        (Fault::Empty, &|seen| seen.as_ref().is_ok_and(|reply| reply.body.is_empty())),
        (Fault::Says("{}".to_owned()), &|seen| seen.as_ref().is_ok_and(|it| it.body == "{}")),
        (Fault::alter(|body| body.replace("key-0", "key-9")), &|seen| {
            seen.as_ref().is_ok_and(|it| text(it).contains("key-9"))
        }),
        (Fault::Raw("\0\0\r\n\r\n".into()), broken),
    ];
    let url = format!("{}/jwk", world.keys.peer.url());
    for (index, (fault, is_expected)) in rows.into_iter().enumerate() {
        world.keys.jwks.fail_next(1, fault);
        let seen = call(&outbound, Method::GET, &url, &[], "").await;
        assert!(is_expected(&seen), "row {index}: {seen:?}");
        let after = call(&outbound, Method::GET, &url, &[], "").await;
        assert!(fine(&after), "after row {index}: {after:?}");
    }
    assert_eq!(world.trap.accepted(), 0);
}

#[tokio::test]
async fn connections_are_refused_ignored_ended_and_shown_wrong_certificates() {
    let mut world = World::over_tls();
    let client = client(&world);
    let url = format!("{}/jwk", world.keys.peer.url());
    let get = async || call(&client, Method::GET, &url, &[], "").await;
    assert!(get().await.is_ok());
    world.keys.peer.refuse().await;
    assert!(matches!(get().await, Err(OutboundFault::Connect(_))));
    world.keys.peer.mute().await;
    assert!(matches!(get().await, Err(OutboundFault::Timeout(_))));
    world.keys.peer.slam().await;
    assert!(matches!(get().await, Err(OutboundFault::Connect(_))));
    for flaw in Flaw::ALL {
        world.keys.peer.show(flaw).await;
        let seen = get().await;
        assert!(matches!(seen, Err(OutboundFault::Connect(_))), "{flaw:?}: {seen:?}");
    }
    world.keys.peer.heal().await;
    assert!(get().await.is_ok());
}

mod gateway;

use super::*;
use crate::dev::{Life, SigningKey, organization};
use crate::domain::{
    AccessRequest, Action, CheckDigits, ManualClock, Obligation, Obligations, OrganizationNumber,
    Party, PdpSubject, ResourceId, SystemClock, SystemUserId, UnixSeconds,
};
use crate::outbound::{Outbound, OutboundSettings, System};
use crate::pdp::wire::decode_response;
use crate::pdp::{DecisionFault, DecisionPoint as _, RemotePdp, RemoteSettings};
use crate::token::{IssuerKind, IssuerSettings, KeyLocation};
use bytes::Bytes;
use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE};
use http_body_util::Full;
use serde_json::{Value, json};

fn question(organization: &str) -> AccessRequest {
    let number = OrganizationNumber::parse(organization, CheckDigits::Strict).unwrap();
    let subject = SystemUserId::parse("a545ca29-7fb8-4810-a2f2-0be171cb2a26").unwrap();
    AccessRequest {
        subject: PdpSubject::SystemUser(subject),
        resource: ResourceId::parse("ske-mva-melding").unwrap(),
        action: Action::parse("write").unwrap(),
        party: Party::Organization(number),
        instance: None,
        attributes: Arc::from([]),
    }
}

fn permit() -> Decision {
    let category = "urn:altinn:minimum-authenticationlevel".into();
    let level = Obligation { id: "urn:altinn:obligation:1".into(), category, value: "3".into() };
    Decision::Permit(Obligations::new(vec![level]))
}

/// Permits 312714051, falls over 310329495, and knows nobody else.
fn face() -> PdpFace {
    let answer: Answer = Arc::new(|_, question| {
        let has =
            |value: &str| question.iter().flat_map(|it| &it.attributes).any(|it| it.value == value);
        let answered = match (has("312714051"), has("310329495")) {
            (_, true) => Err(Indeterminate::ProcessingError),
            (true, false) => Ok(permit().into()),
            (false, false) => Ok(Decision::NotApplicable.into()),
        };
        (answered, None)
    });
    PdpFace::new(answer, Arc::new(SystemClock))
}

async fn running(face: PdpFace) -> (RemoteSettings, Tasks) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let tasks = Tasks::new();
    drop(tasks.spawn(Arc::new(face).serve(listener, tasks.clone())));
    (RemoteSettings::new(url), tasks)
}

fn client(settings: &RemoteSettings) -> RemotePdp {
    let outbound = Outbound::new(&OutboundSettings::default()).unwrap();
    RemotePdp::new(outbound, settings, &Tasks::new(), Arc::new(SystemClock)).unwrap()
}

#[tokio::test]
async fn the_proxys_client_and_this_pdp_understand_each_other() {
    let (settings, tasks) = running(face()).await;
    let client = client(&settings);
    assert_eq!(client.decide(&question("312714051")).await, Ok(permit()));
    assert_eq!(client.decide(&question("313750531")).await, Ok(Decision::NotApplicable));
    let unsure = Decision::Indeterminate(Indeterminate::ProcessingError);
    assert_eq!(client.decide(&question("310329495")).await, Ok(unsure));
    assert!(tasks.stop(Duration::from_secs(5)).await);
}

const ISSUER: &str = "https://issuer.test/";
const SCOPE: &str = "altinn:authorization/authorize";
const NOW: UnixSeconds = UnixSeconds(1_718_175_020);

/// An issuer, and an exchange that believes it.
struct Platform {
    issuer: SigningKey,
    exchange: Arc<Exchange>,
    clock: Arc<ManualClock>,
}

impl Platform {
    fn new() -> Self {
        let (issuer, clock) = (SigningKey::generate("k").unwrap(), Arc::new(ManualClock::at(NOW)));
        let keys = KeyLocation::Static(issuer.public_jwks().into());
        let exchange = Exchange::new(
            IssuerSettings::new(IssuerKind::Maskinporten, ISSUER, keys),
            &"http://platform.test/".parse().unwrap(),
            &Outbound::new(&OutboundSettings::default()).unwrap(),
            &Tasks::new(),
            Arc::clone(&clock) as Arc<dyn Clock>,
        );
        Self { issuer, exchange: Arc::new(exchange.unwrap()), clock }
    }

    fn claims(scope: &str) -> Value {
        let life = Life { issued: NOW, lifetime: Duration::from_mins(2) };
        let number = OrganizationNumber::parse("314330897", CheckDigits::Strict).unwrap();
        organization(ISSUER, life, scope, number)
    }

    async fn exchange(&self, token: &str) -> Result<String, NotExchanged> {
        self.exchange.exchange(&bearing(token)).await
    }

    async fn good(&self) -> String {
        self.exchange(&self.issuer.sign(&Self::claims(SCOPE)).unwrap()).await.unwrap()
    }
}

fn bearing(token: &str) -> HeaderMap {
    HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse().unwrap())])
}

/// One request in JSON to the face without a gateway.
async fn respond(method: Method, path: &str, body: &str) -> (StatusCode, Bytes) {
    let (head, body) = answered_by(&face(), method, path, "application/json", body).await;
    (head.status, body)
}

async fn answered_by(
    face: &PdpFace,
    method: Method,
    path: &str,
    media_type: &str,
    body: &str,
) -> (http::response::Parts, Bytes) {
    let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
    let request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, media_type);
    let answer = face.respond(request.body(body).unwrap()).await.unwrap();
    let (head, body) = answer.into_parts();
    (head, body.collect().await.unwrap().to_bytes())
}

/// What the page of decisions says; of one, if an id is given.
async fn kept(face: &PdpFace, id: &str) -> Value {
    let (recent, tasks) = (face.recent(), Tasks::new());
    let control = crate::server::Control::new(recent.pages(), None, tasks.clone());
    let listeners =
        crate::server::Listeners::bind(&["127.0.0.1:0".parse().unwrap()]).await.unwrap();
    let address = listeners.addresses()[0];
    let answer = move |request, _peer| {
        let control = control.clone();
        async move { control.handle(request).await }
    };
    listeners.serve(&answer, crate::config::Limits::default(), &tasks, &tasks.stopping());
    let below = if id.is_empty() { String::new() } else { format!("/{id}") };
    let outbound = Outbound::new(&OutboundSettings::default()).unwrap();
    let reply = outbound.exchange(crate::outbound::Call {
        method: Method::GET,
        url: format!("http://{address}/decisions{below}").parse().unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        timeout: Duration::from_secs(20),
        max_answer_bytes: 1024 * 1024,
    });
    let reply = reply.await.unwrap();
    assert!(tasks.stop(Duration::from_secs(20)).await);
    serde_json::from_slice(&reply.body).unwrap()
}

#[tokio::test]
async fn only_what_is_not_json_is_a_400() {
    for (body, names) in [
        ("", ["", "authorizationRequest"]),
        ("<x/>", ["$", "authorizationRequest"]),
        ("[]", ["$", "authorizationRequest"]),
        (r#"{"Request":{"Resource":1}}"#, ["$", "authorizationRequest"]),
    ] {
        let (status, problem) = respond(Method::POST, AUTHORIZE_PATH, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        let problem: Value = serde_json::from_slice(&problem).unwrap();
        let found: Vec<_> = problem["errors"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(found, names, "{body}");
        assert_eq!(problem["title"], "One or more validation errors occurred.");
        assert_eq!(problem["type"], "https://tools.ietf.org/html/rfc9110#section-15.5.1");
        assert_eq!(problem["traceId"].as_str().unwrap().len(), 55, "{problem}");
    }
    for body in ["{}", r#"{"Request":{"Resource":[{"Attribute":[{"Value":"x"}]}]}}"#] {
        let (status, answer) = respond(Method::POST, AUTHORIZE_PATH, body).await;
        let expected = Decision::Indeterminate(Indeterminate::SyntaxError);
        assert_eq!((status, decode_response(&answer)), (StatusCode::OK, Ok(expected)), "{body}");
    }
    let large = " ".repeat(MAX_QUESTION_BYTES + 1);
    assert_eq!(respond(Method::POST, AUTHORIZE_PATH, &large).await.0.as_u16(), 413);
}

#[tokio::test]
async fn addresses_methods_and_media_types_are_those_of_altinn() {
    let (face, json) = (face(), "application/json");
    let shout = AUTHORIZE_PATH.to_ascii_uppercase();
    let rows = [
        (Method::POST, AUTHORIZE_PATH, json, 200),
        (Method::POST, shout.as_str(), "application/JSON; charset=utf-8", 200),
        (Method::POST, "/authorization/api/v1/authorize/", "application/xacml+json", 200),
        (Method::POST, AUTHORIZE_PATH, "application/xml", 415),
        (Method::POST, AUTHORIZE_PATH, "application/x-www-form-urlencoded", 415),
        (Method::POST, DECISION_PATH, json, 200),
        (Method::POST, DECISION_PATH, "application/xml", 200),
        (Method::POST, DECISION_PATH, "text/xml; charset=utf-8", 200),
        (Method::POST, DECISION_PATH, "text/plain", 415),
        (Method::GET, AUTHORIZE_PATH, json, 405),
        (Method::PUT, DECISION_PATH, json, 405),
        (Method::GET, EXCHANGE_PATH, json, 404),
        (Method::POST, "/authorization/api/v1/", json, 404),
    ];
    for (method, path, media_type, status) in rows {
        let (head, body) = answered_by(&face, method, path, media_type, "{}").await;
        assert_eq!(head.status, status, "{path} {media_type}");
        assert_eq!(head.headers.contains_key(DECISION_ID), status == 200);
        match status {
            405 => assert_eq!(head.headers[ALLOW], "POST"),
            415 => assert!(String::from_utf8_lossy(&body).contains("Unsupported Media Type")),
            _ => {}
        }
    }
    let face = face.with_exchange(Platform::new().exchange);
    let (head, _) = answered_by(&face, Method::POST, EXCHANGE_PATH, json, "").await;
    assert_eq!((head.status.as_u16(), &head.headers[ALLOW]), (405, &"GET".parse().unwrap()));
}

#[tokio::test]
async fn the_internal_api_answers_every_fault_alike_and_in_the_form_of_the_question() {
    let face = face();
    let undecided = Decision::Indeterminate(Indeterminate::SyntaxError);
    let falls_over = multi(&["310329495"]);
    for body in ["", "<x/>", "{}", falls_over.as_str()] {
        let asked = answered_by(&face, Method::POST, DECISION_PATH, "application/json", body);
        let (head, answer) = asked.await;
        assert_eq!(head.headers[CONTENT_TYPE], "application/json; charset=utf-8");
        assert_eq!((head.status.as_u16(), decode_response(&answer)), (200, Ok(undecided.clone())));
    }
    let asked = answered_by(&face, Method::POST, DECISION_PATH, "application/xml", "<x");
    let (head, _) = asked.await;
    assert_eq!(head.headers[CONTENT_TYPE], "text/plain; charset=utf-8");
}

#[tokio::test]
async fn an_answer_bears_the_id_of_its_reasons_and_faults_bear_none() {
    let face = face();
    let ask = async |body: &str| {
        let (head, _) =
            answered_by(&face, Method::POST, AUTHORIZE_PATH, "application/json", body).await;
        head.headers.get(DECISION_ID).map(|id| id.to_str().unwrap().to_owned())
    };
    let words = |kept: &Value| {
        let words = kept["questions"].as_array().unwrap().iter();
        words.map(|it| it["decision"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let both = kept(&face, &ask(&multi(&["312714051", "313750531"])).await.unwrap()).await;
    assert_eq!(both["decisions"], json!(["Permit", "NotApplicable"]));
    assert_eq!(words(&both), ["Permit", "NotApplicable"], "{both}");
    let spoilt = kept(&face, &ask(&multi(&["312714051", "310329495"])).await.unwrap()).await;
    assert_eq!(spoilt["decisions"], json!(["Indeterminate"]), "what was told");
    assert_eq!(words(&spoilt), ["Permit", "Indeterminate"], "and how it came to it");
    let unreadable = kept(&face, &ask("{}").await.unwrap()).await;
    assert_eq!(unreadable["questions"][0]["cause"], "no `Request`");
    for behaviour in [
        Behaviour::Indeterminate,
        Behaviour::Repeat,
        Behaviour::Refuse(StatusCode::BAD_GATEWAY, None),
    ] {
        face.faults().behave(behaviour);
        assert_eq!(ask(&multi(&["312714051"])).await, None, "{behaviour:?}");
    }
    assert_eq!(kept(&face, "").await["decisions"].as_array().unwrap().len(), 3);
    assert_eq!(kept(&face, "purge").await["status"], 400);
    assert_eq!(kept(&face, "a545ca29-7fb8-4810-a2f2-0be171cb2a26").await["status"], 404);
}

fn multi(parties: &[&str]) -> String {
    let resources: Vec<_> = (0..)
        .zip(parties)
        .map(|(number, party): (usize, _)| {
            format!(
                r#"{{"Id":"r{number}","Attribute":[{{"AttributeId":"urn:altinn:organization:identifier-no","Value":"{party}"}}]}}"#
            )
        })
        .collect();
    let references: Vec<_> = (0..parties.len())
        .map(|number| format!(r#"{{"ReferenceId":["s1","a1","r{number}"]}}"#))
        .collect();
    format!(
        r#"{{"Request":{{"AccessSubject":[{{"Id":"s1"}}],"Action":[{{"Id":"a1"}}],"Resource":[{}],"MultiRequests":{{"RequestReference":[{}]}}}}}}"#,
        resources.join(","),
        references.join(",")
    )
}

#[tokio::test]
async fn a_multi_request_is_answered_in_order_or_as_a_whole_not_at_all() {
    let decisions = |answer: &[u8]| -> Vec<String> {
        let text = String::from_utf8(answer.to_vec()).unwrap();
        let words = text.split(r#""decision":""#).skip(1);
        words.map(|word| word.split('"').next().unwrap().to_owned()).collect()
    };
    let cases: [(&[&str], &[&str]); 3] = [
        (&["312714051", "313750531", "312714051"], &["Permit", "NotApplicable", "Permit"]),
        (&["313750531", "312714051"], &["NotApplicable", "Permit"]),
        (&["312714051", "310329495"], &["Indeterminate"]),
    ];
    for (parties, expected) in cases {
        let (status, answer) = respond(Method::POST, AUTHORIZE_PATH, &multi(parties)).await;
        assert_eq!(
            (status, decisions(&answer)),
            (StatusCode::OK, expected.iter().map(ToString::to_string).collect())
        );
    }
}

#[tokio::test]
async fn the_questions_of_one_request_give_way_to_other_connections() {
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = Arc::clone(&order);
    let answer: Answer = Arc::new(move |_, _| {
        noted.lock().unwrap().push("question");
        (Ok(permit().into()), None)
    });
    let face = PdpFace::new(answer, Arc::new(SystemClock));
    let body = multi(&["312714051", "313750531"]);
    let other = async {
        order.lock().unwrap().push("other");
    };
    let asked = answered_by(&face, Method::POST, AUTHORIZE_PATH, "application/json", &body);
    tokio::join!(biased; asked, other);
    assert_eq!(*order.lock().unwrap(), ["question", "other", "question"]);
}

#[tokio::test]
async fn a_page_in_a_browser_is_not_answered_whatever_it_calls_this_machine() {
    for (path, method) in [(AUTHORIZE_PATH, Method::POST), (EXCHANGE_PATH, Method::GET)] {
        let request =
            Request::builder().method(method).uri(path).header("Origin", "http://evil.test");
        let request = request.header("Host", "evil.test").header(CONTENT_TYPE, "application/json");
        let answer = face().respond(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn misbehaviour_is_switched_while_it_runs() {
    let face = face();
    let faults = face.faults();
    let (mut settings, _tasks) = running(face).await;
    settings.timeout = Duration::from_millis(300);
    let request = question("312714051");
    // A new one each time: it would leave alone a PDP that says to wait.
    let ask = async || client(&settings).decide(&request).await;
    faults.behave(Behaviour::Refuse(StatusCode::TOO_MANY_REQUESTS, Some(Duration::from_secs(9))));
    let retry_after = Some(Duration::from_secs(9));
    let cause = "answered 429".into();
    assert_eq!(ask().await, Err(DecisionFault::Overloaded { cause, retry_after }));
    faults.behave(Behaviour::Refuse(StatusCode::BAD_GATEWAY, None));
    assert!(matches!(ask().await, Err(DecisionFault::Unavailable { .. })));
    faults.behave(Behaviour::DropConnection);
    assert!(matches!(ask().await, Err(DecisionFault::Unavailable { .. })));
    faults.behave(Behaviour::Indeterminate);
    assert!(matches!(ask().await, Ok(Decision::Indeterminate(_))));
    let latency = Duration::from_hours(1);
    faults.set(FaultPlan { latency, behaviour: Behaviour::Answer });
    assert!(matches!(ask().await, Err(DecisionFault::Timeout(_))));
    faults.set(FaultPlan::default());
    assert_eq!(ask().await, Ok(permit()));
}

#[tokio::test]
async fn questions_asked_together_are_decided_as_each_by_itself() {
    let (pdp, _directory) = crate::dev::world::example_pdp().unwrap();
    let answer: Answer = Arc::new(move |api, asked| pdp.answer(api, asked));
    let face = PdpFace::new(answer, Arc::new(SystemClock));
    let (mut settings, _tasks) = running(face).await;
    settings.multi_request = true;
    let outbound = Outbound::new(&OutboundSettings::default()).unwrap();
    let client =
        RemotePdp::new(outbound.clone(), &settings, &Tasks::new(), Arc::new(SystemClock)).unwrap();
    let system_user = |number: u32| {
        let text = format!("a000000{number:x}-0000-4000-8000-00000000000{number:x}");
        PdpSubject::SystemUser(SystemUserId::parse(&text).unwrap())
    };
    let parties = ["312714051", "315556155", "311127845", "313816915", "310329495", "313750531"];
    let mut permits = 0;
    for (resource, action) in
        [("ske-mva-melding", "write"), ("nav-aordning-full", "read"), ("unknown", "read")]
    {
        for user in 1..=10 {
            let requests: Vec<_> = parties
                .iter()
                .map(|party| {
                    Arc::new(AccessRequest {
                        subject: system_user(user),
                        resource: ResourceId::parse(resource).unwrap(),
                        action: Action::parse(action).unwrap(),
                        ..question(party)
                    })
                })
                .collect();
            let mut singly = Vec::new();
            for request in &requests {
                singly.push(client.decide(request).await);
            }
            assert_eq!(client.decide_many(&requests).await, singly, "{resource} {user}");
            permits += singly.iter().filter(|it| matches!(it, Ok(Decision::Permit(_)))).count();
        }
    }
    assert!(permits > 3, "{permits}");
    let exchanges: u64 = outbound.health(System::Pdp).counts().map(|(_, count)| count).sum();
    // A resource without a policy spoils the whole, as at Altinn: then each question is asked by itself.
    assert_eq!(exchanges, 3 * 10 * (6 + 1) + 10 * 6);
}

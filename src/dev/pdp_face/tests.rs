use super::*;
use crate::domain::{
    AccessRequest, Action, CheckDigits, Obligation, Obligations, OrganizationNumber, Party,
    PdpSubject, ResourceId, SystemClock, SystemUserId,
};
use crate::outbound::{Outbound, OutboundSettings, System};
use crate::pdp::embedded::Api;
use crate::pdp::wire::decode_response;
use crate::pdp::{DecisionFault, DecisionPoint as _, RemotePdp, RemoteSettings};

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
    PdpFace::new(Arc::new(|question| {
        let has =
            |value: &str| question.iter().flat_map(|it| &it.attributes).any(|it| it.value == value);
        match (has("312714051"), has("310329495")) {
            (_, true) => Err(Indeterminate::ProcessingError),
            (true, false) => Ok(permit().into()),
            (false, false) => Ok(Decision::NotApplicable.into()),
        }
    }))
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

#[tokio::test]
async fn a_wrong_key_or_token_is_our_own_credentials_fault() {
    let admit: Admit = Arc::new(|token| match token {
        Some("good") => Admission::Admitted,
        Some(_) => Admission::Forbidden,
        None => Admission::Unauthorized,
    });
    let guarded =
        || face().with_subscription_key(SecretString::from("key")).with_tokens(Arc::clone(&admit));
    let cases = [
        (None, Some("good"), StatusCode::UNAUTHORIZED),
        (Some("other"), Some("good"), StatusCode::UNAUTHORIZED),
        (Some("key"), None, StatusCode::UNAUTHORIZED),
        (Some("key"), Some("bad"), StatusCode::FORBIDDEN),
        (Some("key"), Some("good"), StatusCode::OK),
    ];
    for (key, token, expected) in cases {
        let mut request = Request::post(AUTHORIZE_PATH);
        if let Some(key) = key {
            request = request.header("Ocp-Apim-Subscription-Key", key);
        }
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(Bytes::from_static(b"{}"))).unwrap();
        let status = guarded().respond(request).await.unwrap().status();
        assert_eq!(status, expected, "{key:?} {token:?}");
    }
}

async fn respond(method: Method, path: &str, body: &str) -> (StatusCode, Bytes) {
    let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
    let request = Request::builder().method(method).uri(path).body(body).unwrap();
    let (head, body) = face().respond(request).await.unwrap().into_parts();
    (head.status, body.collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn only_what_is_not_json_is_a_400() {
    for body in ["", "<x/>", "[]", r#"{"Request":{"Resource":1}}"#] {
        let (status, _) = respond(Method::POST, AUTHORIZE_PATH, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    }
    for body in ["{}", r#"{"Request":{"Resource":[{"Attribute":[{"Value":"x"}]}]}}"#] {
        let (status, answer) = respond(Method::POST, AUTHORIZE_PATH, body).await;
        let expected = Decision::Indeterminate(Indeterminate::SyntaxError);
        assert_eq!((status, decode_response(&answer)), (StatusCode::OK, Ok(expected)), "{body}");
    }
    let large = " ".repeat(MAX_QUESTION_BYTES + 1);
    assert_eq!(respond(Method::POST, AUTHORIZE_PATH, &large).await.0.as_u16(), 413);
    assert_eq!(respond(Method::GET, AUTHORIZE_PATH, "").await.0.as_u16(), 405);
    assert_eq!(respond(Method::POST, "/authorization/api/v1/decision", "{}").await.0.as_u16(), 404);
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
    let face = PdpFace::new(Arc::new(move |asked| pdp.answer_wire(Api::External, asked)));
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
    assert_eq!(exchanges, 3 * 10 * (6 + 1));
}

//! What must never come through: tokens that are not what they seem, questions that the PDP cannot
//! answer, and a PDP that misbehaves.

use super::guide::{ApiCall, Expected, Guide, Presented, organization};
use super::{PDP_TIMEOUT, forge};
use crate::dev::World;
use crate::dev::claims::{self, Life};
use crate::dev::pdp_face::{AUTHORIZE_PATH, Behaviour, EXCHANGE_PATH, FaultPlan};
use crate::dev::signer::SigningKey;
use crate::domain::{Clock as _, DenialCode, PersonNumber, SystemClock, SystemId, SystemUserId};
use bytes::Bytes;
use http::{HeaderName, Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

const VAT: &str = "skatteetaten:mvameldinginnsending";
const CALL: ApiCall<'_> = ApiCall { method: "POST", target: "/mva/312714051/melding", body: "" };
const ASK_ANEW: ApiCall<'_> =
    ApiCall { method: "POST", target: "/tour/ask-anew/312714051", body: "" };

/// Plays them in order.
pub(super) async fn play(guide: &mut Guide<'_>) {
    forged_tokens(guide).await;
    other_callers(guide).await;
    unanswerable_questions(guide).await;
    pdp_faults(guide).await;
}

fn presented(label: &str, token: Option<String>) -> Presented {
    Presented { label: label.to_owned(), token, system_user: None }
}

/// The claims of a good token of SU-REGN, as the issuer would write them.
fn good_claims(guide: &Guide<'_>) -> Option<Value> {
    let life = Life { issued: SystemClock.wall(), lifetime: Duration::from_mins(2) };
    let plain =
        claims::organization(guide.world.issuer.name(), life, VAT, organization("314330897")?);
    let id = SystemUserId::parse("a0000001-0000-4000-8000-000000000001")?;
    let system = SystemId::parse("314330897_smartcloud").ok()?;
    Some(claims::system_user(plain, id, organization("314242726")?, &system))
}

async fn forged_tokens(guide: &mut Guide<'_>) {
    let Some(good) = good_claims(guide) else { return };
    let now = SystemClock.wall().0;
    let key = guide.world.issuer.key();
    let signed = |claims: &Value| key.sign(claims).ok();
    let expired =
        forge::with(&forge::with(&good, "iat", json!(now - 300)), "exp", json!(now - 180));
    let early = forge::with(&good, "nbf", json!(now + 60));
    let production = forge::with(&good, "iss", json!("https://maskinporten.no/"));
    let detail = good.pointer("/authorization_details/0").cloned().unwrap_or_default();
    let mut other = detail.clone();
    claims::set(&mut other, "systemuser_id", json!(["a0000002-0000-4000-8000-000000000002"]));
    let two = forge::with(&good, "authorization_details", json!([detail, other]));
    let consent = json!([{ "type": "urn:altinn:consent", "id": "0191a1b2" }]);
    let consent = forge::with(&good, "authorization_details", consent);
    let stranger = SigningKey::generate("stranger").ok();
    let impostor = SigningKey::generate(key.kid()).ok();
    let sign_with = |key: Option<SigningKey>| key.and_then(|key| key.sign(&good).ok());
    let rows = [
        ("expired", signed(&expired), DenialCode::TokenExpired),
        ("not valid yet", signed(&early), DenialCode::TokenNotYetValid),
        ("of another issuer", signed(&production), DenialCode::TokenUntrusted),
        ("alg none", Some(forge::unsigned_token(&good, key.kid())), DenialCode::TokenMalformed),
        (
            "alg none, signed",
            Some(forge::unsigned(&good, key.kid(), "AAAA")),
            DenialCode::TokenUntrusted,
        ),
        (
            "HS256 by public key",
            forge::signed_with_public_key(&good, key),
            DenialCode::TokenUntrusted,
        ),
        ("unknown kid", sign_with(stranger), DenialCode::TokenUntrusted),
        ("known kid, foreign key", sign_with(impostor), DenialCode::TokenUntrusted),
        ("two system users", signed(&two), DenialCode::SeveralSystemUsers),
        ("consent only", signed(&consent), DenialCode::NotASystemUser),
        ("no token at all", Some("x".to_owned()), DenialCode::TokenMalformed),
    ];
    for (label, token, code) in rows {
        guide.call("tokens", CALL, &presented(label, token), Expected::Refused(code)).await;
    }
}

/// Real callers of another kind than the rule is for.
async fn other_callers(guide: &mut Guide<'_>) {
    let plain = guide.grant("smartcloud", VAT, None).await.ok();
    let refused = Expected::Refused(DenialCode::NotASystemUser);
    guide.call("callers", CALL, &presented("plain Maskinporten", plain), refused).await;
    let life = Life { issued: SystemClock.wall(), lifetime: Duration::from_mins(2) };
    // Synthetic: month + 80.
    let person = PersonNumber::parse("15877012345").ok().map(|number| {
        claims::person("https://idporten.tour.example", life, VAT, number, "idporten-loa-high")
    });
    let person = person.and_then(|claims| guide.world.issuer.key().sign(&claims).ok());
    guide.call("callers", CALL, &presented("ID-porten", person), refused).await;
}

async fn unanswerable_questions(guide: &mut Guide<'_>) {
    let regn = guide.token("SU-REGN", VAT).await;
    let unknown = ApiCall { target: "/tour/unknown-resource/312714051", ..CALL };
    guide
        .call("policy", unknown, &regn, Expected::Refused(DenialCode::DecisionIndeterminate))
        .await;
    let level = ApiCall { target: "/tour/level-four/312714051", ..CALL };
    guide
        .call("policy", level, &regn, Expected::Refused(DenialCode::AuthenticationLevelTooLow))
        .await;
    let alone = ask_pdp(guide, &[]).await;
    guide.observe("policy", "the PDP is asked with the system user alone", "-", "Permit", alone);
    let extra =
        json!({ "AttributeId": "urn:altinn:organization:identifier-no", "Value": "314242726" });
    let with_extra = ask_pdp(guide, &[extra]).await;
    guide.observe(
        "policy",
        "the PDP is asked with a further subject attribute",
        "-",
        "Indeterminate",
        with_extra,
    );
}

/// Asks the PDP's own HTTP API, as Portvakt never would; gives the decision.
async fn ask_pdp(guide: &Guide<'_>, further: &[Value]) -> String {
    let mut subject = vec![json!({
        "AttributeId": "urn:altinn:systemuser:uuid", "Value": "a0000001-0000-4000-8000-000000000001",
    })];
    subject.extend_from_slice(further);
    let question = json!({ "Request": {
        "AccessSubject": [{ "Attribute": subject }],
        "Action": [{ "Attribute": [
            { "AttributeId": "urn:oasis:names:tc:xacml:1.0:action:action-id", "Value": "write" },
        ] }],
        "Resource": [{ "Attribute": [
            { "AttributeId": "urn:altinn:resource", "Value": "ske-mva-melding" },
            { "AttributeId": "urn:altinn:organization:identifier-no", "Value": "312714051" },
        ] }],
    } });
    match put_to_pdp(guide, question).await {
        Ok(answer) => {
            let decision = answer.pointer("/response/0/decision").and_then(Value::as_str);
            decision.unwrap_or("no decision").to_owned()
        }
        Err(fault) => fault.to_string(),
    }
}

/// By hand, as the proxy does it: a token of its own, exchanged, and the gateway's key.
async fn put_to_pdp(guide: &Guide<'_>, question: Value) -> anyhow::Result<Value> {
    let World { own_client, subscription_key, addresses, .. } = guide.world;
    let at = |path: &str| format!("http://{}{path}", addresses.pdp).parse::<Url>();
    let token = own_client.token("altinn:authorization/authorize", None).await?;
    let exchanged = own_client
        .call(Method::GET, at(EXCHANGE_PATH)?, Some(&token), &[], Bytes::new())
        .await?
        .body;
    let headers = [
        (HeaderName::from_static("content-type"), "application/json"),
        (HeaderName::from_static("ocp-apim-subscription-key"), subscription_key.expose_secret()),
    ];
    let (token, body) = (std::str::from_utf8(&exchanged)?, Bytes::from(question.to_string()));
    let url = at(AUTHORIZE_PATH)?;
    let reply = own_client.call(Method::POST, url, Some(token), &headers, body).await?;
    Ok(serde_json::from_slice(&reply.body)?)
}

/// Every fault of the PDP is an outage for the caller, never a refusal; what is in hand still counts.
async fn pdp_faults(guide: &mut Guide<'_>) {
    let regn = guide.token("SU-REGN", VAT).await;
    let faults = guide.world.faults.clone();
    let refuse = |status| Behaviour::Refuse(status, None);
    let rows = [
        ("PDP: 401", refuse(StatusCode::UNAUTHORIZED), DenialCode::CredentialUnavailable),
        ("PDP: 403", refuse(StatusCode::FORBIDDEN), DenialCode::CredentialUnavailable),
        ("PDP: 429", refuse(StatusCode::TOO_MANY_REQUESTS), DenialCode::Overloaded),
        ("PDP: 500", refuse(StatusCode::INTERNAL_SERVER_ERROR), DenialCode::PdpUnavailable),
        ("PDP: 502", refuse(StatusCode::BAD_GATEWAY), DenialCode::PdpUnavailable),
        ("PDP: cut off", Behaviour::DropConnection, DenialCode::PdpUnavailable),
        ("PDP: undecided", Behaviour::Indeterminate, DenialCode::DecisionIndeterminate),
        ("PDP: two results", Behaviour::Repeat, DenialCode::PdpProtocolError),
    ];
    for (scenario, behaviour, code) in rows {
        faults.behave(behaviour);
        guide.call(scenario, ASK_ANEW, &regn, Expected::Refused(code)).await;
    }
    faults.set(FaultPlan { latency: PDP_TIMEOUT * 2, behaviour: Behaviour::Answer });
    guide.call("PDP: slow", ASK_ANEW, &regn, Expected::Refused(DenialCode::PdpTimeout)).await;
    faults.behave(Behaviour::Answer);
    guide.call("PDP: well", ASK_ANEW, &regn, Expected::Forwarded(&["312714051"])).await;
    let in_hand = ApiCall { target: "/mva/315556155/melding", ..CALL };
    guide.call("PDP: well", in_hand, &regn, Expected::Forwarded(&["315556155"])).await;
    faults.behave(refuse(StatusCode::INTERNAL_SERVER_ERROR));
    guide.call("PDP: 500", in_hand, &regn, Expected::Forwarded(&["315556155"])).await;
    faults.behave(Behaviour::Answer);
}

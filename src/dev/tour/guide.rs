//! Who makes the calls of the tour and compares what came with what should have come.

use super::SEEN_WITHIN;
use super::records::Records;
use super::report::{Row, TourReport};
use crate::dev::end_user_system::{EndUserSystem, NoToken, OnBehalf};
use crate::dev::sample_api::Seen;
use crate::dev::world::World;
use crate::domain::{CheckDigits, DenialCode, OrganizationNumber};
use crate::outbound::Reply;
use bytes::Bytes;
use http::{HeaderName, Method};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// The system users of the directory: name, Maskinporten client, owner, external reference, uuid.
const SYSTEM_USERS: [(&str, &str, &str, Option<&str>, &str); 10] = [
    (
        "SU-REGN",
        "smartcloud",
        "314242726",
        Some("regnskap"),
        "a0000001-0000-4000-8000-000000000001",
    ),
    (
        "SU-SKATT",
        "smartcloud",
        "314242726",
        Some("skattegrunnlag"),
        "a0000002-0000-4000-8000-000000000002",
    ),
    (
        "SU-REVI",
        "smartcloud",
        "314242726",
        Some("revisjon"),
        "a0000003-0000-4000-8000-000000000003",
    ),
    (
        "SU-FFOR",
        "smartcloud",
        "314242726",
        Some("forretningsforsel"),
        "a0000004-0000-4000-8000-000000000004",
    ),
    ("SU-OWN", "smartcloud", "910459880", None, "a0000005-0000-4000-8000-000000000005"),
    (
        "SU-OWN-PAKKE",
        "smartcloud",
        "910459880",
        Some("pakke"),
        "a0000006-0000-4000-8000-000000000006",
    ),
    ("SU-SELF", "eget-regnskap-sap", "910459880", None, "a0000007-0000-4000-8000-000000000007"),
    ("SU-UTENFOR", "smartcloud", "313816915", None, "a0000008-0000-4000-8000-000000000008"),
    ("SU-AVST", "superavstemming", "314242726", None, "a0000009-0000-4000-8000-000000000009"),
    (
        "SU-AVST-KL",
        "superavstemming",
        "314242726",
        Some("klienter"),
        "a000000a-0000-4000-8000-00000000000a",
    ),
];

/// Left out of the table, where it would fill it.
const URN: &str = "urn:altinn:organization:identifier-no";

/// What should come of a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected<'a> {
    /// Forwarded; the API is told of these parties, in this order (organization numbers).
    Forwarded(&'a [&'a str]),
    /// Refused.
    Refused(DenialCode),
}

/// The token of a call, and what the table calls it.
#[derive(Clone, Debug)]
pub(super) struct Presented {
    pub(super) label: String,
    pub(super) token: Option<String>,
    /// The uuid that the API must be told, where the token is a system user's.
    pub(super) system_user: Option<&'static str>,
}

/// A call to the API.
#[derive(Clone, Copy, Debug)]
pub(super) struct ApiCall<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    pub(super) body: &'a str,
}

pub(super) struct Guide<'w> {
    pub(super) world: &'w World,
    records: Records,
    rows: Vec<Row>,
    forwarded: usize,
}

/// What one call brought, at both ends.
struct Outcome {
    got: String,
    source: String,
    right: bool,
}

impl<'w> Guide<'w> {
    pub(super) fn new(world: &'w World, records: Records) -> Self {
        Self { world, records, rows: Vec::new(), forwarded: 0 }
    }

    /// A token for a system user of the directory, fetched by JWT grant.
    pub(super) async fn token(&self, name: &str, scope: &str) -> Presented {
        let known = SYSTEM_USERS.iter().find(|(known, ..)| *known == name);
        let Some((_, client, owner, external_ref, uuid)) = known else {
            return Presented { label: format!("{name}?"), token: None, system_user: None };
        };
        let granted = self.grant(client, scope, Some((owner, *external_ref))).await;
        Presented { label: name.to_owned(), token: granted.ok(), system_user: Some(uuid) }
    }

    /// Asks the issuer for a token.
    pub(super) async fn grant(
        &self,
        client: &str,
        scope: &str,
        on_behalf: Option<(&str, Option<&str>)>,
    ) -> Result<String, NoToken> {
        let nobody = || NoToken::NoAnswer(format!("no client `{client}`"));
        let system: &Arc<EndUserSystem> = self.world.clients.get(client).ok_or_else(nobody)?;
        let on_behalf = match on_behalf {
            Some((owner, external_ref)) => {
                let owner = organization(owner).ok_or_else(nobody)?;
                Some(OnBehalf { owner, external_ref })
            }
            None => None,
        };
        system.token(scope, on_behalf).await
    }

    /// Makes a call and adds a row.
    pub(super) async fn call(
        &mut self,
        scenario: &'static str,
        call: ApiCall<'_>,
        presented: &Presented,
        expected: Expected<'_>,
    ) {
        let outcome = self.try_call(call, presented, expected).await;
        self.note(scenario, call, presented, expected, outcome);
    }

    /// Makes a call again and again until it comes out as expected, for at most as long as a remembered
    /// decision lives; adds a row that says how long it took.
    pub(super) async fn call_until(
        &mut self,
        scenario: &'static str,
        call: ApiCall<'_>,
        presented: &Presented,
        expected: Expected<'_>,
    ) {
        let started = tokio::time::Instant::now();
        loop {
            let mut outcome = self.try_call(call, presented, expected).await;
            let waited = started.elapsed();
            if outcome.right || waited > SEEN_WITHIN {
                outcome.got = format!("{} after {:.1} s", outcome.got, waited.as_secs_f64());
                self.note(scenario, call, presented, expected, outcome);
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Changes the directory through the control listener, as an operator would; adds a row.
    pub(super) async fn change(&mut self, scenario: &'static str, path: &str, what: &Value) {
        let got = match self.send_change(path, what).await {
            Ok(reply) => reply.status.as_u16().to_string(),
            Err(fault) => fault,
        };
        self.observe(scenario, &format!("POST {path}"), "control", "200", got);
    }

    async fn send_change(&self, path: &str, what: &Value) -> Result<Reply, String> {
        let World { own_client, control_token, addresses, .. } = self.world;
        let url: Url = format!("http://{}{path}", addresses.control)
            .parse()
            .map_err(|fault| format!("{fault}"))?;
        let media_type = [(HeaderName::from_static("content-type"), "application/json")];
        let token = Some(control_token.expose_secret());
        let reply =
            own_client.call(Method::POST, url, token, &media_type, what.to_string().into()).await;
        reply.map_err(|fault| fault.to_string())
    }

    /// Adds a row for something that is no call to the API.
    pub(super) fn observe(
        &mut self,
        scenario: &'static str,
        what: &str,
        token: &str,
        expected: &str,
        got: String,
    ) {
        let right = got == expected;
        self.rows.push(Row {
            scenario,
            call: what.to_owned(),
            token: token.to_owned(),
            expected: expected.to_owned(),
            got,
            source: "-".to_owned(),
            right,
        });
    }

    /// Nothing of any refused request may have come through: the API has seen as many requests as were
    /// forwarded, and no more.
    pub(super) fn count_what_the_api_has_seen(&mut self) {
        let expected = format!("{} requests", self.forwarded);
        let got = format!("{} requests", self.world.api.seen().len());
        self.observe("all", "what the API has seen", "-", &expected, got);
    }

    pub(super) fn report(self) -> TourReport {
        TourReport { rows: self.rows }
    }

    fn note(
        &mut self,
        scenario: &'static str,
        call: ApiCall<'_>,
        presented: &Presented,
        expected: Expected<'_>,
        outcome: Outcome,
    ) {
        let Outcome { got, source, right } = outcome;
        self.rows.push(Row {
            scenario,
            call: format!("{} {}{}", call.method, call.target.replace(URN, "…"), short(call.body)),
            token: presented.label.clone(),
            expected: expected.describe(),
            got,
            source,
            right,
        });
    }

    async fn try_call(
        &mut self,
        call: ApiCall<'_>,
        presented: &Presented,
        expected: Expected<'_>,
    ) -> Outcome {
        let reply = match self.send(call, presented).await {
            Ok(reply) => reply,
            Err(got) => return Outcome { got, source: "-".to_owned(), right: false },
        };
        let id = reply
            .headers
            .get("x-request-id")
            .and_then(|id| id.to_str().ok())
            .unwrap_or("")
            .to_owned();
        let seen = self.world.api.seen_under(&id);
        self.forwarded += usize::from(seen.is_some());
        let record = self.records.of(&id).await;
        let text = |name: &str| {
            record
                .as_ref()
                .and_then(|record| record.get(name))
                .and_then(Value::as_str)
                .unwrap_or("-")
                .to_owned()
        };
        let problem: Option<Value> = serde_json::from_slice(&reply.body).ok();
        let code = problem.as_ref().and_then(|problem| problem.get("code")).and_then(Value::as_str);
        let got = match (&seen, code) {
            (Some(_), _) => format!("{} forwarded", reply.status.as_u16()),
            (None, Some(code)) => format!("{} {code}", reply.status.as_u16()),
            (None, None) => reply.status.as_u16().to_string(),
        };
        let right = got == expected.describe() && expected.is_met_by(seen.as_ref(), presented);
        Outcome { got, source: describe_source(&text("source"), &text("decision")), right }
    }

    async fn send(&self, call: ApiCall<'_>, presented: &Presented) -> Result<Reply, String> {
        let system = self.world.clients.values().next().ok_or("no client")?;
        let url: Url = format!("http://{}{}", self.world.addresses.proxy, call.target)
            .parse()
            .map_err(|fault| format!("{fault}"))?;
        let method =
            Method::from_bytes(call.method.as_bytes()).map_err(|fault| fault.to_string())?;
        let media_type = [(HeaderName::from_static("content-type"), "application/json")];
        let further = if call.body.is_empty() { &[][..] } else { &media_type[..] };
        let body = Bytes::copy_from_slice(call.body.as_bytes());
        let reply = system.call(method, url, presented.token.as_deref(), further, body).await;
        reply.map_err(|fault| fault.to_string())
    }
}

impl Expected<'_> {
    fn describe(self) -> String {
        match self {
            Self::Forwarded(_) => "200 forwarded".to_owned(),
            Self::Refused(code) => format!("{} {code}", code.status()),
        }
    }

    /// Whether the API received what it should have.
    fn is_met_by(self, seen: Option<&Seen>, presented: &Presented) -> bool {
        match (self, seen) {
            (Self::Refused(_), None) => true,
            (Self::Refused(_), Some(_)) | (Self::Forwarded(_), None) => false,
            (Self::Forwarded(parties), Some(seen)) => {
                let told = |name: &str| seen.identity.get(name).map(String::as_str);
                let urns: Vec<String> = parties
                    .iter()
                    .map(|party| format!("urn:altinn:organization:identifier-no:{party}"))
                    .collect();
                let expected = (!urns.is_empty()).then(|| urns.join(","));
                told("portvakt-party") == expected.as_deref()
                    && told("portvakt-system-user") == presented.system_user
                    && told("portvakt-rule").is_some()
            }
        }
    }
}

fn describe_source(source: &str, decision: &str) -> String {
    if decision == "-" { source.to_owned() } else { format!("{source}: {decision}") }
}

/// The body, if it is short enough for the table.
fn short(body: &str) -> String {
    if body.is_empty() || body.len() > 60 { String::new() } else { format!(" {body}") }
}

pub(super) fn organization(text: &str) -> Option<OrganizationNumber> {
    OrganizationNumber::parse(text, CheckDigits::Strict).ok()
}

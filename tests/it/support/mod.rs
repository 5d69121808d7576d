//! What the tests from outside are made of: peers that misbehave on command, a proxy in this process, and a
//! client that sends bytes as they are written.
//!
//! Everything listens on a free port of loopback and ends with its test. Nothing waits a fixed time:
//! [`eventually`] asks again until it is true.

mod api;
mod ask;
pub(crate) mod frames;
pub(crate) mod log;
pub(crate) mod peers;
mod server;
mod sidecar;
mod tokens;
mod walk;
mod wire;

pub(crate) use api::{Api, Kind};
pub(crate) use ask::{Ask, Client, Reply, ask, exchange, status};
pub(crate) use server::{Asked, Gate, Script, Server, Step, always, answer, ok};
pub(crate) use sidecar::{Records, Setup, Sidecar, pattern, permit, permits};
pub(crate) use tokens::{
    DENIED, ISSUER, KID, OWNER, PERMITTED, READ, SYSTEM_USER, VENDOR, WRITE, claims, jwks, key,
    sign, sign_raw, token, with,
};
pub(crate) use walk::Walk;
pub(crate) use wire::Wire;

use std::time::Duration;

/// How long anything may take before its test fails: long, because the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The rules that most tests are about: one of each protection.
pub(crate) const RULES: &str = r#"
api: it
rules:
  - id: read-report
    match: { method: GET, path: "/v1/orgs/{org}/reports" }
    resource: r-read
    action: read
    party: path:org
    scopes: ["it:read"]
  - id: put-report
    match: { method: [POST, PUT], path: "/v1/orgs/{org}/reports" }
    resource: r-write
    action: write
    party: path:org
    scopes: ["it:read"]
  - id: write-report
    match: { method: POST, path: /v1/reports }
    resource: r-write
    action: write
    party: json:/orgnr
    scopes: ["it:read"]
    max_body: 4KiB
  - id: many
    match: { method: POST, path: /v1/batch }
    resource: r-write
    action: write
    party: { from: "json:/parties", many: all, max: 3 }
    scopes: ["it:read"]
  - id: by-query
    match: { method: GET, path: /v1/query }
    resource: r-read
    action: read
    party: query:orgnr
    scopes: ["it:read"]
  - id: by-header
    match: { method: GET, path: /v1/header }
    resource: r-read
    action: read
    party: header:x-party
    scopes: ["it:read"]
  - id: open
    match: { method: GET, path: /v1/open }
    protection: token
    scopes: ["it:read"]
  - id: shut
    match: { method: any, path: /v1/shut }
    protection: closed
  - id: small
    match: { method: POST, path: /small }
    protection: public
    max_body: 10B
  - id: public
    match: { method: any, path: "/public/{*rest}" }
    protection: public
"#;

/// Waits until it is true; fails the test if it never is.
pub(crate) async fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let asked_until = tokio::time::Instant::now() + PATIENCE;
    while !is_true() {
        assert!(tokio::time::Instant::now() < asked_until, "it never came: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// What happens at most once a second happens at most so often, and once more: a bound that a slow machine
/// moves along.
pub(crate) fn whole_seconds(since: tokio::time::Instant) -> usize {
    usize::try_from(since.elapsed().as_secs()).unwrap()
}

/// The result, if it comes before patience ends.
pub(crate) async fn soon<T>(what: &str, task: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, task).await.unwrap_or_else(|_| panic!("it never came: {what}"))
}

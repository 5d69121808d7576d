//! `policies/tests/*.yaml`: what rules are expected to do, from files to typed tests. Running them is not
//! done here.
//!
//! ```yaml
//! callers:                                  # named once, used below
//!   accountant: { system_user: a0000001-…, owner: "314242726", vendor: "314330897", scopes: [a] }
//! tests:
//!   - name: an accountant submits for a client
//!     request: POST /mva/312714051/melding  # or { method, target, host, headers, body }
//!     claims: accountant                    # or none, a caller in full, { raw: … }, { broken: expired, of: accountant }
//!     pdp: Permit                           # or Deny, …, embedded, { decision: Permit, minimum_level: 4 }
//!     expect: { rule: submit, outcome: forward, question: { party: "312714051" } }
//! ```
//!
//! A test without `pdp` expects that nobody is asked.

mod keys;

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Map, Value as Json};

use super::diagnostic::{Diagnostic, Diagnostics, Origin};
use super::files::Files;
use super::positions;
use super::reader::read_table;
use crate::domain::{
    Action, AuthenticationLevel, DenialCode, Host, OrganizationNumber, Party, ResourceId, Scope,
    SystemId, SystemUserId,
};

/// Tests of one file. Bounds what a generated file can cost.
const MAX_TESTS: usize = 5000;

/// One expectation.
#[derive(Clone, Debug)]
pub struct RuleTest {
    /// What it shows.
    pub name: String,
    /// Where it is written.
    pub origin: Origin,
    /// What is sent.
    pub request: TestRequest,
    /// By whom.
    pub claims: TestClaims,
    /// What the PDP says; `None`: it must not be asked.
    pub pdp: Option<TestPdp>,
    /// What comes of it.
    pub expect: Expectation,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestRequest {
    /// The method.
    pub method: Method,
    /// Path and query, not judged here: a test may send what is refused.
    pub target: String,
    /// The host.
    pub host: Option<Host>,
    /// Further headers, in order; a name may occur more than once.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body. Written as a table or list, it is JSON and `Content-Type` says so unless stated.
    pub body: Bytes,
}

/// Who sends it.
#[derive(Clone, Debug, PartialEq)]
pub enum TestClaims {
    /// Nobody: no token.
    Nobody,
    /// Somebody with a sound token.
    Sound(TokenClaims),
    /// Somebody whose token is wrong in one way.
    Broken(BrokenToken, TokenClaims),
}

/// What a token says.
#[derive(Clone, Debug, PartialEq)]
pub enum TokenClaims {
    /// A system user, with all else that such a token has.
    SystemUser {
        /// `system_user`
        id: SystemUserId,
        /// `owner`: `systemuser_org`.
        owner: OrganizationNumber,
        /// `system_id`
        system_id: Option<SystemId>,
        /// `vendor`: `consumer`.
        vendor: Option<OrganizationNumber>,
        /// `scopes`
        scopes: Vec<Scope>,
    },
    /// `raw`: these claims, over the usual `iss`, `iat` and `exp`.
    Raw(Map<String, Json>),
}

/// One way for a token to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenToken {
    /// `expired`
    Expired,
    /// `not-yet-valid`
    NotYetValid,
    /// `foreign-key`: signed with a key that is not the issuer's.
    ForeignKey,
    /// `unknown-issuer`
    UnknownIssuer,
    /// `unsigned`: `alg` is `none`.
    Unsigned,
    /// `malformed`: not a token.
    Malformed,
}

/// What the PDP says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestPdp {
    /// The embedded one decides.
    Embedded,
    /// This, to every question.
    Answers {
        /// The decision, or how there is none.
        decision: TestDecision,
        /// The level that an obligation demands.
        minimum_level: Option<AuthenticationLevel>,
        /// Whether there is an obligation that nobody understands.
        unknown_obligation: bool,
    },
}

/// What a PDP can say, or fail to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestDecision {
    /// `Permit`
    Permit,
    /// `Deny`
    Deny,
    /// `NotApplicable`
    NotApplicable,
    /// `Indeterminate`
    Indeterminate,
    /// `unavailable`: it cannot be reached.
    Unavailable,
    /// `timeout`: it does not answer in time.
    Timeout,
}

/// What comes of a request. `None` and empty: not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// The rule it falls to.
    pub rule: Option<String>,
    /// Forwarded, or refused with this code, which has its one status.
    pub outcome: ExpectedOutcome,
    /// What the PDP said.
    pub decision: Option<TestDecision>,
    /// What the PDP was asked.
    pub question: ExpectedQuestion,
}

/// Whether a request passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedOutcome {
    /// It is forwarded.
    Forward,
    /// It is refused.
    Refused(DenialCode),
}

/// What the PDP was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpectedQuestion {
    /// The value of the subject.
    pub subject: Option<String>,
    /// The resource.
    pub resource: Option<ResourceId>,
    /// The action.
    pub action: Option<Action>,
    /// Every party, in the order of the request.
    pub parties: Option<Vec<Party>>,
}

/// Callers by name.
type Callers = BTreeMap<String, TokenClaims>;

/// Reads every test in `folder`, which is `tests` below `policies`.
pub fn read_rule_tests(
    files: &Files,
    folder: &Path,
    diagnostics: &mut Diagnostics,
) -> Vec<RuleTest> {
    match files.list(folder, "yaml") {
        Ok(paths) => paths.iter().flat_map(|path| read_file(files, path, diagnostics)).collect(),
        Err(error) => {
            let message = format!("the folder cannot be read: {error}");
            let found = Diagnostic::error("unreadable-folder", message);
            diagnostics.push(found.at(&Origin::WholeFile(folder.into())));
            Vec::new()
        }
    }
}

fn read_file(files: &Files, path: &Path, diagnostics: &mut Diagnostics) -> Vec<RuleTest> {
    let Some(root) = positions::read(files, path, diagnostics) else { return Vec::new() };
    let tests = read_table(&root, diagnostics, |table| {
        let callers: Callers = table
            .or("callers", Vec::new(), |field| {
                field.names(MAX_TESTS, |_, field| keys::claims_of_token(field))
            })
            .into_iter()
            .collect();
        table.required("tests", |field| {
            // A test with a fault does not take the others with it.
            field.sequence(MAX_TESTS, |field| Some(keys::test(field, &callers)))
        })
    });
    tests.into_iter().flatten().flatten().collect()
}

#[cfg(test)]
mod tests;

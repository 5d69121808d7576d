//! What the benchmarks are run with: a caller, a question, the PDP of the demo.

use portvakt::config::diagnostic::Origin;
use portvakt::config::{self, Diagnostics, Files};
use portvakt::dev::{DEMO_FILES, Life, organization, system_user};
use portvakt::domain::{
    AccessRequest, Action, CheckDigits, OrganizationNumber, Party, PdpSubject, ResourceId,
    SystemId, SystemUserId, UnixSeconds,
};
use portvakt::outbound::{Outbound, OutboundSettings};
use portvakt::pdp::embedded::EmbeddedPdp;
use portvakt::xacml::Mode;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// When the tokens of the benchmarks of single rooms are used.
pub(crate) const NOW: u64 = 1_718_175_020;

/// An accounting firm, and a client of it.
pub(crate) const FIRM: &str = "314242726";
pub(crate) const CLIENT: &str = "312714051";
/// Tells this system user of the firm from its others.
pub(crate) const EXTERNAL_REF: &str = "regnskap";
const VENDOR: &str = "314330897";
pub(crate) const SCOPE: &str = "skatteetaten:mvameldinginnsending";

pub(crate) fn number(text: &str) -> OrganizationNumber {
    OrganizationNumber::parse(text, CheckDigits::Strict).unwrap()
}

pub(crate) fn outbound() -> Outbound {
    Outbound::new(&OutboundSettings::default()).unwrap()
}

/// The claims of the firm's system user, as Maskinporten writes them.
pub(crate) fn claims() -> Value {
    let life = Life { issued: UnixSeconds(NOW - 5), lifetime: Duration::from_mins(2) };
    let claims = organization("https://issuer.example/", life, SCOPE, number(VENDOR));
    let system = SystemId::parse("314330897_smartcloud").unwrap();
    system_user(claims, firms_system_user(), number(FIRM), &system)
}

/// The firm's system user for its clients, in the directory of the demo.
fn firms_system_user() -> SystemUserId {
    let pdp = embedded_pdp();
    let directory = pdp.directory().current();
    let agent = directory
        .system_users()
        .find(|user| user.external_ref == EXTERNAL_REF && user.owner == number(FIRM))
        .unwrap();
    agent.id
}

/// May the firm's system user file its client's return?
pub(crate) fn question() -> AccessRequest {
    AccessRequest {
        subject: PdpSubject::SystemUser(firms_system_user()),
        resource: ResourceId::parse("ske-mva-melding").unwrap(),
        action: Action::parse("write").unwrap(),
        party: Party::Organization(number(CLIENT)),
        instance: None,
        attributes: Arc::from([]),
    }
}

/// The PDP of the demo.
pub(crate) fn embedded_pdp() -> EmbeddedPdp {
    let files = Files::memory(DEMO_FILES.iter().map(|(path, text)| (*path, text.as_bytes())));
    let mut diagnostics = Diagnostics::new();
    let (resources, directory) =
        (Path::new("policies/resources"), Path::new("policies/directory.yaml"));
    let store =
        config::load_policies(&files, resources, &Origin::Nowhere, &mut diagnostics).unwrap();
    let check = CheckDigits::Strict;
    let directory =
        config::load_directory(&files, directory, check, Some(&store), &mut diagnostics);
    EmbeddedPdp::new(store, directory.unwrap(), Mode::Altinn)
}

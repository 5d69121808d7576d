//! The embedded PDP across reloads.

use super::*;

const CONFIG: &str = "\
environment: local
server: { listen: 127.0.0.1:7080 }
upstream: { url: http://127.0.0.1:8080 }
tokens: { issuers: [{ kind: maskinporten, issuer: a, jwks_url: http://127.0.0.1:1/ }] }
pdp: { kind: embedded }
policies: policies
";
const POLICY: &str = include_str!("../../../../policies/resources/ske-mva-melding.xml");
/// The firm acts for its first client; the second is a stranger to it.
const DIRECTORY: &str = "\
parties:
  - { organization: '314330897' }
  - { organization: '314242726' }
  - { organization: '312714051' }
  - { organization: '313750531' }
roles:
  - { client: '312714051', role: regnskapsforer, provider: '314242726' }
clients: [{ id: smartcloud, organization: '314330897', key: generated }]
system_users:
  - id: a0000001-0000-4000-8000-000000000001
    kind: agent
    owner: '314242726'
    system_id: 314330897_smartcloud
    vendor: '314330897'
    client_ids: [smartcloud]
    clients:
      - { client: '312714051', packages: [regnskapsforer-med-signeringsrettighet] }
";

fn inputs_of(policy: &str, directory: &str) -> Inputs {
    Inputs {
        config: vec!["a.yaml".into()],
        files: Files::memory([
            ("a.yaml", CONFIG.to_owned()),
            ("policies/routes/a.yaml", ROUTES.to_owned()),
            ("policies/resources/mva.xml", policy.to_owned()),
            ("policies/directory.yaml", directory.to_owned()),
        ]),
        ..Inputs::default()
    }
}

fn for_client(number: &str) -> AccessRequest {
    let user = SystemUserId::parse("a0000001-0000-4000-8000-000000000001").unwrap();
    AccessRequest {
        subject: PdpSubject::SystemUser(user),
        resource: ResourceId::parse("ske-mva-melding").unwrap(),
        action: Action::parse("write").unwrap(),
        party: Party::Organization(OrganizationNumber::parse(number, CheckDigits::Strict).unwrap()),
        instance: None,
        attributes: Arc::from([]),
    }
}

/// The same with the link moved from one client to the other.
fn moved() -> String {
    DIRECTORY.replace("client: '312714051'", "client: '313750531'")
}

#[tokio::test]
async fn a_changed_directory_takes_effect_on_what_is_asked_anew() {
    let runtime = runtime();
    assert!(
        !is_permitted(&compiled(&inputs_of(POLICY, DIRECTORY)), &for_client("313750531")).await
    );
    let first = compiled(&inputs_of(POLICY, DIRECTORY));
    let next = compile(&inputs_of(POLICY, &moved()), Some(&first), &runtime).compiled.unwrap();
    assert!(is_permitted(&next, &for_client("313750531")).await);
    assert!(!is_permitted(&next, &for_client("312714051")).await);
}

#[tokio::test]
async fn answers_in_hand_outlive_a_changed_directory_and_no_changed_policy() {
    let runtime = runtime();
    let other_policy = POLICY.replace("</xacml:Policy>", "<!-- another --></xacml:Policy>");
    assert_ne!(other_policy, POLICY);
    let first = compiled(&inputs_of(POLICY, DIRECTORY));
    let request = for_client("312714051");
    assert!(is_permitted(&first, &request).await);
    for (policy, directory, is_kept) in [
        // As at Altinn: a revoked right is gone when the answer in hand has ended.
        (POLICY, moved(), true),
        (&other_policy, moved(), false),
    ] {
        let next =
            compile(&inputs_of(policy, &directory), Some(&first), &runtime).compiled.unwrap();
        assert_eq!(is_permitted(&next, &request).await, is_kept);
    }
    let strict = Inputs {
        environment: [("PORTVAKT_PDP__MODE", "strict")].into_iter().collect(),
        ..inputs_of(POLICY, &moved())
    };
    let next = compile(&strict, Some(&first), &runtime).compiled.unwrap();
    assert!(!is_permitted(&next, &request).await, "another way to decide");
}

#[tokio::test]
async fn a_directory_with_a_mistake_is_refused_and_the_one_in_force_stays() {
    let runtime = runtime();
    let first = compiled(&inputs_of(POLICY, DIRECTORY));
    for (directory, expected) in [
        (
            DIRECTORY.replace("kind: agent", "kind: agnet"),
            "invalid-directory policies/directory.yaml:11:5",
        ),
        (DIRECTORY.replace("roles:", "rolls:"), "unknown-key policies/directory.yaml:6:1"),
        (DIRECTORY.replace("roles:", "roles: ["), "yaml-syntax policies/directory.yaml:7:3"),
    ] {
        let outcome = compile(&inputs_of(POLICY, &directory), Some(&first), &runtime);
        assert!(outcome.compiled.is_none());
        assert_eq!(found(&outcome), [expected]);
    }
    assert!(is_permitted(&first, &for_client("312714051")).await);
}

#[test]
fn a_directory_that_nobody_wrote_is_refused_by_its_name() {
    let mut inputs = inputs_of(POLICY, DIRECTORY);
    inputs.environment = [("PORTVAKT_PDP__DIRECTORY", "other.yaml")].into_iter().collect();
    let outcome = compile(&inputs, None, &runtime());
    assert_eq!(found(&outcome), ["unreadable-file policies/other.yaml"]);
}

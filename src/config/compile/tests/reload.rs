//! What a reload keeps, and what it builds anew.

use super::*;
use crate::domain::{Obligations, PartyId};

#[test]
fn how_systems_are_doing_is_counted_on_after_a_reload() {
    let first = compiled(&inputs(GOOD));
    for config in [GOOD.to_owned(), format!("{GOOD}outbound: {{ proxy: http://proxy:3128 }}\n")] {
        let outcome = compile(&inputs(&config), Some(&first), &runtime());
        assert!(Arc::ptr_eq(&first.healths, &outcome.compiled.unwrap().healths), "{config}");
    }
}

#[test]
fn a_part_is_kept_while_what_it_was_built_from_is_the_same() {
    let runtime = runtime();
    let first = compiled(&inputs(GOOD));
    for (config, keeps_tokens, keeps_decisions) in [
        (GOOD.to_owned(), true, true),
        (format!("{GOOD}log: {{ level: debug }}\n"), true, true),
        (format!("{GOOD}tokens: {{ leeway: 1s }}\n"), false, true),
        (format!("{GOOD}cache: {{ permit_ttl: 1s }}\n"), true, false),
        (GOOD.replace("none: true", "token_file: t"), true, false),
        (format!("{GOOD}outbound: {{ proxy: http://p }}\n"), false, false),
    ] {
        let next = compile(&inputs(&config), Some(&first), &runtime).compiled.unwrap();
        assert_eq!(next.snapshot.generation, 2);
        assert_eq!(next.keeps_tokens, keeps_tokens, "{config}");
        assert_eq!(Arc::ptr_eq(&next.snapshot.tokens, &first.snapshot.tokens), keeps_tokens);
        let same = Arc::ptr_eq(&next.snapshot.decisions, &first.snapshot.decisions);
        assert_eq!(same, keeps_decisions, "{config}");
    }
}

#[tokio::test]
async fn answers_outlive_a_reload_unless_it_names_another_pdp_or_another_client() {
    let altinn = GOOD.replace("pdp: {", "pdp: { url: 'http://127.0.0.1:1',");
    let longer = format!("{altinn}cache: {{ permit_ttl: 5m, max_entries: 5000 }}\n");
    let cases = [
        (format!("{altinn}log: {{ level: debug }}\n"), true),
        (altinn.replace("pdp: {", "pdp: { timeout: 2s,"), true),
        (longer, true),
        (format!("{altinn}outbound: {{ proxy: 'http://127.0.0.1:1' }}\n"), true),
        (altinn.replace("127.0.0.1:1'", "127.0.0.1:2'"), false),
        (altinn.replace("none: true", "token_file: t"), false),
    ];
    let runtime = runtime();
    let request = AccessRequest {
        subject: PdpSubject::Organization(
            OrganizationNumber::parse("312714051", CheckDigits::Lenient).unwrap(),
        ),
        resource: ResourceId::parse("ske-mva-melding").unwrap(),
        action: Action::parse("read").unwrap(),
        party: Party::Id(PartyId::parse("50012345").unwrap()),
        instance: None,
        attributes: Arc::from([]),
    };
    for (config, keeps) in cases {
        let mut first = compiled(&inputs(&altinn));
        // In place of a PDP that answers: the same one by name, which has permitted this once.
        let identity = first.snapshot.decisions.identity().to_owned();
        let point = Arc::new(Permitting(identity));
        let (tasks, clock) = (runtime.tasks.clone(), Arc::clone(&runtime.clock));
        let decisions = Decisions::new(point, first.basis.cache, tasks, clock);
        Arc::get_mut(&mut first.snapshot).unwrap().decisions = Arc::new(decisions);
        assert!(is_permitted(&first, &request).await);
        let next = compile(&inputs(&config), Some(&first), &runtime).compiled.unwrap();
        assert_eq!(is_permitted(&next, &request).await, keeps, "{config}");
    }
}

#[derive(Debug)]
struct Permitting(String);

impl DecisionPoint for Permitting {
    fn decide<'a>(&'a self, _: &'a AccessRequest) -> PendingDecision<'a> {
        Box::pin(std::future::ready(Ok(Decision::Permit(Obligations::default()))))
    }

    fn source(&self) -> DecisionSource {
        DecisionSource::Pdp
    }

    fn identity(&self) -> &str {
        &self.0
    }
}

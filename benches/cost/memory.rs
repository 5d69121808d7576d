//! What a held decision takes: memory by the difference of what is resident, and the time of a read among
//! many. Each count is held in a process of its own, so that none finds what another has freed.

use crate::harness::Report;
use crate::setting::question;
use crate::usage::resident;
use portvakt::domain::{
    AccessRequest, CheckDigits, Clock, Decision, DecisionSource, Obligation, Obligations,
    OrganizationNumber, Party, PdpSubject, SystemClock, SystemUserId,
};
use portvakt::pdp::wire::{WireResult, decode_response, encode_response};
use portvakt::pdp::{
    CacheSettings, DecisionFault, DecisionPoint, Decisions, Lifetimes, PendingDecision,
};
use portvakt::tasks::Tasks;
use std::cell::Cell;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// The word by which a process learns how many entries it is to hold.
pub(crate) const ENTRIES: &str = "entries";
const COUNTS: [u32; 3] = [1_000, 100_000, 1_000_000];
/// Of one system user.
const PARTIES: u32 = 10;
/// Questions that the reads choose from: more than any cache of the processor holds the entries of.
const ASKED: u32 = 200_000;
/// Longer than it takes to fill and to read.
const LIFETIME: Duration = Duration::from_hours(1);

pub(crate) fn run(report: &Report) {
    if !report.heading("Decisions held", "memory") {
        return;
    }
    for count in COUNTS {
        if !report.wants(&format!("memory: {count}")) {
            continue;
        }
        let own = std::env::current_exe().unwrap();
        let ended = Command::new(own).arg(format!("{ENTRIES}={count}")).arg("memory").status();
        assert!(ended.unwrap().success());
    }
}

/// Answers at once, with a permit as it comes from the wire: every answer its own.
#[derive(Debug)]
struct AtOnce(Vec<u8>);

impl DecisionPoint for AtOnce {
    fn decide<'a>(&'a self, _request: &'a AccessRequest) -> PendingDecision<'a> {
        let decided = decode_response(&self.0);
        Box::pin(std::future::ready(decided.map_err(|_| DecisionFault::Internal)))
    }

    fn source(&self) -> DecisionSource {
        DecisionSource::Pdp
    }

    fn identity(&self) -> &'static str {
        "at once"
    }
}

/// Holds this many decisions, and reports on them.
pub(crate) fn hold(report: &Report, count: u32) {
    let level = Obligation {
        id: "urn:altinn:obligation:authenticationLevel1".into(),
        category: "urn:altinn:minimum-authenticationlevel".into(),
        value: "2".into(),
    };
    let permit = Decision::Permit(Obligations::new(vec![level]));
    let point = AtOnce(encode_response(&[WireResult::from(permit)]));
    // No shard of the cache is to run full.
    let max_entries = u64::from(count + count / 4 + 10_000);
    let settings = CacheSettings {
        permit_ttl: LIFETIME,
        deny_ttl: LIFETIME,
        longest_lifetime: LIFETIME,
        max_entries,
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let decisions = Decisions::new(Arc::new(point), settings, Tasks::new(), clock);
    let lifetimes = Lifetimes::Held { permit: LIFETIME, deny: LIFETIME };
    let questions = Questions::new();
    let ask = |index| {
        let decisions = &decisions;
        let question = questions.numbered(index);
        async move { decisions.decide(&question, lifetimes).await.unwrap() }
    };
    // What is made once is not counted with the entries.
    report.prepare(ask(0));
    let before = resident();
    report.prepare(async {
        for index in 1..count {
            ask(index).await;
        }
    });
    // Settles what the cache has put off.
    let held = decisions.stats().entries;
    let bytes = resident().saturating_sub(before);
    assert!(held == u64::from(count), "{held} of {count} are held");
    println!(
        "memory: {count:<36} {:>10} bytes an entry (resident: {} MiB more)",
        bytes / u64::from(count),
        bytes >> 20
    );
    let mut random = Random(1);
    let asked: Vec<AccessRequest> = (0..ASKED.min(count))
        .map(|_| questions.numbered(u32::try_from(random.next() % u64::from(count)).unwrap()))
        .collect();
    let next = Cell::new(0_usize);
    report.time_async(&format!("memory: read among {count}"), async || {
        let at = next.get();
        next.set((at + 1) % asked.len());
        decisions.decide(asked.get(at).unwrap(), lifetimes).await.unwrap()
    });
    assert!(decisions.stats().calls == u64::from(count), "a read was none");
}

/// Questions that differ in system user and party, as those of one API do.
struct Questions {
    like: AccessRequest,
    parties: Vec<OrganizationNumber>,
}

impl Questions {
    fn new() -> Self {
        let parties = organizations(1000);
        Self { like: question(), parties }
    }

    fn numbered(&self, index: u32) -> AccessRequest {
        let user = Uuid::from_u128(0xa000_0001_0000_4000_8000 << 48 | u128::from(index / PARTIES));
        let user = SystemUserId::parse(&user.to_string()).unwrap();
        // Neighbours have other parties.
        let party = (index / PARTIES * 7 + index % PARTIES) as usize % self.parties.len();
        AccessRequest {
            subject: PdpSubject::SystemUser(user),
            party: Party::Organization(*self.parties.get(party).unwrap()),
            ..self.like.clone()
        }
    }
}

/// So many organization numbers.
pub(crate) fn organizations(count: usize) -> Vec<OrganizationNumber> {
    let read =
        |number: u32| OrganizationNumber::parse(&number.to_string(), CheckDigits::Strict).ok();
    (310_000_000..).filter_map(read).take(count).collect()
}

/// Numbers without a pattern that a processor would foresee (xorshift64).
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

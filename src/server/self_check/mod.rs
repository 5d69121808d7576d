//! Whether the surroundings let Portvakt keep what it promises: that nobody comes to the API around it, that
//! memory is not taken away while limits still allow more, that times in tokens are judged by the right time.
//!
//! What is found is told once, and shown by probes and metrics for as long as it lasts. It changes no verdict.
//! How the machine is asked is in `machine`.

mod machine;

use super::readiness::Readiness;
use crate::config::{Claim, Compiled, OnFinding};
use crate::record::Sample;
use crate::snapshot::Snapshot;
use crate::tasks::Tasks;
use crate::token::TokenVerifier;
use crate::upstream::UpstreamAddress;
use arc_swap::ArcSwap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// How often the surroundings are looked at: the API may begin to listen after us, and clocks drift.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// The same, after the first look once all is served.
const LOOK_FIRST: Duration = Duration::from_secs(5);
/// What the process has with nothing to do, rounded up.
const PROCESS: u64 = 14 * 1024 * 1024;
const MIB: u64 = 1024 * 1024;

/// What is not as it should be, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// The API is reached over the network, by whoever can reach its address.
    ApiElsewhere(String),
    /// The API is on this machine, and listens for others, too.
    ApiOpen(SocketAddr),
    /// A limit allows more than the container has.
    Memory { claim: Claim, granted: u64 },
    /// Times in tokens are judged by another time than the issuer's.
    Clock { issuer: Arc<str>, ahead: i64, leeway: Duration },
}

/// What is looked at; the word of metrics.
const CHECKS: [&str; 3] = ["upstream", "memory", "clock"];

impl Finding {
    fn check(&self) -> &'static str {
        let [upstream, memory, clock] = CHECKS;
        match self {
            Self::ApiElsewhere(_) | Self::ApiOpen(_) => upstream,
            Self::Memory { .. } => memory,
            Self::Clock { .. } => clock,
        }
    }

    /// Whether it is the one that was told already. How far a clock is off changes from one look to the next.
    fn is_told_by(&self, told: &Self) -> bool {
        self == told
            || matches!((self, told), (Self::Clock { issuer, .. }, Self::Clock { issuer: other, .. }) if issuer == other)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiElsewhere(address) => write!(
                f,
                "the API at `{address}` is not on this machine: whoever can reach that address goes around \
                 Portvakt; let only Portvakt reach it (NetworkPolicy), or run Portvakt beside it"
            ),
            Self::ApiOpen(address) => write!(
                f,
                "the API listens on `{address}`: whoever can reach this machine goes around Portvakt; let it \
                 listen on 127.0.0.1 or a unix socket, or close its port to others (NetworkPolicy)"
            ),
            Self::Memory { claim, granted } => write!(
                f,
                "`{}` may take {} MiB, beside the {} MiB of the process, and the container has {} MiB: lower it, \
                 or give the container more",
                claim.setting,
                claim.bytes.div_ceil(MIB),
                PROCESS / MIB,
                granted / MIB
            ),
            Self::Clock { issuer, ahead, leeway } => {
                let (off, side) =
                    (ahead.unsigned_abs(), if *ahead > 0 { "ahead of" } else { "behind" });
                let leeway = leeway.as_secs();
                write!(
                    f,
                    "the clock is {off} s {side} that of {issuer}, and `tokens.leeway` is {leeway} s: tokens are \
                     refused that count, or count for too long; set the machine's clock (NTP)"
                )
            }
        }
    }
}

/// What was found last. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct SelfCheck {
    follows: OnFinding,
    upstream: UpstreamAddress,
    memory: Arc<[Finding]>,
    readiness: Readiness,
    found: Arc<ArcSwap<Vec<Finding>>>,
    /// Where we listen ourselves.
    ours: Arc<ArcSwap<Vec<SocketAddr>>>,
}

impl SelfCheck {
    /// Looks for the first time; of the clock nothing is known before keys have been fetched.
    pub(super) fn new(compiled: &Compiled, readiness: Readiness) -> Self {
        let memory = memory(&compiled.claims(), machine::granted_memory());
        let checked = Self {
            follows: compiled.self_check,
            upstream: compiled.upstream.address.clone(),
            memory: memory.into(),
            readiness,
            found: Arc::default(),
            ours: Arc::default(),
        };
        checked.look(&compiled.snapshot.tokens);
        checked
    }

    /// Looks now, and again and again until the process ends.
    pub(super) fn follow(&self, snapshot: &Arc<ArcSwap<Snapshot>>, tasks: &Tasks) {
        let (checked, stopping) = (self.clone(), tasks.stopping());
        let (snapshot, looking) = (Arc::clone(snapshot), tasks.clone());
        drop(tasks.spawn(async move {
            for pause in std::iter::once(LOOK_FIRST).chain(std::iter::repeat(LOOK_EVERY)) {
                let (checked, tokens) = (checked.clone(), Arc::clone(&snapshot.load().tokens));
                // Lists of sockets may be long.
                let looked = looking.spawn_blocking(move || checked.look(&tokens));
                let _ = looked.await;
                if stopping.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                    return;
                }
            }
        }));
    }

    /// What is not as it should be.
    pub(super) fn findings(&self) -> Arc<Vec<Finding>> {
        self.found.load_full()
    }

    /// Sockets that are our own are not the API's.
    pub(super) fn leave_out(&self, ours: impl IntoIterator<Item = SocketAddr>) {
        self.ours.store(Arc::new(ours.into_iter().collect()));
    }

    /// Why not to start, if so.
    pub(super) fn refusal(&self) -> Option<String> {
        let found = self.refused();
        let refuses = !found.is_empty();
        let lines = || found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n- ");
        refuses.then(lines)
    }

    /// Each check, and whether it found something.
    pub(super) fn samples(&self) -> impl Iterator<Item = Sample> {
        let found = self.found.load_full();
        CHECKS.into_iter().map(move |check| {
            let failed = found.iter().any(|finding| finding.check() == check);
            Sample::SelfCheck { check, failed }
        })
    }

    /// Looks, and tells what was not told before.
    pub(super) fn look(&self, tokens: &TokenVerifier) {
        let ours = self.ours.load();
        let mut found = upstream(&self.upstream, |port| {
            let mut listening = machine::listening(port);
            listening.retain(|address| !ours.contains(address));
            listening
        });
        found.extend(self.memory.iter().cloned());
        found.extend(clock(tokens));
        let told = self.found.swap(Arc::new(found.clone()));
        for finding in &found {
            if told.iter().any(|told| finding.is_told_by(told)) {
                continue;
            }
            if self.refuses(finding) {
                tracing::error!("self-check: {finding}");
            } else {
                tracing::warn!("self-check: {finding}");
            }
        }
        if found.is_empty() && !told.is_empty() {
            tracing::info!("self-check: all is as it should be again");
        }
        self.readiness.set_unfit(!self.refused().is_empty());
    }

    fn refused(&self) -> Vec<Finding> {
        let found = self.found.load();
        found.iter().filter(|finding| self.refuses(finding)).cloned().collect()
    }

    /// Whether a finding ends the traffic. What time it is elsewhere is said by others: an answer from a cache must not
    /// take every replica away at once.
    fn refuses(&self, finding: &Finding) -> bool {
        let ours = match finding {
            Finding::ApiElsewhere(_) | Finding::ApiOpen(_) | Finding::Memory { .. } => true,
            Finding::Clock { .. } => false,
        };
        ours && self.follows == OnFinding::Refuse
    }
}

/// How the API can be reached around us. Where nobody listens yet, nothing is known.
fn upstream(
    address: &UpstreamAddress,
    listening: impl FnOnce(u16) -> Vec<SocketAddr>,
) -> Vec<Finding> {
    let Some(at) = address.host_port() else { return Vec::new() };
    let name = at.host.trim_end_matches('.');
    let here = match name.parse::<IpAddr>() {
        // Whoever connects to the unspecified address reaches this machine.
        Ok(address) => address.to_canonical().is_loopback() || address.is_unspecified(),
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    };
    if !here {
        return vec![Finding::ApiElsewhere(address.to_string())];
    }
    let open = listening(at.port).into_iter();
    open.filter(|address| !address.ip().to_canonical().is_loopback())
        .map(Finding::ApiOpen)
        .collect()
}

/// The limits of which each by itself allows more than there is. All of them together are never used up at one
/// time.
fn memory(claims: &[Claim], granted: Option<u64>) -> Vec<Finding> {
    let Some(granted) = granted else { return Vec::new() };
    let too_large = |claim: &&Claim| claim.bytes.saturating_add(PROCESS) > granted;
    claims.iter().filter(too_large).map(|&claim| Finding::Memory { claim, granted }).collect()
}

fn clock(tokens: &TokenVerifier) -> Vec<Finding> {
    let leeway = tokens.settings().leeway;
    let off = tokens.key_states().into_iter().filter_map(|state| {
        let ahead = state.clock_ahead?;
        (ahead.unsigned_abs() > leeway.as_secs()).then_some(Finding::Clock {
            issuer: state.issuer,
            ahead,
            leeway,
        })
    });
    off.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemClock;
    use crate::outbound::{Outbound, OutboundSettings};
    use crate::token::TokenSettings;
    use crate::upstream::HostPort;
    use std::net::{Ipv4Addr, TcpListener};

    fn at(host: &str) -> UpstreamAddress {
        UpstreamAddress::Http(HostPort { host: host.into(), port: 8080 })
    }

    #[test]
    fn an_api_is_found_that_can_be_reached_around_us() {
        let open = || vec!["0.0.0.0:8080".parse().unwrap()];
        let closed = || {
            ["127.0.0.1:8080", "[::1]:8080", "[::ffff:127.0.0.1]:8080"]
                .map(|it| it.parse().unwrap())
                .to_vec()
        };
        for (host, listening, expected) in [
            ("127.0.0.1", closed(), &[][..]),
            ("localhost", closed(), &[]),
            ("LOCALHOST.", Vec::new(), &[]),
            ("::1", closed(), &[]),
            ("127.0.0.1", open(), &["the API listens on `0.0.0.0:8080`"]),
            ("localhost", vec!["[::]:8080".parse().unwrap()], &["the API listens on `[::]:8080`"]),
            ("api.example.no", closed(), &["the API at `api.example.no:8080` is not on"]),
            ("10.0.0.1", closed(), &["the API at `10.0.0.1:8080` is not on"]),
        ] {
            let found = upstream(&at(host), |_| listening);
            let texts: Vec<_> = found.iter().map(ToString::to_string).collect();
            assert_eq!(texts.len(), expected.len(), "{host}: {texts:?}");
            let begins = texts.iter().zip(expected).all(|(text, begin)| text.starts_with(begin));
            assert!(begins, "{host}: {texts:?}");
        }
        let socket = UpstreamAddress::Unix(std::path::Path::new("/run/api").into());
        assert_eq!(upstream(&socket, |_| open()), []);
    }

    #[test]
    fn what_shows_itself_later_ends_the_traffic_for_as_long_as_it_lasts() {
        let outbound = Outbound::new(&OutboundSettings::default()).unwrap();
        let settings = TokenSettings::new(Vec::new());
        let tokens = TokenVerifier::new(settings, &outbound, &Tasks::new(), Arc::new(SystemClock));
        // A port that is free again.
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let upstream = UpstreamAddress::Http(HostPort { host: "127.0.0.1".into(), port });
        for follows in [OnFinding::Warn, OnFinding::Refuse] {
            let readiness = Readiness::default();
            let checked = SelfCheck {
                follows,
                upstream: upstream.clone(),
                memory: Arc::default(),
                readiness: readiness.clone(),
                found: Arc::default(),
                ours: Arc::default(),
            };
            let looked = |found: usize| {
                checked.look(&tokens);
                assert_eq!(checked.findings().len(), found);
                assert_eq!(checked.refusal().is_some(), found > 0 && follows == OnFinding::Refuse);
                assert_eq!(readiness.is_unfit(), found > 0 && follows == OnFinding::Refuse);
            };
            looked(0);
            let open = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
            looked(1);
            checked.leave_out([open.local_addr().unwrap()]);
            looked(0);
            checked.leave_out([]);
            looked(1);
            drop(open);
            looked(0);
        }
    }

    #[test]
    fn a_limit_is_found_that_the_container_has_no_memory_for() {
        let claim = |setting, mib: u64| Claim { setting, bytes: mib * MIB };
        let claims = [claim("a", 50), claim("b", 51), claim("c", u64::MAX / MIB)];
        let found = memory(&claims, Some(64 * MIB));
        let settings: Vec<_> = found
            .iter()
            .filter_map(|finding| match finding {
                Finding::Memory { claim, .. } => Some(claim.setting),
                Finding::ApiElsewhere(_) | Finding::ApiOpen(_) | Finding::Clock { .. } => None,
            })
            .collect();
        assert_eq!(settings, ["b", "c"]);
        assert_eq!(memory(&claims, None), []);
        let text = found[0].to_string();
        assert!(text.starts_with("`b` may take 51 MiB, beside the 14 MiB of the process, and the container has 64 MiB"), "{text}");
    }
}

//! From the `Authorization` header to a verified caller: cheap checks first, then the signature with a
//! key of the token's own issuer, then the claims. Verified tokens are remembered.
//!
//! **Invariant:** a remembered token counts only while the very key that verified it is in its issuer's
//! present ring and its window holds; whatever fails sends it through full verification.

use super::bearer::SentToken;
use super::claims::{Claims, check_window};
use super::digest::TokenHash;
use super::fingerprint::{Fingerprint, Fingerprints};
use super::key_keeper::{KeyKeeper, Pace, wait};
use super::key_source::{KeySource, source_of};
use super::keys::Key;
use super::recent::RecentTokens;
use super::settings::{IssuerKind, IssuerSettings, TokenSettings};
use super::{BearerToken, Jws, subject, untrusted};
use crate::domain::{Caller, Clock, Denial};
use crate::outbound::{Healths, Outbound};
use crate::tasks::Tasks;
use http::HeaderMap;
use moka::sync::Cache;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Verifies tokens, for as long as its settings hold.
pub struct TokenVerifier {
    settings: TokenSettings,
    issuers: Vec<Issuer>,
    fingerprints: Fingerprints,
    remembered: Cache<Fingerprint, Remembered>,
    /// Of those, some that are used again and again.
    recent: RecentTokens<Remembered>,
    clock: Arc<dyn Clock>,
}

/// A caller, and how it was found out.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// Who calls.
    pub caller: Arc<Caller>,
    /// Whether this very token was verified before: no signature was checked now.
    pub remembered: bool,
}

/// How an issuer's keys are, for readiness, metrics and the status page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyState {
    /// The issuer, as in `iss`.
    pub issuer: Arc<str>,
    /// What its tokens may prove.
    pub kind: IssuerKind,
    /// How many keys can be used now.
    pub keys: usize,
    /// How many were published and cannot be used.
    pub skipped: usize,
    /// Why, one for each.
    pub skip_reasons: Vec<&'static str>,
    /// Time since the fetch that gave them began.
    pub age: Option<Duration>,
    /// Why the latest fetch failed, if it did.
    pub last_fault: Option<String>,
    /// By how many seconds our clock is ahead of the issuer's, below zero where it is behind, as the latest
    /// fetch that told it told it; the time that the fetch itself took is not counted.
    pub clock_ahead: Option<i64>,
}

struct Issuer {
    settings: IssuerSettings,
    keys: Arc<KeyKeeper>,
}

#[derive(Clone)]
struct Remembered {
    hash: TokenHash,
    caller: Arc<Caller>,
    issuer: usize,
    key: Arc<Key>,
}

impl TokenVerifier {
    /// A verifier without keys; [`TokenVerifier::start`] fetches them.
    #[must_use]
    pub fn new(
        settings: TokenSettings,
        outbound: &Outbound,
        tasks: &Tasks,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self::taking_over(None, settings, outbound, tasks, clock)
    }

    /// One that follows another, as on a reload, whose way to the issuers is the same. The keys of issuers whose settings
    /// are the same are taken over; what was remembered of tokens is not.
    #[must_use]
    pub fn taking_over(
        previous: Option<&Self>,
        settings: TokenSettings,
        outbound: &Outbound,
        tasks: &Tasks,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let sources = settings.issuers.iter().map(|issuer| source_of(issuer, outbound)).collect();
        let mut next = Self::assemble(settings, sources, Some(outbound.healths()), tasks, clock);
        let pace = |settings: &TokenSettings| {
            (settings.refresh, settings.refresh_min_interval, settings.max_stale)
        };
        let alike = previous.filter(|former| pace(&former.settings) == pace(&next.settings));
        for issuer in &mut next.issuers {
            let former = alike.and_then(|former| {
                former.issuers.iter().find(|former| former.settings == issuer.settings)
            });
            if let Some(former) = former {
                issuer.keys = Arc::clone(&former.keys);
            }
        }
        next
    }

    /// The same, with keys from elsewhere; one source for each issuer, in order.
    #[cfg(test)]
    pub(super) fn with_sources(
        settings: TokenSettings,
        sources: Vec<Arc<dyn KeySource>>,
        tasks: &Tasks,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self::assemble(settings, sources, None, tasks, clock)
    }

    fn assemble(
        settings: TokenSettings,
        sources: Vec<Arc<dyn KeySource>>,
        healths: Option<&Arc<Healths>>,
        tasks: &Tasks,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let pace = Pace {
            refresh: settings.refresh,
            min_interval: settings.refresh_min_interval,
            max_stale: settings.max_stale,
            leeway: settings.leeway,
        };
        let keeper = |issuer: &IssuerSettings, source| {
            let healths = healths.filter(|_| issuer.keys.is_remote()).map(Arc::clone);
            KeyKeeper::new(issuer, source, healths, pace, Arc::clone(&clock), tasks.clone())
        };
        let issuers: Vec<_> = settings
            .issuers
            .iter()
            .zip(sources)
            .map(|(issuer, source)| Issuer {
                settings: issuer.clone(),
                keys: keeper(issuer, source),
            })
            .collect();
        // Frees memory only; whether an entry counts is decided at each read, by our clock.
        let longest = settings.issuers.iter().map(|issuer| issuer.max_lifetime).max();
        let kept = longest.unwrap_or_default().saturating_add(settings.leeway);
        let remembered = Cache::builder()
            .weigher(|_, entry: &Remembered| weight(&entry.caller))
            .max_capacity(settings.cache_max_entries)
            .time_to_idle(kept.clamp(Duration::from_secs(1), MAX_REMEMBERED))
            .build();
        let (fingerprints, recent) = (Fingerprints::new(), RecentTokens::new());
        Self { settings, issuers, fingerprints, remembered, recent, clock }
    }

    /// What it was built from; a reload with equal settings keeps it.
    #[must_use]
    pub fn settings(&self) -> &TokenSettings {
        &self.settings
    }

    /// Fetches every issuer's keys, waits for the outcome, good or bad, and keeps them fresh from then on.
    pub async fn start(&self) {
        // All begin before the first is awaited: a slow issuer must not delay the next.
        let landings: Vec<_> = self.issuers.iter().map(|issuer| issuer.keys.start()).collect();
        for landed in landings {
            wait(landed).await;
        }
    }

    /// How many verified tokens are remembered, near enough.
    #[must_use]
    pub fn remembered(&self) -> u64 {
        // The count is kept lazily; it is asked for by a scrape, not by a request.
        self.remembered.run_pending_tasks();
        self.remembered.entry_count()
    }

    /// An issuer for which nobody could be let in any more if this took the place of `former`: it has no keys, and had some
    /// there; or it is another, and every one there had some.
    #[must_use]
    pub fn worse_than(&self, former: &Self) -> Option<KeyState> {
        let had = |issuer: &str| {
            former.key_states().iter().any(|state| *state.issuer == *issuer && state.keys > 0)
        };
        let all_well = former.is_ready();
        let mut states = self.key_states().into_iter();
        states.find(|state| state.keys == 0 && (all_well || had(&state.issuer)))
    }

    /// Whether every issuer has keys that count.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.issuers.iter().all(|issuer| issuer.keys.condition().keys > 0)
    }

    /// How each issuer's keys are, in the order of the settings.
    #[must_use]
    pub fn key_states(&self) -> Vec<KeyState> {
        self.issuers
            .iter()
            .map(|issuer| {
                let condition = issuer.keys.condition();
                KeyState {
                    issuer: Arc::clone(&issuer.settings.issuer),
                    kind: issuer.settings.kind,
                    keys: condition.keys,
                    skipped: condition.skip_reasons.len(),
                    skip_reasons: condition.skip_reasons,
                    age: condition.age,
                    last_fault: condition.last_fault,
                    clock_ahead: condition.clock_ahead,
                }
            })
            .collect()
    }

    /// Who sent these headers, proven by the one bearer token in them.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Authenticated, Denial> {
        self.authenticate_sent(SentToken::from_headers(headers)?).await
    }

    /// Whom this token proves.
    pub async fn verify(&self, token: BearerToken<'_>) -> Result<Authenticated, Denial> {
        self.authenticate_sent(token.into()).await
    }

    /// One that is remembered is the same to the last bit, and needs no second look. Neither its SHA-256 nor that of
    /// a forged one is made unless a token with its fingerprint is remembered.
    async fn authenticate_sent(&self, sent: SentToken<'_>) -> Result<Authenticated, Denial> {
        let fingerprint = self.fingerprints.of(sent.expose());
        if let Some(caller) = fingerprint.and_then(|it| self.recall_recent(it)) {
            return Ok(Authenticated { caller, remembered: true });
        }
        if let Some(fingerprint) = fingerprint
            && let Some(remembered) = self.recall(fingerprint, sent)
        {
            let caller = Arc::clone(&remembered.caller);
            if weight(&caller) == 1 {
                self.recent.keep(fingerprint, remembered);
            }
            return Ok(Authenticated { caller, remembered: true });
        }
        let (caller, issuer, key) = Box::pin(self.verify_in_full(sent.parse()?)).await?;
        let caller = Arc::new(caller);
        if let Some(fingerprint) = fingerprint {
            let (hash, caller) = (TokenHash::of(sent), Arc::clone(&caller));
            self.remembered.insert(fingerprint, Remembered { hash, caller, issuer, key });
        }
        Ok(Authenticated { caller, remembered: false })
    }

    fn recall_recent(&self, fingerprint: Fingerprint) -> Option<Arc<Caller>> {
        let take = |it: &Remembered| self.counts(it).then(|| Arc::clone(&it.caller));
        let found = self.recent.find(fingerprint, take)?;
        if found.is_none() {
            self.recent.forget(fingerprint);
        }
        found
    }

    fn recall(&self, fingerprint: Fingerprint, sent: SentToken<'_>) -> Option<Remembered> {
        let remembered = self.remembered.get(&fingerprint)?;
        if remembered.hash != TokenHash::of(sent) {
            return None;
        }
        if !self.counts(&remembered) {
            self.remembered.invalidate(&fingerprint);
            return None;
        }
        Some(remembered)
    }

    fn counts(&self, Remembered { caller, issuer, key, .. }: &Remembered) -> bool {
        self.issuers.get(*issuer).is_some_and(|issuer| issuer.keys.holds(key))
            && check_window(&caller.window, self.clock.wall(), self.settings.leeway).is_ok()
    }

    async fn verify_in_full(
        &self,
        token: BearerToken<'_>,
    ) -> Result<(Caller, usize, Arc<Key>), Denial> {
        let jws = Jws::parse(token.expose())?;
        let claims = Claims::parse(jws.claims()?)?;
        let (index, Issuer { settings, keys }) = self
            .issuers
            .iter()
            .enumerate()
            .find(|(_, issuer)| *issuer.settings.issuer == *claims.issuer)
            .ok_or_else(|| untrusted("the token's issuer is not one we trust"))?;
        if !settings.algorithms.contains(&jws.algorithm) {
            return Err(untrusted("the token's algorithm is not one its issuer uses"));
        }
        claims.check_time(self.clock.wall(), self.settings.leeway, settings.max_lifetime)?;
        let key = keys.key(&jws.kid).await?;
        if key.algorithm() != jws.algorithm {
            return Err(untrusted("the token's algorithm is not its key's"));
        }
        if !key.verifies(jws.signing_input, &jws.signature) {
            return Err(untrusted("the signature is not made with the issuer's key"));
        }
        claims.check_use(settings)?;
        let caller = subject::prove(claims, settings, self.settings.check_digits)?;
        Ok((caller, index, key))
    }
}

/// One with uncommonly many scopes counts as several: what is bounded is memory.
fn weight(caller: &Caller) -> u32 {
    u32::try_from(1 + caller.scopes.byte_count() / 1024).unwrap_or(u32::MAX)
}

/// The longest that moka accepts is far beyond this; a setting of years must not panic there.
const MAX_REMEMBERED: Duration = Duration::from_hours(24);

impl fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenVerifier").field("settings", &self.settings).finish_non_exhaustive()
    }
}

//! Changed files are put in force while the proxy runs.
//!
//! All or nothing: everything is read, compiled and ready before requests see any of it, and after a fault
//! they are judged as before. Requests under way keep the snapshot that they began with. What cannot change
//! without a new start (sockets, limits of connections, the API's address) is named; where rules depend on it nothing is put in force.
//!
//! Certificates of `server.tls` and of the API, and `token_file`, are followed by those who use them.

use super::control::ControlToken;
use super::gate::warn_of_shadow;
use crate::config::diagnostic::Severity;
use crate::config::{
    self, Compiled, Diagnostic, Diagnostics, Fixed, Inputs, Notes, Outcome, Runtime,
};
use crate::domain::UnixSeconds;
use crate::pdp::credential::CredentialFault;
use crate::record::Recorder;
use crate::snapshot::Snapshot;
use arc_swap::ArcSwap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

/// How often the files are looked at. Polled, and by content, since mounted ConfigMaps and secrets are swapped by
/// links that no watcher of files sees.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// What the pause between attempts is doubled to, while files are refused for the same reason.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// Findings of one reload that are logged. Bounds the log; `check` shows all.
const MAX_LOGGED: usize = 20;

/// The wish for a reload, SIGHUP. From now on it does not end the process.
pub fn reload_signal() -> std::io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Whether the files say what is in force. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Currency(Arc<State>);

#[derive(Debug, Default)]
struct State {
    stale: AtomicBool,
    restart: AtomicBool,
    last: Mutex<Option<LastReload>>,
}

/// What became of the latest reload, in words for people that hold nothing secret.
#[derive(Clone, Debug)]
pub(super) struct LastReload {
    pub(super) at: UnixSeconds,
    pub(super) taken: bool,
    /// Of what was in force afterwards.
    pub(super) generation: u64,
    /// Why not; or which settings need a new start.
    pub(super) said: Option<String>,
    /// The first findings in the files.
    pub(super) findings: Vec<String>,
}

impl Currency {
    /// Whether what they say is in force, but for what needs a new start.
    pub(super) fn is_current(&self) -> bool {
        !self.0.stale.load(Ordering::Relaxed)
    }

    /// Whether something they say needs a new start.
    pub(super) fn needs_restart(&self) -> bool {
        self.0.restart.load(Ordering::Relaxed)
    }

    /// What became of the latest reload; `None` before the first.
    pub(super) fn last(&self) -> Option<LastReload> {
        self.0.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What a reload changes of a running proxy.
#[derive(Clone)]
pub(super) struct InForce {
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) control_token: ControlToken,
    pub(super) currency: Currency,
    pub(super) recorder: Arc<Recorder>,
}

/// Reads the configuration again, and puts it in force.
pub struct Reloader {
    inputs: Inputs,
    runtime: Runtime,
    /// What was found in the files when they were last read.
    notes: Notes,
    /// What was found at the last look, while it is another and may go on to change.
    restless: Option<Notes>,
    /// What the sockets and connections are from.
    fixed: Fixed,
    current: Arc<Compiled>,
    in_force: InForce,
    /// What the files say is not in force, and is tried again.
    refused: Option<Refused>,
}

/// A refusal of which the cause may pass by itself: keys that can be fetched again, a certificate that was replaced at the same
/// time and is followed by another.
#[derive(Debug)]
struct Refused {
    /// As it was told. The same is not told again.
    told: String,
    pause: Duration,
    again: Instant,
}

/// What a look at the files finds.
enum Look {
    /// They are as they were read.
    Unchanged,
    /// They are others, as they were at the last look.
    Settled,
    /// They are others since then.
    Restless(Notes),
}

/// What became of a reload.
#[derive(Debug)]
pub enum Reloaded {
    /// The files are in force.
    Taken {
        /// What their author should know.
        diagnostics: Diagnostics,
        /// Settings that are others than at the start, and take effect only by a new one.
        needs_restart: Vec<&'static str>,
    },
    /// Requests are judged as before.
    Refused(Refusal),
}

/// Why the files are not in force.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There are errors in them.
    #[error("the configuration has errors: `portvakt check` shows them with their lines")]
    Faulty(Diagnostics),
    /// They changed while they were read, again and again.
    #[error("the files change while they are read")]
    Unsteady,
    /// Whose tokens now count has no keys that can be fetched; with them in force everybody would be refused.
    #[error("the keys of an issuer cannot be fetched: {0}")]
    NoKeys(String),
    /// Where requests come from or go to is another: rules that were written for that must not be in force without it.
    #[error("these settings need a new start, and nothing of the rest is in force before: {}", .0.join(", "))]
    NeedsStart(Vec<&'static str>),
    /// With what they say no token can be had to ask the PDP with, and now there is one.
    #[error("our own token cannot be fetched: {0}")]
    NoCredential(String),
    /// A fault of our own.
    #[error("the configuration could not be read: a fault of our own")]
    Broken,
}

impl Reloader {
    pub(super) fn new(
        in_force: InForce,
        compiled: Compiled,
        inputs: Inputs,
        notes: Notes,
        runtime: Runtime,
    ) -> Self {
        let (fixed, current) = (compiled.fixed(), Arc::new(compiled));
        Self { inputs, runtime, notes, restless: None, fixed, current, in_force, refused: None }
    }

    /// Begins to read the files on this signal, and when their content has changed, until the process ends.
    pub fn follow(mut self, mut hangup: Signal) {
        let (tasks, stopping) = (self.runtime.tasks.clone(), self.runtime.tasks.stopping());
        let following = async move {
            loop {
                let _told = tokio::select! {
                    _ = hangup.recv() => Some(self.reload().await),
                    () = tokio::time::sleep(LOOK_EVERY) => self.reload_if_settled().await,
                };
            }
        };
        drop(tasks.spawn(async move {
            let _never: Option<()> = stopping.run_until_cancelled(following).await;
        }));
    }

    /// How many tasks run, of whichever configuration.
    #[must_use]
    pub fn running(&self) -> usize {
        self.runtime.tasks.running()
    }

    /// As [`Self::reload_if_changed`], but for files that have changed since the last look as well: those that are
    /// copied one by one, or are half written, are not taken before they have come to rest. What a ConfigMap or a
    /// secret swaps in is whole from the first.
    async fn reload_if_settled(&mut self) -> Option<Reloaded> {
        let (notes, former) = (self.notes.clone(), self.restless.take());
        let files = self.inputs.files.clone();
        let looking = self.runtime.tasks.spawn_blocking(move || {
            if notes.hold(&files) {
                Look::Unchanged
            } else if former.is_some_and(|former| former.hold(&files)) {
                Look::Settled
            } else {
                Look::Restless(notes.again(&files))
            }
        });
        match looking.await.unwrap_or(Look::Unchanged) {
            Look::Settled => {}
            Look::Unchanged if self.is_due_again() => {}
            Look::Unchanged => return None,
            Look::Restless(found) => {
                self.restless = Some(found);
                return None;
            }
        }
        Some(self.reload().await)
    }

    /// Whether what was refused is to be tried again.
    fn is_due_again(&self) -> bool {
        self.refused.as_ref().is_some_and(|refused| Instant::now() >= refused.again)
    }

    /// Reads the files again if their content is another than when they were last read, or if what they said
    /// then could not be put in force for reasons that pass.
    pub async fn reload_if_changed(&mut self) -> Option<Reloaded> {
        if !self.is_due_again() {
            let (notes, files) = (self.notes.clone(), self.inputs.files.clone());
            let holding = self.runtime.tasks.spawn_blocking(move || notes.hold(&files));
            if holding.await.unwrap_or(true) {
                return None;
            }
        }
        Some(self.reload().await)
    }

    /// Reads the files again, and puts them in force if there is no error.
    pub async fn reload(&mut self) -> Reloaded {
        let reloaded = match self.prepare().await {
            Ok((compiled, diagnostics)) => self.take(compiled, diagnostics),
            Err(refusal) => Reloaded::Refused(refusal),
        };
        self.tell(&reloaded);
        reloaded
    }

    /// Everything that can fail, with nothing in force yet.
    async fn prepare(&mut self) -> Result<(Compiled, Diagnostics), Refusal> {
        let Outcome { compiled, diagnostics, .. } = self.read().await?;
        let Some(compiled) = compiled else { return Err(Refusal::Faulty(diagnostics)) };
        let around_rules = self.fixed.changed_around_rules(&compiled.fixed());
        if !around_rules.is_empty() {
            return Err(Refusal::NeedsStart(around_rules));
        }
        let (next, former) = (&compiled.snapshot, &self.current.snapshot);
        if !compiled.keeps_tokens {
            next.tokens.start().await;
            if let Some(state) = next.tokens.worse_than(&former.tokens) {
                let fault = state.last_fault.unwrap_or_else(|| "it has none".to_owned());
                return Err(Refusal::NoKeys(format!("{}: {fault}", state.issuer)));
            }
        }
        if let Some(keeper) = compiled.keeper_of_its_own(&self.current)
            && let Some(credential) = former.decisions.condition().credential
            && credential.counts()
        {
            let fault = |fault: CredentialFault| Refusal::NoCredential(fault.to_string());
            keeper.token().await.map_err(fault)?;
        }
        next.decisions.start();
        Ok((compiled, diagnostics))
    }

    async fn read(&mut self) -> Result<Outcome, Refusal> {
        let (inputs, runtime) = (self.inputs.clone(), self.runtime.clone());
        let current = Arc::clone(&self.current);
        let reading = self
            .runtime
            .tasks
            .spawn_blocking(move || config::compile_steady(&inputs, Some(&current), &runtime));
        let (outcome, notes) = reading.await.map_err(|_| Refusal::Broken)?;
        self.notes = notes;
        outcome.ok_or(Refusal::Unsteady)
    }

    fn take(&mut self, compiled: Compiled, diagnostics: Diagnostics) -> Reloaded {
        let token = compiled.control.as_ref().and_then(|control| control.token.as_ref());
        self.in_force.control_token.replace(token);
        warn_of_shadow(&compiled.snapshot);
        self.in_force.snapshot.store(Arc::clone(&compiled.snapshot));
        let needs_restart = self.fixed.changed_besides(&compiled.fixed());
        let former = std::mem::replace(&mut self.current, Arc::new(compiled));
        // What it held may be a great deal, and is given back where that holds up no request.
        drop(self.runtime.tasks.spawn_blocking(move || drop(former)));
        Reloaded::Taken { diagnostics, needs_restart }
    }

    fn tell(&mut self, reloaded: &Reloaded) {
        self.note_last(reloaded);
        let state = &self.in_force.currency.0;
        let metrics = self.in_force.recorder.metrics();
        match reloaded {
            Reloaded::Taken { diagnostics, needs_restart } => {
                log(diagnostics);
                let snapshot = &self.current.snapshot;
                let (generation, rules) = (snapshot.generation, snapshot.routes.rules().len());
                tracing::info!(generation, rules, "the changed configuration is in force");
                if !needs_restart.is_empty() {
                    let settings = needs_restart.join(", ");
                    tracing::warn!(settings, "these settings have changed and need a new start");
                }
                state.restart.store(!needs_restart.is_empty(), Ordering::Relaxed);
                state.stale.store(false, Ordering::Relaxed);
                metrics.reloaded(true);
                self.refused = None;
            }
            Reloaded::Refused(refusal) => {
                let (told, findings) = match refusal {
                    Refusal::Faulty(found) => (found.to_json_lines(), Some(found)),
                    Refusal::Unsteady
                    | Refusal::NoKeys(_)
                    | Refusal::NeedsStart(_)
                    | Refusal::NoCredential(_)
                    | Refusal::Broken => (refusal.to_string(), None),
                };
                let former = self.refused.take().filter(|former| former.told == told);
                let pause = former.as_ref().map_or(LOOK_EVERY, |former| former.pause * 2);
                let pause = pause.min(LONGEST_PAUSE);
                if former.is_none() {
                    findings.into_iter().for_each(log);
                    let generation = self.current.snapshot.generation;
                    tracing::error!(generation, %refusal, "not reloaded: what was in force stays so");
                    metrics.reloaded(false);
                }
                if matches!(refusal, Refusal::NeedsStart(_)) {
                    state.restart.store(true, Ordering::Relaxed);
                }
                state.stale.store(true, Ordering::Relaxed);
                let now = Instant::now();
                let again = now.checked_add(pause).unwrap_or(now);
                self.refused = Some(Refused { told, pause, again });
            }
        }
    }
}

impl Reloader {
    fn note_last(&self, reloaded: &Reloaded) {
        let (taken, said, found) = match reloaded {
            Reloaded::Taken { diagnostics, needs_restart } => {
                let restart = (!needs_restart.is_empty()).then(|| {
                    format!("these settings need a new start: {}", needs_restart.join(", "))
                });
                (true, restart, Some(diagnostics))
            }
            Reloaded::Refused(refusal) => {
                let found = if let Refusal::Faulty(found) = refusal { Some(found) } else { None };
                (false, Some(refusal.to_string()), found)
            }
        };
        let snapshot = &self.current.snapshot;
        let last = LastReload {
            at: snapshot.clock.wall(),
            taken,
            generation: snapshot.generation,
            said,
            findings: found.map(lines).unwrap_or_default(),
        };
        let state = &self.in_force.currency.0;
        *state.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
    }
}

fn lines(found: &Diagnostics) -> Vec<String> {
    let line = |found: &Diagnostic| {
        let help = found.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        format!("{}: {}: {}{help}", found.origin, found.code, found.message)
    };
    found.sorted().into_iter().take(MAX_LOGGED).map(line).collect()
}

/// One line for each of the first findings. They hold nothing secret.
fn log(diagnostics: &Diagnostics) {
    for found in diagnostics.sorted().into_iter().take(MAX_LOGGED) {
        let (code, at, help) = (found.code, found.origin.to_string(), found.help.as_deref());
        match found.severity {
            Severity::Error => tracing::error!(code, at, help, "{}", found.message),
            Severity::Warning => tracing::warn!(code, at, help, "{}", found.message),
            Severity::Note => tracing::info!(code, at, help, "{}", found.message),
        }
    }
}

impl std::fmt::Debug for Reloader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloader").finish_non_exhaustive()
    }
}

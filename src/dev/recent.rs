//! What the development PDP answered lately, and why: for whoever asks by the id that the answer bore.
//!
//! In memory and bounded; the oldest leave. What it does not hold: what was asked. It names nobody, except
//! as far as the reasons do, and those mask persons.

use super::claims::set;
use crate::domain::{Clock, Decision, Indeterminate, UnixSeconds};
use crate::pdp::Reasons;
use crate::pdp::embedded::Api;
use crate::pdp::wire::WireResult;
use crate::server::{Page, Refusal};
use http::StatusCode;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// The most answers kept. Bounds how long one is looked for.
pub const MAX_ANSWERS: usize = 1000;
/// The most text kept of all answers. Bounds memory against questions with long reasons.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// The most text kept of one answer; the reasons of its further questions are left out. Bounds how many
/// others one multi-request drives out.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
/// The most answers listed.
const MAX_LISTED: usize = 50;
/// The most questions of an answer that the list describes. Bounds the list.
const MAX_ASKED: usize = 3;

/// The answers. Clones are one store.
#[derive(Clone)]
pub struct Recent {
    kept: Arc<Mutex<Kept>>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Kept {
    /// The latest last.
    answers: VecDeque<KeptAnswer>,
    // Invariant: the sum of the answers' texts.
    bytes: usize,
}

struct KeptAnswer {
    id: Uuid,
    at: UnixSeconds,
    api: &'static str,
    /// What the caller was told.
    told: Vec<&'static str>,
    /// Each question as JSON: compact, and its size is known.
    questions: Vec<Box<str>>,
    bytes: usize,
}

/// One question, as it is kept.
#[derive(Debug)]
pub struct KeptQuestion {
    decision: &'static str,
    status: Option<&'static str>,
    reasons: Option<Box<Reasons>>,
    cause: Option<&'static str>,
}

impl KeptQuestion {
    /// One that was answered.
    #[must_use]
    pub fn answered(decision: &Decision, reasons: Option<Box<Reasons>>) -> Self {
        Self { decision: decision.as_str(), status: status(decision), reasons, cause: None }
    }

    /// One that could not be read, and why.
    #[must_use]
    pub fn unreadable(decision: &Decision, cause: &'static str) -> Self {
        let (decision, status) = (decision.as_str(), status(decision));
        Self { decision, status, reasons: None, cause: Some(cause) }
    }

    fn without_reasons(&self) -> Value {
        json!({ "decision": self.decision, "status": self.status })
    }

    /// With its reasons, for programs and as lines for people.
    fn document(&self) -> Value {
        let mut document = self.without_reasons();
        if let Some(cause) = self.cause {
            set(&mut document, "cause", json!(cause));
        }
        if let Some(reasons) = &self.reasons {
            let lines = reasons.to_string();
            let lines: Vec<_> = lines.lines().collect();
            set(&mut document, "reasons", json!(reasons));
            set(&mut document, "explanation", json!(lines));
        }
        document
    }
}

impl Recent {
    /// None yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { kept: Arc::default(), clock }
    }

    /// Keeps an answer; gives the id by which it is found, as long as it is kept.
    pub fn keep(&self, api: Api, results: &[WireResult], questions: Vec<KeptQuestion>) -> Uuid {
        let id = Uuid::new_v4();
        let mut answer = KeptAnswer {
            id,
            at: self.clock.wall(),
            api: match api {
                Api::External => "authorize",
                Api::Internal => "decision",
            },
            told: results.iter().map(|result| result.decision.as_str()).collect(),
            questions: Vec::with_capacity(questions.len()),
            bytes: 0,
        };
        for question in questions {
            let mut text = question.document().to_string();
            if answer.bytes.saturating_add(text.len()) > MAX_ANSWER_BYTES {
                let mut short = question.without_reasons();
                set(&mut short, "reasonsLeftOut", json!(true));
                text = short.to_string();
            }
            answer.bytes = answer.bytes.saturating_add(text.len());
            answer.questions.push(text.into());
        }
        self.lock().keep(answer);
        id
    }

    /// The pages that show them: the latest at `/decisions`, one by its id below.
    #[must_use]
    pub fn pages(&self) -> Vec<Page> {
        let (one, all) = (self.clone(), self.clone());
        vec![
            Page::get("/decisions/", move |asked| one.show(&asked.rest)),
            Page::get("/decisions", move |_| Ok(all.list())),
        ]
    }

    fn show(&self, id: &str) -> Result<Value, Refusal> {
        let id = Uuid::try_parse(id)
            .map_err(|_| Refusal::bad("a decision id is a UUID: see `Portvakt-Decision-Id`"))?;
        let kept = self.lock();
        let found = kept.answers.iter().rev().find(|answer| answer.id == id);
        found.map(KeptAnswer::document).ok_or_else(|| {
            let detail = format!("no such decision among the latest {MAX_ANSWERS}");
            Refusal::new(StatusCode::NOT_FOUND, detail)
        })
    }

    fn list(&self) -> Value {
        let kept = self.lock();
        let latest = kept.answers.iter().rev().take(MAX_LISTED);
        let listed = latest.map(|answer| {
            let mut summary = answer.summary();
            set(&mut summary, "asked", answer.asked().collect());
            summary
        });
        json!({ "decisions": listed.collect::<Vec<_>>() })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn keep(&mut self, answer: KeptAnswer) {
        self.bytes = self.bytes.saturating_add(answer.bytes);
        self.answers.push_back(answer);
        while self.answers.len() > MAX_ANSWERS || (self.bytes > MAX_BYTES && self.answers.len() > 1)
        {
            let oldest = self.answers.pop_front();
            self.bytes = self.bytes.saturating_sub(oldest.map_or(0, |oldest| oldest.bytes));
        }
    }
}

impl KeptAnswer {
    fn summary(&self) -> Value {
        json!({ "id": self.id, "time": written(self.at), "decisions": self.told })
    }

    /// What was asked, of the first few questions that could be read.
    fn asked(&self) -> impl Iterator<Item = Value> {
        self.read().filter_map(|it| it.pointer("/reasons/asked").cloned()).take(MAX_ASKED)
    }

    fn document(&self) -> Value {
        let mut document = self.summary();
        set(&mut document, "api", json!(self.api));
        set(&mut document, "questions", self.read().collect());
        document
    }

    fn read(&self) -> impl Iterator<Item = Value> {
        // It was JSON when it was kept.
        self.questions.iter().filter_map(|text| serde_json::from_str(text).ok())
    }
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.lock();
        f.debug_struct("Recent").field("answers", &kept.answers.len()).finish_non_exhaustive()
    }
}

/// The last word of the status code; none where there is no code.
fn status(decision: &Decision) -> Option<&'static str> {
    match decision {
        Decision::Permit(_) | Decision::Deny | Decision::NotApplicable => Some("ok"),
        Decision::Indeterminate(Indeterminate::Unstated) => None,
        Decision::Indeterminate(why) => Some(why.as_str()),
    }
}

/// As RFC 3339 writes it.
fn written(at: UnixSeconds) -> String {
    let seconds = i64::try_from(at.0).ok();
    let at = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    at.unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ManualClock;

    fn recent() -> Recent {
        Recent::new(Arc::new(ManualClock::at(UnixSeconds(1_718_175_020))))
    }

    fn keep(recent: &Recent, question: KeptQuestion) -> Uuid {
        recent.keep(Api::External, &[Decision::NotApplicable.into()], vec![question])
    }

    fn no() -> KeptQuestion {
        KeptQuestion::answered(&Decision::NotApplicable, Some(Box::default()))
    }

    #[test]
    fn an_answer_is_found_by_its_id_until_newer_ones_drive_it_out() {
        let recent = recent();
        let first = keep(&recent, no());
        let found = recent.show(&first.to_string()).unwrap();
        assert_eq!(found["id"], json!(first));
        assert_eq!(found["time"], "2024-06-12T06:50:20Z");
        assert_eq!(found["api"], "authorize");
        assert_eq!(found["decisions"], json!(["NotApplicable"]));
        assert_eq!(found["questions"][0]["decision"], "NotApplicable");
        assert_eq!(found["questions"][0]["status"], "ok");
        assert!(found["questions"][0]["reasons"].is_object());
        for _ in 1..MAX_ANSWERS {
            keep(&recent, no());
        }
        assert!(recent.show(&first.to_string()).is_ok(), "the last that is kept");
        let last = keep(&recent, no());
        assert!(recent.show(&first.to_string()).is_err());
        let listed = recent.list();
        assert_eq!(listed["decisions"].as_array().unwrap().len(), MAX_LISTED);
        assert_eq!(listed["decisions"][0]["id"], json!(last), "the latest first");
    }

    #[test]
    fn what_is_kept_is_bounded_by_its_size_too() {
        let mut kept = Kept::default();
        let mut answer = |bytes| {
            let (id, at) = (Uuid::new_v4(), UnixSeconds(0));
            let (told, questions) = (Vec::new(), Vec::new());
            kept.keep(KeptAnswer { id, at, api: "authorize", told, questions, bytes });
            (kept.answers.len(), kept.bytes)
        };
        assert_eq!(answer(MAX_BYTES / 2), (1, MAX_BYTES / 2));
        assert_eq!(answer(MAX_BYTES / 2), (2, MAX_BYTES));
        assert_eq!(answer(1), (2, MAX_BYTES / 2 + 1));
    }

    #[test]
    fn a_question_that_cannot_be_read_says_why_and_other_texts_are_no_ids() {
        let recent = recent();
        let undecided = Decision::Indeterminate(Indeterminate::SyntaxError);
        let id = keep(&recent, KeptQuestion::unreadable(&undecided, "no `Request`"));
        let found = recent.show(&id.to_string()).unwrap();
        assert_eq!(found["questions"][0]["status"], "syntax-error");
        assert_eq!(found["questions"][0]["cause"], "no `Request`");
        let refused = |text: &str| format!("{:?}", recent.show(text).unwrap_err());
        assert!(refused("purge").contains("400"));
        assert!(refused(&Uuid::new_v4().to_string()).contains("404"));
    }
}

//! `/faults`: the PDP misbehaves on command, so that what the proxy and its callers make of it is seen.

use crate::dev::pdp_face::{Behaviour, FaultPlan, Faults};
use crate::server::{Asked, Page, Refusal, stated};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::time::Duration;

/// The longest wait before an answer. Bounds how long a question can be held by a switch that is forgotten.
const MAX_LATENCY: Duration = Duration::from_mins(1);
/// The longest wait a refusal can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// How to misbehave. A status needs no behaviour, a latency neither.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Said {
    #[serde(default, deserialize_with = "stated")]
    behaviour: Option<String>,
    #[serde(default, deserialize_with = "stated")]
    status: Option<u16>,
    #[serde(default, deserialize_with = "stated")]
    retry_after: Option<u64>,
    #[serde(default, deserialize_with = "stated")]
    latency_ms: Option<u64>,
    #[serde(default, deserialize_with = "stated")]
    times: Option<NonZeroU32>,
}

const EXPECTED: &str = "the body must be an object with some of `behaviour` (`answer`, `refuse`, `drop`, \
                        `indeterminate` or `repeat`), `status`, `retryAfter` (seconds), `latencyMs` and \
                        `times` (from 1), each once; `{\"behaviour\":\"answer\"}` ends every fault";

pub(super) fn pages(faults: Faults) -> [Page; 2] {
    let shown = faults.clone();
    [
        Page::get("/faults", move |_| Ok(document(&shown))),
        Page::post("/faults", move |asked| set(&faults, asked)),
    ]
}

fn set(faults: &Faults, asked: &Asked) -> Result<Value, Refusal> {
    let said: Said = asked.object(EXPECTED)?;
    let plan = plan(&said)?;
    if said.times.is_some() && plan == FaultPlan::default() {
        return Err(Refusal::bad("`times` needs a fault that lasts as many answers"));
    }
    faults.set_for(plan, said.times);
    let now = document(faults);
    tracing::info!(faults = %now, "how the PDP behaves is changed");
    Ok(now)
}

fn plan(said: &Said) -> Result<FaultPlan, Refusal> {
    let latency = Duration::from_millis(said.latency_ms.unwrap_or_default());
    if latency > MAX_LATENCY {
        return Err(Refusal::bad("`latencyMs` can be 60000 at most"));
    }
    let behaviour = match (said.behaviour.as_deref(), said.status) {
        (None | Some("refuse"), Some(status)) => refusal(status, said.retry_after)?,
        (Some("refuse"), None) => {
            return Err(Refusal::bad("`refuse` needs a `status` from 400 to 599"));
        }
        (Some("answer" | "drop" | "indeterminate" | "repeat"), Some(_)) => {
            return Err(Refusal::bad("`status` is for `refuse` only"));
        }
        (None, None) if said.latency_ms.is_some() => Behaviour::Answer,
        (Some("answer"), None) => Behaviour::Answer,
        (Some("drop"), None) => Behaviour::DropConnection,
        (Some("indeterminate"), None) => Behaviour::Indeterminate,
        (Some("repeat"), None) => Behaviour::Repeat,
        (Some(_), _) | (None, None) => return Err(Refusal::bad(EXPECTED)),
    };
    if said.retry_after.is_some() && said.status.is_none() {
        return Err(Refusal::bad("`retryAfter` goes with a `status` only"));
    }
    Ok(FaultPlan { latency, behaviour })
}

fn refusal(status: u16, retry_after: Option<u64>) -> Result<Behaviour, Refusal> {
    let status = StatusCode::from_u16(status)
        .ok()
        .filter(|status| status.is_client_error() || status.is_server_error())
        .ok_or_else(|| Refusal::bad("`status` must be from 400 to 599"))?;
    let retry_after = retry_after.map(Duration::from_secs);
    if retry_after.is_some_and(|wait| wait > MAX_RETRY_AFTER) {
        return Err(Refusal::bad("`retryAfter` can be 3600 at most"));
    }
    Ok(Behaviour::Refuse(status, retry_after))
}

/// What the switch is set to, in the words in which it is set.
fn document(faults: &Faults) -> Value {
    let (FaultPlan { latency, behaviour }, times) = faults.current();
    let (word, status, retry_after) = match behaviour {
        Behaviour::Answer => ("answer", None, None),
        Behaviour::Refuse(status, wait) => {
            ("refuse", Some(status.as_u16()), wait.map(|wait| wait.as_secs()))
        }
        Behaviour::DropConnection => ("drop", None, None),
        Behaviour::Indeterminate => ("indeterminate", None, None),
        Behaviour::Repeat => ("repeat", None, None),
    };
    let latency = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
    let members = [
        ("behaviour", Some(json!(word))),
        ("status", status.map(|status| json!(status))),
        ("retryAfter", retry_after.map(|wait| json!(wait))),
        ("latencyMs", (latency > 0).then(|| json!(latency))),
        ("times", times.map(|times| json!(times))),
    ];
    let stated = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(stated.collect())
}

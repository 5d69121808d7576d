//! `GET /records`: decision records as they are written, as server-sent events (WHATWG HTML §9.2), until the
//! client leaves or the process ends. `outcome`, `rule` and `text` say which.

use super::page::Refusal;
use crate::record::{Live, MAX_ONLOOKERS, Onlooker, Outcome, Seen, Wanted};
use bytes::Bytes;
use http::StatusCode;
use hyper::body::{Body, Frame};
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// The path.
pub(super) const RECORDS: &str = "/records";
/// How often something is sent, so that either side notices that the other has left.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// The longest word in the query. Bounds what is compared with each record.
const MAX_WORD: usize = 200;

/// The events: a body that ends when the process does.
pub struct Events {
    onlooker: Onlooker,
    ending: Pin<Box<WaitForCancellationFutureOwned>>,
    signs: Interval,
}

/// Begins to tell; `query` is what follows the question mark.
pub(super) fn open(live: &Live, query: &str, ending: CancellationToken) -> Result<Events, Refusal> {
    let wanted = wanted(query)?;
    let Some(onlooker) = live.look_on(wanted) else {
        let detail = format!("{MAX_ONLOOKERS} look on already");
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    };
    let mut signs = interval(SIGN_OF_LIFE);
    signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Ok(Events { onlooker, ending: Box::pin(ending.cancelled_owned()), signs })
}

fn wanted(query: &str) -> Result<Wanted, Refusal> {
    let mut wanted = Wanted::default();
    for (name, word) in url::form_urlencoded::parse(query.as_bytes()) {
        if word.len() > MAX_WORD {
            return Err(Refusal::bad("a word is too long"));
        }
        let place = match &*name {
            "rule" => &mut wanted.rule,
            "text" => &mut wanted.text,
            "outcome" => {
                let known = Outcome::ALL.into_iter().find(|known| known.as_str() == word);
                let unknown = || Refusal::bad("`outcome` is forwarded, refused or aborted");
                wanted.outcome = Some(known.ok_or_else(unknown)?);
                continue;
            }
            _ => return Err(Refusal::bad("known are `outcome`, `rule` and `text`")),
        };
        *place = Some(word.into_owned());
    }
    Ok(wanted)
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let event = |text: Vec<u8>| Poll::Ready(Some(Ok(Frame::data(text.into()))));
        if self.ending.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        match self.onlooker.poll_next(context) {
            // A line has its own end; an empty one ends the event.
            Poll::Ready(Some(Seen::Line(line))) => {
                return event([b"data: ", &line[..], b"\n"].concat());
            }
            Poll::Ready(Some(Seen::Missed(count))) => {
                return event(format!("event: missed\ndata: {count}\n\n").into_bytes());
            }
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {}
        }
        if self.signs.poll_tick(context).is_ready() {
            return event(b":\n\n".to_vec());
        }
        Poll::Pending
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_which_records_are_wanted_or_what_is_wrong_with_it() {
        let all = wanted("outcome=refused&rule=vat&text=a%20b").ok();
        let expected = Wanted {
            outcome: Some(Outcome::Refused),
            rule: Some("vat".to_owned()),
            text: Some("a b".to_owned()),
        };
        assert_eq!(all, Some(expected));
        assert_eq!(wanted("").ok(), Some(Wanted::default()));
        let long = format!("text={}", "a".repeat(MAX_WORD + 1));
        for query in ["outcome=denied", "outcome=", "rules=a", "a", &long] {
            assert!(wanted(query).is_err(), "{query}");
        }
    }
}

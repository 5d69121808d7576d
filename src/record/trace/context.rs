//! Who a span is, and how that is said from one service to the next (W3C Trace Context, level 1).

use http::{HeaderMap, HeaderName};
use std::fmt;

/// The header.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What services along a trace say to each other beside it.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The id of a trace; never all zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceId(pub [u8; 16]);

/// The id of a span; never zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SpanId(u64);

/// What a caller says of the trace that its request belongs to.
#[derive(Clone, Copy, Debug)]
pub struct TraceParent<'h> {
    /// As it was sent: 32 hexadecimal digits, lower case.
    pub trace: &'h str,
    trace_id: TraceId,
    span_id: SpanId,
    sampled: bool,
}

impl<'h> TraceParent<'h> {
    /// Reads the header, if there is exactly one and it is well-formed (§3.2).
    #[must_use]
    pub fn of(headers: &'h HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(TRACEPARENT).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else { return None };
        let mut fields = line.to_str().ok()?.split('-');
        let version = number(fields.next()?, 2)?;
        let trace = fields.next()?;
        let trace_id = number(trace, 32).filter(|id| *id != 0)?;
        let span_id = number(fields.next()?, 16).filter(|id| *id != 0)?;
        let flags = number(fields.next()?, 2)?;
        // Later versions may say more; this one may not.
        let whole = version != 0 || fields.next().is_none();
        (whole && version != 0xff).then_some(Self {
            trace,
            trace_id: TraceId(trace_id.to_be_bytes()),
            span_id: SpanId(u64::try_from(span_id).ok()?),
            sampled: flags & 1 == 1,
        })
    }

    pub(super) fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    pub(super) fn span_id(&self) -> SpanId {
        self.span_id
    }

    pub(super) fn is_sampled(&self) -> bool {
        self.sampled
    }
}

/// So many hexadecimal digits, in lower case.
fn number(digits: &str, length: usize) -> Option<u128> {
    let lower = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (digits.len() == length && lower).then(|| u128::from_str_radix(digits, 16).ok()).flatten()
}

/// The header as we send it, of a span that is recorded.
pub(super) fn traceparent(trace: TraceId, span: SpanId) -> String {
    format!("00-{trace}-{span}-01")
}

impl TraceId {
    /// One that nobody else has; `None` if the system has no randomness to give.
    pub(super) fn fresh() -> Option<Self> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).ok()?;
        // Zero is no id.
        id[15] |= 1;
        Some(Self(id))
    }
}

impl SpanId {
    /// One that nobody else has; `None` if the system has no randomness to give.
    pub(super) fn fresh() -> Option<Self> {
        let mut id = [0; 8];
        getrandom::fill(&mut id).ok()?;
        Some(Self(u64::from_be_bytes(id).max(1)))
    }

    /// The id of the span with this number among those of one request.
    pub(super) fn following(self, number: u64) -> Self {
        Self(self.0.wrapping_add(number).max(1))
    }

    /// As it is sent.
    #[must_use]
    pub fn bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn headers(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (TRACEPARENT, HeaderValue::from_str(line).unwrap())).collect()
    }

    #[test]
    fn the_examples_of_the_recommendation_are_read() {
        for (flags, sampled) in [("00", false), ("01", true), ("03", true), ("02", false)] {
            let headers = headers(&[&format!("00-{TRACE}-00f067aa0ba902b7-{flags}")]);
            let parent = TraceParent::of(&headers).unwrap();
            let said = traceparent(parent.trace_id(), parent.span_id());
            assert_eq!(said, format!("00-{TRACE}-00f067aa0ba902b7-01"));
            assert_eq!((parent.trace, parent.is_sampled()), (TRACE, sampled));
        }
        let later = headers(&[&format!("cc-{TRACE}-00f067aa0ba902b7-01-what-the-future-holds")]);
        assert!(TraceParent::of(&later).is_some());
    }

    #[test]
    fn what_is_not_well_formed_is_none() {
        let good = format!("00-{TRACE}-00f067aa0ba902b7-01");
        for lines in [
            vec![],
            vec![good.as_str(), good.as_str()],
            vec![""],
            vec!["00"],
            vec![good.trim_end_matches("-01")],
            vec![&format!("{good}-")],
            vec![&format!("{good}-x")],
            vec![&good.replacen("00-", "ff-", 1)],
            vec![&good.replacen("00-", "0-", 1)],
            vec![&good.to_ascii_uppercase()],
            vec![&good.replace(TRACE, &"0".repeat(32))],
            vec![&good.replace("00f067aa0ba902b7", "0000000000000000")],
            vec![&good.replace("-01", "-0g")],
            vec![&good.replace("-01", "-+1")],
            vec![&good.replace("4bf9", "+bf9")],
        ] {
            assert!(TraceParent::of(&headers(&lines)).is_none(), "{lines:?}");
        }
    }
}

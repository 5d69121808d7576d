//! Judging a head on its bytes, line by line as they come.
//!
//! What passes is a request of RFC 9112 that the HTTP library behind, and any server behind that, can read
//! in one way only. What the head asks for is not judged here, but for the form of its target, which the
//! library would cut (`#`) or refuse without an answer of ours.
//!
//! Invariant: the outcome depends on the bytes alone, not on the pieces they come in.

use super::GuardLimits;
use super::body::Body;
use super::bytes::{first_control, folds_to, is_plain_in_target, is_token};
use crate::domain::FramingFault;

/// A head being read. Holds none of its bytes.
#[derive(Debug, Default)]
pub(super) struct HeadReader {
    /// Where the present line begins.
    line_at: usize,
    /// Up to where the present line is known to hold no control byte.
    scanned: usize,
    /// Lines that ended, with the request line and without an empty one in front.
    lines: usize,
    /// Whether an empty line came in front of the request line.
    led: bool,
    facts: Facts,
}

/// What the lines said that decides where the request ends.
#[derive(Debug, Default)]
struct Facts {
    http_10: bool,
    length: Option<u64>,
    chunked: bool,
    upgrade: bool,
}

/// A head that is whole and sound.
#[derive(Debug)]
pub(super) struct Head {
    /// How many bytes it has, with the empty line that ends it.
    pub(super) bytes: usize,
    /// What follows it.
    pub(super) body: Body,
    /// Whether it asks for another protocol to be spoken behind it.
    pub(super) upgrade: bool,
}

/// The longest target the library takes. Ours may be configured a few bytes above it.
const LIBRARY_MAX_TARGET_BYTES: usize = 65_534;
/// The longest method. Bounds what is recorded; the longest registered one has 17 bytes.
pub(in crate::server) const MAX_METHOD_BYTES: usize = 32;

const MALFORMED_LINE: FramingFault = FramingFault::Malformed("the request line is malformed");
const TWO_LENGTHS: FramingFault = FramingFault::Malformed("the length of the body is stated twice");

impl HeadReader {
    /// Reads on; `bytes` is all there is of the head, from its first byte, and perhaps what follows it.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        limits: &GuardLimits,
    ) -> Result<Option<Head>, FramingFault> {
        let max = limits.max_header_bytes;
        loop {
            let unread = bytes.get(self.scanned..).unwrap_or_default();
            let Some(control) = first_control(unread) else {
                self.scanned = bytes.len();
                return self.unfinished(bytes, limits);
            };
            let at = self.scanned.saturating_add(control);
            if at >= max {
                return Err(self.too_large(limits));
            }
            match (bytes.get(at), bytes.get(at.saturating_add(1))) {
                (Some(b'\r'), Some(b'\n')) => {}
                (Some(b'\r'), None) => {
                    self.scanned = at;
                    return self.unfinished(bytes, limits);
                }
                (Some(b'\r' | b'\n'), _) => {
                    return Err(FramingFault::Malformed("a line does not end in CR LF"));
                }
                _ => return Err(FramingFault::Malformed("the head has a control byte")),
            }
            let next = at.saturating_add(2);
            if next > max {
                return Err(self.too_large(limits));
            }
            let line = bytes.get(self.line_at..at).unwrap_or_default();
            (self.line_at, self.scanned) = (next, next);
            if let Some(body) = self.take(line, limits)? {
                return Ok(Some(Head { bytes: next, body, upgrade: self.facts.upgrade }));
            }
        }
    }

    /// Whether nothing but an empty line has come, which some clients send behind a body
    /// (RFC 9112 §2.2).
    pub(super) fn is_bare(&self, bytes: &[u8]) -> bool {
        self.lines == 0 && bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
    }

    fn unfinished(&self, bytes: &[u8], limits: &GuardLimits) -> Result<Option<Head>, FramingFault> {
        if bytes.len() > limits.max_header_bytes { Err(self.too_large(limits)) } else { Ok(None) }
    }

    /// A request line without end is a target without end.
    fn too_large(&self, limits: &GuardLimits) -> FramingFault {
        if self.lines == 0 && limits.max_target_bytes < limits.max_header_bytes {
            FramingFault::TargetTooLong(limits.max_target_bytes)
        } else {
            FramingFault::HeadTooLarge(limits.max_header_bytes)
        }
    }

    /// Takes a line, without its end; says what follows the head when it was the last.
    fn take(&mut self, line: &[u8], limits: &GuardLimits) -> Result<Option<Body>, FramingFault> {
        match (self.lines, line.is_empty()) {
            (0, true) if self.led => return Err(MALFORMED_LINE),
            (0, true) => {
                self.led = true;
                return Ok(None);
            }
            (0, false) => self.facts.http_10 = judge_request_line(line, limits)?,
            (_, true) => return self.facts.body().map(Some),
            (lines, false) => {
                if lines > limits.max_headers {
                    return Err(FramingFault::TooManyHeaders(limits.max_headers));
                }
                self.facts.take(line)?;
            }
        }
        self.lines = self.lines.saturating_add(1);
        Ok(None)
    }
}

impl Facts {
    /// Judges a header line (RFC 9112 §5), and keeps what it says of the body.
    fn take(&mut self, line: &[u8]) -> Result<(), FramingFault> {
        let (name, value) = split_field(line)?;
        match name.len() {
            7 if name.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
            14 if folds_to(name, b"content-length") => {
                if !name.eq_ignore_ascii_case(b"content-length") {
                    return Err(FramingFault::Malformed("a name is like Content-Length"));
                }
                if self.length.is_some() {
                    return Err(TWO_LENGTHS);
                }
                self.length = Some(length(value)?);
            }
            17 if folds_to(name, b"transfer-encoding") => {
                if !name.eq_ignore_ascii_case(b"transfer-encoding") {
                    return Err(FramingFault::Malformed("a name is like Transfer-Encoding"));
                }
                if self.chunked {
                    return Err(TWO_LENGTHS);
                }
                if !stated(value).eq_ignore_ascii_case(b"chunked") {
                    return Err(FramingFault::Malformed("the transfer coding is not `chunked`"));
                }
                self.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// RFC 9112 §6.3, but that whatever it lets a server repair is refused.
    fn body(&self) -> Result<Body, FramingFault> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(TWO_LENGTHS),
            (true, None) if self.http_10 => {
                Err(FramingFault::Malformed("HTTP/1.0 knows no transfer coding"))
            }
            (true, None) => Ok(Body::chunked()),
            (false, length) => Ok(Body::Length(length.unwrap_or(0))),
        }
    }
}

/// The name of a field line, a token directly before the colon, and what follows the colon. A folded line
/// begins with a blank, so that it has no name.
pub(super) fn split_field(line: &[u8]) -> Result<(&[u8], &[u8]), FramingFault> {
    let at = line.iter().position(|byte| !is_token(*byte)).unwrap_or(line.len());
    match line.split_at_checked(at) {
        Some((name, [b':', value @ ..])) if !name.is_empty() => Ok((name, value)),
        _ => Err(FramingFault::Malformed("a line has no name, or a blank in it")),
    }
}

/// A value that frames: blanks before it are usual, anything behind it (also a blank, also a tab) is read
/// by some servers and not by others.
fn stated(value: &[u8]) -> &[u8] {
    let blanks = value.iter().take_while(|byte| **byte == b' ').count();
    value.get(blanks..).unwrap_or_default()
}

/// Digits only, and no number that a signed integer cannot hold: servers that wrap around read another.
fn length(value: &[u8]) -> Result<u64, FramingFault> {
    const FAULT: FramingFault = FramingFault::Malformed("the Content-Length is not a number");
    let digits = stated(value);
    if digits.is_empty() {
        return Err(FAULT);
    }
    digits
        .iter()
        .try_fold(0_i64, |sum, digit| {
            let digit = digit.is_ascii_digit().then(|| i64::from(digit - b'0'))?;
            sum.checked_mul(10)?.checked_add(digit)
        })
        .and_then(|sum| u64::try_from(sum).ok())
        .ok_or(FAULT)
}

/// Judges a request line (RFC 9112 §3); whether it speaks HTTP/1.0.
fn judge_request_line(line: &[u8], limits: &GuardLimits) -> Result<bool, FramingFault> {
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    let (Some(method), Some(target), Some(version)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err(MALFORMED_LINE);
    };
    let http_10 = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        _ => return Err(MALFORMED_LINE),
    };
    if method.is_empty()
        || method.len() > MAX_METHOD_BYTES
        || !method.iter().all(|byte| is_token(*byte))
    {
        return Err(MALFORMED_LINE);
    }
    // Asks for a tunnel, which we never are (RFC 9112 §3.2.3); the library would make one.
    if method == b"CONNECT" {
        return Err(FramingFault::Malformed("CONNECT is for proxies of another kind"));
    }
    judge_target(target, limits)?;
    Ok(http_10)
}

/// Whether the library hands this target on as it stands. What it means is judged later, by
/// [`RequestTarget`](crate::domain::RequestTarget).
fn judge_target(target: &[u8], limits: &GuardLimits) -> Result<(), FramingFault> {
    if target.len() > limits.max_target_bytes.min(LIBRARY_MAX_TARGET_BYTES) {
        return Err(FramingFault::TargetTooLong(limits.max_target_bytes));
    }
    if target.first() != Some(&b'/') {
        return Err(FramingFault::Malformed("the request target is not in origin-form"));
    }
    if target.iter().all(|byte| is_plain_in_target(*byte)) {
        return Ok(());
    }
    let mut ascii = true;
    let mut query = false;
    for byte in target {
        match byte {
            b'#' => return Err(FramingFault::Malformed("the request target has a fragment")),
            b'<' | b'>' => return Err(MALFORMED_LINE),
            b'`' if !query => return Err(MALFORMED_LINE),
            b'"' if query => return Err(MALFORMED_LINE),
            b'?' => query = true,
            0x21..=0x7E => {}
            0x80..=0xFF => ascii = false,
            _ => return Err(MALFORMED_LINE),
        }
    }
    if ascii || std::str::from_utf8(target).is_ok() { Ok(()) } else { Err(MALFORMED_LINE) }
}

//! A head that came over HTTP/2, as one that came over HTTP/1.1 would be: the target in origin-form, the
//! authority in `Host`. What the library lets pass and RFC 9113 §8 does not is a fault of the framing.
//!
//! The library itself refuses, by resetting the stream: upper-case and malformed names, control bytes in
//! values, unknown, repeated, late or missing pseudo-headers, connection-specific headers, `TE` other than
//! `trailers`, and a body whose length is not the stated one.

use super::guard::{MAX_METHOD_BYTES, folds_to, is_token};
use crate::config::Limits;
use crate::domain::FramingFault;
use http::Request;
use http::header::{
    CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use http::uri::Uri;

/// What each header line counts beside its bytes, where sizes of HTTP/2 heads are told (RFC 9113 §6.5.2).
const LINE_OVERHEAD: usize = 32;

/// Writes the head as HTTP/1.1 has it, and judges what the library has not.
pub(super) fn settle<B>(request: &mut Request<B>, limits: &Limits) -> Result<(), FramingFault> {
    check_size(request, limits)?;
    check_scheme(request.uri())?;
    if request.method().as_str().len() > MAX_METHOD_BYTES {
        return Err(FramingFault::Malformed("the method is longer than any"));
    }
    let authority = request.uri().authority().cloned();
    // Without a path it is CONNECT, whose target the door refuses as every authority-form.
    if let Some(target) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = Uri::from(target);
    }
    let headers = request.headers_mut();
    if let Some(authority) = authority {
        settle_host(headers, authority.as_str())?;
    }
    check_lines(headers)?;
    join_cookies(headers);
    Ok(())
}

fn check_size<B>(request: &Request<B>, limits: &Limits) -> Result<(), FramingFault> {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > limits.max_target_bytes {
        return Err(FramingFault::TargetTooLong(limits.max_target_bytes));
    }
    let headers = request.headers();
    if headers.len() > limits.max_headers {
        return Err(FramingFault::TooManyHeaders(limits.max_headers));
    }
    let lines = headers.iter().map(|(name, value)| {
        name.as_str().len().saturating_add(value.len()).saturating_add(LINE_OVERHEAD)
    });
    if lines.fold(target, usize::saturating_add) > limits.max_header_bytes {
        return Err(FramingFault::HeadTooLarge(limits.max_header_bytes));
    }
    Ok(())
}

/// The scheme is not sent on, and what stands before us may have ended the TLS it speaks of: both are
/// believed, and neither means anything here.
fn check_scheme(uri: &Uri) -> Result<(), FramingFault> {
    match uri.scheme_str() {
        None | Some("http" | "https") => Ok(()),
        Some(_) => Err(FramingFault::Malformed("the scheme is neither http nor https")),
    }
}

/// One host by whichever name (RFC 9113 §8.3.1). Two that differ are two readings.
fn settle_host(headers: &mut HeaderMap, authority: &str) -> Result<(), FramingFault> {
    let mut lines = headers.get_all(HOST).iter();
    match lines.next() {
        None => {
            let host = HeaderValue::from_str(authority)
                .map_err(|_| FramingFault::Malformed("the authority is no host"))?;
            headers.insert(HOST, host);
            Ok(())
        }
        // A second line is refused as the repeated `Host` that it is.
        Some(host) if host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()) => Ok(()),
        Some(_) => Err(FramingFault::Malformed("`:authority` and `Host` differ")),
    }
}

fn check_lines(headers: &HeaderMap) -> Result<(), FramingFault> {
    for (name, value) in headers {
        // Gone once it is sent over HTTP/1.1: the API would read another value (RFC 9113 §8.2.1).
        if value.as_bytes().first().is_some_and(|byte| matches!(byte, b' ' | b'\t'))
            || value.as_bytes().last().is_some_and(|byte| matches!(byte, b' ' | b'\t'))
        {
            return Err(FramingFault::Malformed("a header value with space around it"));
        }
        // The library lets a quotation mark pass, which no name has (RFC 9110 §5.1).
        if !name.as_str().bytes().all(is_token) {
            return Err(FramingFault::Malformed("a header name that is none"));
        }
        if poses_as_framing(name) {
            return Err(FramingFault::Malformed("a header that some servers take for the framing"));
        }
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let sound = |length: &HeaderValue| {
        let digits = length.as_bytes();
        !digits.is_empty()
            && digits.iter().all(u8::is_ascii_digit)
            && length.to_str().is_ok_and(|text| text.parse::<u64>().is_ok())
    };
    if lengths.next().is_some_and(|length| !sound(length)) || lengths.next().is_some() {
        return Err(FramingFault::Malformed("`Content-Length` is not one number"));
    }
    Ok(())
}

/// `content_length`: servers that fold `_` and `.` to `-` would frame the request by it.
fn poses_as_framing(name: &HeaderName) -> bool {
    [CONTENT_LENGTH, TRANSFER_ENCODING]
        .iter()
        .any(|real| name != real && folds_to(name.as_str().as_bytes(), real.as_str().as_bytes()))
}

/// HTTP/2 may split cookies over lines; HTTP/1.1 has one line (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let lines: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

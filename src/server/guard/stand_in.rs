//! The head that the library is given for one that was refused. It holds nothing of the client's but what
//! shapes the refusal, each from a closed set of bytes: the method (a `HEAD` gets no body, and the record
//! names it), the languages, and an id to find the refusal by.

/// Methods that a stand-in may have; every other becomes `GET`.
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"];
/// The longest value that is kept. Bounds what a refusal costs.
const MAX_VALUE_BYTES: usize = 100;
const KEPT: [&str; 2] = ["accept-language", "x-request-id"];

/// For a head of which these bytes came; `None` if they do not even begin as text does.
pub(super) fn stand_in(seen: &[u8]) -> Option<Vec<u8>> {
    let first = *seen.first()?;
    if !first.is_ascii_graphic() && !first.is_ascii_whitespace() {
        return None;
    }
    let mut lines = seen.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let line = lines.find(|line| !line.is_empty()).unwrap_or_default();
    let named = line.split(|byte| *byte == b' ').next().unwrap_or_default();
    let method = METHODS.into_iter().find(|method| method.as_bytes() == named).unwrap_or("GET");
    let mut kept = [None; KEPT.len()];
    for line in lines {
        let Some((name, value)) =
            line.iter().position(|byte| *byte == b':').map(|at| line.split_at(at))
        else {
            continue;
        };
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        for (place, wanted) in kept.iter_mut().zip(KEPT) {
            if name.eq_ignore_ascii_case(wanted.as_bytes()) && is_plain(value) {
                *place = Some(value);
            }
        }
    }
    Some(write(method, KEPT.into_iter().zip(kept)))
}

/// For a head of which nothing can be kept.
pub(super) fn nameless() -> Vec<u8> {
    write("GET", std::iter::empty())
}

fn write<'a>(method: &str, kept: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>) -> Vec<u8> {
    let mut head = format!("{method} / HTTP/1.1\r\nconnection: close\r\n").into_bytes();
    for (name, value) in kept {
        let Some(value) = value else { continue };
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

fn is_plain(value: &[u8]) -> bool {
    value.len() <= MAX_VALUE_BYTES
        && value.iter().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b' ' | b',' | b';' | b'=' | b'.' | b'-' | b'*')
        })
}

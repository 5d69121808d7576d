//! The headers that Portvakt itself says, with their values in one piece of memory.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;
use std::fmt::Write as _;
use std::net::IpAddr;

/// Headers being written, to be set all at once.
pub(super) struct Values {
    text: String,
    /// Names, and where the value of each ends.
    ends: SmallVec<[(HeaderName, usize); MAX_ADDED_HEADERS]>,
}

/// Headers that a request may be given: room for them is made at once.
pub(super) const MAX_ADDED_HEADERS: usize = 13;
/// Enough for all that an ordinary request is given.
const ROOM: usize = 512;

impl Values {
    pub(super) fn new() -> Self {
        Self { text: String::with_capacity(ROOM), ends: SmallVec::new() }
    }

    /// The present value, to be written on.
    pub(super) fn text(&mut self) -> &mut String {
        &mut self.text
    }

    /// Writes on an address, without brackets.
    pub(super) fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => {
                for (place, octet) in address.octets().into_iter().enumerate() {
                    if place > 0 {
                        self.text.push('.');
                    }
                    let digits = [octet / 100, octet / 10 % 10, octet % 10];
                    let zeros = usize::from(octet < 100) + usize::from(octet < 10);
                    self.text.extend(digits.iter().skip(zeros).map(|it| char::from(b'0' + it)));
                }
            }
            // Writing to memory does not fail.
            IpAddr::V6(address) => drop(write!(self.text, "{address}")),
        }
    }

    /// Ends the present value: it is that of this header.
    pub(super) fn end(&mut self, name: HeaderName) {
        self.ends.push((name, self.text.len()));
    }

    /// One that is known as a whole.
    pub(super) fn set(&mut self, name: HeaderName, value: &str) {
        self.text.push_str(value);
        self.end(name);
    }

    /// Sets them all, in place of what is there by these names. What cannot stand in a header is left out rather
    /// than bent.
    pub(super) fn set_in(self, headers: &mut HeaderMap) {
        let text = Bytes::from(self.text);
        let mut begin = 0;
        for (name, end) in self.ends {
            if let Ok(value) = HeaderValue::from_maybe_shared(text.slice(begin..end)) {
                headers.insert(name, value);
            }
            begin = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_header_has_its_own_value_and_none_is_bent() {
        let mut values = Values::new();
        values.text().push_str("ab");
        values.end(HeaderName::from_static("one"));
        values.set(HeaderName::from_static("none"), "x\ny");
        values.set(HeaderName::from_static("empty"), "");
        values.set(HeaderName::from_static("last"), "c");
        let mut headers = HeaderMap::new();
        headers.append("last", HeaderValue::from_static("before"));
        headers.append("last", HeaderValue::from_static("before"));
        values.set_in(&mut headers);
        let lines: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(lines, [("last", &b"c"[..]), ("one", b"ab"), ("empty", b"")]);
    }

    proptest! {
        #[test]
        fn addresses_are_written_as_the_standard_library_writes_them(four: [u8; 4], six: [u16; 8]) {
            for address in [IpAddr::from(four), IpAddr::from(six)] {
                let mut values = Values::new();
                values.address(address);
                prop_assert_eq!(values.text(), &address.to_string());
            }
        }
    }
}

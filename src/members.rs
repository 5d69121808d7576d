//! The members of a JSON object (RFC 8259), written one after the other into memory.
//!
//! By hand, since a record is written for every request, a problem for every refusal and a question for every decision
//! that is not held, and nearly all of them are words that need no second look. What there is to say is not known here.

use std::time::Duration;

/// The key of a member, with what stands around it.
#[derive(Clone, Copy, Debug)]
pub struct Key(&'static str);

impl Key {
    /// For `key!`, which puts the text together when the program is built.
    #[must_use]
    pub const fn of(text: &'static str) -> Self {
        Self(text)
    }
}

/// A key of the program, which nothing needs to be escaped in.
macro_rules! key {
    ($key:literal) => {
        $crate::members::Key::of(concat!(",\"", $key, "\":"))
    };
}
pub(crate) use key;

/// An object being written.
#[derive(Debug)]
pub struct Members<'m> {
    text: &'m mut Vec<u8>,
    /// Where it begins: with the comma of its first member, until its end is written.
    start: usize,
}

impl<'m> Members<'m> {
    /// Begins an object behind what is there.
    pub fn begin(text: &'m mut Vec<u8>) -> Self {
        let start = text.len();
        Self { text, start }
    }

    /// Ends it.
    pub fn end(self) {
        match self.text.get_mut(self.start) {
            Some(comma) => *comma = b'{',
            None => self.text.push(b'{'),
        }
        self.text.push(b'}');
    }

    /// Ends it, and begins another line.
    pub fn end_line(self) {
        let Self { text, start } = self;
        Members { text: &mut *text, start }.end();
        text.push(b'\n');
    }

    /// A text.
    #[inline]
    pub fn text(&mut self, key: Key, value: &str) {
        self.key(key);
        self.value(value);
    }

    /// A word or number of the program's own, which nothing in JSON needs to be escaped for: it is not looked at.
    #[inline]
    pub fn word(&mut self, key: Key, value: &(impl AsRef<[u8]> + ?Sized)) {
        self.key(key);
        self.text.push(b'"');
        self.text.extend_from_slice(value.as_ref());
        self.text.push(b'"');
    }

    /// A word that `write` writes.
    #[inline]
    pub fn word_by(&mut self, key: Key, write: impl FnOnce(&mut Vec<u8>)) {
        self.key(key);
        self.text.push(b'"');
        write(self.text);
        self.text.push(b'"');
    }

    /// Two words as one.
    #[inline]
    pub fn words_as_one(&mut self, key: Key, first: &str, second: &str) {
        self.key(key);
        self.text.push(b'"');
        self.text.extend_from_slice(first.as_bytes());
        self.text.extend_from_slice(second.as_bytes());
        self.text.push(b'"');
    }

    /// A word, if there is one.
    #[inline]
    pub fn some_word(&mut self, key: Key, value: Option<&(impl AsRef<[u8]> + ?Sized)>) {
        if let Some(value) = value {
            self.word(key, value);
        }
    }

    /// A text, if there is one.
    #[inline]
    pub fn some_text(&mut self, key: Key, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    fn value(&mut self, value: &str) {
        if is_plain(value) {
            self.text.push(b'"');
            self.text.extend_from_slice(value.as_bytes());
            self.text.push(b'"');
        } else {
            // Writing text to memory does not fail.
            let _ = serde_json::to_writer(&mut *self.text, value);
        }
    }

    /// A list of texts.
    pub fn list<T: AsRef<str>>(&mut self, key: Key, values: impl Iterator<Item = T>) {
        self.key(key);
        self.text.push(b'[');
        for (place, value) in values.enumerate() {
            if place > 0 {
                self.text.push(b',');
            }
            self.value(value.as_ref());
        }
        self.text.push(b']');
    }

    /// A list of words, each written by `write`.
    pub fn words<T>(
        &mut self,
        key: Key,
        values: impl IntoIterator<Item = T>,
        mut write: impl FnMut(T, &mut Vec<u8>),
    ) {
        self.key(key);
        self.text.push(b'[');
        for (place, value) in values.into_iter().enumerate() {
            if place > 0 {
                self.text.push(b',');
            }
            self.text.push(b'"');
            write(value, self.text);
            self.text.push(b'"');
        }
        self.text.push(b']');
    }

    /// An object that was written before.
    pub fn object(&mut self, key: Key, object: &[u8]) {
        self.key(key);
        self.text.extend_from_slice(object);
    }

    /// Members that were written before, each with its comma in front.
    #[inline]
    pub fn again(&mut self, members: &[u8]) {
        self.text.extend_from_slice(members);
    }

    /// Whether something is so.
    pub fn truth(&mut self, key: Key, value: bool) {
        self.key(key);
        self.text.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// A whole number.
    #[inline]
    pub fn number(&mut self, key: Key, number: u64) {
        self.key(key);
        match u8::try_from(number) {
            // Most are the seconds of a request, of which there is none.
            Ok(digit @ 0..=9) => self.text.push(b'0' | digit),
            Ok(_) | Err(_) => {
                let _ = serde_json::to_writer(&mut *self.text, &number);
            }
        }
    }

    /// A duration in seconds, to the nanosecond, if there is one.
    #[inline]
    pub fn seconds(&mut self, key: Key, value: Option<Duration>) {
        let Some(value) = value else { return };
        self.number(key, value.as_secs());
        let (mut digits, mut rest) = (*b".000000000", value.subsec_nanos());
        for place in digits.iter_mut().skip(1).rev() {
            // Of ten the rest is below ten.
            *place = b'0' | (rest % 10) as u8;
            rest /= 10;
        }
        self.text.extend_from_slice(&digits);
    }

    // So that each is as long as is known when the program is built, and copied without a call.
    #[inline]
    fn key(&mut self, Key(key): Key) {
        self.text.extend_from_slice(key.as_bytes());
    }
}

/// Whether a text stands in JSON as it is (RFC 8259 §7). All its bytes are looked at, many at once, whatever the
/// first ones are: in numbers, since a compiler stops at the first byte where it is asked for truth.
fn is_plain(text: &str) -> bool {
    let odd = |byte: u8| u8::from(byte < b' ') | u8::from(byte == b'"') | u8::from(byte == b'\\');
    text.bytes().fold(0, |any, byte| any | odd(byte)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn written(write: impl Fn(&mut Members<'_>)) -> Value {
        let mut text = Vec::new();
        let mut members = Members::begin(&mut text);
        write(&mut members);
        members.end_line();
        assert_eq!(text.pop(), Some(b'\n'));
        assert!(!text.contains(&b'\n'), "one line");
        serde_json::from_slice(&text).unwrap()
    }

    #[test]
    fn each_kind_of_member_is_written() {
        assert_eq!(written(|_| {}), json!({}));
        let value = written(|members| {
            members.text(key!("a"), "b");
            members.word(key!("w"), "v");
            members.some_word(key!("absent"), None::<&str>);
            members.some_word(key!("x"), Some("y"));
            members.words_as_one(key!("z"), "1", "2");
            members.some_text(key!("absent"), None);
            members.seconds(key!("absent"), None);
            members.text(key!("c"), "d\"e");
            members.list(key!("f"), ["g", "\n"].iter());
            members.list(key!("h"), [""; 0].iter());
            members.word_by(key!("p"), |text| text.push(b'q'));
            members.words(key!("k"), ["l", "m"], |word, text| text.extend(word.bytes()));
            members.words(key!("n"), [""; 0], |word, text| text.extend(word.bytes()));
            members.again(b",\"o\":1");
            members.object(key!("r"), b"{\"s\":2}");
            members.truth(key!("t"), true);
            members.truth(key!("u"), false);
            members.number(key!("i"), u64::MAX);
            members.seconds(key!("j"), Some(Duration::from_micros(1_500_001)));
        });
        let expected = json!({
            "a": "b", "w": "v", "x": "y", "z": "12", "c": "d\"e", "f": ["g", "\n"], "h": [], "i": u64::MAX, "j": 1.500_001,
            "k": ["l", "m"], "n": [], "o": 1, "p": "q", "r": { "s": 2 }, "t": true, "u": false,
        });
        assert_eq!(value, expected);
    }

    proptest! {
        #[test]
        fn durations_are_read_as_they_were(seconds in 0..1_000_000_u64, nanoseconds in 0..1_000_000_000_u32) {
            let duration = Duration::new(seconds, nanoseconds);
            let value = written(|members| members.seconds(key!("k"), Some(duration)));
            prop_assert_eq!(value["k"].as_f64(), Some(duration.as_secs_f64()));
        }

        #[test]
        fn any_text_is_read_as_it_was(one: String, other in ".*[\"\\\\\u{0}-\u{1f}].*") {
            for text in [&one, &other, &format!("{one}x{other}")] {
                let value = written(|members| members.text(key!("k"), text));
                prop_assert_eq!(value, json!({ "k": text }));
            }
        }
    }
}

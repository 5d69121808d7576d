//! A strict reader of JSON (RFC 8259) that finds values at pointers and builds nothing else.
//!
//! The whole document must be valid. What two parsers could read differently is a fault: a member on a
//! pointer's way that occurs twice (also escaped), or in other letters, because many frameworks bind names
//! ignoring case. It does not judge what the values mean.

use super::alike::is_alike;
use super::place_set::PlaceSet;
use super::pointer::{Pointer, Token};
use super::quoted::Quoted;
use std::borrow::Cow;

/// Bounds recursion, so that a hostile body cannot exhaust the stack.
pub const MAX_JSON_DEPTH: usize = 64;

/// What stands at a pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found<'b> {
    /// One value.
    Value(Scalar<'b>),
    /// An array: its elements, of which no more are kept than were asked for.
    Array(Vec<Scalar<'b>>),
    /// Of a pointer with `*`: what each element has there, of which no more are kept than were asked for.
    Each(Vec<Scalar<'b>>),
}

/// A value that is not a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scalar<'b> {
    /// A string, unescaped.
    Text(Cow<'b, str>),
    /// A number without fraction and exponent that every reader takes for the same, as written.
    Integer(&'b str),
    /// Anything else: a container, another number, a boolean or null.
    Unfit,
    /// Nothing: an element that lacks what every element must have, or an array without elements.
    Missing,
}

/// Why a body yields nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JsonFault {
    /// Not a JSON document, or deeper than [`MAX_JSON_DEPTH`].
    Unreadable(&'static str),
    /// A member on the way of this pointer (by its place in the list) has two readings.
    Ambiguous(usize),
}

/// Reads the document and reports, for each pointer, what stands there; `None` where nothing does.
/// At most [`RouteRule::MAX_BODY_SOURCES`](super::RouteRule::MAX_BODY_SOURCES) pointers.
pub(super) fn scan<'b>(
    body: &'b [u8],
    pointers: &[Pointer],
    max_elements: usize,
) -> Result<Vec<Option<Found<'b>>>, JsonFault> {
    let text = std::str::from_utf8(body).map_err(|_| JsonFault::Unreadable("not valid UTF-8"))?;
    let found = pointers.iter().map(|_| None).collect();
    let mut scanner = Scanner { text, position: 0, pointers, max_elements, found };
    scanner.skip_space();
    scanner.value(0, PlaceSet::all(pointers.len()))?;
    scanner.skip_space();
    if scanner.position == text.len() {
        Ok(scanner.found)
    } else {
        Err(JsonFault::Unreadable("something follows the document"))
    }
}

/// Whether readers that hold numbers as doubles keep these digits (RFC 7493 §2.2): another integer would be
/// read by the API than the one judged.
fn is_exact(digits: &str) -> bool {
    const LARGEST: i64 = (1 << 53) - 1;
    digits != "-0" && digits.parse().is_ok_and(|number| (-LARGEST..=LARGEST).contains(&number))
}

struct Scanner<'b, 'p> {
    text: &'b str,
    // Invariant: on a character boundary of `text`.
    position: usize,
    pointers: &'p [Pointer],
    max_elements: usize,
    found: Vec<Option<Found<'b>>>,
}

impl<'b> Scanner<'b, '_> {
    /// Reads one value; `live` are the pointers that lead to or through it, all of `depth` tokens so far.
    fn value(&mut self, depth: usize, live: PlaceSet) -> Result<Scalar<'b>, JsonFault> {
        let here = self.ending_at(depth, live);
        let scalar = match self.peek() {
            Some(b'{') => {
                let followed = self.object(depth, live)?;
                self.report_lacking(depth, live.without(followed), &Scalar::Unfit);
                self.report(here, &Found::Value(Scalar::Unfit));
                return Ok(Scalar::Unfit);
            }
            Some(b'[') => {
                let (elements, followed) = self.array(depth, live, !here.is_empty())?;
                self.report_lacking(depth, live.without(followed), &Scalar::Missing);
                self.report(here, &Found::Array(elements));
                return Ok(Scalar::Unfit);
            }
            Some(b'"') => Scalar::Text(self.string()?.unescape()),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(b'n') => self.word("null")?,
            Some(_) | None => return Err(JsonFault::Unreadable("a value is missing or malformed")),
        };
        self.report_lacking(depth, live, &Scalar::Unfit);
        if !here.is_empty() {
            self.report(here, &Found::Value(scalar.clone()));
        }
        Ok(scalar)
    }

    /// Gives the pointers that led on through one of its members.
    fn object(&mut self, depth: usize, live: PlaceSet) -> Result<PlaceSet, JsonFault> {
        self.open(depth)?;
        let mut seen = PlaceSet::NONE;
        if self.take(b'}') {
            return Ok(seen);
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(JsonFault::Unreadable("a member's name is missing"));
            }
            let name = self.string()?;
            let mut inside = PlaceSet::NONE;
            if !live.is_empty() {
                (inside, seen) = self.follow_name(&name.unescape(), depth, live, seen)?;
            }
            self.skip_space();
            if !self.take(b':') {
                return Err(JsonFault::Unreadable("a colon is missing"));
            }
            self.skip_space();
            self.value(depth.saturating_add(1), inside)?;
            self.skip_space();
            if self.take(b'}') {
                return Ok(seen);
            }
            if !self.take(b',') {
                return Err(JsonFault::Unreadable("an object is not closed"));
            }
            self.skip_space();
        }
    }

    /// Which pointers lead on through the member of this name, given those seen in this object before.
    fn follow_name(
        &self,
        name: &str,
        depth: usize,
        live: PlaceSet,
        mut seen: PlaceSet,
    ) -> Result<(PlaceSet, PlaceSet), JsonFault> {
        let mut inside = PlaceSet::NONE;
        for (index, pointer) in self.pointers.iter().enumerate() {
            if !live.contains(index) {
                continue;
            }
            let Some(Token::Name(token)) = pointer.token(depth) else { continue };
            if !is_alike(name, token) {
                continue;
            }
            // A name in other letters counts as an occurrence: some frameworks will read it.
            if name != token.as_ref() || seen.contains(index) {
                return Err(JsonFault::Ambiguous(index));
            }
            seen = seen.with(index);
            inside = inside.with(index);
        }
        Ok((inside, seen))
    }

    fn array(
        &mut self,
        depth: usize,
        live: PlaceSet,
        wanted: bool,
    ) -> Result<(Vec<Scalar<'b>>, PlaceSet), JsonFault> {
        self.open(depth)?;
        let mut kept = Vec::new();
        let mut followed = PlaceSet::NONE;
        if self.take(b']') {
            return Ok((kept, followed));
        }
        let mut index = 0usize;
        loop {
            let inside = self.follow_index(index, depth, live);
            followed = followed.and(inside);
            let element = self.value(depth.saturating_add(1), inside)?;
            if wanted && kept.len() < self.max_elements {
                kept.push(element);
            }
            self.skip_space();
            if self.take(b']') {
                return Ok((kept, followed));
            }
            if !self.take(b',') {
                return Err(JsonFault::Unreadable("an array is not closed"));
            }
            self.skip_space();
            index = index.saturating_add(1);
        }
    }

    fn follow_index(&self, element: usize, depth: usize, live: PlaceSet) -> PlaceSet {
        if live.is_empty() {
            return live;
        }
        let leads = |token: &Token| match token {
            // RFC 6901 §4: digits without leading zeros.
            Token::Name(name) => {
                (name.as_ref() == "0" || !name.starts_with(['0', '+']))
                    && name.parse() == Ok(element)
            }
            Token::Each => true,
        };
        self.pointers
            .iter()
            .enumerate()
            .filter(|(index, pointer)| {
                live.contains(*index) && pointer.token(depth).is_some_and(leads)
            })
            .fold(PlaceSet::NONE, |inside, (index, _)| inside.with(index))
    }

    fn ending_at(&self, depth: usize, live: PlaceSet) -> PlaceSet {
        if live.is_empty() {
            return live;
        }
        self.pointers
            .iter()
            .enumerate()
            .filter(|(index, pointer)| live.contains(*index) && pointer.depth() == depth)
            .fold(PlaceSet::NONE, |ending, (index, _)| ending.with(index))
    }

    fn report(&mut self, here: PlaceSet, found: &Found<'b>) {
        if here.is_empty() {
            return;
        }
        for (index, pointer) in self.pointers.iter().enumerate() {
            if !here.contains(index) {
                continue;
            }
            if pointer.has_star() {
                let scalar = match found {
                    Found::Value(scalar) => scalar.clone(),
                    Found::Array(_) | Found::Each(_) => Scalar::Unfit,
                };
                self.add_element(index, scalar);
            } else if let Some(slot) = self.found.get_mut(index) {
                *slot = Some(found.clone());
            }
        }
    }

    /// Of the pointers that end their way here, reports those that must not: below a `*` every element
    /// has what the pointer names, and a `*` itself stands for the elements of an array that has some.
    /// `found` is what a `*` finds here.
    fn report_lacking(&mut self, depth: usize, ended: PlaceSet, found: &Scalar<'b>) {
        if ended.is_empty() {
            return;
        }
        for (index, pointer) in self.pointers.iter().enumerate() {
            if !ended.contains(index) {
                continue;
            }
            match pointer.token(depth) {
                Some(Token::Each) => self.add_element(index, found.clone()),
                Some(Token::Name(_)) if pointer.stars_before(depth) => {
                    self.add_element(index, Scalar::Missing);
                }
                Some(Token::Name(_)) | None => {}
            }
        }
    }

    fn add_element(&mut self, index: usize, element: Scalar<'b>) {
        let Some(slot) = self.found.get_mut(index) else { return };
        let slot = slot.get_or_insert_with(|| Found::Each(Vec::new()));
        if let Found::Each(elements) = slot
            && elements.len() < self.max_elements
        {
            elements.push(element);
        }
    }

    fn open(&mut self, depth: usize) -> Result<(), JsonFault> {
        if depth >= MAX_JSON_DEPTH {
            return Err(JsonFault::Unreadable("the document is nested too deeply"));
        }
        self.advance(1);
        self.skip_space();
        Ok(())
    }

    fn string(&mut self) -> Result<Quoted<'b>, JsonFault> {
        self.advance(1);
        let start = self.position;
        let mut escaped = false;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let raw = self.text.get(start..self.position).unwrap_or_default();
                    self.advance(1);
                    return Ok(Quoted { raw, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(0..=0x1F) => {
                    return Err(JsonFault::Unreadable("a string holds a control character"));
                }
                Some(_) => self.advance(1),
                None => return Err(JsonFault::Unreadable("a string is not closed")),
            }
        }
    }

    /// One escape; surrogates must come in pairs (RFC 8259 §8.2 warns what parsers make of lone ones).
    fn escape(&mut self) -> Result<(), JsonFault> {
        const BROKEN: JsonFault = JsonFault::Unreadable("an escape is broken");
        self.advance(1);
        match self.next() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(()),
            Some(b'u') => match self.hex4().ok_or(BROKEN)? {
                0xD800..=0xDBFF => {
                    let paired = self.next() == Some(b'\\')
                        && self.next() == Some(b'u')
                        && matches!(self.hex4(), Some(0xDC00..=0xDFFF));
                    if paired { Ok(()) } else { Err(BROKEN) }
                }
                0xDC00..=0xDFFF => Err(BROKEN),
                _ => Ok(()),
            },
            Some(_) | None => Err(BROKEN),
        }
    }

    fn hex4(&mut self) -> Option<u32> {
        (0..4).try_fold(0u32, |unit, _| {
            let digit = char::from(self.next()?).to_digit(16)?;
            Some(unit << 4 | digit)
        })
    }

    fn number(&mut self) -> Result<Scalar<'b>, JsonFault> {
        const MALFORMED: JsonFault = JsonFault::Unreadable("a number is malformed");
        let start = self.position;
        self.take(b'-');
        if !self.take(b'0') && self.digits() == 0 {
            return Err(MALFORMED);
        }
        if matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(MALFORMED);
        }
        let end = self.position;
        if self.take(b'.') && self.digits() == 0 {
            return Err(MALFORMED);
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            if self.digits() == 0 {
                return Err(MALFORMED);
            }
        }
        let whole = self.position == end;
        let digits = self.text.get(start..end).filter(|digits| whole && is_exact(digits));
        Ok(digits.map_or(Scalar::Unfit, Scalar::Integer))
    }

    fn digits(&mut self) -> usize {
        let start = self.position;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.advance(1);
        }
        self.position.saturating_sub(start)
    }

    fn word(&mut self, word: &str) -> Result<Scalar<'b>, JsonFault> {
        if self.text.get(self.position..).is_some_and(|rest| rest.starts_with(word)) {
            self.advance(word.len());
            Ok(Scalar::Unfit)
        } else {
            Err(JsonFault::Unreadable("a value is missing or malformed"))
        }
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.advance(1);
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        if there {
            self.advance(1);
        }
        there
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek();
        self.advance(1);
        byte
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    fn advance(&mut self, bytes: usize) {
        self.position = self.position.saturating_add(bytes);
    }
}

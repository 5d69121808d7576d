//! Following a body in its raw bytes, to know where the request ends.
//!
//! A chunked body is read strictly (RFC 9112 §7.1): what another server could read differently ends it.
//! Nothing is held back or decoded here; that is the library's affair, which sees the same bytes.

use super::GuardLimits;
use super::bytes::{folds_to, is_control, is_token};
use crate::domain::FramingFault;

/// What follows a head.
#[derive(Debug)]
pub(super) enum Body {
    /// So many bytes.
    Length(u64),
    /// Chunks, and perhaps trailers.
    Chunked(Chunks),
}

/// A chunked body being followed.
#[derive(Debug)]
pub(super) struct Chunks {
    state: State,
    /// Bytes of extensions so far, of all chunks.
    extension_bytes: usize,
    trailers: Trailers,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// In the digits of a size.
    Size {
        digits: u8,
        size: u64,
    },
    /// Behind the first `;` of a size's line.
    Extension {
        size: u64,
        part: Part,
    },
    /// The line of a size is to end.
    SizeLf {
        size: u64,
    },
    /// Inside a chunk.
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// At the first byte of a trailer line, or of the empty line that ends all.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    End,
}

/// Where in `;name=value` of RFC 9112 §7.1.1.
#[derive(Clone, Copy, Debug)]
enum Part {
    NameStart,
    Name,
    ValueStart,
    Value,
    Quoted,
    Escaped,
    Closed,
}

#[derive(Debug, Default)]
struct Trailers {
    bytes: usize,
    lines: usize,
    /// The first bytes of the present name: as many as the longest name that is refused has.
    name: [u8; 17],
    name_bytes: usize,
}

/// Extensions of all chunks of one body. Bounds what is read for nothing; a signature on each of fifty
/// chunks fits. Below the library's own bound, so that it is always we who refuse.
const MAX_EXTENSION_BYTES: usize = 4 * 1024;
/// The trailer section. Bounds what the library keeps of it; below its own bound.
const MAX_TRAILER_BYTES: usize = 8 * 1024;
/// Names that may frame or address a message never come behind it (RFC 9110 §6.5.1).
const NEVER_TRAILERS: [&[u8]; 3] = [b"content-length", b"transfer-encoding", b"host"];

const BAD_SIZE: FramingFault = FramingFault::Malformed("the size of a chunk is malformed");
const BAD_EXTENSION: FramingFault =
    FramingFault::Malformed("the extension of a chunk is malformed or too large");
const BAD_END: FramingFault = FramingFault::Malformed("a chunk does not end where its size says");
const BAD_TRAILER: FramingFault = FramingFault::Malformed("a trailer line is malformed");

/// How far a body has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More of it is to come.
    Unfinished,
    /// The next byte is not of this request.
    Ended,
}

impl Body {
    pub(super) fn chunked() -> Self {
        Self::Chunked(Chunks {
            state: State::Size { digits: 0, size: 0 },
            extension_bytes: 0,
            trailers: Trailers::default(),
        })
    }

    /// Follows the body into `bytes`: how many of them are sound and belong to it, and what came of it then.
    pub(super) fn follow(
        &mut self,
        bytes: &[u8],
        limits: &GuardLimits,
    ) -> (usize, Result<Progress, FramingFault>) {
        match self {
            Self::Length(left) => {
                let taken = skip(left, bytes.len());
                let ended = *left == 0;
                (taken, Ok(if ended { Progress::Ended } else { Progress::Unfinished }))
            }
            Self::Chunked(chunks) => chunks.follow(bytes, limits),
        }
    }
}

/// As many bytes as there are and as belong to it.
fn skip(left: &mut u64, there: usize) -> usize {
    let taken = usize::try_from(*left).map_or(there, |left| left.min(there));
    *left = left.saturating_sub(u64::try_from(taken).unwrap_or(u64::MAX));
    taken
}

impl Chunks {
    fn follow(
        &mut self,
        bytes: &[u8],
        limits: &GuardLimits,
    ) -> (usize, Result<Progress, FramingFault>) {
        let mut taken = 0_usize;
        loop {
            if let State::End = self.state {
                return (taken, Ok(Progress::Ended));
            }
            let rest = bytes.get(taken..).unwrap_or_default();
            let Some(byte) = rest.first() else {
                return (taken, Ok(Progress::Unfinished));
            };
            if let State::Data { left } = &mut self.state {
                taken = taken.saturating_add(skip(left, rest.len()));
                if *left == 0 {
                    self.state = State::DataCr;
                }
                continue;
            }
            match self.step(*byte, limits) {
                Ok(state) => self.state = state,
                Err(fault) => return (taken, Err(fault)),
            }
            taken = taken.saturating_add(1);
        }
    }

    /// The state behind one byte that is not data.
    fn step(&mut self, byte: u8, limits: &GuardLimits) -> Result<State, FramingFault> {
        match (self.state, byte) {
            (State::Size { digits: 1.., size }, b'\r') => Ok(State::SizeLf { size }),
            (State::Size { digits: 1.., size }, b';') => {
                Ok(State::Extension { size, part: Part::NameStart })
            }
            (State::Size { digits, size }, _) => {
                let digit = char::from(byte).to_digit(16).ok_or(BAD_SIZE)?;
                // Servers with signed sizes read another number above this.
                if digits >= 16 || size > (u64::MAX >> 5) {
                    return Err(BAD_SIZE);
                }
                Ok(State::Size { digits: digits + 1, size: size << 4 | u64::from(digit) })
            }
            (State::Extension { size, part }, _) => {
                self.extension_bytes = self.extension_bytes.saturating_add(1);
                if self.extension_bytes > MAX_EXTENSION_BYTES {
                    return Err(BAD_EXTENSION);
                }
                if byte == b'\r' && matches!(part, Part::Name | Part::Value | Part::Closed) {
                    return Ok(State::SizeLf { size });
                }
                Ok(State::Extension { size, part: part.step(byte)? })
            }
            (State::SizeLf { size: 0 }, b'\n') => Ok(State::TrailerStart),
            (State::SizeLf { size: left }, b'\n') => Ok(State::Data { left }),
            (State::SizeLf { .. }, _) => Err(BAD_SIZE),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size { digits: 0, size: 0 }),
            (State::DataCr | State::DataLf | State::Data { .. }, _) => Err(BAD_END),
            (
                State::TrailerStart
                | State::TrailerName
                | State::TrailerValue
                | State::TrailerLf
                | State::EndLf
                | State::End,
                _,
            ) => self.trailers.step(self.state, byte, limits),
        }
    }
}

impl Part {
    /// Without the blanks that the RFC would have a server tolerate.
    fn step(self, byte: u8) -> Result<Self, FramingFault> {
        match (self, byte) {
            (Self::Name, b'=') => Ok(Self::ValueStart),
            (Self::Name | Self::Value | Self::Closed, b';') => Ok(Self::NameStart),
            (Self::ValueStart, b'"') => Ok(Self::Quoted),
            (Self::NameStart | Self::Name, _) if is_token(byte) => Ok(Self::Name),
            (Self::ValueStart | Self::Value, _) if is_token(byte) => Ok(Self::Value),
            (Self::Quoted, b'"') => Ok(Self::Closed),
            (Self::Quoted, b'\\') => Ok(Self::Escaped),
            (Self::Quoted | Self::Escaped, _) if !is_control(byte) => Ok(Self::Quoted),
            _ => Err(BAD_EXTENSION),
        }
    }
}

impl Trailers {
    /// A trailer line is judged as a header line is.
    fn step(
        &mut self,
        state: State,
        byte: u8,
        limits: &GuardLimits,
    ) -> Result<State, FramingFault> {
        self.bytes = self.bytes.saturating_add(1);
        if self.bytes > MAX_TRAILER_BYTES {
            return Err(FramingFault::Malformed("the trailer section is too large"));
        }
        match (state, byte) {
            (State::TrailerStart, b'\r') => Ok(State::EndLf),
            (State::EndLf, b'\n') => Ok(State::End),
            (State::TrailerStart, _) if is_token(byte) => {
                self.lines = self.lines.saturating_add(1);
                if self.lines > limits.max_headers {
                    return Err(FramingFault::Malformed("the trailer section has too many lines"));
                }
                self.name_bytes = 0;
                self.keep(byte);
                Ok(State::TrailerName)
            }
            (State::TrailerName, b':') => {
                let name = self.name.get(..self.name_bytes).unwrap_or_default();
                if NEVER_TRAILERS.iter().any(|never| folds_to(name, never)) {
                    return Err(FramingFault::Malformed("a trailer frames or addresses a message"));
                }
                Ok(State::TrailerValue)
            }
            (State::TrailerName, _) if is_token(byte) => {
                self.keep(byte);
                Ok(State::TrailerName)
            }
            (State::TrailerValue, b'\r') => Ok(State::TrailerLf),
            (State::TrailerValue, _) if !is_control(byte) => Ok(State::TrailerValue),
            (State::TrailerLf, b'\n') => Ok(State::TrailerStart),
            _ => Err(BAD_TRAILER),
        }
    }

    /// A name longer than all that are refused keeps a length that none of them has.
    fn keep(&mut self, byte: u8) {
        if let Some(place) = self.name.get_mut(self.name_bytes) {
            *place = byte;
        }
        self.name_bytes = self.name_bytes.saturating_add(1);
    }
}

//! What one exchange is to be: how many bytes each way, who breaks it and where. The client tells the API
//! in a header, and each side knows every byte that the other is to send.

use crate::random::Random;
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// The header that carries the plan.
pub(crate) const HEADER: &str = "x-plan";
/// The header of the answer that names the exchange.
pub(crate) const EXCHANGE: &str = "x-exchange";

#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) id: u64,
    /// What the client sends, and the API answers, in bytes.
    pub(crate) up: u64,
    pub(crate) down: u64,
    pub(crate) fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The client leaves after having sent so much.
    ClientSending(u64),
    /// The client leaves after having received so much.
    ClientTaking(u64),
    /// The API breaks off after having received so much, without an answer.
    ApiTaking(u64),
    /// The API breaks off its answer after so much.
    ApiSending(u64),
    /// The API answers before it reads, and never reads the rest.
    ApiEarly,
}

impl Plan {
    pub(crate) fn new(random: &mut Random) -> Self {
        let (up, down) = (size(random), size(random));
        let within = |random: &mut Random, whole: u64| random.next() % (whole + 1);
        let fault = match random.below(10) {
            0 => Fault::ClientSending(within(random, up)),
            1 => Fault::ClientTaking(within(random, down)),
            2 => Fault::ApiTaking(within(random, up)),
            3 => Fault::ApiSending(within(random, down)),
            4 => Fault::ApiEarly,
            _ => Fault::None,
        };
        Self { id: random.next(), up, down, fault }
    }

    pub(crate) fn request_id(&self) -> Uuid {
        Uuid::from_u64_pair(self.id, self.id)
    }

    /// What identifies the bytes of each way.
    pub(crate) fn upwards(&self) -> Pattern {
        Pattern { seed: self.id, at: 0 }
    }

    pub(crate) fn downwards(&self) -> Pattern {
        Pattern { seed: !self.id, at: 0 }
    }
}

/// Mostly small, sometimes more than all buffers on the way hold.
fn size(random: &mut Random) -> u64 {
    match random.below(20) {
        0..4 => 0,
        4..14 => random.next() % 2_000,
        14..19 => random.next() % 200_000,
        _ => random.next() % 4_000_000,
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, at) = match self.fault {
            // The API need not know.
            Fault::None | Fault::ClientSending(_) | Fault::ClientTaking(_) => ("none", 0),
            Fault::ApiTaking(at) => ("taking", at),
            Fault::ApiSending(at) => ("sending", at),
            Fault::ApiEarly => ("early", 0),
        };
        write!(f, "{} {} {} {word} {at}", self.id, self.up, self.down)
    }
}

impl FromStr for Plan {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let fields: Vec<&str> = text.split(' ').collect();
        let [id, up, down, word, at] = fields[..] else { return Err(()) };
        let number = |text: &str| text.parse().map_err(|_| ());
        let fault = match word {
            "none" => Fault::None,
            "taking" => Fault::ApiTaking(number(at)?),
            "sending" => Fault::ApiSending(number(at)?),
            "early" => Fault::ApiEarly,
            _ => return Err(()),
        };
        Ok(Self { id: number(id)?, up: number(up)?, down: number(down)?, fault })
    }
}

/// Bytes that belong to one way of one exchange and to no other.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    seed: u64,
    at: u64,
}

impl Pattern {
    /// The next ones.
    pub(crate) fn next(&mut self, count: usize) -> Vec<u8> {
        let bytes = (self.at..).take(count).map(|at| self.byte(at)).collect();
        self.at += count as u64;
        bytes
    }

    /// Whether these are the next ones.
    pub(crate) fn continues_with(&mut self, bytes: &[u8]) -> bool {
        let right = (self.at..).zip(bytes).all(|(at, byte)| self.byte(at) == *byte);
        self.at += bytes.len() as u64;
        right
    }

    pub(crate) fn count(&self) -> u64 {
        self.at
    }

    fn byte(&self, at: u64) -> u8 {
        let mixed = (self.seed ^ (at >> 3)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> (8 * (at & 7))).to_le_bytes()[0] ^ (mixed >> 59).to_le_bytes()[0]
    }
}

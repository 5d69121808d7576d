//! Bodies that are read before they are forwarded: compressed ones, how much memory they take together, and
//! how fast they must come.

use crate::support::{Client, PERMITTED, Server, Sidecar, ask, eventually, exchange, ok};

//! Portvakt: a sidecar authorization proxy for Norwegian public-sector APIs.
//!
//! `docs/ARCHITECTURE.md` is the map: what each room holds, and which rooms it may use.

pub mod alarm;
pub mod answer;
pub mod authorize;
pub mod cli;
pub mod config;
pub mod dev;
pub mod domain;
pub mod door;
pub mod flow;
pub mod frames;
pub mod in_flight;
pub mod members;
pub mod otlp;
pub mod outbound;
pub mod pdp;
pub mod reach;
pub mod record;
pub mod route;
pub mod server;
pub mod snapshot;
pub mod tasks;
pub mod token;
pub mod upstream;
pub mod xacml;

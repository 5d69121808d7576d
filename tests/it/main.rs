//! Everything that is tested from outside the rooms, in one crate, so that it links once.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that cannot go on has failed"
)]

mod admin;
mod architecture;
mod attacks;
mod buffering;
mod control;
mod corpus;
mod diagnostics;
mod directory_changes;
mod docs;
mod doctor;
mod drain;
mod explain_record;
mod explanations;
mod fail_closed;
mod faults;
mod grpc;
mod http2;
mod inspect;
mod leftover;
mod listening;
mod local_pdp;
mod mistakes;
mod mutation;
mod openapi;
mod order;
mod pdp_command;
mod peers;
mod proxied;
mod proxy;
mod readme;
mod records;
mod registry;
mod reload;
mod replay;
mod rule_tests;
mod secrets;
mod self_check;
mod shadow;
mod status;
mod streams;
mod support;
mod tls_listener;
mod tokens;
mod traces;
mod upstreams;
mod websocket;

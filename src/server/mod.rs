//! Listeners and the life of the process: traffic, probes and metrics, drain.
//!
//! Sockets are bound by [`Listeners::bind`], before anything is served, so that tests use port 0 and a port
//! in use stops the start. What a request means is the door's affair.

mod admin;
mod gate;
mod listener;
mod shutdown;
mod stall;

pub use admin::{Admin, Readiness};
pub use gate::{Gate, StartFault};
pub use listener::{BindFault, Listeners, serve_http};
pub use shutdown::stop_signal;

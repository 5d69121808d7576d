//! Listeners and the life of the process: traffic, probes and metrics, control, drain.
//!
//! Sockets are bound by [`Listeners::bind`], before anything is served, so that tests use port 0 and a port
//! in use stops the start. What a request means is the door's affair.

mod accept;
mod admin;
mod connection;
mod control;
mod gate;
mod guard;
mod http2;
mod http2_head;
mod http2_stream;
mod http2_watch;
mod listener;
mod observed;
mod preface;
mod readiness;
mod reload;
mod room;
mod self_check;
mod shutdown;
mod socket;
mod stall;
mod status;
mod tls;
mod tls_line;

pub use control::{Answer, Asked, Control, Events, Page, Refusal, stated};
pub use gate::{Gate, StartFault};
pub use guard::{Sighted, sight};
pub use listener::{BindFault, Listeners};
pub use reload::{Refusal as NotReloaded, Reloaded, Reloader, reload_signal};
pub use shutdown::{StopSignal, stop_signal};

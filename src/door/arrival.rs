//! A request as a connection gives it to a door.

use crate::domain::{FramingFault, Peer};
use http::Request;
use hyper::body::Incoming;

/// One request off a connection, with what the connection knows of it.
#[derive(Debug)]
pub struct Arrival {
    /// As the HTTP library read it. After a fault of the framing it is a stand-in: nothing in it but the
    /// method is the client's.
    pub request: Request<Incoming>,
    /// Who sent it.
    pub peer: Peer,
    /// Whether its bytes have one reading only.
    pub framing: Result<(), FramingFault>,
}

//! Protocol in, protocol out. One door so far: the reverse proxy.

mod arrival;
mod beside;
mod place;
mod proxy;
mod proxy_body;
mod upgrade;

pub use arrival::Arrival;
pub use proxy::Proxy;
pub use proxy_body::ProxyBody;

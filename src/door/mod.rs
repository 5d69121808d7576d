//! Protocol in, protocol out. One door so far: the reverse proxy.

mod proxy;
mod proxy_body;

pub use proxy::Proxy;
pub use proxy_body::ProxyBody;

//! Where a listener is: an address of the network, or a socket in the file system.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::config::field::Field;
use crate::config::scalars::parse_socket_address;

/// Where a listener is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// At an address and port.
    Tcp(SocketAddr),
    /// At a socket in the file system, by its absolute path.
    Unix(PathBuf),
}

/// What the kernel takes of a path (108 bytes with the final NUL), without what we append while we bind.
const MAX_PATH_BYTES: usize = 100;

impl ListenAddress {
    /// The address, if it is one of the network.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// The path, if it is one of the file system.
    #[must_use]
    pub fn unix(&self) -> Option<&Path> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(path) => Some(path),
        }
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Reads `127.0.0.1:7080` or `unix:/run/portvakt.sock`.
pub(super) fn listen_address(field: Field<'_>) -> Option<ListenAddress> {
    if !field.is_text(|text| text.starts_with("unix:")) {
        return field.text(parse_socket_address).map(ListenAddress::Tcp);
    }
    field.text(|text| {
        let path = text.strip_prefix("unix:").unwrap_or_default();
        if !path.starts_with('/') || path.ends_with('/') {
            return Err("a socket has an absolute path, as in `unix:/run/portvakt.sock`");
        }
        if path.len() > MAX_PATH_BYTES || path.contains('\0') {
            return Err("the path of a socket has at most 100 bytes");
        }
        Ok(ListenAddress::Unix(PathBuf::from(path)))
    })
}

/// An address of the network, where there is nothing else.
pub(super) fn socket_address(field: Field<'_>) -> Option<SocketAddr> {
    field.text(parse_socket_address)
}

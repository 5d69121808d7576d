//! `admin`: where probes and metrics are answered.

use std::net::{Ipv4Addr, SocketAddr};

use super::listen::socket_address;
use crate::config::reader::Table;

/// Where probes and metrics are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// The address to listen at.
    pub listen: SocketAddr,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self { listen: SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 7090) }
    }
}

pub(super) fn read(root: &mut Table<'_>) -> AdminSettings {
    let default = AdminSettings::default();
    root.section("admin", |table| {
        Some(AdminSettings { listen: table.or("listen", default.listen, socket_address) })
    })
    .unwrap_or(default)
}

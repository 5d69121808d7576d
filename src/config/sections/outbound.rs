//! `outbound`: the way to Maskinporten and Altinn.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use bytes::Bytes;

use super::Context;
use crate::config::field::{Field, string};
use crate::config::reader::Table;
use crate::outbound::OutboundSettings;

/// Bytes of a CA file. The bundles of operating systems have a quarter of that.
const MAX_CA_BYTES: u64 = 1024 * 1024;
/// Addresses of this machine, which no proxy can reach for us.
const NEVER_PROXIED: &str = "localhost,127.0.0.0/8,::1";

pub(super) fn read(root: &mut Table<'_>, context: Context<'_>) -> OutboundSettings {
    root.section("outbound", |table| {
        let variable =
            |names: [&str; 2]| names.iter().find_map(|name| context.variables.platform(name));
        table.fallback("proxy", variable(["HTTPS_PROXY", "https_proxy"]));
        table.fallback("no_proxy", variable(["NO_PROXY", "no_proxy"]));
        let ca_pem = table.optional("ca_file", certificates);
        let proxy = table.optional("proxy", |field| field.url(&["http", "https"]));
        let exceptions = table.optional("no_proxy", string);
        let no_proxy = proxy.as_ref().map(|_| {
            let others = exceptions.map(|others| format!(",{others}")).unwrap_or_default();
            format!("{NEVER_PROXIED}{others}")
        });
        Some(OutboundSettings { ca_pem, proxy, no_proxy, http2: false })
    })
    .unwrap_or_default()
}

/// The text of a file of authorities, unread so far.
fn certificates(mut field: Field<'_>) -> Option<Bytes> {
    let path = field.resolve_path()?;
    match read_bounded(&path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let message = format!("`{}` cannot be read: {error}", path.display());
            field.fail_with_help(
                "unreadable-file",
                &message,
                "name a file that the process may read",
            )
        }
    }
}

/// A file of authorities as it is.
pub(super) fn read_bounded(path: &PathBuf) -> std::io::Result<Bytes> {
    let mut bytes = Vec::new();
    let length = File::open(path)?.take(MAX_CA_BYTES.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(length).is_ok_and(|length| length <= MAX_CA_BYTES) {
        Ok(bytes.into())
    } else {
        Err(std::io::Error::other(format!("more than {MAX_CA_BYTES} bytes")))
    }
}

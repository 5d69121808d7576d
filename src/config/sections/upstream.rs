//! `upstream`: the API behind, and how long to wait for it.

use std::time::Duration;

use url::Host;

use crate::config::field::Field;
use crate::config::reader::Table;
use crate::upstream::{Network, UpstreamAddress, UpstreamSettings};

/// How long an upstream may be waited for.
const MAX_WAIT: Duration = Duration::from_hours(1);

/// `None` after an error.
pub(super) fn read(
    root: &mut Table<'_>,
    trusted_proxies: Vec<Network>,
) -> Option<UpstreamSettings> {
    root.section("upstream", |table| {
        let address = table.required("url", address);
        let duration = |field: Field<'_>| field.duration(Duration::from_millis(1)..=MAX_WAIT);
        let connect_timeout = table.or("connect_timeout", Duration::from_secs(2), duration);
        let response_timeout = table.or("response_timeout", Duration::from_mins(1), duration);
        let idle_timeout = table.or("idle_timeout", Duration::from_secs(4), duration);
        let max_idle = table.or("max_idle", 128, |field| field.number(0..=10_000));
        let words = [("forward", true), ("strip", false)];
        let forward_authorization = table.or("authorization", true, |field| field.choice(&words));
        table.not_supported(&["ca_file"]);
        Some(UpstreamSettings {
            address: address?,
            connect_timeout,
            response_timeout,
            idle_timeout,
            max_idle,
            forward_authorization,
            trusted_proxies,
        })
    })
}

/// `http://host:port`, without a path of its own: a path would change what was judged.
fn address(field: Field<'_>) -> Option<UpstreamAddress> {
    const LATER: [&str; 3] = ["https:", "h2c:", "unix:"];
    let help = "write `http://HOST:PORT`";
    if field.is_text(|text| LATER.iter().any(|scheme| text.starts_with(scheme))) {
        let message = "only plain http/1.1 to the upstream is supported yet";
        return field.fail_with_help("not-supported-yet", message, help);
    }
    let own_path = field
        .peek_url(&["http"])
        .is_some_and(|url| !matches!(url.path(), "" | "/") || url.query().is_some());
    if own_path {
        let message = "the upstream has a path or query of its own";
        return field.fail_with_help("invalid-value", message, help);
    }
    let url = field.url(&["http"])?;
    let host = match url.host()? {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(address) => address.to_string(),
        // Without the brackets, which belong to the spelling of a URL.
        Host::Ipv6(address) => address.to_string(),
    };
    Some(UpstreamAddress { host: host.into(), port: url.port_or_known_default()? })
}

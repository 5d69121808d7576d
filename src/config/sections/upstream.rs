//! `upstream`: the API behind, and how long to wait for it.

use std::path::Path;
use std::time::Duration;

use url::Host;

use crate::config::diagnostic::Diagnostic;
use crate::config::field::Field;
use crate::config::reader::Table;
use crate::config::scalars::parse_url;
use crate::upstream::{HostPort, InvalidTrust, Network, Trust, UpstreamAddress, UpstreamSettings};

/// How long an upstream may be waited for.
const MAX_WAIT: Duration = Duration::from_hours(1);
/// How long a stream may be silent.
const MAX_SILENCE: Duration = Duration::from_hours(24);
/// Bytes of a path of a socket, with the zero behind it (`sun_path` of unix(7)).
const MAX_SOCKET_PATH: usize = 108;

/// What the server room's settings say of requests, as far as it concerns their way to the API.
pub(super) struct FromServer {
    pub(super) trusted_proxies: Vec<Network>,
    pub(super) body_idle_timeout: Duration,
}

/// `None` after an error.
pub(super) fn read(root: &mut Table<'_>, server: FromServer) -> Option<UpstreamSettings> {
    root.section("upstream", |table| {
        let written = table.required("url", address);
        let address = written.and_then(|written| trusted(table, written));
        let duration = |field: Field<'_>| {
            field.duration(
                Duration::from_millis(1)..=MAX_WAIT,
                "with 0s no request would succeed; for longer an API that hangs would hold its callers",
            )
        };
        let connect_timeout = table.or("connect_timeout", Duration::from_secs(2), duration);
        let response_timeout = table.or("response_timeout", Duration::from_mins(1), duration);
        let idle_timeout = table.or("idle_timeout", Duration::from_secs(4), |field| {
            field.duration(
                Duration::from_millis(1)..=MAX_WAIT,
                "write less than the API keeps a connection that nobody uses, which is minutes at most",
            )
        });
        let body_idle_timeout = table.or("body_idle_timeout", Duration::from_mins(5), |field| {
            field.duration(
                Duration::from_millis(10)..=MAX_SILENCE,
                "a stream on which nobody speaks for longer is dead; live ones send a heartbeat",
            )
        });
        let max_idle = table.or("max_idle", 128, |field| {
            field.number(0..=10_000, "each connection that is kept takes a socket here and at the API")
        });
        let words = [("forward", true), ("strip", false)];
        let forward_authorization = table.or("authorization", true, |field| field.choice(&words));
        Some(UpstreamSettings {
            address: address?,
            connect_timeout,
            response_timeout,
            idle_timeout,
            max_idle,
            upload_idle_timeout: server.body_idle_timeout,
            body_idle_timeout,
            forward_authorization,
            trusted_proxies: server.trusted_proxies,
        })
    })
}

/// An address as written.
enum Written {
    Http(HostPort),
    Https(HostPort),
    H2c(HostPort),
    Unix(Box<Path>),
}

/// With whom to believe, where certificates are shown.
fn trusted(table: &mut Table<'_>, written: Written) -> Option<UpstreamAddress> {
    let plain = match written {
        Written::Https(host_port) => {
            let trust = match table.stated("ca_file", authorities)? {
                Some(trust) => Some(trust),
                None => platform(table),
            };
            return trust.map(|trust| UpstreamAddress::Https(host_port, trust));
        }
        Written::Http(host_port) => UpstreamAddress::Http(host_port),
        Written::H2c(host_port) => UpstreamAddress::H2c(host_port),
        Written::Unix(path) => UpstreamAddress::Unix(path),
    };
    table.unused("ca_file", "certificates are shown over `https` only");
    Some(plain)
}

/// A file of authorities, to be followed.
fn authorities(mut field: Field<'_>) -> Option<Trust> {
    let path = field.resolve_path()?;
    match Trust::only(path.clone()) {
        Ok(trust) => Some(trust),
        Err(fault) => {
            let code = match &fault {
                InvalidTrust::Unreadable(_) => "unreadable-file",
                InvalidTrust::TooLarge
                | InvalidTrust::Empty
                | InvalidTrust::Damaged
                | InvalidTrust::Unusable(_)
                | InvalidTrust::Platform(_) => "invalid-certificates",
            };
            field.fail_with_help(code, &format!("`{}`: {fault}", path.display()), fault.help())
        }
    }
}

fn platform(table: &mut Table<'_>) -> Option<Trust> {
    let trust = Trust::platform();
    trust
        .map_err(|fault| {
            let found = Diagnostic::error("invalid-certificates", fault.to_string());
            let found = found.at(&table.value_origin("url"));
            table.push(found.help(fault.help()));
        })
        .ok()
}

/// `http://host:port` and its like, without a path of its own: a path would change what was judged.
fn address(field: Field<'_>) -> Option<Written> {
    const SCHEMES: [&str; 3] = ["http", "https", "h2c"];
    let help = "write `http://HOST:PORT`, `https://HOST:PORT`, `h2c://HOST:PORT` (HTTP/2 without TLS, as gRPC) or `unix:/PATH`";
    if field.is_text(|text| text.starts_with("unix:")) {
        return field
            .text_or_help(socket_path, |_| "write `unix:` and the whole path of the socket");
    }
    let url = field.peek_url(&SCHEMES);
    if url.as_ref().is_some_and(|url| !matches!(url.path(), "" | "/") || url.query().is_some()) {
        let message = "the upstream has a path or query of its own";
        return field.fail_with_help("invalid-value", message, help);
    }
    if url.as_ref().is_some_and(|url| url.port_or_known_default().is_none()) {
        return field.fail_with_help("invalid-value", "the port is missing", help);
    }
    let url = field.text_or_help(|text| parse_url(text, &SCHEMES), |_| help)?;
    let host_port = HostPort { host: host(&url)?, port: url.port_or_known_default()? };
    Some(match url.scheme() {
        "https" => Written::Https(host_port),
        "h2c" => Written::H2c(host_port),
        _ => Written::Http(host_port),
    })
}

fn host(url: &url::Url) -> Option<Box<str>> {
    Some(match url.host()? {
        Host::Domain(name) => name.into(),
        Host::Ipv4(address) => address.to_string().into(),
        // Without the brackets, which belong to the spelling of a URL.
        Host::Ipv6(address) => address.to_string().into(),
    })
}

fn socket_path(text: &str) -> Result<Written, &'static str> {
    let path = text.strip_prefix("unix:").unwrap_or(text);
    if !path.starts_with('/') {
        return Err("the path of the socket does not begin with `/`");
    }
    if path.len() >= MAX_SOCKET_PATH || path.contains('\0') {
        return Err("no socket can have this path: it is too long");
    }
    Ok(Written::Unix(Path::new(path).into()))
}

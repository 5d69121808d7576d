//! Addresses of others, and what `environment: prod` forbids of them; addresses of our own, and that no
//! two of them meet.

use std::net::{IpAddr, Ipv4Addr};

use url::{Host, Url};

use super::environment::AltinnEnvironment;
use super::{AdminSettings, Context, ControlSettings, ListenAddress, ServerSettings};
use crate::config::diagnostic::Diagnostic;
use crate::config::field::Field;
use crate::config::reader::Table;
use crate::upstream::{UpstreamAddress, UpstreamSettings};

/// What the names of test environments end in: whoever is believed or asked there decides nothing in
/// production.
const TEST_HOSTS: [&str; 5] = [
    "test.maskinporten.no",
    "ver2.maskinporten.no",
    "test.idporten.no",
    "tt02.altinn.no",
    "altinn.cloud",
];

/// An address of Maskinporten or Altinn that `prod` has nothing against.
pub(super) fn remote(field: Field<'_>, context: Context<'_>) -> Option<Url> {
    let url = field.peek_url(&["https", "http"]);
    let fault = url.and_then(|url| forbidden(&url, context.environment));
    match fault {
        Some((code, message, help)) => field.fail_with_help(code, message, help),
        None => field.url(&["https", "http"]),
    }
}

/// Why `prod` does not talk to this address, if so.
fn forbidden(
    url: &Url,
    environment: AltinnEnvironment,
) -> Option<(&'static str, &'static str, &'static str)> {
    if environment != AltinnEnvironment::Prod {
        return None;
    }
    if url.scheme() != "https" && !is_loopback(url) {
        let message = "`prod` speaks plain http with this machine only";
        return Some(("prod-plain-http", message, "write `https://`"));
    }
    let help = "write the address of production, or another `environment`";
    is_test(url).then_some(("prod-test-address", "this is an address of a test environment", help))
}

/// Why `prod` does not believe this issuer, if so.
pub(super) fn is_test_issuer(issuer: &str) -> bool {
    Url::parse(issuer).is_ok_and(|url| is_test(&url) || is_loopback(&url))
}

fn is_test(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    TEST_HOSTS.iter().any(|test| {
        host.strip_suffix(test).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).to_canonical().is_loopback(),
        Some(Host::Domain(name)) => is_localhost(name),
        None => false,
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// Reports listeners that take each other's place, and an upstream that is one of them: the request
/// would come back to us without end.
pub(super) fn judge_listeners(
    root: &mut Table<'_>,
    server: &ServerSettings,
    admin: &AdminSettings,
    control: Option<&ControlSettings>,
    upstream: Option<&UpstreamSettings>,
) {
    let server_origin = root.origin_of("server");
    let mut ours: Vec<(&str, ListenAddress)> =
        server.listen.iter().map(|address| ("server", address.clone())).collect();
    let control = control.map(|control| control.listen.clone());
    let further = [("admin", Some(ListenAddress::Tcp(admin.listen))), ("control", control)];
    for (section, address) in further {
        let Some(address) = address else { continue };
        if let Some((earlier, _)) = ours.iter().find(|(_, other)| overlap(other, &address)) {
            let message = format!("`{section}.listen` and `{earlier}.listen` are both `{address}`");
            let found = Diagnostic::error("same-address", message).at(&root.origin_of(section));
            let found = found.related(&root.origin_of(earlier), "the other");
            root.push(found.help("give each listener a port of its own"));
        }
        ours.push((section, address));
    }
    for (index, address) in server.listen.iter().enumerate() {
        if server.listen.iter().take(index).any(|earlier| overlap(earlier, address)) {
            let message = format!("`server.listen` names `{address}` more than once");
            let found = Diagnostic::error("same-address", message).at(&server_origin);
            root.push(found.help("name each address once; `0.0.0.0` is all of them"));
        }
    }
    let Some(upstream) = upstream else { return };
    if let Some((_, listener)) = ours.iter().find(|(_, ours)| reaches(&upstream.address, ours)) {
        let message =
            format!("the upstream `{}` is our own listener `{listener}`", upstream.address);
        let found = Diagnostic::error("upstream-is-ourselves", message);
        let found = found.at(&root.origin_of("upstream")).related(&server_origin, "the listeners");
        root.push(found.help("name the address of the API behind"));
    }
}

/// Whether both cannot be bound at once. Port 0 stands for a new one each time.
fn overlap(one: &ListenAddress, other: &ListenAddress) -> bool {
    let (ListenAddress::Tcp(one), ListenAddress::Tcp(other)) = (one, other) else {
        return one == other;
    };
    let same = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && same
}

/// Whether a connection to `upstream` surely ends at our listener.
fn reaches(upstream: &UpstreamAddress, listener: &ListenAddress) -> bool {
    if let (UpstreamAddress::Unix(upstream), ListenAddress::Unix(listener)) = (upstream, listener) {
        return **upstream == **listener;
    }
    let (Some(listener), Some(upstream)) = (listener.tcp(), upstream.host_port()) else {
        return false;
    };
    let address = match upstream.host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical(),
        Err(_) if is_localhost(&upstream.host) => Ipv4Addr::LOCALHOST.into(),
        Err(_) => return false,
    };
    let ours = listener.ip().to_canonical();
    // To connect to `0.0.0.0` is to connect to this machine.
    let here = address.is_loopback() || address.is_unspecified();
    upstream.port == listener.port()
        && (address == ours || (here && (ours.is_unspecified() || ours.is_loopback())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::HostPort;

    #[test]
    fn prod_talks_to_no_test_environment_and_not_in_the_clear() {
        for (url, code) in [
            ("https://maskinporten.no/", None),
            ("http://127.0.0.1:7081/", None),
            ("http://[::1]:7081/", None),
            ("http://localhost/", None),
            ("http://maskinporten.no/", Some("prod-plain-http")),
            ("http://10.0.0.1/", Some("prod-plain-http")),
            ("http://localhost.example.no/", Some("prod-plain-http")),
            ("https://test.maskinporten.no/", Some("prod-test-address")),
            ("https://TEST.maskinporten.no./", Some("prod-test-address")),
            ("https://platform.at22.altinn.cloud/", Some("prod-test-address")),
            ("https://mytest.maskinporten.no/", None),
        ] {
            let parsed = Url::parse(url).unwrap();
            let found = forbidden(&parsed, AltinnEnvironment::Prod).map(|(code, _, _)| code);
            assert_eq!(found, code, "{url}");
            assert_eq!(forbidden(&parsed, AltinnEnvironment::Tt02), None, "{url}");
        }
    }

    #[test]
    fn an_upstream_that_is_surely_our_own_listener_is_seen() {
        for (host, port, listener, expected) in [
            ("127.0.0.1", 7080, "0.0.0.0:7080", true),
            ("localhost", 7080, "127.0.0.1:7080", true),
            ("LOCALHOST", 7080, "[::]:7080", true),
            ("0.0.0.0", 7080, "127.0.0.1:7080", true),
            ("::1", 7080, "[::1]:7080", true),
            ("10.0.0.1", 7080, "10.0.0.1:7080", true),
            ("127.0.0.1", 8080, "0.0.0.0:7080", false),
            ("10.0.0.1", 7080, "0.0.0.0:7080", false),
            ("api", 7080, "0.0.0.0:7080", false),
        ] {
            let address = UpstreamAddress::Http(HostPort { host: host.into(), port });
            let listener_address = ListenAddress::Tcp(listener.parse().unwrap());
            assert_eq!(reaches(&address, &listener_address), expected, "{host}:{port}");
        }
    }
}

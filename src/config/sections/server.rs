//! `server`: where traffic comes in, and what it may cost.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::listen::{ListenAddress, listen_address};
use crate::config::diagnostic::Diagnostic;
use crate::config::field::{Field, file_path};
use crate::config::reader::Table;
use crate::config::tls::{TlsFault, TlsFile, TlsFiles};
use crate::domain::{Host, UnixSeconds};
use crate::upstream::Network;

/// Where traffic comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// The addresses to listen at.
    pub listen: Vec<ListenAddress>,
    /// What TLS is ended with on all of them; `None` for plain sockets.
    pub tls: Option<TlsFiles>,
    /// The hosts answered for; empty for any.
    pub hosts: Vec<Host>,
    /// What connections may cost.
    pub limits: Limits,
    /// The largest body read into memory to find a source in it. Bounds memory per request.
    pub max_buffered_body: usize,
    /// All bodies read into memory at one time. Bounds memory.
    pub max_buffered_total: usize,
    /// How long a body that is read into memory may stand still. Bounds how long memory is held.
    pub body_idle_timeout: Duration,
}

/// What one connection, and all of them together, may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the first byte of a head to its last, for a TLS handshake, and for the first byte of a
    /// connection. Bounds connections held open by slow heads, or by nothing.
    pub header_timeout: Duration,
    /// Between two exchanges. Above what load balancers keep connections for, so that they close first.
    /// Bounds connections held open for nothing.
    pub idle_timeout: Duration,
    /// How long a client may leave its answer untaken. Bounds connections held by clients that ask and
    /// never read.
    pub write_timeout: Duration,
    /// The largest head, in bytes. Bounds memory per connection.
    pub max_header_bytes: usize,
    /// The longest request target. Bounds what matching one request costs.
    pub max_target_bytes: usize,
    /// The most header lines. Bounds the work of reading one head.
    pub max_headers: usize,
    /// Connections served at once; more wait in the kernel's queue. Bounds sockets and memory.
    pub max_connections: usize,
    /// Requests served at once; more are refused at once. Bounds memory and what the API is asked.
    pub max_requests_in_flight: usize,
    /// Of HTTP/2.
    pub http2: Http2Limits,
}

/// What an HTTP/2 connection may cost. The other limits hold for it as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http2Limits {
    /// Connections at one time; further ones are told to go. Bounds memory: an idle one keeps some 40 KiB
    /// of tables and buffers that an idle one of HTTP/1.1 does not.
    pub max_connections: usize,
    /// Streams of one connection at one time. Bounds requests under way.
    pub max_concurrent_streams: u32,
    /// Bytes of one request's body that may come before they are taken. Bounds memory per stream.
    pub stream_window: u32,
    /// The same for all streams of a connection. Bounds memory per connection.
    pub connection_window: u32,
}

/// Connections served at once, unless the settings say otherwise: while they are idle they fit a container of
/// 64 MiB.
const MAX_CONNECTIONS: usize = 10_000;
/// The same over TLS, where each keeps twice as much.
const MAX_TLS_CONNECTIONS: usize = 4_000;

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            // The library's buffers grow as large: a client that does not read its answer holds some four.
            max_header_bytes: 32 * 1024,
            max_target_bytes: 8 * 1024,
            max_headers: 100,
            max_connections: MAX_CONNECTIONS,
            max_requests_in_flight: 1024,
            http2: Http2Limits {
                max_connections: 256,
                max_concurrent_streams: 100,
                stream_window: 64 * 1024,
                // Half of it is what small frames may cost that wait to be taken, 256 bytes each.
                connection_window: 512 * 1024,
            },
        }
    }
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: vec![ListenAddress::Tcp(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 7080))],
            tls: None,
            hosts: Vec::new(),
            limits: Limits::default(),
            max_buffered_body: 1024 * 1024,
            max_buffered_total: 16 * 1024 * 1024,
            body_idle_timeout: Duration::from_secs(30),
        }
    }
}

/// Addresses to listen at. Bounds sockets.
const MAX_LISTENERS: usize = 16;
/// Hosts, and networks of proxies. Bounds what is compared on each request.
const MAX_NAMES: usize = 100;

/// The settings, and the networks of trusted proxies, which are the upstream room's affair.
pub(super) fn read(root: &mut Table<'_>, now: UnixSeconds) -> (ServerSettings, Vec<Network>) {
    let mut settings = ServerSettings::default();
    let mut trusted_proxies = Vec::new();
    root.section("server", |table| {
        if let Some(listen) =
            table.optional("listen", |field| field.one_or_many(MAX_LISTENERS, listen_address))
        {
            if listen.is_empty() {
                table.push(
                    Diagnostic::error(
                        "invalid-value",
                        "`server.listen` is empty: nobody could connect",
                    )
                    .at(&table.origin_of("listen"))
                    .help("name an address, as in `0.0.0.0:7080`"),
                );
            }
            settings.listen = listen;
        }
        settings.hosts = table.or("hosts", Vec::new(), |field| {
            field.one_or_many(MAX_NAMES, |field| field.text(Host::parse))
        });
        trusted_proxies = table.or("trusted_proxies", Vec::new(), |field| {
            field.one_or_many(MAX_NAMES, |field| field.text(Network::parse))
        });
        settings.tls = table.optional("tls", |field| field.table(|table| tls(table, now)));
        if settings.tls.is_some() {
            settings.limits.max_connections = MAX_TLS_CONNECTIONS;
        }
        table.section("limits", |table| {
            limits(table, &mut settings);
            Some(())
        });
        table.optional("workers", |field| super::later(field, "auto"));
        Some(())
    });
    (settings, trusted_proxies)
}

fn tls(table: &mut Table<'_>, now: UnixSeconds) -> Option<TlsFiles> {
    let certificate = table.required("certificate_file", file_path);
    let key = table.required("key_file", file_path);
    let stated = table.has("client_ca_file");
    let client_ca = table.optional("client_ca_file", file_path);
    if stated && client_ca.is_none() {
        return None;
    }
    let files = TlsFiles { certificate: certificate?, key: key?, client_ca };
    match files.load() {
        Ok(policy) if policy.expires.is_some_and(|expires| expires <= now) => {
            let message = "the certificate has expired: clients will refuse it";
            let found = Diagnostic::warning("certificate-expired", message);
            let found = found.at(&table.value_origin("certificate_file"));
            table.push(found.help("renew it; it is read again when the file changes"));
        }
        Ok(_) => {}
        Err(TlsFault { file, path, fault }) => {
            let key = match file {
                TlsFile::Certificate => "certificate_file",
                TlsFile::Key => "key_file",
                TlsFile::ClientCa => "client_ca_file",
            };
            let message = format!("`server.tls.{key}`: `{}`: {fault}", path.display());
            let found = Diagnostic::error("unusable-certificate", message);
            table.push(found.at(&table.value_origin(key)).help(fault.help()));
        }
    }
    Some(files)
}

fn limits(table: &mut Table<'_>, settings: &mut ServerSettings) {
    let ServerSettings { limits, max_buffered_body, max_buffered_total, body_idle_timeout, .. } =
        settings;
    limits.header_timeout = table.or("header_timeout", limits.header_timeout, |field| {
        field.duration(
            Duration::from_millis(10)..=Duration::from_mins(10),
            "a head comes within seconds; one that is sent slowly holds its connection for as long",
        )
    });
    limits.idle_timeout = table.or("idle_timeout", limits.idle_timeout, |field| {
        field.duration(
            Duration::from_millis(10)..=Duration::from_hours(1),
            "each connection that nobody uses takes a socket and memory for as long",
        )
    });
    limits.max_header_bytes = table.or("max_header_bytes", limits.max_header_bytes, |field| {
        field.memory_bytes(
            8 * 1024..=1024 * 1024,
            "a head with a token has some KiB; each connection may take several times as much memory",
        )
    });
    limits.max_headers = table.or("max_headers", limits.max_headers, |field| {
        field.number(
            8..=1000,
            "ordinary clients send 5 to 50; each costs work before a token is seen",
        )
    });
    limits.max_connections = table.or("max_connections", limits.max_connections, |field| {
        field.number(1..=1_000_000, CONNECTIONS)
    });
    limits.max_target_bytes = table.or("max_target_bytes", limits.max_target_bytes, |field| {
        field.memory_bytes(
            64..=64 * 1024,
            "path and query together; servers take 8KiB as a rule, and matching a longer one costs more",
        )
    });
    limits.max_requests_in_flight =
        table.or("max_requests_in_flight", limits.max_requests_in_flight, |field| {
            field.number(
                1..=1_000_000,
                "each request takes memory; with 0 every one would be refused",
            )
        });
    table.section("http2", |table| {
        http2(table, &mut limits.http2);
        Some(())
    });
    *max_buffered_body = table.or("max_buffered_body", *max_buffered_body, |field| {
        field.memory_bytes(
            1024..=64 * 1024 * 1024,
            "such a body lies in memory as a whole; one that no rule reads is streamed and may be larger",
        )
    });
    *max_buffered_total = table.or("max_buffered_total", *max_buffered_total, |field| {
        field.memory_bytes(
            1024..=1024 * 1024 * 1024,
            "it is taken from the memory of the process, which needs some for itself",
        )
    });
    if *max_buffered_total < *max_buffered_body {
        let message = format!(
            "`max_buffered_total` is {max_buffered_total} bytes, less than `max_buffered_body` lets one body have"
        );
        let found = Diagnostic::error("invalid-value", message);
        table.push(
            found
                .at(&table.origin_of("max_buffered_total"))
                .help("raise it, or lower `max_buffered_body`"),
        );
    }
    // One setting for both directions: a body that stops coming, and one that is not taken.
    *body_idle_timeout = table.or("body_idle_timeout", *body_idle_timeout, |field| {
        field.duration(
            Duration::from_millis(10)..=Duration::from_mins(10),
            "a body that stands still holds a connection, here and at the API, for as long",
        )
    });
    limits.write_timeout = *body_idle_timeout;
}

/// Smaller windows than the first of RFC 9113 §6.9.2 would be overrun by clients that do not know them yet;
/// larger ones than 2^31-1 there are not.
const WINDOWS: std::ops::RangeInclusive<usize> = 65_535..=64 * 1024 * 1024;
const WINDOW: &str = "the first window of HTTP/2 is 65535, and clients may fill it before they know of a smaller one; \
     a larger one lets each of them fill as much memory";
const CONNECTIONS: &str = "each connection takes a socket and memory; with 0 nobody could connect";

fn http2(table: &mut Table<'_>, limits: &mut Http2Limits) {
    limits.max_connections = table.or("max_connections", limits.max_connections, |field| {
        field.number(1..=1_000_000, CONNECTIONS)
    });
    limits.max_concurrent_streams =
        table.or("max_concurrent_streams", limits.max_concurrent_streams, |field| {
            field.number(1..=10_000, "each stream is a request under way; with 0 nobody could ask")
        });
    let window = |field: Field<'_>| {
        field.memory_bytes(WINDOWS, WINDOW).map(|bytes| u32::try_from(bytes).unwrap_or(u32::MAX))
    };
    limits.stream_window = table.or("stream_window", limits.stream_window, window);
    limits.connection_window = table.or("connection_window", limits.connection_window, window);
}

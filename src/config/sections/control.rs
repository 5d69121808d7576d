//! `control`: where operators change something while the proxy runs, and the token that lets them.

use std::net::{Ipv4Addr, SocketAddr};

use secrecy::{ExposeSecret as _, SecretString};

use super::listen::{ListenAddress, listen_address};
use crate::config::diagnostic::Diagnostic;
use crate::config::field::Field;
use crate::config::reader::Table;
use crate::config::scalars::parse_socket_address;
use crate::token::BearerToken;

/// Where control requests are answered.
#[derive(Clone, Debug)]
pub struct ControlSettings {
    /// The address to listen at; loopback, or a socket in the file system.
    pub listen: ListenAddress,
    /// What a change needs. Without it every change is refused.
    pub token: Option<SecretString>,
}

/// The shortest token: what is shorter can be guessed.
const MIN_TOKEN_CHARACTERS: usize = 16;

/// `None` if nobody wrote the section: then there is no such listener.
pub(super) fn read(root: &mut Table<'_>) -> Option<ControlSettings> {
    let default = ListenAddress::Tcp(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 7091));
    root.optional("control", |field| {
        field.table(|table| {
            let listen = table.or("listen", default, loopback);
            Some(ControlSettings { listen, token: token(table) })
        })
    })
}

fn loopback(field: Field<'_>) -> Option<ListenAddress> {
    let elsewhere = |address: SocketAddr| !address.ip().to_canonical().is_loopback();
    if field.is_text(|text| parse_socket_address(text).is_ok_and(elsewhere)) {
        let message =
            "`control` changes what callers get: it listens on loopback or a unix socket only";
        let help = "write `127.0.0.1:7091`, `[::1]:7091` or `unix:/PATH`";
        return field.fail_with_help("control-not-loopback", message, help);
    }
    listen_address(field)
}

fn token(table: &mut Table<'_>) -> Option<SecretString> {
    let key = if table.has("token") { "token" } else { "token_file" };
    let (stated, origin) = (table.has(key), table.origin_of(key));
    let token = table.secret("token");
    if !stated {
        let message = "`control` has no token: every change is refused";
        let found = Diagnostic::warning("control-without-token", message).at(&origin);
        table.push(found.help("name the file that holds one: `token_file: /run/secrets/…`"));
    }
    let token = token?;
    let text = token.expose_secret().trim();
    let fault = if text.len() < MIN_TOKEN_CHARACTERS {
        format!("the control token has fewer than {MIN_TOKEN_CHARACTERS} characters")
    } else if BearerToken::parse(text).is_err() {
        "the control token has characters that `Authorization: Bearer` cannot carry".to_owned()
    } else {
        return Some(SecretString::from(text));
    };
    let found = Diagnostic::error("unusable-control-token", fault).at(&origin);
    table.push(found.help("`openssl rand -hex 32` makes a good one"));
    None
}

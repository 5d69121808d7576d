//! `pdp.credential`: how Portvakt itself is known to the PDP.
//!
//! Invariant: what is wrong with a key is said without showing anything of it.

use std::sync::Arc;

use secrecy::SecretString;
use url::Url;

use super::{AltinnEnvironment, Context, addresses};
use crate::config::diagnostic::{Diagnostic, Origin};
use crate::config::field::{Field, file_path, string, truth};
use crate::config::reader::Table;
use crate::pdp::{ClientKey, Credential, GrantSettings, InvalidClientKey};

/// The variables that platforms give to containers with a Maskinporten client.
const CLIENT_ID: &str = "MASKINPORTEN_CLIENT_ID";
const CLIENT_JWK: &str = "MASKINPORTEN_CLIENT_JWK";
/// What Altinn asks of those who call its PDP.
const SCOPE: &str = "altinn:authorization/authorize";
/// Where the exchange is on Altinn's platform.
const EXCHANGE: [&str; 5] = ["authentication", "api", "v1", "exchange", "maskinporten"];

/// Reads the credential. Where no file names one, the variables of both the client and its key do. The
/// exchange is preset on `platform`, which is `None` after an error.
pub(super) fn read(
    table: &mut Table<'_>,
    context: Context<'_>,
    platform: Option<&Url>,
) -> Option<Credential> {
    let kinds = ["maskinporten", "token_file", "none"];
    let given = |name| context.variables.platform(name).is_some();
    let is_open = !kinds.iter().any(|kind| table.has(kind));
    let is_meant = is_open && given(CLIENT_ID) && given(CLIENT_JWK);
    let read = |table: &mut Table<'_>| maskinporten(table, context, platform);
    let maskinporten = if is_meant {
        table.section("maskinporten", read)
    } else {
        match [given(CLIENT_ID), given(CLIENT_JWK)] {
            [true, false] if is_open => half(table, CLIENT_ID, CLIENT_JWK),
            [false, true] if is_open => half(table, CLIENT_JWK, CLIENT_ID),
            [_, _] => {
                table.exactly_one(&kinds);
            }
        }
        table.optional("maskinporten", |field| field.table(read))
    };
    let token_file = table.optional("token_file", file_path);
    let none = table.optional("none", |field| none(field, context.environment));
    maskinporten.map(Credential::Maskinporten).or(token_file.map(Credential::TokenFile)).or(none)
}

/// Reports that of the two variables that name a client only one is set.
fn half(table: &mut Table<'_>, given: &str, missing: &str) {
    let message = format!("`{given}` is set, but not `{missing}`, and no credential is written");
    let found = Diagnostic::error("missing-key", message).at(&Origin::Variable(given.into()));
    let section = table.path_of("maskinporten");
    table.push(found.help(format!("set `{missing}` too, or write `{section}:`")));
}

fn maskinporten(
    table: &mut Table<'_>,
    context: Context<'_>,
    platform: Option<&Url>,
) -> Option<Arc<GrantSettings>> {
    table.fallback("client_id", context.variables.platform(CLIENT_ID));
    table.fallback("key", context.variables.platform(CLIENT_JWK));
    let client_id = table.required("client_id", string);
    let kid = table.stated("kid", string);
    let secret = table.required_secret("key");
    let key = secret.zip(kid).and_then(|(key, kid)| client_key(table, &key, kid.as_deref()));
    let token_url = match context.environment.token_url() {
        Some(preset) => table
            .stated("token_url", |field| token_url(field, context))
            .map(|written| written.unwrap_or(preset)),
        None => table.required("token_url", |field| token_url(field, context)),
    };
    let exchange_url = table.stated("exchange_url", |field| {
        without_query(field, context, "the exchange's address has no query")
    });
    let audience = table.stated("audience", string);
    let scope = table.or("scope", SCOPE.to_owned(), string);
    let token_url = token_url?;
    let audience = audience?.or_else(|| parent(&token_url))?;
    let exchange_url = exchange_url?.or_else(|| platform.and_then(exchange))?;
    Some(Arc::new(GrantSettings {
        client_id: client_id?.into(),
        key: Arc::new(key?),
        token_url,
        audience: audience.into(),
        exchange_url,
        scope: scope.into(),
    }))
}

/// Reports at the key's name, after which nothing of its line is shown.
fn client_key(table: &mut Table<'_>, key: &SecretString, kid: Option<&str>) -> Option<ClientKey> {
    match ClientKey::parse(key, kid) {
        Ok(key) => Some(key),
        Err(fault) => {
            let written = if table.has("key") { "key" } else { "key_file" };
            let message = format!("`{}`: {fault}", table.path_of(written));
            let found = Diagnostic::error("invalid-client-key", message);
            let found = found.at(&table.origin_of(written));
            table.push(found.help(match fault {
                InvalidClientKey::NoKid | InvalidClientKey::Kid => {
                    "write `kid:` beside the key: its id as shown at Maskinporten"
                }
                InvalidClientKey::Encrypted => {
                    "`openssl rsa -in KEY -out PLAIN` takes the passphrase off"
                }
                InvalidClientKey::Unreadable
                | InvalidClientKey::NotOneKey
                | InvalidClientKey::PublicOnly
                | InvalidClientKey::NotRsa
                | InvalidClientKey::TooWeak
                | InvalidClientKey::Incomplete
                | InvalidClientKey::Inconsistent
                | InvalidClientKey::Algorithm => {
                    "give the private RSA key registered for the client, as a JWK or PEM"
                }
            }));
            None
        }
    }
}

fn token_url(field: Field<'_>, context: Context<'_>) -> Option<Url> {
    let url = field.peek_url(&["https", "http"]);
    if url.is_some_and(|url| url.query().is_none() && parent(&url).is_none()) {
        let help = "write Maskinporten's token endpoint: `https://test.maskinporten.no/token`";
        return field.fail_with_help("invalid-value", "the address does not end in a name", help);
    }
    without_query(field, context, "the token endpoint's address has no query")
}

fn without_query(field: Field<'_>, context: Context<'_>, message: &str) -> Option<Url> {
    if field.peek_url(&["https", "http"]).is_some_and(|url| url.query().is_some()) {
        return field.fail("invalid-value", message);
    }
    addresses::remote(field, context)
}

/// The address without its last name: what Maskinporten calls itself, seen from its token endpoint.
fn parent(url: &Url) -> Option<String> {
    let (parent, name) = url.as_str().rsplit_once('/')?;
    (!name.is_empty()).then(|| format!("{parent}/"))
}

fn exchange(platform: &Url) -> Option<Url> {
    let mut url = platform.clone();
    url.path_segments_mut().ok()?.pop_if_empty().extend(EXCHANGE);
    Some(url)
}

fn none(field: Field<'_>, environment: AltinnEnvironment) -> Option<Credential> {
    if environment == AltinnEnvironment::Prod {
        let message = "`prod` does not ask the PDP without a credential";
        let help = "write `maskinporten:` or `token_file:`";
        return field.fail_with_help("prod-no-credential", message, help);
    }
    if field.is_text(|text| text == "false") {
        return field.fail_with_help(
            "invalid-value",
            "only `true` has a meaning",
            "remove the key",
        );
    }
    truth(field).map(|_| Credential::None)
}

#[cfg(test)]
mod tests;

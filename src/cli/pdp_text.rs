//! What `portvakt pdp` says when it has started: where it is, what it decides by, what it demands, and a
//! command that works as it stands.

use crate::dev::{PdpWorld, Size};
use crate::domain::AccessRequest;
use crate::pdp::wire::encode_request;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use url::{Host, Url};

/// A PDP that has started.
pub(super) struct Started<'a> {
    pub(super) world: &'a PdpWorld,
    pub(super) policies: &'a Path,
    pub(super) mode: &'static str,
    pub(super) issuer: Option<&'a Url>,
    /// Why it demands no token, if it demands none.
    pub(super) open: Why,
    pub(super) subscription_key_file: Option<&'a Path>,
    pub(super) token_file: Option<&'a Path>,
    pub(super) sample: Option<AccessRequest>,
}

/// Why no token is demanded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// `--open`
    Asked,
    /// Nobody named an issuer.
    NoIssuer,
}

impl Started<'_> {
    pub(super) fn to_json(&self) -> Value {
        let size = self.world.size();
        json!({
            "pdp": format!("http://{}", self.world.address),
            "control": self.world.control.map(|at| format!("http://{at}")),
            "controlTokenFile": self.token_file,
            "policies": size.policies,
            "resources": size.resources,
            "systemUsers": size.system_users,
            "mode": self.mode,
            "issuer": self.issuer.map(Url::as_str),
            "subscriptionKey": self.subscription_key_file.is_some(),
            "warnings": self.warnings(),
        })
    }

    pub(super) fn to_human(&self) -> String {
        let mut text = String::new();
        for warning in self.warnings() {
            put(&mut text, format_args!("warning: {warning}\n"));
        }
        let address = self.world.address;
        put(&mut text, format_args!("PDP       http://{address}     Altinn Authorization's API\n"));
        if let (Some(control), Some(token)) = (self.world.control, self.token_file) {
            let token = token.display();
            let line = format_args!(
                "control   http://{control}     /decisions says why; /directory, /faults and /reload \
                 change it, with the token in {token}\n"
            );
            put(&mut text, line);
        }
        let (size, folder) = (size(self.world.size()), self.policies.display());
        put(&mut text, format_args!("decides   by {size} in {folder}, as `{}`\n", self.mode));
        match self.issuer {
            Some(issuer) => {
                put(&mut text, format_args!("tokens    exchanged for those of {issuer}\n"));
            }
            None => put(&mut text, format_args!("tokens    none demanded\n")),
        }
        match self.subscription_key_file {
            Some(file) => {
                let file = file.display();
                put(&mut text, format_args!("key       the subscription key in {file}\n"));
            }
            None => put(&mut text, format_args!("key       no subscription key demanded\n")),
        }
        self.say_what_to_try(&mut text);
        text
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<_> = not_loopback(self.world.address).into_iter().collect();
        match self.issuer {
            None if self.open == Why::NoIssuer => warnings.push(
                "no `--issuer` is named, so no token is demanded; Altinn demands one".to_owned(),
            ),
            Some(issuer) if issuer.scheme() == "http" && !is_loopback(issuer) => {
                warnings.push(format!(
                    "the keys of `{issuer}` come over plain HTTP: whoever is on the way can replace \
                     them"
                ));
            }
            Some(_) | None => {}
        }
        if let Some(fault) = &self.world.key_fault {
            warnings.push(format!("there are no keys of the issuer so far: {fault}"));
        }
        warnings
    }

    fn say_what_to_try(&self, text: &mut String) {
        let Some(sample) = &self.sample else { return };
        let platform = format!("http://{}", self.world.reached_at());
        let mut headers = " -H 'Content-Type: application/json'".to_owned();
        if let Some(file) = self.subscription_key_file {
            let file = shell_word(&file.display().to_string());
            put(
                &mut headers,
                format_args!(" \\\n    -H \"Ocp-Apim-Subscription-Key: $(cat {file})\""),
            );
        }
        if let Some(issuer) = self.issuer {
            put(text, format_args!("\nFetch a token and exchange it:\n\n"));
            put(text, format_args!("  maskinporten=$({})\n", mint(issuer)));
            put(
                text,
                format_args!(
                    "  token=$(curl -s -H \"Authorization: Bearer $maskinporten\" \\\n    \
                 {platform}/authentication/api/v1/exchange/maskinporten)\n"
                ),
            );
            headers.push_str(" \\\n    -H \"Authorization: Bearer $token\"");
        }
        let question = shell_word(&String::from_utf8_lossy(&encode_request(sample)));
        put(text, format_args!("\nAsk it:\n\n"));
        put(
            text,
            format_args!(
                "  curl -i{headers} \\\n    -d {question} \\\n    {platform}/authorization/api/v1/authorize\n"
            ),
        );
        if let Some(control) = self.world.control {
            put(
                text,
                format_args!(
                    "\nWhy it answers as it does, by the `Portvakt-Decision-Id` of the answer:\n\n  \
                 curl http://{control}/decisions/ID\n"
                ),
            );
        }
        put(text, format_args!("\nCtrl-C ends it.\n"));
    }
}

/// Said loudly, because the answers tell who acts for whom.
fn not_loopback(address: SocketAddr) -> Option<String> {
    (!address.ip().to_canonical().is_loopback()).then(|| {
        format!(
            "`{address}` is not loopback: whoever reaches this machine can ask who may do what, over \
             plain HTTP"
        )
    })
}

/// How much a PDP decides by, for a sentence.
pub(super) fn size(size: Size) -> String {
    let count = |count, one: &str, many: &str| match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {many}"),
    };
    let policies = count(size.policies, "policy", "policies");
    let resources = count(size.resources, "resource", "resources");
    let system_users = count(size.system_users, "system user", "system users");
    format!("{policies} for {resources}, and {system_users}")
}

/// How the service owner's own client fetches a token. Only the development issuer writes keys that are
/// known here.
fn mint(issuer: &Url) -> String {
    let key = if is_loopback(issuer) { "portvakt-demo/portvakt.pem" } else { "KEY.pem" };
    let client = if is_loopback(issuer) { "portvakt" } else { "CLIENT_ID" };
    let program = shell_word(&std::env::args().next().unwrap_or_else(|| "portvakt".to_owned()));
    let issuer = shell_word(issuer.as_str());
    format!(
        "{program} token mint --issuer {issuer} \\\n    --client {client} --key {key} \
         --scope altinn:authorization/authorize"
    )
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The text as one word of a shell (POSIX.1-2017, Shell Command Language §2.2.2).
fn shell_word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_./:-".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_for_a_shell_is_one_word() {
        assert_eq!(shell_word("target/release/portvakt"), "target/release/portvakt");
        assert_eq!(shell_word("my keys/it's"), r"'my keys/it'\''s'");
        assert_eq!(shell_word("$(x)"), "'$(x)'");
        assert_eq!(shell_word(""), "''");
    }

    #[test]
    fn only_an_address_beyond_loopback_is_warned_of() {
        let warned = |text: &str| not_loopback(text.parse().unwrap()).is_some();
        for (address, expected) in [
            ("127.0.0.1:1", false),
            ("[::1]:1", false),
            ("[::ffff:127.0.0.1]:1", false),
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            ("192.0.2.1:1", true),
        ] {
            assert_eq!(warned(address), expected, "{address}");
        }
    }

    #[test]
    fn amounts_are_sentences() {
        let amount =
            |policies, resources, system_users| size(Size { policies, resources, system_users });
        assert_eq!(amount(1, 1, 1), "1 policy for 1 resource, and 1 system user");
        assert_eq!(amount(0, 2, 10), "0 policies for 2 resources, and 10 system users");
    }
}

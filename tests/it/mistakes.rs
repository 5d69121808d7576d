//! Mistakes that an operator makes: each is told at the start, with what to do, and by an exit code that scripts can
//! tell apart. Those of the systems behind are in `doctor.rs`, a clock that is off in `self_check.rs`.

use crate::support::{RULES, jwks};
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const CONFIGURATION: &str = "environment: custom
server: { listen: [\"127.0.0.1:0\"] }
admin: { listen: \"127.0.0.1:0\" }
upstream: { url: \"http://127.0.0.1:9\" }
pdp: { url: \"http://127.0.0.1:9\", credential: { none: true } }
tokens: { issuers: [{ kind: maskinporten, issuer: \"https://issuer.example.no/\", jwks_file: keys.json }] }
policies: policies
";

/// A certificate of the last century, and its key.
fn expired() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut asked = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    asked.not_before = rcgen::date_time_ymd(1998, 1, 1);
    asked.not_after = rcgen::date_time_ymd(1999, 1, 1);
    (asked.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = Self(std::env::temp_dir().join(format!("portvakt-{}", uuid::Uuid::new_v4())));
        fs::create_dir_all(folder.0.join("policies/routes")).unwrap();
        folder.write("policies/routes/it.yaml", RULES);
        folder.write("keys.json", &String::from_utf8(jwks()).unwrap());
        folder.write("portvakt.yaml", CONFIGURATION);
        folder
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    /// The configuration with another text in place of one of its own.
    fn change(&self, from: &str, to: &str) {
        assert!(CONFIGURATION.contains(from), "{from}");
        self.write("portvakt.yaml", &CONFIGURATION.replace(from, to));
    }

    /// The exit code, and what was said.
    fn serve(&self) -> (i32, String) {
        let program = Command::new(env!("CARGO_BIN_EXE_portvakt"))
            .args(["serve", "--config", "portvakt.yaml"])
            .current_dir(&self.0)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (program.status.code().unwrap(), String::from_utf8(program.stderr).unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The mistake, the exit code, what is said of it, and what to do.
fn told(name: &str, folder: &Folder, code: i32, said: &str, help: &str) {
    let (exit, text) = folder.serve();
    assert_eq!(exit, code, "{name}: {text}");
    assert!(text.contains(said), "{name}: no `{said}` in {text}");
    assert!(text.contains("help: ") && text.contains(help), "{name}: no `{help}` in {text}");
}

#[test]
fn each_mistake_is_told_with_what_to_do() {
    for (name, from, to, said, help) in [
        (
            "a wrong secret",
            "policies: policies",
            "control: { token: short }\npolicies: policies",
            "unusable-control-token",
            "openssl rand",
        ),
        (
            "a secret that is not mounted",
            "credential: { none: true }",
            "credential: { maskinporten: { client_id: c, key_file: /run/none/client.jwk } }",
            "`/run/none/client.jwk`",
            "",
        ),
        (
            "a wrong URL",
            "url: \"http://127.0.0.1:9\", credential",
            "url: \"127.0.0.1:9\", credential",
            "pdp.url",
            "http",
        ),
        (
            "a key file that is missing is told when keys are wanted",
            "jwks_file: keys.json",
            "jwks_fil: keys.json",
            "unknown-key",
            "jwks_file",
        ),
        ("a missing mount", "policies: policies", "policies: elsewhere", "elsewhere", ""),
        (
            "an unreadable certificate",
            "server: {",
            "server: { tls: { certificate_file: none.crt, key_file: none.key },",
            "unusable-certificate",
            "",
        ),
        (
            "a folder in place of a file",
            "server: {",
            "server: { tls: { certificate_file: policies, key_file: policies },",
            "unusable-certificate",
            "",
        ),
        (
            "somebody else's issuer",
            "environment: custom",
            "environment: prood",
            "`prood` is not known here",
            "did you mean `prod`",
        ),
    ] {
        let folder = Folder::new();
        folder.change(from, to);
        told(name, &folder, 2, said, help);
    }
}

#[test]
fn a_typo_in_a_rule_is_told_with_its_line_and_what_was_meant() {
    let folder = Folder::new();
    folder.write("policies/routes/it.yaml", &RULES.replacen("protection:", "protektion:", 1));
    told("a typo", &folder, 2, "policies/routes/it.yaml:", "did you mean `protection`");
}

#[test]
fn a_port_in_use_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for section in ["server: { listen: [\"127.0.0.1:0\"] }", "admin: { listen: \"127.0.0.1:0\" }"] {
        let folder = Folder::new();
        folder.change(section, &section.replace("127.0.0.1:0", &address.to_string()));
        let said = format!("cannot listen on `{address}`");
        told("a port in use", &folder, 3, &said, "another process listens there");
    }
    let folder = Folder::new();
    folder.change("[\"127.0.0.1:0\"]", "[\"192.0.2.1:7080\"]");
    told("an address of others", &folder, 3, "cannot listen on `192.0.2.1:7080`", "0.0.0.0");
    let folder = Folder::new();
    folder.change("[\"127.0.0.1:0\"]", "[\"unix:/run/none/portvakt.sock\"]");
    told("no volume", &folder, 3, "cannot listen on `unix:/run/none", "is the volume mounted");
}

#[test]
fn a_disk_that_cannot_be_written_is_told() {
    let folder = Folder::new();
    // As read-only as any, also for root.
    folder.change(
        "policies: policies",
        "log: { decisions: /proc/portvakt/records }\npolicies: policies",
    );
    told(
        "a read-only disk",
        &folder,
        3,
        "cannot write decision records to `/proc/",
        "mount a volume",
    );
}

#[test]
fn an_expired_certificate_is_told_and_served_all_the_same() {
    let folder = Folder::new();
    let (certificate, key) = expired();
    folder.write("tls.crt", &certificate);
    folder.write("tls.key", &key);
    // So that it ends by itself.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = format!("admin: {{ listen: \"{}\" }}", taken.local_addr().unwrap());
    let tls = "server: { tls: { certificate_file: tls.crt, key_file: tls.key },";
    let text = CONFIGURATION.replace("server: {", tls);
    folder.write("portvakt.yaml", &text.replace("admin: { listen: \"127.0.0.1:0\" }", &admin));
    let (code, said) = folder.serve();
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("certificate-expired") && said.contains("renew it"), "{said}");
}

//! `tokens`: whose tokens are believed, for what, and how long.
//!
//! Without `issuers` the one of Maskinporten that the environment presets is believed, and no other.

use std::sync::Arc;
use std::time::Duration;

use super::environment::{AltinnEnvironment, IssuerPreset};
use super::{Context, addresses};
use crate::config::diagnostic::{Diagnostic, Origin};
use crate::config::field::{Field, Located, string};
use crate::config::reader::Table;
use crate::config::tree::{Entry, Node, Value};
use crate::domain::CheckDigits;
use crate::token::{Algorithm, IssuerKind, IssuerSettings, KeyLocation, TokenSettings};

/// Issuers. Each is asked for its keys, and `iss` is compared with each.
const MAX_ISSUERS: usize = 16;
/// The variable that platforms give to containers.
const WELL_KNOWN: &str = "MASKINPORTEN_WELL_KNOWN_URL";
/// Where a document of RFC 8414 lies below its issuer.
const METADATA_PATH: &str = ".well-known/oauth-authorization-server";
const KEYS: [&str; 3] = ["metadata_url", "jwks_url", "jwks_file"];
const KINDS: [(&str, IssuerKind); 3] = [
    ("maskinporten", IssuerKind::Maskinporten),
    ("idporten", IssuerKind::IdPorten),
    ("altinn", IssuerKind::Altinn),
];

pub(super) fn read(
    root: &mut Table<'_>,
    context: Context<'_>,
    check_digits: CheckDigits,
    brought: Option<Vec<IssuerSettings>>,
) -> TokenSettings {
    let mut settings = TokenSettings::new(Vec::new());
    settings.check_digits = check_digits;
    root.section("tokens", |table| {
        if brought.is_none() {
            table.fallback("issuers", preset_issuers(context));
            if !table.has("issuers") {
                let found = Diagnostic::error("missing-key", "`tokens.issuers` is missing");
                let help = "name whose tokens count, or an `environment` that presets it";
                table.push(found.at(&table.origin().clone()).help(help));
            }
        }
        let issuers = table.optional("issuers", |field| {
            field.sequence(MAX_ISSUERS, |field| field.located(|field| issuer(field, context)))
        });
        judge_issuers(table, issuers.as_deref());
        settings.issuers = brought
            .unwrap_or_else(|| issuers.into_iter().flatten().map(|issuer| issuer.value).collect());
        settings.leeway = table.or("leeway", settings.leeway, |field| {
            field.duration(
                Duration::ZERO..=Duration::from_mins(5),
                "it makes up for clocks that differ; for as long, tokens that have expired still count",
            )
        });
        table.section("keys", |table| {
            keys(table, &mut settings);
            Some(())
        });
        table.section("cache", |table| {
            let default = settings.cache_max_entries;
            settings.cache_max_entries =
                table.or("max_entries", default, |field| {
                    field.number(0..=1_000_000, "each verified token takes memory; 0 keeps none")
                });
            Some(())
        });
        Some(())
    });
    settings
}

fn keys(table: &mut Table<'_>, settings: &mut TokenSettings) {
    settings.refresh = table.or("refresh", settings.refresh, |field| {
        field.duration(
            Duration::from_secs(1)..=Duration::from_hours(24),
            "more often, the issuer would be flooded; less often, a key that it withdrew counts for longer",
        )
    });
    settings.refresh_min_interval =
        table.or("refresh_min_interval", settings.refresh_min_interval, |field| {
            field.duration(
                Duration::from_millis(10)..=Duration::from_hours(1),
                "it bounds how often callers with unknown keys have the issuer asked; new keys are seen after it at the latest",
            )
        });
    settings.max_stale = table.or("max_stale", settings.max_stale, |field| {
        field.duration(
            Duration::ZERO..=Duration::from_hours(24 * 7),
            "for as long, keys that cannot be renewed still count, and so do those that were withdrawn",
        )
    });
}

/// The issuer that counts where no file names one.
fn preset_issuers(context: Context<'_>) -> Option<Node> {
    let variable = context.variables.platform(WELL_KNOWN).map(|node| node.origin);
    let preset = context.environment.issuer(IssuerKind::Maskinporten).map(|_| Origin::Nowhere);
    let origin = variable.or(preset)?;
    let kind = Entry {
        key: "kind".to_owned(),
        key_origin: origin.clone(),
        node: Node::outside("maskinporten", origin.clone()),
    };
    let issuer = Node { value: Value::Table(vec![kind]), origin: origin.clone() };
    Some(Node { value: Value::List(vec![issuer]), origin })
}

fn issuer(field: Field<'_>, context: Context<'_>) -> Option<IssuerSettings> {
    field.table(|table| {
        let kind = table.required("kind", |field| field.choice(&KINDS));
        let preset = kind.and_then(|kind| context.environment.issuer(kind));
        if kind == Some(IssuerKind::Maskinporten) {
            take_well_known(table, context);
        }
        let names_keys = KEYS.iter().any(|key| table.has(key));
        let name = table.stated("issuer", |field| name(field, kind, context));
        table.at_most_one(&KEYS);
        let locations = [
            table
                .optional("metadata_url", |field| addresses::remote(field, context))
                .map(KeyLocation::Metadata),
            table
                .optional("jwks_url", |field| addresses::remote(field, context))
                .map(KeyLocation::Jwks),
            table.optional("jwks_file", key_file).map(KeyLocation::File),
        ];
        let algorithms = table.optional("algorithms", algorithms);
        let audience = table.optional("audience", audience);
        // Issuers of tests give tokens that outlast the tests.
        let of_tests = name.iter().flatten().any(|name| addresses::is_test_issuer(name));
        let max_lifetime = table.optional("max_lifetime", |field| {
            let longest = Duration::from_hours(if of_tests { 24 * 366 } else { 24 });
            field.duration(
                Duration::from_secs(1)..=longest,
                "a token that leaks counts for as long; only issuers of tests give tokens a day",
            )
        });
        let (kind, name) = (kind?, name?);
        let location = locations.into_iter().flatten().next();
        let (name, location) = if names_keys {
            (name.or_else(|| missing_name(table)), location)
        } else {
            from_preset(table, name.as_deref(), preset)?
        };
        if kind == IssuerKind::IdPorten && audience.is_none() {
            let message = "any token of this issuer counts, whichever API it was made for";
            let found = Diagnostic::warning("no-audience", message).at(&table.origin().clone());
            table.push(found.help("add `audience:`"));
        }
        let mut settings = IssuerSettings::new(kind, name?, location?);
        settings.algorithms = algorithms.unwrap_or(settings.algorithms);
        settings.audience = audience;
        settings.max_lifetime = max_lifetime.unwrap_or(settings.max_lifetime);
        Some(settings)
    })
}

/// Lets the platform's variable name Maskinporten's metadata, and with it the issuer, where the file
/// names neither, or the same issuer without its keys.
fn take_well_known(table: &mut Table<'_>, context: Context<'_>) {
    let Some(node) = context.variables.platform(WELL_KNOWN) else { return };
    if KEYS.iter().any(|key| table.has(key)) {
        return;
    }
    let text = match &node.value {
        Value::Scalar(scalar) => scalar.text(),
        Value::List(_) | Value::Table(_) | Value::Refused => return,
    };
    // Some code appends a slash to the address.
    let issuer = text.strip_suffix('/').unwrap_or(text).strip_suffix(METADATA_PATH);
    let issuer = issuer.map(|issuer| Node::outside(issuer, node.origin.clone()));
    if !table.has("issuer") {
        table.fallback("issuer", issuer);
        table.fallback("metadata_url", Some(node));
    } else if table.is_same("issuer", issuer.as_ref()) {
        table.fallback("metadata_url", Some(node));
    }
}

/// The preset's issuer with its metadata, if the file does not name another issuer.
fn from_preset(
    table: &mut Table<'_>,
    name: Option<&str>,
    preset: Option<IssuerPreset>,
) -> Option<(Option<Arc<str>>, Option<KeyLocation>)> {
    let same = |preset: &IssuerPreset| name.is_none_or(|name| name == preset.issuer);
    if let Some(preset) = preset.filter(same) {
        let metadata = url::Url::parse(preset.metadata_url).ok()?;
        return Some((Some(preset.issuer.into()), Some(KeyLocation::Metadata(metadata))));
    }
    if name.is_none() {
        missing_name(table);
    }
    table.exactly_one(&KEYS);
    None
}

fn missing_name(table: &mut Table<'_>) -> Option<Arc<str>> {
    table.required("issuer", string).map(Arc::from)
}

fn name(mut field: Field<'_>, kind: Option<IssuerKind>, context: Context<'_>) -> Option<Arc<str>> {
    let prod = context.environment == AltinnEnvironment::Prod;
    if prod && field.is_text(addresses::is_test_issuer) {
        let message = "`prod` believes no issuer of a test environment";
        return field.fail_with_help(
            "prod-test-issuer",
            message,
            "remove it, or use another `environment`",
        );
    }
    if field.is_text(|text| text.trim() != text) {
        field.warn("spaces", "begins or ends with a space, and is compared exactly", "remove it");
    }
    if let Some((message, help)) = kind
        .zip(field.peek_text())
        .and_then(|(kind, written)| unusual(written, kind, context.environment))
    {
        field.warn("unusual-issuer", &message, &help);
    }
    string(field).map(Arc::from)
}

/// What is odd about the name of an issuer that is known: it is compared exactly, with its final slash, and another
/// environment's tokens are for others.
fn unusual(
    written: &str,
    kind: IssuerKind,
    environment: AltinnEnvironment,
) -> Option<(String, String)> {
    let known = |environment: AltinnEnvironment| environment.issuer(kind).map(|it| it.issuer);
    let near = AltinnEnvironment::ALL
        .into_iter()
        .find(|other| known(*other).is_some_and(|name| is_nearly(written, name)))?;
    let name = known(near)?;
    match known(environment) {
        _ if name != written => {
            let message =
                format!("the issuer calls itself `{name}`, and names are compared exactly");
            Some((message, format!("write `{name}`")))
        }
        Some(ours) if ours != name => {
            let message = format!("this is the issuer of `{}`", near.as_str());
            let environment = environment.as_str();
            Some((message, format!("in `{environment}` it is `{ours}`")))
        }
        Some(_) | None => None,
    }
}

fn is_nearly(one: &str, other: &str) -> bool {
    one.trim_end_matches('/').eq_ignore_ascii_case(other.trim_end_matches('/'))
}

fn key_file(mut field: Field<'_>) -> Option<std::path::PathBuf> {
    let path = field.resolve_path()?;
    match std::fs::File::open(&path) {
        Ok(_) => Some(path),
        Err(error) => {
            let message = format!("`{}` cannot be read: {error}", path.display());
            let help = "name a file that the process may read";
            field.fail_with_help("unreadable-file", &message, help)
        }
    }
}

fn algorithms(field: Field<'_>) -> Option<Vec<Algorithm>> {
    let words: Vec<_> = Algorithm::ALL.iter().map(|one| (one.as_str(), *one)).collect();
    if matches!(&field.node().value, Value::List(items) if items.is_empty()) {
        return field.fail_with_help("invalid-value", "the list is empty", "name an algorithm");
    }
    field.sequence(words.len(), |field| field.choice(&words))
}

fn audience(field: Field<'_>) -> Option<Arc<str>> {
    // Maskinporten writes this where no audience was asked for.
    field.text(|text| match text {
        "" => Err("must not be empty"),
        "unspecified" => Err("`unspecified` is what tokens without an audience say"),
        text => Ok(text.into()),
    })
}

fn judge_issuers(table: &mut Table<'_>, issuers: Option<&[Located<IssuerSettings>]>) {
    let issuers = issuers.unwrap_or_default();
    for (index, issuer) in issuers.iter().enumerate() {
        let mut earlier = issuers.iter().take(index);
        if let Some(first) = earlier.find(|other| other.value.issuer == issuer.value.issuer) {
            let message = format!("the issuer `{}` is named twice", issuer.value.issuer);
            let found = Diagnostic::error("repeated-issuer", message).at(&issuer.origin);
            table.push(found.related(&first.origin, "first named here").help("keep one of them"));
        }
    }
    if table.has("issuers") && table.is_empty_list("issuers") {
        let found =
            Diagnostic::error("invalid-value", "`tokens.issuers` is empty: no token counts");
        table.push(found.at(&table.origin_of("issuers")).help("name whose tokens count"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_issuer_is_named_as_it_names_itself_and_in_its_environment() {
        use AltinnEnvironment::{At23, Custom, Prod, Tt02};
        use IssuerKind::{IdPorten, Maskinporten};
        let test = "https://test.maskinporten.no/";
        for (written, kind, environment, help) in [
            (test, Maskinporten, Tt02, None),
            (test, Maskinporten, At23, None),
            (test, Maskinporten, Custom, None),
            ("https://issuer.example.no", Maskinporten, Tt02, None),
            (
                "https://maskinporten.no",
                Maskinporten,
                Prod,
                Some("write `https://maskinporten.no/`"),
            ),
            (
                "https://TEST.maskinporten.no",
                Maskinporten,
                Custom,
                Some("write `https://test.maskinporten.no/`"),
            ),
            (
                "https://maskinporten.no/",
                Maskinporten,
                Tt02,
                Some("in `tt02` it is `https://test.maskinporten.no/`"),
            ),
            ("https://idporten.no", IdPorten, Prod, None),
            ("https://idporten.no/", IdPorten, Prod, Some("write `https://idporten.no`")),
        ] {
            let found = unusual(written, kind, environment).map(|(_, help)| help);
            assert_eq!(found.as_deref(), help, "{written} {environment:?}");
        }
    }
}

//! `environment`: which Altinn this is about, and the addresses that follow from it.
//!
//! Only `prod` judges organization numbers strictly by preset: test environments hand out numbers without
//! a right check digit. `custom` presets nothing and is strict, as nobody said otherwise.

use url::Url;

use crate::config::diagnostic::{Diagnostic, Origin};
use crate::config::layers::Environment;
use crate::config::reader::Table;
use crate::domain::CheckDigits;
use crate::token::IssuerKind;

/// Which Altinn this is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AltinnEnvironment {
    /// `prod`
    Prod,
    /// `tt02`: for service owners and vendors to test in.
    Tt02,
    /// `at22`, Altinn's own test.
    At22,
    /// `at23`
    At23,
    /// `at24`
    At24,
    /// `local`: what this program itself offers for development.
    Local,
    /// `custom`: nothing is preset.
    Custom,
}

/// What is preset for one issuer.
#[derive(Clone, Copy, Debug)]
pub(super) struct IssuerPreset {
    pub(super) issuer: &'static str,
    pub(super) metadata_url: &'static str,
}

const ENVIRONMENTS: [(&str, AltinnEnvironment); 7] = [
    ("prod", AltinnEnvironment::Prod),
    ("tt02", AltinnEnvironment::Tt02),
    ("at22", AltinnEnvironment::At22),
    ("at23", AltinnEnvironment::At23),
    ("at24", AltinnEnvironment::At24),
    ("local", AltinnEnvironment::Local),
    ("custom", AltinnEnvironment::Custom),
];

/// A row of presets: issuer and metadata.
macro_rules! preset {
    ($issuer:literal, $metadata:literal) => {
        Some(IssuerPreset { issuer: $issuer, metadata_url: concat!($issuer, $metadata) })
    };
}

impl AltinnEnvironment {
    /// All of them.
    pub(super) const ALL: [Self; 7] =
        [Self::Prod, Self::Tt02, Self::At22, Self::At23, Self::At24, Self::Local, Self::Custom];

    /// The word in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        ENVIRONMENTS.iter().find(|(_, one)| *one == self).map_or("custom", |(word, _)| word)
    }

    pub(super) fn check_digits(self) -> CheckDigits {
        match self {
            Self::Prod | Self::Custom => CheckDigits::Strict,
            Self::Tt02 | Self::At22 | Self::At23 | Self::At24 | Self::Local => CheckDigits::Lenient,
        }
    }

    /// Whether the platform is Altinn's own, behind its gateway.
    pub(super) fn has_gateway(self) -> bool {
        match self {
            Self::Prod | Self::Tt02 | Self::At22 | Self::At23 | Self::At24 => true,
            Self::Local | Self::Custom => false,
        }
    }

    /// Where Altinn's platform is.
    #[must_use]
    pub fn platform(self) -> Option<Url> {
        let text = match self {
            Self::Prod => "https://platform.altinn.no",
            Self::Tt02 => "https://platform.tt02.altinn.no",
            Self::At22 => "https://platform.at22.altinn.cloud",
            Self::At23 => "https://platform.at23.altinn.cloud",
            Self::At24 => "https://platform.at24.altinn.cloud",
            Self::Local => "http://127.0.0.1:7082",
            Self::Custom => return None,
        };
        Url::parse(text).ok()
    }

    /// Where Maskinporten gives tokens to its clients, of which we are one.
    pub(super) fn token_url(self) -> Option<Url> {
        let text = match self {
            Self::Prod => "https://maskinporten.no/token",
            Self::Tt02 | Self::At22 | Self::At23 | Self::At24 => {
                "https://test.maskinporten.no/token"
            }
            Self::Local => "http://127.0.0.1:7081/token",
            Self::Custom => return None,
        };
        Url::parse(text).ok()
    }

    pub(super) fn issuer(self, kind: IssuerKind) -> Option<IssuerPreset> {
        match (kind, self) {
            (_, Self::Custom) | (IssuerKind::IdPorten | IssuerKind::Altinn, Self::Local) => None,
            (IssuerKind::Maskinporten, Self::Prod) => {
                preset!("https://maskinporten.no/", ".well-known/oauth-authorization-server")
            }
            (IssuerKind::Maskinporten, Self::Local) => {
                preset!("http://127.0.0.1:7081/", ".well-known/oauth-authorization-server")
            }
            (IssuerKind::Maskinporten, Self::Tt02 | Self::At22 | Self::At23 | Self::At24) => {
                preset!("https://test.maskinporten.no/", ".well-known/oauth-authorization-server")
            }
            (IssuerKind::IdPorten, Self::Prod) => {
                preset!("https://idporten.no", "/.well-known/openid-configuration")
            }
            (IssuerKind::IdPorten, Self::Tt02 | Self::At22 | Self::At23 | Self::At24) => {
                preset!("https://test.idporten.no", "/.well-known/openid-configuration")
            }
            (IssuerKind::Altinn, Self::Prod) => preset!(
                "https://platform.altinn.no/authentication/api/v1/openid/",
                ".well-known/openid-configuration"
            ),
            (IssuerKind::Altinn, Self::Tt02) => preset!(
                "https://platform.tt02.altinn.no/authentication/api/v1/openid/",
                ".well-known/openid-configuration"
            ),
            (IssuerKind::Altinn, Self::At22) => preset!(
                "https://platform.at22.altinn.cloud/authentication/api/v1/openid/",
                ".well-known/openid-configuration"
            ),
            (IssuerKind::Altinn, Self::At23) => preset!(
                "https://platform.at23.altinn.cloud/authentication/api/v1/openid/",
                ".well-known/openid-configuration"
            ),
            (IssuerKind::Altinn, Self::At24) => preset!(
                "https://platform.at24.altinn.cloud/authentication/api/v1/openid/",
                ".well-known/openid-configuration"
            ),
        }
    }
}

pub(super) fn read(root: &mut Table<'_>, variables: &Environment) -> AltinnEnvironment {
    root.fallback("environment", variables.platform("ALTINN_ENVIRONMENT"));
    if !root.has("environment") {
        let found = Diagnostic::warning(
            "no-environment",
            "`environment` is missing: nothing is preset, and the guards of `prod` do not apply",
        );
        root.push(found.at(&Origin::Nowhere).help("write `environment: prod`, `tt02` or `custom`"));
    }
    match root.stated("environment", |field| field.choice(&ENVIRONMENTS)) {
        Some(environment) => environment.unwrap_or(AltinnEnvironment::Custom),
        // Reported, and nothing will be used: any with presets keeps missing ones from being reported.
        None => AltinnEnvironment::Tt02,
    }
}

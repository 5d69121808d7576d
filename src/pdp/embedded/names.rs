//! Codes of access packages, names of roles, ids of users and apps: words that are compared exactly.

use std::fmt;
use std::sync::Arc;

use super::limits::MAX_NAME_CHARS;

/// The text is not a code of the catalogue's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a code has 1 to 200 of the characters `a-z 0-9 -`, a letter among them")]
pub struct InvalidName;

/// The code of an access package, such as `skattegrunnlag`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageCode(Arc<str>);

impl PackageCode {
    /// The attribute under which a policy asks for packages; also the prefix of the URN form.
    pub const ATTRIBUTE_ID: &'static str = "urn:altinn:accesspackage";

    /// Reads a code, bare or as `urn:altinn:accesspackage:<code>`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let bare = text
            .strip_prefix(Self::ATTRIBUTE_ID)
            .and_then(|rest| rest.strip_prefix(':'))
            .unwrap_or(text);
        code(bare).map(Self)
    }

    /// The bare code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a role in the Register of Legal Entities, such as `regnskapsforer`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleName(Arc<str>);

impl RoleName {
    /// The attribute under which a policy asks for register roles; also the prefix of the URN form.
    pub const ATTRIBUTE_ID: &'static str = "urn:altinn:external-role:ccr";

    /// Reads a name, bare or as `urn:altinn:external-role:ccr:<name>`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let bare = text
            .strip_prefix(Self::ATTRIBUTE_ID)
            .and_then(|rest| rest.strip_prefix(':'))
            .unwrap_or(text);
        code(bare).map(Self)
    }

    /// The bare name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The number of a user's profile at Altinn (`urn:altinn:userid`): 1 to 2 147 483 647.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(u32);

impl UserId {
    /// Reads decimal digits without sign, leading zero or space.
    pub fn parse(text: &str) -> Option<Self> {
        let canonical = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
        let id: u32 = text.parse().ok().filter(|_| canonical)?;
        (id <= i32::MAX.unsigned_abs()).then_some(Self(id))
    }
}

/// The owner and name of an Altinn app whose resource id this is: `app_<org>_<app>`. As at Altinn,
/// only the first two parts after `app` count; what follows another `_` is lost.
pub(super) fn app_of(resource: &str) -> Option<(&str, &str)> {
    let mut parts = resource.strip_prefix("app_")?.split('_');
    let (org, app) = (parts.next()?, parts.next()?);
    (!org.is_empty() && !app.is_empty()).then_some((org, app))
}

fn code(text: &str) -> Result<Arc<str>, InvalidName> {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    // One of digits alone is none: it is a number in the wrong place, perhaps a person's, and names are
    // repeated in logs and answers.
    let is_word = text.bytes().any(|byte| byte.is_ascii_lowercase());
    if (1..=MAX_NAME_CHARS).contains(&text.len()) && text.bytes().all(legal) && is_word {
        Ok(Arc::from(text))
    } else {
        Err(InvalidName)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for PackageCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PackageCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_written_forms_are_one_code() {
        let bare = PackageCode::parse("a-ordning").unwrap();
        assert_eq!(PackageCode::parse("urn:altinn:accesspackage:a-ordning"), Ok(bare));
        let bare = RoleName::parse("revisor").unwrap();
        assert_eq!(RoleName::parse("urn:altinn:external-role:ccr:revisor"), Ok(bare));
    }

    #[test]
    fn a_user_id_is_a_positive_number_as_altinn_writes_it() {
        assert_eq!(UserId::parse("20001337").map(|id| id.to_string()).as_deref(), Some("20001337"));
        for text in ["", "0", "01", "+1", "-1", "1 ", "x", "2147483648"] {
            assert_eq!(UserId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_app_is_known_by_its_resource_id() {
        for (id, expected) in [
            ("app_skd_mva-melding", Some(("skd", "mva-melding"))),
            ("app_skd_a_b", Some(("skd", "a"))),
            ("app_skd", None),
            ("app__x", None),
            ("ske-mva-melding", None),
        ] {
            assert_eq!(app_of(id), expected, "{id}");
        }
    }

    #[test]
    fn other_words_are_refused() {
        let long = "a".repeat(MAX_NAME_CHARS + 1);
        for text in [
            "",
            "A-ordning",
            "a ordning",
            "urn:altinn:accesspackage:",
            "ffør",
            "15877012345",
            &long,
        ] {
            assert_eq!(PackageCode::parse(text), Err(InvalidName), "{text}");
            assert_eq!(RoleName::parse(text), Err(InvalidName), "{text}");
        }
    }
}

//! The texts of refusals: one table, a row a code, a column a language in a file of its own.
//!
//! `title` is the same for every refusal of a code; `detail` says what to do, and may name the source at
//! fault as `{parameter}` and the limit that was passed as `{limit}`. No text says whether a party or an
//! object exists.

mod bokmal;
mod english;
mod nynorsk;

use crate::domain::{DenialCode, Extras};
use http::HeaderValue;
use std::borrow::Cow;

/// The languages of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Bokmal,
    English,
    Nynorsk,
}

/// What is said of a code in one language.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    pub(super) title: &'static str,
    pub(super) detail: &'static str,
}

/// The language ranges read of one request. Bounds the work for a header made to be long.
const MAX_RANGES: usize = 16;

impl Language {
    /// The language that the caller prefers among ours (RFC 9110 §12.5.4); English where nothing fits. Of
    /// several with the same weight, the first.
    pub(super) fn preferred(accept_language: Option<&HeaderValue>) -> Self {
        let Some(ranges) = accept_language.and_then(|value| value.to_str().ok()) else {
            return Self::English;
        };
        let mut best = (0, Self::English);
        for range in ranges.split(',').take(MAX_RANGES) {
            let (tag, weight) = range
                .split_once(';')
                .map_or((range, 1000), |(tag, weight)| (tag, read_weight(weight)));
            if let Some(language) = Self::of_tag(tag.trim())
                && weight > best.0
            {
                best = (weight, language);
            }
        }
        best.1
    }

    fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split('-').next().unwrap_or(tag);
        let is = |known: &str| primary.eq_ignore_ascii_case(known);
        match () {
            () if is("nb") || is("no") => Some(Self::Bokmal),
            () if is("nn") => Some(Self::Nynorsk),
            () if is("en") || tag == "*" => Some(Self::English),
            () => None,
        }
    }

    /// The language tag (BCP 47).
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::Bokmal => "nb",
            Self::English => "en",
            Self::Nynorsk => "nn",
        }
    }
}

/// `q=0.8` in thousandths; what cannot be read weighs nothing.
fn read_weight(parameter: &str) -> u16 {
    let Some(digits) = parameter.trim().strip_prefix("q=") else { return 0 };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let thousandths = format!("{part:0<3}");
    match (whole, part.len() <= 3, thousandths.parse::<u16>()) {
        ("0", true, Ok(thousandths)) => thousandths,
        ("1", true, Ok(0)) => 1000,
        _ => 0,
    }
}

/// The text of a code.
pub(super) fn text(code: DenialCode, language: Language) -> Text {
    match language {
        Language::Bokmal => bokmal::text(code),
        Language::English => english::text(code),
        Language::Nynorsk => nynorsk::text(code),
    }
}

/// The detail with its facts filled in; a fact that is not known falls back to a word.
pub(super) fn detail<'t>(template: &'t str, language: Language, extras: &Extras) -> Cow<'t, str> {
    if !template.contains('{') {
        return Cow::Borrowed(template);
    }
    let (request, size) = match language {
        Language::Bokmal => ("forespørselen", "godtatt størrelse"),
        Language::English => ("the request", "the accepted size"),
        Language::Nynorsk => ("førespurnaden", "godteken storleik"),
    };
    let parameter = extras.parameter.as_deref().unwrap_or(request);
    let limit = extras.limit.map_or_else(|| size.to_owned(), |limit| limit.to_string());
    Cow::Owned(template.replace("{parameter}", parameter).replace("{limit}", &limit))
}

const fn row(title: &'static str, detail: &'static str) -> Text {
    Text { title, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_follows_what_the_caller_weighs_most() {
        for (header, expected) in [
            ("", "en"),
            ("nb-NO,nb;q=0.9,en;q=0.5", "nb"),
            ("no", "nb"),
            ("nn", "nn"),
            ("en;q=0.4, nn;q=0.7", "nn"),
            ("se, fi;q=0.9, NB;q=0.1", "nb"),
            ("nb;q=0", "en"),
            ("nb;q=x, nn;q=0.001", "nn"),
            ("de, *;q=0.5", "en"),
            ("nb;q=1.000, nn;q=1", "nb"),
        ] {
            let header = HeaderValue::from_str(header).unwrap();
            assert_eq!(Language::preferred(Some(&header)).tag(), expected, "{header:?}");
        }
        assert_eq!(Language::preferred(None).tag(), "en");
    }

    #[test]
    fn every_language_keeps_the_open_places_and_the_technical_words_of_the_others() {
        let places = |text: &str| {
            let mut found: Vec<_> = [
                "{parameter}",
                "{limit}",
                "`requiredScopes`",
                "`requiredLevel`",
                "`Allow`",
                "`instance`",
                "`100-continue`",
            ]
            .into_iter()
            .filter(|place| text.contains(place))
            .collect();
            found.sort_unstable();
            found
        };
        for code in DenialCode::ALL {
            let expected = places(text(*code, Language::English).detail);
            for language in [Language::Bokmal, Language::Nynorsk] {
                assert_eq!(
                    places(text(*code, language).detail),
                    expected,
                    "{code} in {}",
                    language.tag()
                );
            }
        }
    }
}

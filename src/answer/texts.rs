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
    pub(super) fn preferred<'h>(
        accept_language: impl IntoIterator<Item = &'h HeaderValue>,
    ) -> Self {
        let lines = accept_language.into_iter().filter_map(|value| value.to_str().ok());
        let ranges = lines.flat_map(|line| line.split(',')).take(MAX_RANGES);
        // Of each language its weight and where it is first named; of all others what `*` weighs.
        let (mut english, mut bokmal, mut nynorsk, mut others) = (None, None, None, 0);
        for (place, range) in ranges.enumerate() {
            let (tag, weight) = range
                .split_once(';')
                .map_or((range, 1000), |(tag, weight)| (tag, read_weight(weight)));
            let named = match Self::of_tag(tag.trim()) {
                Some(Self::English) => &mut english,
                Some(Self::Bokmal) => &mut bokmal,
                Some(Self::Nynorsk) => &mut nynorsk,
                None if tag.trim() == "*" => {
                    others = weight;
                    continue;
                }
                None => continue,
            };
            *named = Some(named.map_or((weight, place), |(most, first)| (weight.max(most), first)));
        }
        let mut best = (0, 0, Self::English);
        for (language, named) in
            [(Self::English, english), (Self::Bokmal, bokmal), (Self::Nynorsk, nynorsk)]
        {
            let (weight, place) = named.unwrap_or((others, MAX_RANGES));
            if weight > best.0 || (weight == best.0 && place < best.1) {
                best = (weight, place, language);
            }
        }
        best.2
    }

    fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split('-').next().unwrap_or(tag);
        let is = |known: &str| primary.eq_ignore_ascii_case(known);
        match () {
            () if is("nb") || is("no") => Some(Self::Bokmal),
            () if is("nn") => Some(Self::Nynorsk),
            () if is("en") => Some(Self::English),
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
    let parameter = parameter.trim();
    let Some(digits) = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")) else {
        return 0;
    };
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

/// What stands in the open places of texts: words for what is not known, or depends on what is.
struct Words {
    request: &'static str,
    size: &'static str,
    one_of: &'static str,
    system_user: &'static str,
    caller: &'static str,
}

fn words(language: Language) -> Words {
    match language {
        Language::Bokmal => Words {
            request: "forespørselen",
            size: "godtatt størrelse",
            one_of: "ett av ",
            system_user: "systembrukeren, eller legg til klienten på systembrukeren",
            caller: "avsenderen",
        },
        Language::English => Words {
            request: "the request",
            size: "the accepted size",
            one_of: "one of ",
            system_user: "the system user, or add the client to the system user",
            caller: "the caller",
        },
        Language::Nynorsk => Words {
            request: "førespurnaden",
            size: "godteken storleik",
            one_of: "eitt av ",
            system_user: "systembrukaren, eller legg til klienten på systembrukaren",
            caller: "avsendaren",
        },
    }
}

/// The detail with its facts filled in; a fact that is not known falls back to a word.
pub(super) fn detail<'t>(template: &'t str, language: Language, extras: &Extras) -> Cow<'t, str> {
    let Some(mut open) = template.split_once('{') else { return Cow::Borrowed(template) };
    let words = words(language);
    let mut text = String::with_capacity(template.len().saturating_add(USUAL_FACTS_BYTES));
    loop {
        let (before, after) = open;
        let (place, rest) = after.split_once('}').unwrap_or((after, ""));
        let (before, fact) = match (place, extras.parameter.as_deref()) {
            ("parameter", Some(parameter)) => (before, parameter.into()),
            // Nothing is named at the end of a sentence where there is nothing to name.
            ("parameter", None) => match before.strip_suffix(": ") {
                Some(before) => (before, "".into()),
                None => (before, words.request.into()),
            },
            ("limit", _) => {
                (before, extras.limit.map_or(words.size.into(), |limit| limit.to_string().into()))
            }
            ("one of", _) => {
                let required = extras.required_scopes.as_ref();
                let is_one = required.is_some_and(super::is_one_enough);
                (before, if is_one { words.one_of } else { "" }.into())
            }
            ("grantee", _) => {
                let has_user = extras.system_user.is_some();
                (before, if has_user { words.system_user } else { words.caller }.into())
            }
            (_, _) => (before, Cow::Borrowed("")),
        };
        text.push_str(before);
        text.push_str(&fact);
        match rest.split_once('{') {
            Some(next) => open = next,
            None => {
                text.push_str(rest);
                return Cow::Owned(text);
            }
        }
    }
}

/// What facts add to a text.
const USUAL_FACTS_BYTES: usize = 64;

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
            ("nb;Q=0.1, nn;Q=0.9", "nn"),
            ("en;q=0, *", "nb"),
            ("en;q=0, nb;q=0, *;q=0.1", "nn"),
            ("*;q=0.9, nn;q=0.5", "en"),
            ("en;q=0", "en"),
            ("nn-NO;q=0.2, nb;q=0.3, nn;q=0.4", "nn"),
        ] {
            let header = HeaderValue::from_str(header).unwrap();
            assert_eq!(Language::preferred([&header]).tag(), expected, "{header:?}");
        }
        assert_eq!(Language::preferred([]).tag(), "en");
        let lines = ["de", "nn;q=0.5", "nb"].map(HeaderValue::from_static);
        assert_eq!(Language::preferred(&lines).tag(), "nb");
    }

    #[test]
    fn every_language_keeps_the_open_places_and_the_technical_words_of_the_others() {
        let places = |text: &str| {
            let mut found: Vec<_> = [
                "{parameter}",
                "{limit}",
                "{one of}",
                "{grantee}",
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

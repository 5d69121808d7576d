//! The data types of XACML this engine knows, and how two values of one type compare (XACML 3.0
//! §A.3.1). Values are kept as text and read at comparison; policy values were read once at load,
//! so that only a request can hold one that does not read.

use std::borrow::Cow;

use jiff::civil::{Date, Time};
use jiff::tz::Offset;

/// A data type of an attribute value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    String,
    AnyUri,
    Boolean,
    Integer,
    Date,
    Time,
    DateTime,
}

impl DataType {
    pub(super) const ALL: [Self; 7] = [
        Self::String,
        Self::AnyUri,
        Self::Boolean,
        Self::Integer,
        Self::Date,
        Self::Time,
        Self::DateTime,
    ];

    /// The type with this identifier, or `None` when the engine does not know it. A request may
    /// leave out values of unknown types: no loaded policy can refer to them.
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|data_type| data_type.uri() == uri)
    }

    pub fn uri(self) -> &'static str {
        match self {
            Self::String => "http://www.w3.org/2001/XMLSchema#string",
            Self::AnyUri => "http://www.w3.org/2001/XMLSchema#anyURI",
            Self::Boolean => "http://www.w3.org/2001/XMLSchema#boolean",
            Self::Integer => "http://www.w3.org/2001/XMLSchema#integer",
            Self::Date => "http://www.w3.org/2001/XMLSchema#date",
            Self::Time => "http://www.w3.org/2001/XMLSchema#time",
            Self::DateTime => "http://www.w3.org/2001/XMLSchema#dateTime",
        }
    }

    /// The name that functions of this type begin with, as in `string-equal`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::AnyUri => "anyURI",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Date => "date",
            Self::Time => "time",
            Self::DateTime => "dateTime",
        }
    }

    /// Reads `text` as a value of this type. Strings are taken as they are; in all other types
    /// surrounding white space has no meaning (XML Schema part 2, §4.3.6).
    pub(super) fn read(self, text: &str) -> Result<Value<'_>, UnreadableValue> {
        let trimmed = text.trim_matches([' ', '\t', '\r', '\n']);
        let value = match self {
            Self::String => Some(Value::Text(Cow::Borrowed(text))),
            Self::AnyUri => Some(Value::Text(Cow::Borrowed(trimmed))),
            Self::Boolean => read_boolean(trimmed).map(Value::Boolean),
            Self::Integer => read_integer(trimmed).map(Value::Integer),
            Self::Date => read_date(trimmed).map(Value::Moment),
            Self::Time => read_time(trimmed).map(Value::Moment),
            Self::DateTime => read_date_time(trimmed).map(Value::Moment),
        };
        value.ok_or(UnreadableValue)
    }
}

/// A value, read. Only values of one data type are ever compared: the policy's types are checked
/// when it is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Text(Cow<'a, str>),
    Boolean(bool),
    Integer(i64),
    /// Nanoseconds on the time line. A value without a zone is taken as UTC, which XACML leaves to
    /// the implementation; a time of day lies on one fixed day.
    Moment(i128),
}

/// The text is not a value of its data type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnreadableValue;

/// Whether two strings are equal without regard to case. Only like is compared with like: ASCII
/// letters fold among themselves, so that no look-alike outside ASCII (such as U+212A, the Kelvin
/// sign) equals a letter of a role or package code.
pub(super) fn equal_ignoring_case(one: &str, other: &str) -> bool {
    let mut ones = one.chars();
    let mut others = other.chars();
    loop {
        match (ones.next(), others.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a == b => {}
            (Some(a), Some(b)) if a.is_ascii() && b.is_ascii() => {
                if !a.eq_ignore_ascii_case(&b) {
                    return false;
                }
            }
            (Some(a), Some(b)) if !a.is_ascii() && !b.is_ascii() => {
                if !a.to_lowercase().eq(b.to_lowercase()) {
                    return false;
                }
            }
            (Some(_) | None, Some(_) | None) => return false,
        }
    }
}

fn read_boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// `xs:integer` has no bounds; values beyond 64 bits are refused rather than compared wrongly.
fn read_integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn read_date(text: &str) -> Option<i128> {
    let (date, offset) = split_zone(text)?;
    moment(civil_date(date)?, Time::midnight(), offset)
}

/// A time of day lies on 1972-12-31, as XQuery's `op:time-equal` has it.
fn read_time(text: &str) -> Option<i128> {
    let (time, offset) = split_zone(text)?;
    moment(Date::new(1972, 12, 31).ok()?, civil_time(time)?, offset)
}

fn read_date_time(text: &str) -> Option<i128> {
    let (date, rest) = text.split_once('T')?;
    let (time, offset) = split_zone(rest)?;
    moment(civil_date(date)?, civil_time(time)?, offset)
}

fn moment(date: Date, time: Time, offset: Offset) -> Option<i128> {
    offset.to_timestamp(date.to_datetime(time)).ok().map(jiff::Timestamp::as_nanosecond)
}

/// `YYYY-MM-DD`. Years of other lengths are refused.
fn civil_date(text: &str) -> Option<Date> {
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    Date::new(digits(year, 4)?, digits(month, 2)?, digits(day, 2)?).ok()
}

/// `hh:mm:ss` with at most nine decimals. `24:00:00` is refused.
fn civil_time(text: &str) -> Option<Time> {
    let (hour, rest) = text.split_once(':')?;
    let (minute, rest) = rest.split_once(':')?;
    let (second, nanosecond) = match rest.split_once('.') {
        None => (rest, 0),
        Some((second, fraction)) => (second, nanoseconds(fraction)?),
    };
    Time::new(digits(hour, 2)?, digits(minute, 2)?, digits(second, 2)?, nanosecond).ok()
}

fn nanoseconds(fraction: &str) -> Option<i32> {
    let plain = (1..=9).contains(&fraction.len()) && fraction.bytes().all(|b| b.is_ascii_digit());
    if plain { format!("{fraction:0<9}").parse().ok() } else { None }
}

/// Splits `Z` or `±hh:mm` off the end.
fn split_zone(text: &str) -> Option<(&str, Offset)> {
    if let Some(rest) = text.strip_suffix('Z') {
        return Some((rest, Offset::UTC));
    }
    let zone_at = text.len().checked_sub(6);
    let Some((rest, zone)) = zone_at.and_then(|at| text.split_at_checked(at)) else {
        return Some((text, Offset::UTC));
    };
    let (sign, clock) = match (zone.strip_prefix('+'), zone.strip_prefix('-')) {
        (Some(clock), _) => (1, clock),
        (None, Some(clock)) => (-1, clock),
        (None, None) => return Some((text, Offset::UTC)),
    };
    // The six characters of `-03-22` begin like a zone, but are a month and a day.
    let Some((hours, minutes)) = clock.split_once(':') else {
        return Some((text, Offset::UTC));
    };
    let (hours, minutes) = (digits::<i32>(hours, 2)?, digits::<i32>(minutes, 2)?);
    let total_minutes = hours * 60 + minutes;
    if minutes > 59 || total_minutes > 14 * 60 {
        return None;
    }
    Some((rest, Offset::from_seconds(sign * total_minutes * 60).ok()?))
}

fn digits<N: std::str::FromStr>(text: &str, length: usize) -> Option<N> {
    let plain = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_one_type_are_equal_when_they_mean_the_same() {
        for (data_type, one, other, expected) in [
            (DataType::String, "a", "a", true),
            (DataType::String, "a", "A", false),
            (DataType::String, "a", " a", false),
            (DataType::AnyUri, " urn:x ", "urn:x", true),
            (DataType::AnyUri, "urn:x", "urn:X", false),
            (DataType::Boolean, "1", "true", true),
            (DataType::Boolean, "0", "true", false),
            (DataType::Integer, "007", " +7\n", true),
            (DataType::Integer, "7", "-7", false),
            (DataType::Date, "2024-02-29", "2024-02-29Z", true),
            (DataType::Date, "2024-02-29+01:00", "2024-02-29", false),
            (DataType::Time, "08:23:47-05:00", "13:23:47Z", true),
            (DataType::Time, "08:23:47.5", "08:23:47.500", true),
            (DataType::DateTime, "2002-03-22T08:23:47-05:00", "2002-03-22T14:23:47+01:00", true),
            (DataType::DateTime, "2002-03-22T08:23:47", "2002-03-22T08:23:48", false),
        ] {
            let equal = data_type.read(one).unwrap() == data_type.read(other).unwrap();
            assert_eq!(equal, expected, "{data_type:?} `{one}` `{other}`");
        }
    }

    #[test]
    fn text_that_is_no_value_of_its_type_is_refused() {
        for (data_type, text) in [
            (DataType::Boolean, "TRUE"),
            (DataType::Boolean, ""),
            (DataType::Integer, ""),
            (DataType::Integer, "+"),
            (DataType::Integer, "--1"),
            (DataType::Integer, "1.0"),
            (DataType::Integer, "9223372036854775808"),
            (DataType::Date, "2023-02-29"),
            (DataType::Date, "2023-2-9"),
            (DataType::Date, "02023-02-09"),
            (DataType::Date, "2023-02-09+14:01"),
            (DataType::Date, "2023-02-09+01:60"),
            (DataType::Time, "24:00:00"),
            (DataType::Time, "08:23"),
            (DataType::Time, "08:23:47."),
            (DataType::Time, "08:23:47.1234567890"),
            (DataType::DateTime, "2002-03-22 08:23:47"),
            (DataType::DateTime, "ø-03-22T08:23:47"),
        ] {
            assert_eq!(data_type.read(text), Err(UnreadableValue), "{data_type:?} `{text}`");
        }
    }

    #[test]
    fn case_is_ignored_only_among_letters_of_one_kind() {
        for (one, other, expected) in [
            ("DAGL", "dagl", true),
            ("", "", true),
            ("Ærlig-Ås", "ærlig-åS", true),
            ("dagl", "dagll", false),
            ("k", "\u{212A}", false),
            ("ss", "ß", false),
            ("dag1", "dagl", false),
        ] {
            assert_eq!(equal_ignoring_case(one, other), expected, "`{one}` `{other}`");
            assert_eq!(equal_ignoring_case(other, one), expected, "`{other}` `{one}`");
        }
    }
}

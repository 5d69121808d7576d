//! How single values are spelt: durations, sizes, addresses. Pure functions from text.
//!
//! Invariant: no value means two things. A duration always has its unit, and a sum or product
//! that does not fit is an error and never wraps.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use thiserror::Error;
use url::Url;

/// Why a duration is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidDuration {
    /// `10`.
    #[error("a duration needs a unit: `ms`, `s`, `m`, `h` or `d`")]
    NoUnit,
    /// `10 parsecs`, `s`, `-1s`, `1.5h`.
    #[error("not a duration")]
    Malformed,
    /// `1s2h`, `1s1s`.
    #[error("units must go from the longest to the shortest, each once")]
    Order,
    /// More than fits.
    #[error("the duration is too long")]
    TooLong,
}

/// Reads `500ms`, `10s`, `1h30m`: whole numbers with units, the longest first.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidDuration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let (digits, after) = split_digits(rest).ok_or(InvalidDuration::Malformed)?;
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at_checked(letters).ok_or(InvalidDuration::Malformed)?;
        let milliseconds: u64 = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60 * 1000,
            "h" => 60 * 60 * 1000,
            "d" => 24 * 60 * 60 * 1000,
            "" => return Err(InvalidDuration::NoUnit),
            _ => return Err(InvalidDuration::Malformed),
        };
        if milliseconds >= last_unit {
            return Err(InvalidDuration::Order);
        }
        last_unit = milliseconds;
        let part = digits
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(milliseconds))
            .ok_or(InvalidDuration::TooLong)?;
        total = total.checked_add(Duration::from_millis(part)).ok_or(InvalidDuration::TooLong)?;
        rest = next;
    }
    if last_unit == u64::MAX { Err(InvalidDuration::Malformed) } else { Ok(total) }
}

/// Writes a duration as [`parse_duration`] reads it. Parts of a millisecond are cut.
pub fn format_duration(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let mut text = String::new();
    for (unit, milliseconds) in
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)]
    {
        let count = rest / milliseconds;
        rest %= milliseconds;
        if count > 0 {
            text.push_str(&count.to_string());
            text.push_str(unit);
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Why a size is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidSize {
    /// `1 MB`, `-1`, `1.5KiB`.
    #[error("not a size: write whole bytes, or a number with `KiB`, `MiB` or `GiB`")]
    Malformed,
    /// More than fits.
    #[error("the size is too large")]
    TooLarge,
}

/// Reads `65536`, `64KiB`, `1MiB`, `1GiB`. Powers of ten are refused: `1MB` is read as either by
/// different people.
pub fn parse_bytes(text: &str) -> Result<u64, InvalidSize> {
    let (digits, unit) = split_digits(text).ok_or(InvalidSize::Malformed)?;
    let factor: u64 = match unit {
        "" | "B" => 1,
        "KiB" => 1024,
        "MiB" => 1024 * 1024,
        "GiB" => 1024 * 1024 * 1024,
        _ => return Err(InvalidSize::Malformed),
    };
    let number: u64 = digits.parse().map_err(|_| InvalidSize::TooLarge)?;
    number.checked_mul(factor).ok_or(InvalidSize::TooLarge)
}

/// Writes a size as [`parse_bytes`] reads it, in the largest unit that it is a whole number of.
pub fn format_bytes(bytes: u64) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let whole = units.into_iter().find(|(_, unit)| bytes != 0 && bytes.is_multiple_of(*unit));
    whole.map_or_else(|| bytes.to_string(), |(name, unit)| format!("{}{name}", bytes / unit))
}

/// Why an address is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidSocketAddress {
    /// `127.0.0.1`.
    #[error("an address needs a port, as in `127.0.0.1:7080`")]
    NoPort,
    /// `api.example.no:80`, `127.0.0.1:70000`.
    #[error(
        "not an address to listen at: write an IP address and a port, as in `0.0.0.0:7080` or `[::]:7080`"
    )]
    Malformed,
}

/// Reads `127.0.0.1:7080`, `[::1]:7080` and `localhost:7080`. Other names are refused: what they
/// resolve to may change, and a listener must not.
pub fn parse_socket_address(text: &str) -> Result<SocketAddr, InvalidSocketAddress> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Some(port) = text.strip_prefix("localhost:") {
        let port = port.parse().map_err(|_| InvalidSocketAddress::Malformed)?;
        return Ok(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
    }
    if text.parse::<IpAddr>().is_ok() || !text.contains(':') {
        return Err(InvalidSocketAddress::NoPort);
    }
    Err(InvalidSocketAddress::Malformed)
}

/// Why a URL is not taken. Never shows it: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidUrl {
    /// Not a URL at all.
    #[error("not a URL: {0}")]
    Malformed(url::ParseError),
    /// `127.0.0.1:8080`, `api.example.no`.
    #[error("the URL begins with no scheme")]
    NoScheme,
    /// A scheme that is not spoken here.
    #[error("the scheme `{0}` is not supported here")]
    Scheme(String),
    /// No host: `http:///a`.
    #[error("the URL names no host")]
    NoHost,
    /// `http://user:password@host/`.
    #[error("a user name or password does not belong in a URL")]
    UserInformation,
    /// `http://host/#part`.
    #[error("a fragment has no meaning here")]
    Fragment,
}

/// Reads an absolute URL with a host, of one of `schemes`, without user information or fragment.
pub fn parse_url(text: &str, schemes: &[&str]) -> Result<Url, InvalidUrl> {
    let malformed = |error| {
        let has_no_scheme = error == url::ParseError::RelativeUrlWithoutBase;
        if has_no_scheme { InvalidUrl::NoScheme } else { InvalidUrl::Malformed(error) }
    };
    let url = Url::parse(text).map_err(malformed)?;
    if !schemes.contains(&url.scheme()) {
        return Err(InvalidUrl::Scheme(url.scheme().to_owned()));
    }
    if !url.has_host() {
        return Err(InvalidUrl::NoHost);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidUrl::UserInformation);
    }
    if url.fragment().is_some() {
        return Err(InvalidUrl::Fragment);
    }
    Ok(url)
}

/// The digits in front, at least one, and what follows.
fn split_digits(text: &str) -> Option<(&str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (digits > 0).then(|| text.split_at_checked(digits)).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_have_units_in_order() {
        for (text, milliseconds) in [
            ("0s", 0),
            ("500ms", 500),
            ("10s", 10_000),
            ("1h30m", 5_400_000),
            ("1d", 86_400_000),
            ("1m1s1ms", 61_001),
            ("90m", 5_400_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for (text, error) in [
            ("10", InvalidDuration::NoUnit),
            ("1h30", InvalidDuration::NoUnit),
            ("", InvalidDuration::Malformed),
            ("s", InvalidDuration::Malformed),
            ("-1s", InvalidDuration::Malformed),
            ("1.5h", InvalidDuration::Malformed),
            ("1 s", InvalidDuration::Malformed),
            ("1S", InvalidDuration::Malformed),
            ("1s ", InvalidDuration::Malformed),
            ("10sec", InvalidDuration::Malformed),
            ("1s1h", InvalidDuration::Order),
            ("1s1s", InvalidDuration::Order),
            ("18446744073709551615s", InvalidDuration::TooLong),
            ("99999999999999999999s", InvalidDuration::TooLong),
        ] {
            assert_eq!(parse_duration(text), Err(error), "{text}");
        }
    }

    #[test]
    fn sizes_are_bytes_or_powers_of_two() {
        for (text, bytes) in
            [("0", 0), ("65536", 65_536), ("64KiB", 65_536), ("1MiB", 1_048_576), ("5B", 5)]
        {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "KiB", "1MB", "1M", "1 MiB", "1.5KiB", "-1", "1kib", "0x10", "+1"] {
            assert_eq!(parse_bytes(text), Err(InvalidSize::Malformed), "{text}");
        }
        for text in ["18446744073709551616", "18014398509481984KiB"] {
            assert_eq!(parse_bytes(text), Err(InvalidSize::TooLarge), "{text}");
        }
    }

    #[test]
    fn addresses_to_listen_at_are_numbers_with_a_port() {
        for (text, address) in [
            ("0.0.0.0:7080", "0.0.0.0:7080"),
            ("[::1]:0", "[::1]:0"),
            ("localhost:7091", "127.0.0.1:7091"),
        ] {
            assert_eq!(parse_socket_address(text).map(|it| it.to_string()), Ok(address.to_owned()));
        }
        for text in ["127.0.0.1", "::1", "localhost", "7080"] {
            assert_eq!(parse_socket_address(text), Err(InvalidSocketAddress::NoPort), "{text}");
        }
        for text in [":7080", "api.example.no:80", "127.0.0.1:70000", "localhost:", "::1:x"] {
            assert_eq!(parse_socket_address(text), Err(InvalidSocketAddress::Malformed), "{text}");
        }
    }

    #[test]
    fn urls_name_a_host_and_carry_no_secret() {
        let http = ["http", "https"];
        assert!(parse_url("https://test.maskinporten.no/token", &http).is_ok());
        for (text, error) in [
            ("ftp://a/", InvalidUrl::Scheme("ftp".to_owned())),
            ("http://me:word@a/", InvalidUrl::UserInformation),
            ("http://me@a/", InvalidUrl::UserInformation),
            ("http://a/#b", InvalidUrl::Fragment),
            ("/token", InvalidUrl::NoScheme),
            ("", InvalidUrl::NoScheme),
            ("http://", InvalidUrl::Malformed(url::ParseError::EmptyHost)),
        ] {
            assert_eq!(parse_url(text, &http), Err(error), "{text}");
        }
        assert_eq!(parse_url("file:///a", &["file"]), Err(InvalidUrl::NoHost));
    }

    proptest! {
        #[test]
        fn a_duration_reads_as_it_is_written(milliseconds: u32) {
            let duration = Duration::from_millis(milliseconds.into());
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn a_size_reads_as_it_is_written(bytes: u32, factor in 0u32..4) {
            let bytes = u64::from(bytes) << (10 * factor);
            prop_assert_eq!(parse_bytes(&format_bytes(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in "\\PC{0,12}|[0-9dhms]{0,30}") {
            let _ = (parse_duration(&text), parse_bytes(&text), parse_socket_address(&text));
            let _ = parse_url(&text, &["http"]);
        }
    }
}

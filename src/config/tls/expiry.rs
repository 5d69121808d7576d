//! When a certificate ends: the one thing of it that operators are told and the TLS library keeps to
//! itself. Nothing is decided by it; the library judges the certificates of others.

use crate::domain::UnixSeconds;

const SEQUENCE: u8 = 0x30;
/// `[0]`, which holds the version.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// `notAfter` (RFC 5280 §4.1.2.5), if the certificate is as every other.
pub(super) fn not_after(der: &[u8]) -> Option<UnixSeconds> {
    let (certificate, _) = within(der, SEQUENCE)?;
    let (mut rest, _) = within(certificate, SEQUENCE)?;
    if let Some((_, after)) = within(rest, VERSION) {
        rest = after;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        (_, _, rest) = element(rest)?;
    }
    let (validity, _) = within(rest, SEQUENCE)?;
    let (_, _, rest) = element(validity)?;
    let (kind, time, _) = element(rest)?;
    let text = std::str::from_utf8(time).ok()?;
    match kind {
        // Two digits of the year: 50 to 99 are of the last century.
        UTC_TIME => {
            let year: i16 = text.get(..2)?.parse().ok()?;
            seconds(if year < 50 { year + 2000 } else { year + 1900 }, text.get(2..)?)
        }
        GENERALIZED_TIME => seconds(text.get(..4)?.parse().ok()?, text.get(4..)?),
        _ => None,
    }
}

/// The year, and `MMDDHHMMSSZ`.
fn seconds(year: i16, rest: &str) -> Option<UnixSeconds> {
    let field = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
    if rest.get(10..)? != "Z" {
        return None;
    }
    let time =
        jiff::civil::DateTime::new(year, field(0)?, field(2)?, field(4)?, field(6)?, field(8)?, 0);
    let time = time.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    u64::try_from(time.timestamp().as_second()).ok().map(UnixSeconds)
}

/// The content of the element, if it is of this kind, and what follows it.
fn within(der: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (kind, content, rest) = element(der)?;
    (kind == wanted).then_some((content, rest))
}

/// The first element: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = digits.iter().fold(0_usize, |value, byte| value << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    #[test]
    fn the_end_of_a_certificate_is_read_however_it_is_written() {
        // Two digits of the year up to 2049, four from then on.
        for (year, expected) in
            [(2031, 1_956_441_600), (2049, 2_524_521_600), (2060, 2_871_676_800)]
        {
            let mut parameters = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
            parameters.not_after = date_time_ymd(year, 12, 31);
            let made = parameters.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let der = made.der();
            assert_eq!(not_after(der), Some(UnixSeconds(expected)), "{year}");
            for cut in 0..der.len() {
                let _ = not_after(&der[..cut]);
            }
        }
    }
}

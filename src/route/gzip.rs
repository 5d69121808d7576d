//! A compressed body, read for judging; what is sent on is what came.
//!
//! One gzip member (RFC 1952) and nothing behind it: readers disagree on what follows a first member.

use flate2::bufread::GzDecoder;
use std::io::{self, BufRead as _, Read as _};

/// How every member begins: the magic number, and deflate (RFC 1952 §2.3.1).
const MAGIC: [u8; 3] = [0x1F, 0x8B, 8];

/// Why a compressed body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GzipFault {
    /// Not one sound member.
    #[error("the body is not one sound gzip member")]
    Broken,
    /// Decompressed, it is larger than allowed.
    #[error("the body is larger than {0} bytes once decompressed")]
    TooLarge(usize),
}

/// How long a compressed body says it is once decompressed (RFC 1952 §2.3.1, `ISIZE`, modulo 2³²).
/// Refused above `max_bytes`, before anything of it is kept.
pub fn stated_length(body: &[u8], max_bytes: usize) -> Result<usize, GzipFault> {
    if !body.starts_with(&MAGIC) {
        return Err(GzipFault::Broken);
    }
    let stated = body.last_chunk::<4>().ok_or(GzipFault::Broken)?;
    match usize::try_from(u32::from_le_bytes(*stated)) {
        Ok(length) if length <= max_bytes => Ok(length),
        Ok(_) | Err(_) if is_longer(body, max_bytes) => Err(GzipFault::TooLarge(max_bytes)),
        Ok(_) | Err(_) => Err(GzipFault::Broken),
    }
}

/// How many bytes come out of a compressed body at most while it is looked at: as many as it says, or as are
/// allowed.
#[must_use]
pub fn work_of(body: &[u8], max_bytes: usize) -> usize {
    let stated = body.last_chunk::<4>().map_or(0, |length| u32::from_le_bytes(*length));
    usize::try_from(stated).unwrap_or(usize::MAX).min(max_bytes)
}

/// Whether so many bytes and one more come out of the body. Costs what decompressing an allowed body does, and
/// keeps nothing: where something stands behind the member, the last bytes are not its length.
fn is_longer(body: &[u8], max_bytes: usize) -> bool {
    let past = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    let copied = io::copy(&mut GzDecoder::new(body).take(past), &mut io::sink());
    copied.is_ok_and(|length| length == past)
}

/// Decompresses a body that states this length. One that turns out longer is broken, or a multiple of 4 GiB
/// longer; either way no more than `length` bytes are held.
pub fn decompress(body: &[u8], length: usize) -> Result<Vec<u8>, GzipFault> {
    let mut decoder = GzDecoder::new(body);
    let mut plain = Vec::with_capacity(length);
    let most = u64::try_from(length).unwrap_or(u64::MAX);
    decoder.by_ref().take(most).read_to_end(&mut plain).map_err(|_| GzipFault::Broken)?;
    // The checksum is only compared once the end has been read.
    let ended = decoder.read(&mut [0; 1]).map_err(|_| GzipFault::Broken)? == 0;
    let rest = decoder.into_inner().fill_buf().map_or(1, <[u8]>::len);
    if ended && rest == 0 && plain.len() == length { Ok(plain) } else { Err(GzipFault::Broken) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn read(body: &[u8], max_bytes: usize) -> Result<Vec<u8>, GzipFault> {
        stated_length(body, max_bytes).and_then(|length| decompress(body, length))
    }

    #[test]
    fn one_member_is_read_up_to_the_limit_and_no_further() {
        for plain in [&b""[..], b"x", &[b'a'; 4096]] {
            assert_eq!(read(&gzip(plain), 4096), Ok(plain.to_vec()));
        }
        for more in [4097, 1 << 20] {
            assert_eq!(read(&gzip(&vec![b'a'; more]), 4096), Err(GzipFault::TooLarge(4096)));
        }
    }

    #[test]
    fn what_is_not_one_sound_member_is_broken() {
        let sound = gzip(b"hello");
        let with = |at_end: usize, byte: u8| {
            let mut bytes = sound.clone();
            let at = bytes.len() - at_end;
            bytes[at] ^= byte;
            bytes
        };
        for (body, why) in [
            (Vec::new(), "nothing"),
            (b"hello".to_vec(), "plain"),
            ([sound.clone(), gzip(b"hello")].concat(), "two members"),
            ([sound.clone(), b"\0\0\0\0".to_vec()].concat(), "padding behind it"),
            ([sound.clone(), sound[sound.len() - 4..].to_vec()].concat(), "its length behind it"),
            ([sound.clone(), b"x".to_vec()].concat(), "a byte behind it"),
            ([sound.clone(), b"a line".to_vec()].concat(), "more behind it"),
            (with(1, 1), "a length of many megabytes"),
            ([&sound[..12], b"\xFF\xFF\xFF\xFF"].concat(), "the head alone and such a length"),
            (with(5, 1), "a wrong checksum"),
            (with(4, 1), "a shorter length"),
            (with(4, 2), "a longer length"),
            (with(10, 8), "a broken stream"),
        ] {
            assert_eq!(read(&body, 4096), Err(GzipFault::Broken), "{why}");
        }
        // What the last bytes then say of the length is chance.
        for end in 0..sound.len() {
            assert!(read(&sound[..end], 4096).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_bomb_that_lies_about_its_length_is_held_to_it() {
        let mut bomb = gzip(&vec![0; 1 << 20]);
        let end = bomb.len() - 4;
        bomb[end..].copy_from_slice(&100u32.to_le_bytes());
        assert_eq!(read(&bomb, 4096), Err(GzipFault::Broken));
    }
}

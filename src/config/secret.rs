//! Secrets from files: the one place where they are read.
//!
//! Invariant: the content goes from the file into [`SecretString`] and nowhere else; errors say
//! what is wrong with the file and show nothing of it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use secrecy::SecretString;
use thiserror::Error;

/// Bytes of a secret. Keys of platforms are below 4 KiB; more is the wrong file.
pub const MAX_SECRET_BYTES: usize = 64 * 1024;

/// Why a file holds no secret.
#[derive(Debug, Error)]
pub enum UnreadableSecret {
    /// Not there, or not ours to read.
    #[error("the file cannot be read: {0}")]
    Read(#[from] io::Error),
    /// More than [`MAX_SECRET_BYTES`].
    #[error("the file is larger than {MAX_SECRET_BYTES} bytes")]
    TooLarge,
    /// Not UTF-8.
    #[error("the file is not text")]
    NotText,
    /// A byte order mark before the text: it would count as part of the secret, and nobody would see it.
    #[error("the file begins with a byte order mark: save it without one")]
    ByteOrderMark,
    /// Nothing, or only a line break.
    #[error("the file is empty")]
    Empty,
}

/// Reads the secret in the file at `path`, without the line break that editors and `echo` end it
/// with: one, so that a secret may end with others.
pub fn read_secret(path: &Path) -> Result<SecretString, UnreadableSecret> {
    let limit = u64::try_from(MAX_SECRET_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_SECRET_BYTES {
        return Err(UnreadableSecret::TooLarge);
    }
    let text = String::from_utf8(bytes).map_err(|_| UnreadableSecret::NotText)?;
    if text.starts_with('\u{FEFF}') {
        return Err(UnreadableSecret::ByteOrderMark);
    }
    let text = text
        .strip_suffix('\n')
        .map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    if text.is_empty() {
        return Err(UnreadableSecret::Empty);
    }
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_named_and_not_taken_for_a_part_of_the_secret() {
        let path = std::env::temp_dir().join(format!("portvakt-{}", uuid::Uuid::new_v4()));
        std::fs::write(&path, "\u{FEFF}hemmelig\n").unwrap();
        assert!(matches!(read_secret(&path), Err(UnreadableSecret::ByteOrderMark)));
        std::fs::remove_file(path).unwrap();
    }
}

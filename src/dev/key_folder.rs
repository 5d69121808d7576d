//! The folder where the private keys of development clients are written, for the owner's eyes only.

use super::signer::SigningKey;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Writes each key to `<folder>/<name>.pem` (PKCS#8), readable by its owner only; gives the folder.
///
/// A file that exists is replaced, never written through: a link placed there leads nowhere.
pub fn write_keys<'a>(
    folder: &Path,
    keys: impl IntoIterator<Item = (&'a str, &'a SigningKey)>,
) -> io::Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    for (name, key) in keys {
        let path = folder.join(format!("{name}.pem"));
        match std::fs::remove_file(&path) {
            Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(fault),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(key.private_pem().as_bytes())?;
    }
    Ok(folder.to_owned())
}

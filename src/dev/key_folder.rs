//! The folder where the secrets of the demo are written: the private keys of its clients and the control
//! token, for the owner's eyes only.

use super::signer::SigningKey;
use secrecy::{ExposeSecret as _, SecretString};
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
    create(folder)?;
    for (name, key) in keys {
        write_private(folder, &format!("{name}.pem"), key.private_pem().as_bytes())?;
    }
    Ok(folder.to_owned())
}

/// Writes the token to `<folder>/control.token`, likewise; gives the file.
pub fn write_control_token(folder: &Path, token: &SecretString) -> io::Result<PathBuf> {
    create(folder)?;
    write_private(folder, "control.token", token.expose_secret().as_bytes())
}

fn create(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn write_private(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
    let path = folder.join(name);
    match std::fs::remove_file(&path) {
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(fault),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(bytes)?;
    Ok(path)
}

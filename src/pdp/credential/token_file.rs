//! The token in a file that the platform renews.

use super::{CredentialFault, FetchingToken, FreshToken, TokenSource, bearer};
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;

/// How often the file is read: a token that the platform renewed counts this soon.
const READ_EVERY: Duration = Duration::from_secs(5);
/// Room for a token of the largest size with white space around it. Bounds a wrong file.
const MAX_FILE_BYTES: u64 = 32 * 1024;

/// Gives the token in a file. How long it lives is the PDP's to say.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
}

impl TokenFile {
    /// Reads from `path`, at every attempt.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    async fn read(&self) -> Result<FreshToken, CredentialFault> {
        let fault = |what: &str| CredentialFault {
            step: "the token file",
            cause: format!("{} {what}", self.path.display()).into(),
            retry_after: None,
        };
        let unread = |cause: std::io::Error| fault(&format!("cannot be read: {}", cause.kind()));
        // To open a named pipe would wait for its writer, on a thread that others need.
        if !tokio::fs::metadata(&self.path).await.map_err(unread)?.is_file() {
            return Err(fault("is no file"));
        }
        let file = tokio::fs::File::open(&self.path).await.map_err(unread)?;
        let mut text = Zeroizing::new(String::new());
        file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).await.map_err(unread)?;
        let token = text.trim_ascii();
        if token.is_empty() {
            return Err(fault("is empty"));
        }
        if bearer(token).is_none() {
            return Err(fault("does not hold one token"));
        }
        Ok(FreshToken {
            token: SecretString::from(token),
            renew_after: READ_EVERY,
            expires_after: None,
        })
    }
}

impl TokenSource for TokenFile {
    fn fetch(&self) -> FetchingToken<'_> {
        Box::pin(self.read())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    #[tokio::test]
    async fn one_token_is_taken_from_the_file_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("portvakt-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("token");
        let source = TokenFile::new(path.clone());
        let largest = "a".repeat(super::super::AccessToken::MAX_BYTES);
        assert_eq!(
            source.fetch().await.unwrap_err().to_string(),
            format!("the token file: {} cannot be read: entity not found", path.display())
        );
        let folder_itself = TokenFile::new(folder.clone()).fetch().await;
        assert!(folder_itself.unwrap_err().to_string().ends_with(" is no file"));
        for (content, expected) in [
            (b"a.b.c".to_vec(), Ok("a.b.c")),
            (b"\xEF\xBB\xBFa.b.c".to_vec(), Err("does not hold one token")),
            (b" \r\n a.b.c \n\n".to_vec(), Ok("a.b.c")),
            (b" \n ".to_vec(), Err("is empty")),
            (b"a b".to_vec(), Err("does not hold one token")),
            (b"a\nb".to_vec(), Err("does not hold one token")),
            ("blåbær".as_bytes().to_vec(), Err("does not hold one token")),
            (vec![0xFF], Err("cannot be read: invalid data")),
            (format!("{largest}\n").into_bytes(), Ok(largest.as_str())),
            (format!("{largest}a").into_bytes(), Err("does not hold one token")),
            (vec![b' '; 64 * 1024], Err("is empty")),
        ] {
            std::fs::write(&path, &content).unwrap();
            let found = source.fetch().await;
            let found = found.as_ref().map(|fresh| fresh.token.expose_secret());
            let place = format!("{} ", path.display());
            let found = found.map_err(|fault| fault.cause.strip_prefix(&place).unwrap());
            assert_eq!(found, expected);
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}

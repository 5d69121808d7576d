//! TLS of a listener: the handshake, and the policy that follows its files.
//!
//! New handshakes use what the files hold now; connections that are there live on. What cannot be used is
//! told and changes nothing. What a policy is made of is `config::tls`'s affair.

use super::preface::Protocol;
use super::tls_line::{Fed, HANDSHAKE_BYTES, HANDSHAKE_BYTES_WITH_CERTIFICATES, TlsLine};
use crate::config::{TlsFault, TlsFiles, TlsPolicy};
use crate::tasks::Tasks;
use arc_swap::ArcSwap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// How often the files are looked at. Polled, since mounted secrets are swapped by links that no watcher
/// of files sees.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The policy in force. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct LiveTls {
    files: TlsFiles,
    policy: Arc<ArcSwap<TlsPolicy>>,
    current: Arc<AtomicBool>,
}

impl LiveTls {
    /// As the files have it now.
    pub(super) fn open(files: TlsFiles) -> Result<Self, TlsFault> {
        let policy = Arc::new(ArcSwap::from_pointee(files.load()?));
        Ok(Self { files, policy, current: Arc::new(AtomicBool::new(true)) })
    }

    /// Looks at the files from now on, until the process ends.
    pub(super) fn follow(&self, tasks: &Tasks) {
        let (live, stopping, work) = (self.clone(), tasks.stopping(), tasks.clone());
        let _following = tasks.spawn(async move {
            let mut refused = None;
            while stopping.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
                let looking = live.clone();
                let looked = work.spawn_blocking(move || looking.look(refused)).await;
                refused = looked.unwrap_or(refused);
            }
        });
    }

    /// Puts changed files in force. Gives the content that cannot be, so that it is told once.
    fn look(&self, refused: Option<[u8; 32]>) -> Option<[u8; 32]> {
        let content = self.files.content().unwrap_or_default();
        if content == self.policy.load().content {
            self.current.store(true, Ordering::Relaxed);
            return None;
        }
        if Some(content) == refused {
            return refused;
        }
        match self.files.load() {
            Ok(policy) => {
                self.policy.store(Arc::new(policy));
                self.current.store(true, Ordering::Relaxed);
                tracing::info!("new handshakes use the changed certificate");
                None
            }
            // While files are written one by one this passes by itself.
            Err(fault) => {
                self.current.store(false, Ordering::Relaxed);
                tracing::warn!(%fault, "the changed certificate cannot be used; the former stays in force");
                Some(content)
            }
        }
    }

    /// Whether what the files hold is in force.
    pub(super) fn is_current(&self) -> bool {
        self.current.load(Ordering::Relaxed)
    }

    /// The handshake, which has this long. It tells what the client speaks; without a word of it (ALPN),
    /// HTTP/1.1.
    pub(super) async fn accept<S>(
        &self,
        stream: S,
        limit: Duration,
    ) -> io::Result<(Protocol, TlsLine<S>)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.policy.load().server));
        let most = match self.files.client_ca {
            None => HANDSHAKE_BYTES,
            Some(_) => HANDSHAKE_BYTES_WITH_CERTIFICATES,
        };
        let stream = timeout(limit, acceptor.accept(Fed::new(stream, most))).await??;
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            Some(_) | None => Protocol::Http1,
        };
        Ok((protocol, TlsLine::new(stream)))
    }
}

//! Listening sockets, of the network and of the file system, and the connections off them.

use crate::config::ListenAddress;
use crate::domain::Peer;
use futures_util::FutureExt as _;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{Interest, Ready};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;

/// A connection, whichever way it came.
pub(super) type Socket = Either<TcpStream, UnixStream>;

/// Whether the other end has closed, or reset, the connection: known to the kernel as soon as its word has
/// come, even while bytes before it stand unread.
pub(super) fn has_left(socket: &Socket) -> bool {
    let ready = match socket {
        Either::Left(stream) => stream.ready(Interest::READABLE).now_or_never(),
        Either::Right(stream) => stream.ready(Interest::READABLE).now_or_never(),
    };
    ready.and_then(Result::ok).is_some_and(Ready::is_read_closed)
}

/// A socket that listens.
#[derive(Debug)]
pub(super) enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// The mode of a socket's file: its user and group may connect. Who else may is for the folder to say.
const SOCKET_MODE: u32 = 0o660;
/// How long a socket that we find may take to say whether somebody listens; one that says nothing is alive.
const ALIVE_AFTER: Duration = Duration::from_secs(1);

impl Bound {
    /// Listens at `address`. The file of a socket that nobody listens at any more is replaced; one that
    /// somebody does, and a file that is no socket, are left alone and an error.
    pub(super) async fn at(address: &ListenAddress) -> io::Result<Self> {
        match address {
            ListenAddress::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp),
            ListenAddress::Unix(path) => bind_file(path).await,
        }
    }

    /// Where it listens: with port 0, at the port that was given.
    pub(super) fn address(&self) -> io::Result<ListenAddress> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(ListenAddress::Tcp),
            Self::Unix(_, file) => Ok(ListenAddress::Unix(file.path.clone())),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<(Socket, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Small answers should not wait for more; a socket that cannot say so is as good as closed.
                let _ = stream.set_nodelay(true);
                Ok((Either::Left(stream), Peer::at(address.ip())))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Either::Right(stream), Peer::LOCAL))
            }
        }
    }
}

/// Bound beside its place and moved there, so that nobody finds it with another mode, and no moment is
/// without it when an old one is replaced.
async fn bind_file(path: &Path) -> io::Result<Bound> {
    if is_socket(path)? && is_alive(path).await {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there"));
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    if is_socket(&beside)? {
        std::fs::remove_file(&beside)?;
    }
    let listener = UnixListener::bind(&beside)?;
    let placed = std::fs::set_permissions(&beside, Permissions::from_mode(SOCKET_MODE))
        .and_then(|()| std::fs::rename(&beside, path));
    if let Err(fault) = placed {
        let _ = std::fs::remove_file(&beside);
        return Err(fault);
    }
    let file = SocketFile { path: path.to_owned(), identity: identity(path)? };
    Ok(Bound::Unix(listener, file))
}

/// `false` where there is nothing; an error where there is something else.
fn is_socket(path: &Path) -> io::Result<bool> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => Ok(true),
        Ok(_) => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"))
        }
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(fault) => Err(fault),
    }
}

async fn is_alive(path: &Path) -> bool {
    match tokio::time::timeout(ALIVE_AFTER, UnixStream::connect(path)).await {
        Ok(Err(fault)) => fault.kind() != io::ErrorKind::ConnectionRefused,
        Ok(Ok(_)) | Err(_) => true,
    }
}

/// Device and inode.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

/// The file of a socket, removed with it, unless another process has put its own there.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use tokio::io::AsyncWriteExt as _;

    #[tokio::test]
    async fn who_leaves_behind_unread_bytes_is_known_to_have_left() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        for reset in [false, true] {
            let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
            let (mut client, socket) = (client.unwrap(), Either::Left(accepted.unwrap().0));
            client.write_all(&[b'a'; 10_000]).await.unwrap();
            if let Either::Left(stream) = &socket {
                stream.readable().await.unwrap();
            }
            assert!(!has_left(&socket));
            if reset {
                client.set_zero_linger().unwrap();
            }
            drop(client);
            let leaving = async {
                while !has_left(&socket) {
                    tokio::task::yield_now().await;
                }
            };
            let left = tokio::time::timeout(Duration::from_secs(10), leaving).await;
            assert!(left.is_ok(), "reset {reset}: it is not seen");
        }
    }
}

//! Where traffic is taken: sockets of the network and of the file system, and the protocols on them.

use crate::support::frames::{Frames, request};
use crate::support::{
    Asked, Client, Gate, READ, Server, Sidecar, Step, answer, ask, eventually, exchange, ok, soon,
};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UnixStream};

/// A folder of its own, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("pv-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn listen(path: &Path) -> String {
    format!("server: {{ listen: ['unix:{}'] }}\n", path.display())
}

async fn connect(path: &Path) -> UnixStream {
    soon("a connection", UnixStream::connect(path)).await.unwrap()
}

#[tokio::test]
async fn a_socket_of_the_file_system_takes_both_protocols_and_goes_with_the_process() {
    let (upstream, folder) = (Server::start(ok()), Folder::new());
    let path = folder.socket("gate");
    let sidecar = Sidecar::before(&upstream).settings(&listen(&path)).open().await;
    assert_eq!(sidecar.listening[0].unix(), Some(path.as_path()));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let mut client = Client::over(connect(&path).await);
    assert_eq!(client.ask(&ask("GET", READ).bearer()).await.status, 200);
    // Whoever connects so has no address to be known by.
    assert_eq!(upstream.last().head.get("x-forwarded-for"), None);
    assert_eq!(upstream.last().head.get("x-forwarded-proto"), Some("http"));
    let mut frames = Frames::over(connect(&path).await).await;
    frames.request(1, &request("GET", "/public/a", &[])).await;
    assert_eq!(frames.outcome(1).await.verdict(), "200");
    drop((client, frames));
    sidecar.end().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_that_nobody_listens_at_is_replaced() {
    let (upstream, folder) = (Server::start(ok()), Folder::new());
    let path = folder.socket("gate");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(std::fs::metadata(&path).unwrap().file_type().is_socket(), "a socket is left behind");
    let sidecar = Sidecar::before(&upstream).settings(&listen(&path)).open().await;
    let mut client = Client::over(connect(&path).await);
    assert_eq!(client.ask(&ask("GET", "/public/a")).await.status, 200);
    drop(client);
    sidecar.end().await;
}

#[tokio::test]
async fn a_socket_of_another_process_and_a_file_that_is_none_are_left_alone() {
    let (upstream, folder) = (Server::start(ok()), Folder::new());
    let (alive, file) = (folder.socket("alive"), folder.socket("file"));
    let _listener = std::os::unix::net::UnixListener::bind(&alive).unwrap();
    std::fs::write(&file, "kept").unwrap();
    for (path, said) in [(&alive, "another process listens there"), (&file, "no socket")] {
        let fault = Sidecar::before(&upstream).settings(&listen(path)).refused().await;
        assert!(fault.contains(said), "{fault}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
    assert!(std::os::unix::net::UnixStream::connect(&alive).is_ok());
}

#[tokio::test]
async fn control_is_reached_by_a_socket_of_the_file_system() {
    let (upstream, folder) = (Server::start(ok()), Folder::new());
    let path = folder.socket("control");
    let settings =
        format!("control: {{ listen: 'unix:{}', token: 0123456789abcdef }}\n", path.display());
    let sidecar = Sidecar::before(&upstream).settings(&settings).open().await;
    assert_eq!(sidecar.control, None, "it has no address of the network");
    let mut client = Client::over(connect(&path).await);
    let purge = "POST /decisions/purge HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \
                 0123456789abcdef\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{\"all\":true}";
    client.send(purge).await;
    assert_eq!(client.reply().await.status, 200);
}

#[tokio::test]
async fn an_upstream_that_is_our_own_socket_is_an_error() {
    let folder = Folder::new();
    let path = folder.socket("gate");
    let upstream = format!("unix:{}", path.display());
    let (outcome, _) = Sidecar::at(&upstream).settings(&listen(&path)).compile();
    let said = outcome.diagnostics.to_human(portvakt::config::Colour::Plain);
    assert!(outcome.compiled.is_none() && said.contains("upstream-is-ourselves"), "{said}");
}

#[tokio::test]
async fn a_client_that_writes_its_first_bytes_one_by_one_is_understood() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let mut stream = TcpStream::connect(sidecar.traffic).await.unwrap();
    stream.set_nodelay(true).unwrap();
    // `P` could be the preface of HTTP/2.
    for byte in ask("POST", "/public/a").body(b"x").bytes() {
        stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(Client::over(stream).reply().await.status, 200);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_busy_ones_and_take_the_place_of_silent_ones() {
    let gate = Gate::default();
    let (waiting, answered) = (gate.clone(), answer("200 OK", "text/plain", "ok"));
    let upstream = Server::start(Arc::new(move |asked: &Asked<'_>| {
        let wait = asked.head.start.contains("/busy").then(|| Step::Wait(waiting.clone()));
        wait.into_iter().chain([Step::ReadBody, Step::Send(answered.clone())]).collect()
    }));
    let settings = "server: { limits: { max_connections: 1 } }\n";
    let sidecar = Sidecar::before(&upstream).settings(settings).open().await;
    let mut first = Client::connect(sidecar.traffic).await;
    assert_eq!(first.ask(&ask("GET", "/public/a")).await.status, 200);
    first.send(ask("GET", "/public/busy").bytes()).await;
    eventually("the busy request", || upstream.count() == 2).await;
    let second = exchange(sidecar.traffic, ask("GET", "/public/b").bytes());
    let seeing = async {
        assert_eq!(upstream.count(), 2, "the second connection is served beside the first");
        gate.open();
        let busy = first.reply().await;
        // Silent from now on, and kept by its client.
        (busy.status, first.rest().await.is_empty())
    };
    let (second, (busy, first_ended)) = tokio::join!(second, seeing);
    assert_eq!((busy, second.status, first_ended), (200, 200, true));
    // Somebody is there who says nothing at all.
    let silent = TcpStream::connect(sidecar.traffic).await.unwrap();
    let third = exchange(sidecar.traffic, ask("GET", "/public/c").bytes()).await;
    assert_eq!(third.status, 200);
    drop(silent);
}

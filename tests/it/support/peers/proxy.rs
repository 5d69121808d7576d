//! A forward proxy that tunnels (`CONNECT`) and passes requests on (absolute form), and counts both.

use super::super::server::{Script, Server, Step};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

pub(crate) struct ConnectProxy {
    pub(crate) server: Server,
    targets: Arc<Mutex<Vec<String>>>,
}

impl ConnectProxy {
    /// Names below `.it.example` lead to loopback, at the port they are asked with.
    pub(crate) fn start() -> Self {
        let targets: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&targets);
        let script: Script = Arc::new(move |asked| {
            let mut words = asked.head.start.split(' ');
            let (method, target) = (words.next().unwrap(), words.next().unwrap_or_default());
            seen.lock().unwrap().push(format!("{method} {target}"));
            let port = target.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
            match (method, port) {
                ("CONNECT", Some(port)) => vec![
                    Step::Send("HTTP/1.1 200 Established\r\n\r\n".into()),
                    Step::Tunnel(SocketAddr::from(([127, 0, 0, 1], port))),
                ],
                _ => vec![Step::Send(
                    "HTTP/1.1 501 Not Implemented\r\ncontent-length: 0\r\n\r\n".into(),
                )],
            }
        });
        Self { server: Server::start(script), targets }
    }

    /// `CONNECT host:port`, one for each time.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.targets.lock().unwrap().clone()
    }
}

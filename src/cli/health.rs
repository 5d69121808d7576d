//! `portvakt health`: asks a running proxy how it is, for platforms that can only run a command.

use super::console::{self, Exit, Format};
use super::{FormatArgs, runtime};
use crate::config::scalars::parse_socket_address;
use crate::config::{AdminSettings, Environment, listen_of_admin};
use crate::tasks::Tasks;
use bytes::Bytes;
use clap::Args;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;

/// Asks the probes of a proxy on this machine. Exits with 0 if the answer is yes, with 1 if it is no, and with 3 if there is
/// none.
#[derive(Debug, Args)]
pub(super) struct Health {
    /// Where `admin.listen` is; else as PORTVAKT_ADMIN__LISTEN says, else port 7090.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    admin: Option<SocketAddr>,
    /// Ask only whether the process lives, as `HEALTHCHECK` and liveness probes should.
    #[arg(long)]
    live: bool,
    #[command(flatten)]
    format: FormatArgs,
}

/// For the whole exchange. Bounds how long a platform waits for a process that hangs.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of the answer. Bounds memory; a kubelet takes as many.
const MAX_ANSWER: usize = 10 * 1024;

impl Health {
    pub(super) fn run(self) -> Exit {
        runtime::block_on(self.ask())
    }

    async fn ask(self) -> Exit {
        let stated = || listen_of_admin(&Environment::of_process());
        let listen = self.admin.or_else(stated).unwrap_or(AdminSettings::default().listen);
        let (address, path) =
            (reachable(listen), if self.live { "/health/live" } else { "/health/ready" });
        let asked = tokio::time::timeout(TIMEOUT, get(address, path)).await;
        let (status, text) = match asked {
            Ok(Ok(answer)) => answer,
            Ok(Err(fault)) => {
                return console::failed(&format!("no answer from {address}: {fault}"));
            }
            Err(_) => return console::failed(&format!("no answer from {address} within 2 s")),
        };
        let well = status == StatusCode::OK;
        match self.format.format {
            Format::Human => console::data(&text),
            Format::Json => {
                let lines: Vec<_> = text.lines().collect();
                let document = json!({ "well": well, "status": status.as_u16(), "lines": lines });
                console::data(&format!("{document}\n"));
            }
        }
        if well { Exit::Ok } else { Exit::Found }
    }
}

type Fault = Box<dyn std::error::Error + Send + Sync>;

async fn get(address: SocketAddr, path: &str) -> Result<(StatusCode, String), Fault> {
    let stream = TokioIo::new(TcpStream::connect(address).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    let _speaking = Tasks::new().spawn(connection);
    let request = Request::get(path).header(header::HOST, address.to_string());
    let answer = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// Who listens everywhere is reached on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn address(text: &str) -> Result<SocketAddr, String> {
    parse_socket_address(text).map_err(|fault| fault.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_asked_on_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:7090", "127.0.0.1:7090"),
            ("[::]:7090", "[::1]:7090"),
            ("10.0.0.7:1", "10.0.0.7:1"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()), asked.parse().unwrap());
        }
    }
}

//! A client that costs little: one connection, one request after the other, each timed.

use crate::harness::now;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(crate) struct Client {
    address: SocketAddr,
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr, path: &str, token: Option<&str>) -> Self {
        let token = token.map(|token| format!("authorization: Bearer {token}\r\n"));
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: api.example\r\naccept: application/json\r\n{}\r\n",
            token.unwrap_or_default()
        );
        let stream = connect(address).await;
        Self { address, stream, request: request.into_bytes(), answer: vec![0; 8 * 1024] }
    }

    /// Asks until the end; the time of each exchange in microseconds.
    pub(crate) async fn ask_until(&mut self, end: Instant) -> Vec<f64> {
        let mut times = Vec::new();
        loop {
            let started = now();
            if started >= end {
                return times;
            }
            self.ask().await;
            times.push(micros(started.elapsed()));
        }
    }

    pub(crate) async fn ask(&mut self) {
        let status = self.status().await;
        assert!(status == 200, "answered {status}");
    }

    /// Asks, and gives the status of the answer.
    pub(crate) async fn status(&mut self) -> u16 {
        self.stream.write_all(&self.request).await.unwrap();
        let mut length = 0;
        loop {
            let read = self.stream.read(self.answer.get_mut(length..).unwrap()).await.unwrap();
            assert!(read > 0, "the connection ended");
            length += read;
            let text = std::str::from_utf8(self.answer.get(..length).unwrap()).unwrap();
            if let Some((head, body)) = text.split_once("\r\n\r\n")
                && field(head, "content-length").unwrap().parse::<usize>().unwrap() == body.len()
            {
                let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                if field(head, "connection") == Some("close") {
                    self.stream = connect(self.address).await;
                }
                return status;
            }
        }
    }
}

async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

pub(crate) fn field<'a>(head: &'a str, wanted: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case(wanted).then(|| value.trim())
    })
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

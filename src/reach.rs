//! The way to a name and a port: a TCP connection. Who is there, and what is said, is not known here.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long one address is given before the next one is tried beside it (RFC 8305 §5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// Addresses of one name. Bounds the sockets of one attempt.
const MAX_ADDRESSES: usize = 8;

/// The first address that answers. They are tried in the order of the resolver, families in turn, the next
/// one when one has failed or taken its time. Has no end of its own: whoever asks bounds it. What is written goes out at
/// once (`TCP_NODELAY`).
pub async fn reach(host: &str, port: u16) -> io::Result<TcpStream> {
    let found = tokio::net::lookup_host((host, port)).await?;
    let mut addresses = families_in_turn(found.collect()).into_iter().take(MAX_ADDRESSES);
    let mut attempts = FuturesUnordered::new();
    let mut fault = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        match addresses.next() {
            Some(address) => attempts.push(TcpStream::connect(address)),
            None if attempts.is_empty() => return Err(fault),
            None => {}
        }
        let next = async {
            match addresses.len() {
                0 => std::future::pending().await,
                _ => tokio::time::sleep(ATTEMPT_DELAY).await,
            }
        };
        tokio::select! {
            Some(attempt) = attempts.next() => match attempt {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(failed) => fault = failed,
            },
            () = next => {}
        }
    }
}

fn families_in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (one, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut other = other.into_iter();
    let mut turns: Vec<_> = one.into_iter().flat_map(|first| [Some(first), other.next()]).collect();
    turns.extend(other.map(Some));
    turns.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use tokio::net::TcpListener;

    #[test]
    fn families_take_turns_and_the_resolver_says_which_begins() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let found = ["[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1"].map(parse);
        let expected = ["[::1]:1", "10.0.0.1:1", "[::2]:1", "[::3]:1"].map(parse);
        assert_eq!(families_in_turn(found.to_vec()), expected);
        let found = ["10.0.0.1:1", "[::1]:1", "[::2]:1", "[::3]:1"].map(parse);
        assert_eq!(families_in_turn(found.to_vec()), found);
        assert_eq!(families_in_turn(Vec::new()), []);
    }

    #[tokio::test]
    async fn a_name_of_two_families_is_reached_by_the_one_that_listens() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stream = reach("localhost", port).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap().port(), port);
        drop(listener);
        assert!(reach("localhost", port).await.is_err());
    }
}

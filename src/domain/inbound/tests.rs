use super::*;
use crate::domain::{BodyBudget, PdpSubject, SystemUserId};
use http::{Request, Response};
use http_body_util::Empty;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::cell::RefCell;
use tokio::io::AsyncWriteExt as _;

const IDLE: Duration = Duration::from_secs(5);

fn share(budget: &BodyBudget) -> BodyShare {
    let id = SystemUserId::parse("a0000001-0000-4000-8000-000000000001").unwrap();
    budget.of(PdpSubject::SystemUser(id))
}

/// What becomes of a body of which such pieces come, each this long after the one before; and after how
/// long that is known. The body states a length of 1 MiB.
async fn reading(piece: usize, every: Duration, budget: &BodyBudget) -> (BodyFault, Duration) {
    let (mut client, server) = tokio::io::duplex(64 * 1024);
    let fault = RefCell::new(None);
    let began = Instant::now();
    let serving = hyper::server::conn::http1::Builder::new().serve_connection(
        TokioIo::new(server),
        service_fn(|request: Request<Incoming>| async {
            let mut body = InboundBody::Streaming(request.into_body());
            let read = body.buffer(1 << 20, Pace { idle: IDLE }, &share(budget)).await;
            *fault.borrow_mut() = read.err();
            Err::<Response<Empty<Bytes>>, _>("enough")
        }),
    );
    let sending = async {
        client.write_all(b"POST / HTTP/1.1\r\ncontent-length: 1048576\r\n\r\n").await.unwrap();
        loop {
            tokio::time::sleep(every).await;
            client.write_all(&vec![b'x'; piece]).await.unwrap();
        }
    };
    tokio::select! {
        _ = serving => {}
        () = sending => {}
    }
    let fault = fault.borrow_mut().take();
    (fault.unwrap(), began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stands_still_or_trickles_is_given_up_and_its_memory_is_free() {
    let budget = BodyBudget::new(4 << 20, 1);
    let seconds = Duration::from_secs;
    let slow = BodyFault::TooSlow(Pace::MIN_BYTES_PER_SECOND);
    for (piece, every, fault, least, most) in [
        (1, seconds(3600), BodyFault::Stalled(IDLE), 5, 6),
        (1, seconds(4), slow.clone(), 10, 11),
        (2048, seconds(1), slow, 18, 22),
    ] {
        let (told, after) = reading(piece, every, &budget).await;
        assert_eq!(told, fault);
        assert!((seconds(least)..seconds(most)).contains(&after), "{piece} {after:?}");
        assert_eq!(budget.free(), budget.total());
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_for_which_there_is_no_room_is_refused_at_its_first_byte() {
    let budget = BodyBudget::new(4 << 20, 1);
    let share = share(&budget);
    let _held = share.take((1 << 20) - 1000).unwrap();
    let (told, _) = reading(1, Duration::from_secs(1), &budget).await;
    assert!(matches!(told, BodyFault::NoRoom(NoBodyRoom::Share { .. })), "{told:?}");
}

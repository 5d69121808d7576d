//! One permitted request, sent to the API once, and the head of its answer.

use super::answer_body::{AnswerBody, Lease};
use super::body::{Outgoing, OutgoingBody};
use super::fate::{BodyFate, Fate};
use super::headers;
use super::leftover::ClientBody;
use super::permitted::Permitted;
use super::pool::{Connection, Pool, SendFault};
use super::settings::{UpstreamAddress, UpstreamSettings};
use crate::authorize::Permit;
use crate::domain::{Denial, DenialCode, Head, Inbound, InboundBody, RequestId};
use crate::in_flight::InFlight;
use crate::tasks::Tasks;
use http::header::EXPECT;
use http::{Response, Version};
use hyper::body::Incoming;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// The API behind. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Upstream {
    pub(super) pool: Arc<Pool>,
}

/// What forwarding yields.
pub type Forwarding = Result<Response<AnswerBody>, Denial>;

impl Upstream {
    /// Knows where the API is; connects when needed. How much is read at once of an answer depends on how
    /// many are `in_flight`.
    #[must_use]
    pub fn new(settings: UpstreamSettings, in_flight: &InFlight, tasks: &Tasks) -> Self {
        if let UpstreamAddress::Https(_, trust) = &settings.address {
            trust.follow(tasks);
        }
        let pool = Arc::new(Pool::new(settings, in_flight.clone(), tasks.clone()));
        let weak = Arc::downgrade(&pool);
        let stopping = tasks.stopping();
        // Ends with the pool, or with the process.
        let _reaper = tasks.spawn(async move {
            while let Some(period) = weak.upgrade().map(|pool| pool.settings().idle_timeout) {
                let ending =
                    stopping.run_until_cancelled(tokio::time::sleep(period)).await.is_none();
                match weak.upgrade() {
                    Some(pool) if ending => return pool.close(),
                    Some(pool) => pool.prune(),
                    None => return,
                }
            }
        });
        Self { pool }
    }

    /// Sends a permitted request on and gives the head of the API's answer; its body follows as it comes.
    ///
    /// A request is sent once. Only where not a byte of it was sent, or where it has no body, its method
    /// is idempotent and a *reused* connection ended before one byte of an answer (or, in HTTP/2, the API
    /// says that it has not looked at it), is it sent once more, on a new connection (RFC 9110 §9.2.2,
    /// RFC 9113 §8.7).
    pub fn forward(
        &self,
        permit: Permit,
        inbound: Inbound,
        request_id: RequestId,
    ) -> impl Future<Output = Forwarding> {
        let Inbound { head, peer, body } = inbound;
        let sources = permit.source_headers().cloned().collect();
        let (settings, tasks) = (self.pool.settings(), self.pool.tasks());
        let sends = sends_unasked(&head);
        let body = OutgoingBody::new(body, permit.max_body(), sources, settings, tasks, sends);
        // On the heap, and the future small: it is moved before it is begun.
        self.exchange(Box::new(Permitted { permit, head, peer, request_id }), Box::new(body))
    }

    /// Ends a request that is refused: what its client still sends is read and thrown away for a while, so
    /// that it comes to see its answer. Not for one that is framed ambiguously, of which nothing more is
    /// read.
    pub fn turn_away(&self, inbound: Inbound) {
        let Inbound { head, body, .. } = inbound;
        if let InboundBody::Streaming(body) = body {
            drop(ClientBody::new(body, self.pool.tasks().clone(), sends_unasked(&head)));
        }
    }

    async fn exchange(&self, permitted: Box<Permitted>, body: Box<OutgoingBody>) -> Forwarding {
        let settings = self.pool.settings();
        let fate = body.fate();
        let max_body = permitted.permit.max_body();
        let repeatable = body.is_empty() && permitted.head.method.is_idempotent();
        let request = permitted.outgoing(settings, *body)?;
        // The head that was received holds memory of the connection that it was read from.
        let repeatable = repeatable.then_some(permitted);
        let mut connection = self.pool.connection().await.map_err(unreachable)?;
        let again = match self.send(&mut connection, request).await? {
            Ok(answer) => return self.answered(answer, connection, fate),
            Err(SendFault::Unsent(request)) => request,
            Err(fault) => match (repeatable, &fault) {
                (Some(permitted), SendFault::Refused { .. }) => {
                    permitted.outgoing(settings, OutgoingBody::empty())?
                }
                (Some(permitted), SendFault::Broken { answered: false, .. })
                    if connection.is_reused() =>
                {
                    permitted.outgoing(settings, OutgoingBody::empty())?
                }
                _ => return Err(broken(fault, fate.state(), max_body)),
            },
        };
        drop(connection);
        let (connection, answer) = Box::pin(self.send_anew(again)).await?;
        self.answered(answer, connection, fate)
    }

    /// The head of the answer has come.
    fn answered(
        &self,
        answer: Response<Incoming>,
        connection: Connection,
        fate: BodyFate,
    ) -> Forwarding {
        headers::judge_answer(answer.status(), answer.headers())
            .map_err(|fault| Denial::new(DenialCode::UpstreamProtocolError).because(fault))?;
        let lease = Lease::new(connection, Arc::clone(&self.pool), fate);
        let mut answer = answer.map(|body| AnswerBody::new(body, lease));
        headers::clean_answer(answer.status(), answer.headers_mut());
        *answer.version_mut() = Version::HTTP_11;
        Ok(answer)
    }

    /// Sends on a new connection.
    async fn send_anew(
        &self,
        request: Outgoing,
    ) -> Result<(Connection, Response<Incoming>), Denial> {
        let connection = self.pool.connect().await.map_err(unreachable)?;
        self.send_on(connection, request).await
    }

    /// On a connection of its own that can become another protocol's.
    pub(super) async fn send_to_upgrade(
        &self,
        request: Outgoing,
    ) -> Result<(Connection, Response<Incoming>), Denial> {
        let connection = self.pool.connect_http1().await.map_err(|fault| {
            if fault.kind() == io::ErrorKind::Unsupported {
                Denial::new(DenialCode::UpstreamProtocolError)
                    .because("an API that speaks HTTP/2 only is not asked to upgrade")
            } else {
                unreachable(fault)
            }
        })?;
        self.send_on(Connection::Exclusive(connection), request).await
    }

    async fn send_on(
        &self,
        mut connection: Connection,
        request: Outgoing,
    ) -> Result<(Connection, Response<Incoming>), Denial> {
        let fate = request.body().fate();
        match self.send(&mut connection, request).await? {
            Ok(answer) => Ok((connection, answer)),
            Err(fault) => Err(broken(fault, fate.state(), None)),
        }
    }

    /// Sends on this connection; the outer error is a silence of the API that lasted too long. As long as
    /// the body moves there is none: an upload may take its time. A silence of the client ends the body
    /// itself.
    async fn send(
        &self,
        connection: &mut Connection,
        request: Outgoing,
    ) -> Result<Result<Response<Incoming>, SendFault>, Denial> {
        let limit = self.pool.settings().response_timeout;
        let fate = request.body().fate();
        let received = connection.received();
        let mut alarm = std::mem::take(connection.alarm());
        let sent = {
            let mut sending = std::pin::pin!(connection.send(request));
            let mut ask_again = fate.last_moved() + limit;
            poll_fn(|context| {
                loop {
                    if let Poll::Ready(sent) = sending.as_mut().poll(context) {
                        return Poll::Ready(Ok(sent));
                    }
                    ready!(alarm.poll(ask_again, context));
                    let ends = fate.last_moved() + limit;
                    ask_again = if fate.wants_client() {
                        Instant::now() + limit.min(GLANCE)
                    } else if ends > Instant::now() {
                        ends
                    } else {
                        return Poll::Ready(Err(
                            Denial::new(DenialCode::UpstreamTimeout).because("no answer in time")
                        ));
                    };
                }
            })
            .await
        };
        *connection.alarm() = alarm;
        if sent.is_err() {
            connection.suspect(received);
        }
        sent
    }
}

/// Whether the client sends its body without being asked. Reading that of one which waits for `100 Continue`
/// has the library ask for it, over HTTP/1.1 only.
fn sends_unasked(head: &Head) -> bool {
    head.version > Version::HTTP_11 || !head.headers.contains_key(EXPECT)
}

/// How often a wait for the client is looked at, to begin the wait for the API when its turn has come.
const GLANCE: Duration = Duration::from_secs(1);

fn unreachable(fault: io::Error) -> Denial {
    Denial::new(DenialCode::UpstreamUnreachable).because(fault)
}

fn broken(fault: SendFault, fate: Fate, max_body: Option<u64>) -> Denial {
    match fate {
        Fate::TooLarge => {
            let denial = Denial::new(DenialCode::BodyTooLarge);
            max_body.map_or(denial.clone(), |max| denial.limit(max))
        }
        Fate::ClientBroke => {
            Denial::new(DenialCode::MalformedRequest).because("the client broke off the body")
        }
        Fate::Stalled => Denial::new(DenialCode::RequestTimeout).because("the body stopped coming"),
        Fate::Open | Fate::Complete => match fault {
            SendFault::Unsent(_) => Denial::new(DenialCode::UpstreamUnreachable)
                .because("a new connection ended at once"),
            SendFault::Unsayable => Denial::new(DenialCode::Internal)
                .because("the request has no form in the protocol of the API"),
            SendFault::Refused { cause } | SendFault::Broken { answered: false, cause } => {
                Denial::new(DenialCode::UpstreamUnreachable).because(cause)
            }
            SendFault::Broken { answered: true, cause } => {
                Denial::new(DenialCode::UpstreamProtocolError).because(cause)
            }
        },
    }
}

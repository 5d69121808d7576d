//! The stream between a socket and the HTTP library: holds each head back until it is judged, follows the
//! body to the end of the request, and lets nothing behind it through before its answer is over.
//!
//! What the bytes mean is judged in `head` and `body`. A head that comes whole in one read is judged where
//! it stands, in the library's own buffer.

mod writing;

use super::body::{Body, Progress};
use super::head::{Head, HeadReader};
use super::held::Held;
use super::stand_in::{nameless, stand_in};
use super::verdicts::{Answer, Verdicts};
use super::{GuardLimits, Opening, QUIET, Shared};
use crate::alarm::Alarm;
use crate::domain::{FramingFault, NoRoom};
use crate::in_flight::MUCH;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Bytes that are read while an answer is under way and nobody wants them yet. Bounds memory; reading at all
/// is how a client that leaves is noticed at once.
const MAX_EARLY_BYTES: usize = 8 * 1024;
/// A stream with the guard in front of it.
#[derive(Debug)]
pub(in crate::server) struct Guard<S> {
    stream: S,
    limits: GuardLimits,
    shared: Shared,
    verdicts: Verdicts,
    stage: Stage,
    held: Held,
    /// No head was judged yet.
    fresh: bool,
    /// When a head must be whole, if a part of it is held; else when the connection counts as quiet.
    deadline: Option<Instant>,
    alarm: Alarm,
    library: Library,
    /// Whether the library has made room for large reads, and so keeps that room.
    read_much: bool,
    /// What may still be thrown away, once the writing side is shut.
    linger: Option<usize>,
    /// Whether the client has closed, as far as the kernel knows.
    has_left: fn(&S) -> bool,
}

/// What the library knows of what comes from the client.
#[derive(Debug, Default, PartialEq, Eq)]
enum Reads {
    /// It has not asked, or will hear of nothing.
    #[default]
    Nothing,
    /// It waits for the stream, and hears when the client leaves.
    Listens,
    /// It was told to wait until its answer is written.
    AfterItsAnswer,
}

/// What we know of the HTTP library.
#[derive(Debug, Default)]
struct Library {
    /// It is there: no more is waited for without it.
    serves: bool,
    reads: Reads,
}

#[derive(Debug)]
enum Stage {
    /// Before or inside a head.
    Head(HeadReader),
    /// Inside a body.
    Body { body: Body, upgrade: bool },
    /// The request is whole; its answer is not over.
    Answering { upgrade: bool },
    /// Another protocol is spoken: nothing is judged.
    Switched,
    /// The library has a stand-in for a head that was refused.
    Refused,
    /// A body was at fault.
    Broken(FramingFault),
    /// To end as soon as all that was answered is written.
    Ending,
    /// The client has ended, or it is our turn to.
    Over,
    /// The client has left within its request: whoever serves it may not look.
    Gone,
    /// Nothing was said for a while, or no whole head: the library ends, the stream stays.
    Parked(HeadReader),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guard<S> {
    pub(super) fn new(
        (stream, has_left): (S, fn(&S) -> bool),
        Opening { held, reader, due, fresh }: Opening,
        limits: GuardLimits,
        shared: Shared,
        verdicts: Verdicts,
    ) -> Self {
        Self {
            stream,
            limits,
            shared,
            verdicts,
            stage: Stage::Head(reader),
            held,
            fresh,
            deadline: due,
            alarm: Alarm::default(),
            linger: None,
            has_left,
            library: Library::default(),
            read_much: false,
        }
    }

    /// Waits until the library has something to do: a head that comes slowly costs no more than its bytes.
    pub(in crate::server) async fn first_head(&mut self) {
        let waiting = poll_fn(|context| {
            while matches!(self.stage, Stage::Head(_)) {
                let mut space = [0; 4096];
                // What is read joins the first bytes, and so never stays here.
                match self.read_head(context, &mut ReadBuf::new(&mut space)) {
                    Some(Poll::Pending) => return Poll::Pending,
                    Some(Poll::Ready(_)) => return Poll::Ready(()),
                    None => {}
                }
            }
            Poll::Ready(())
        });
        waiting.await;
        self.library.serves = true;
    }

    /// The bare stream, with what there is of a head, if the library ended for no other reason than that
    /// no whole head came for a while.
    pub(in crate::server) fn into_parked(self) -> Option<(S, Option<Opening>)> {
        match self.stage {
            Stage::Parked(reader) => {
                let begun = !self.held.is_empty();
                let due = self.deadline;
                let opening = Opening { held: self.held, reader, due, fresh: self.fresh };
                Some((self.stream, begun.then_some(opening)))
            }
            Stage::Head(_)
            | Stage::Body { .. }
            | Stage::Answering { .. }
            | Stage::Switched
            | Stage::Refused
            | Stage::Broken(_)
            | Stage::Ending
            | Stage::Over
            | Stage::Gone => None,
        }
    }

    /// One step: `Some` when the library is to have an answer, `None` when there is more to do.
    fn step(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Option<Poll<io::Result<()>>> {
        if self.held.release(buffer) {
            return Some(Poll::Ready(Ok(())));
        }
        match &mut self.stage {
            Stage::Head(_) => self.read_head(context, buffer),
            Stage::Body { .. } => self.read_body(context, buffer),
            Stage::Answering { upgrade } => {
                let upgrade = *upgrade;
                self.hold_back(upgrade, context, buffer)
            }
            Stage::Switched => Some(Pin::new(&mut self.stream).poll_read(context, buffer)),
            Stage::Refused | Stage::Ending => Some(Poll::Pending),
            Stage::Broken(fault) => {
                Some(Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, *fault))))
            }
            Stage::Over | Stage::Gone | Stage::Parked(_) => Some(Poll::Ready(Ok(()))),
        }
    }

    /// Reads more of a head, and judges what there is of it.
    fn read_head(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Option<Poll<io::Result<()>>> {
        let Stage::Head(reader) = &mut self.stage else { return None };
        if self.read_much {
            // A further head is for another library, which holds less.
            self.park();
            return None;
        }
        if !self.held.is_empty() {
            match reader.read(self.held.unjudged(), &self.limits) {
                Ok(Some(head)) => {
                    let length = head.bytes;
                    self.begin(head);
                    self.held.pass(length);
                    self.follow_held();
                    return None;
                }
                Ok(None) => {}
                Err(fault) => {
                    let stand_in = stand_in(self.held.unjudged());
                    self.refuse(fault, stand_in);
                    return None;
                }
            }
        }
        let before = buffer.filled().len();
        match self.shared.in_flight.poll_read(&mut self.stream, context, buffer) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(fault)) => return Some(Poll::Ready(Err(fault))),
            Poll::Pending => return self.wait(context),
        }
        let new = buffer.filled().get(before..).unwrap_or_default();
        if new.is_empty() {
            self.stage = Stage::Over;
            return Some(Poll::Ready(Ok(())));
        }
        let mut passed = 0;
        if self.held.is_empty() {
            match reader.read(new, &self.limits) {
                Ok(Some(head)) => {
                    let body = new.get(head.bytes..).unwrap_or_default();
                    passed = head.bytes;
                    self.begin(head);
                    passed = passed.saturating_add(self.follow(body));
                    self.hold(new.get(passed..).unwrap_or_default());
                }
                Ok(None) => {
                    self.deadline = Some(Instant::now() + self.limits.header_timeout);
                    self.hold(new);
                }
                Err(fault) => self.refuse(fault, stand_in(new)),
            }
        } else {
            self.hold(new);
        }
        buffer.set_filled(before.saturating_add(passed));
        (passed > 0).then_some(Poll::Ready(Ok(())))
    }

    /// Keeps bytes whose time has not come. A client for which there is no room is told so if it sent
    /// nothing but a part of a head; one that sent it ahead of an answer has its connection ended.
    fn hold(&mut self, bytes: &[u8]) {
        if matches!(self.stage, Stage::Broken(_)) {
            return;
        }
        let Err(NoRoom(total)) = self.held.hold(bytes, &self.shared.held) else { return };
        let fault = FramingFault::NoRoom(total);
        if matches!(self.stage, Stage::Head(_)) {
            let stand_in = stand_in(self.held.unjudged());
            self.refuse(fault, stand_in);
        } else {
            self.held = Held::default();
            self.stage = Stage::Broken(fault);
        }
    }

    /// A head is whole and sound.
    fn begin(&mut self, head: Head) {
        self.verdicts.judged(Ok(()));
        self.stage = Stage::Body { body: head.body, upgrade: head.upgrade };
        self.fresh = false;
        self.deadline = None;
    }

    /// A head is not, and never will be: the library is given another, so that the service is called and
    /// the refusal leaves as every other does.
    fn refuse(&mut self, fault: FramingFault, stand_in: Option<Vec<u8>>) {
        self.deadline = None;
        match stand_in {
            // TLS on a plain port, or noise: nobody is there to read an answer of ours, and a record for
            // each would let anyone fill the log.
            None if self.fresh => {
                tracing::debug!(%fault, "what came is no HTTP");
                self.stage = Stage::Ending;
            }
            stand_in => {
                self.verdicts.judged(Err(fault));
                self.held.replace(stand_in.unwrap_or_else(nameless));
                self.stage = Stage::Refused;
            }
        }
    }

    /// Nothing came: is it time?
    fn wait(&mut self, context: &mut Context<'_>) -> Option<Poll<io::Result<()>>> {
        if self.held.is_empty() {
            let quiet = self.deadline;
            if quiet.is_some_and(|quiet| self.is_due(quiet, context)) {
                self.park();
                return None;
            }
            return Some(Poll::Pending);
        }
        let timeout = self.limits.header_timeout;
        let due = *self.deadline.get_or_insert_with(|| Instant::now() + timeout);
        // A head that comes slowly is waited for without the library. Bounds what one that dribbles holds.
        if self.library.serves && timeout > QUIET {
            let slow = due.checked_sub(timeout.saturating_sub(QUIET)).unwrap_or(due);
            if self.is_due(slow, context) {
                self.park();
                return None;
            }
            return Some(Poll::Pending);
        }
        if !self.is_due(due, context) {
            return Some(Poll::Pending);
        }
        if let Stage::Head(reader) = &self.stage
            && reader.is_bare(self.held.unjudged())
        {
            self.stage = Stage::Ending;
        } else {
            let stand_in = stand_in(self.held.unjudged());
            self.refuse(FramingFault::HeadTimeout(timeout), stand_in);
        }
        None
    }

    fn park(&mut self) {
        if let Stage::Head(reader) = &mut self.stage {
            self.stage = Stage::Parked(std::mem::take(reader));
        }
    }

    /// Reads more of a body, in place, and follows it.
    fn read_body(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Option<Poll<io::Result<()>>> {
        if !self.held.is_empty() {
            self.follow_held();
            return None;
        }
        let before = buffer.filled().len();
        match self.shared.in_flight.poll_read(&mut self.stream, context, buffer) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(fault)) => {
                self.stage = Stage::Gone;
                return Some(Poll::Ready(Err(fault)));
            }
            Poll::Pending => return Some(Poll::Pending),
        }
        let new = buffer.filled().get(before..).unwrap_or_default();
        if new.is_empty() {
            self.stage = Stage::Gone;
            return Some(Poll::Ready(Ok(())));
        }
        self.read_much |= new.len() > MUCH;
        let passed = self.follow(new);
        self.hold(new.get(passed..).unwrap_or_default());
        buffer.set_filled(before.saturating_add(passed));
        (passed > 0).then_some(Poll::Ready(Ok(())))
    }

    fn follow_held(&mut self) {
        let held = std::mem::take(&mut self.held);
        let passed = self.follow(held.unjudged());
        self.held = held;
        self.held.pass(passed);
    }

    /// Follows the body into `bytes`, and says how many of them are sound and belong to it.
    fn follow(&mut self, bytes: &[u8]) -> usize {
        let Stage::Body { body, upgrade } = &mut self.stage else { return 0 };
        let (passed, progress) = body.follow(bytes, &self.limits);
        match progress {
            Ok(Progress::Unfinished) => {}
            Ok(Progress::Ended) => {
                let upgrade = *upgrade;
                if upgrade && passed < bytes.len() {
                    self.verdicts.came_early();
                }
                self.stage = Stage::Answering { upgrade };
            }
            Err(fault) => self.stage = Stage::Broken(fault),
        }
        passed
    }

    /// The request is whole: what comes now is held, up to a bound, until its answer is over.
    fn hold_back(
        &mut self,
        upgrade: bool,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Option<Poll<io::Result<()>>> {
        let empty = self.held.is_empty();
        let answer =
            if empty { self.verdicts.answered() } else { self.verdicts.answered_or_wake(context) };
        match answer {
            Answer::Switched => {
                self.held.pass_all();
                self.stage = Stage::Switched;
                return None;
            }
            // The library has all of it, and has not written all of it: the next head waits for that.
            Answer::Over => {
                self.library.reads = Reads::AfterItsAnswer;
                return Some(Poll::Pending);
            }
            Answer::Awaited | Answer::Begun => {}
        }
        let room = MAX_EARLY_BYTES.saturating_sub(self.held.unjudged().len());
        if room == 0 {
            return Some(Poll::Pending);
        }
        let mut part = buffer.take(room);
        match Pin::new(&mut self.stream).poll_read(context, &mut part) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(fault)) => return Some(Poll::Ready(Err(fault))),
            Poll::Pending => return Some(Poll::Pending),
        }
        let new = part.filled();
        if new.is_empty() {
            self.stage = Stage::Over;
            return Some(Poll::Ready(Ok(())));
        }
        if upgrade {
            self.verdicts.came_early();
        }
        self.hold(new);
        None
    }

    /// The answer is over: a further head may come.
    fn turn(&mut self, upgrade: bool) {
        // Bytes of a protocol that was asked for and is not spoken: nothing to judge as a head.
        let ends = upgrade && !self.held.is_empty();
        self.stage = if ends { Stage::Ending } else { Stage::Head(HeadReader::default()) };
        self.deadline = None;
    }

    /// Whether the time has come; if not, the task is woken then.
    fn is_due(&mut self, due: Instant, context: &mut Context<'_>) -> bool {
        self.alarm.poll(due, context).is_ready()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if let Some(polled) = self.step(context, buffer) {
                let full = self.held.unjudged().len() >= MAX_EARLY_BYTES;
                if self.library.reads != Reads::AfterItsAnswer {
                    let listens = polled.is_pending() && !full;
                    self.library.reads = if listens { Reads::Listens } else { Reads::Nothing };
                }
                // Nobody need ask the kernel for what the library reads, or will be told.
                let within = matches!(self.stage, Stage::Body { .. } | Stage::Answering { .. });
                if within && (polled.is_ready() || self.library.reads == Reads::Listens) {
                    self.deadline = None;
                }
                return polled;
            }
        }
    }
}

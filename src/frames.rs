//! HTTP/2 by the heads of its frames (RFC 9113 §4.1): where each begins, and how many small ones are read at
//! one time. What they say is not looked at.

use crate::in_flight::poll_read_some;
use std::io;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, ReadBuf};

/// The kind of frames that carry bodies.
pub const DATA: u8 = 0;

/// The flag of the last frame of a body.
pub const END_STREAM: u8 = 1;

const FRAME_HEAD_BYTES: usize = 9;

/// Where in a sequence of frames one is.
#[derive(Debug)]
pub struct Frames {
    /// Bytes before the next head.
    skip: usize,
    head: [u8; FRAME_HEAD_BYTES],
    /// How many bytes of the head there are.
    held: usize,
}

/// The head of a frame, as far as it matters.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Bytes of the payload.
    pub length: usize,
    /// RFC 9113 §6.
    pub kind: u8,
    /// RFC 9113 §6.
    pub flags: u8,
}

impl Frames {
    /// Of a stream whose first frame begins after so many bytes.
    #[must_use]
    pub fn after(skip: usize) -> Self {
        Self { skip, head: [0; FRAME_HEAD_BYTES], held: 0 }
    }

    /// Goes over `bytes` and shows the head of each frame as soon as it is whole.
    pub fn follow(
        &mut self,
        mut bytes: &[u8],
        mut see: impl FnMut(Seen) -> io::Result<()>,
    ) -> io::Result<()> {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip = self.skip.saturating_sub(skipped);
            bytes = bytes.get(skipped..).unwrap_or_default();
            let room = self.head.get_mut(self.held..).unwrap_or_default();
            let count = room.len().min(bytes.len());
            let (taken, rest) = bytes.split_at_checked(count).unwrap_or_default();
            for (place, byte) in room.iter_mut().zip(taken) {
                *place = *byte;
            }
            self.held = self.held.saturating_add(count);
            bytes = rest;
            if self.held == FRAME_HEAD_BYTES {
                let [a, b, c, kind, flags, ..] = self.head;
                let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                self.skip = length;
                self.held = 0;
                see(Seen { length, kind, flags })?;
            }
        }
        Ok(())
    }
}

/// The library ends a connection that brings more small DATA frames than are taken off its hands; what it
/// counts as small.
const SMALL: usize = 256;
/// Read at once where frames are small: some two hundred of the smallest.
const SIP: usize = 2048;
/// After so many small ones whoever takes them has a turn.
const PORTION: u32 = 128;

/// Reads frames in portions, so that a burst of small ones is taken as it comes: many fit into one read, and
/// a burst would end the connection, with everybody on it, while those who wait for it never had a turn.
#[derive(Debug)]
pub struct Portions {
    frames: Frames,
    /// Small ones of the present portion.
    small: u32,
}

impl Portions {
    /// Of a stream whose first frame begins after so many bytes.
    #[must_use]
    pub fn after(skip: usize) -> Self {
        Self { frames: Frames::after(skip), small: 0 }
    }

    /// Reads once, and shows the head of each frame that came.
    pub fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        see: impl FnMut(Seen) -> io::Result<()>,
    ) -> Poll<io::Result<()>> {
        if self.small >= PORTION {
            self.small = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        // The rest of a large frame, and no more of what follows it than of others.
        let most = self.frames.skip.saturating_add(SIP);
        let polled = poll_read_some(stream, most, context, buffer);
        match polled {
            Poll::Ready(Ok(())) => {
                self.saw(buffer.filled().get(before..).unwrap_or_default(), see)?;
            }
            Poll::Ready(Err(_)) => {}
            // Nothing more has come: whoever takes them has a turn now.
            Poll::Pending => self.small = 0,
        }
        polled
    }

    /// Follows what was read.
    pub fn saw(
        &mut self,
        bytes: &[u8],
        mut see: impl FnMut(Seen) -> io::Result<()>,
    ) -> io::Result<()> {
        let Self { frames, small } = self;
        frames.follow(bytes, |seen| {
            if seen.kind == DATA && seen.length < SMALL {
                *small = small.saturating_add(1);
            }
            see(seen)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let bytes =
            [frame(0, 0, &[3; 300]), frame(6, 0, &[0; 8]), frame(0, 0, b""), frame(4, 1, b"")];
        for step in [1, 2, 8, 9, 10, 17, 1000] {
            let mut frames = Frames::after(0);
            let mut kinds = Vec::new();
            for part in bytes.concat().chunks(step) {
                let see = |seen: Seen| {
                    kinds.push((seen.kind, seen.length, seen.flags));
                    Ok(())
                };
                frames.follow(part, see).unwrap();
            }
            assert_eq!(kinds, [(0, 300, 0), (6, 8, 0), (0, 0, 0), (4, 0, 1)], "by {step}");
        }
    }

    #[tokio::test]
    async fn small_frames_come_in_portions_and_large_ones_as_they_are() {
        for (length, most, least) in [(1, 400, 0), (16_384, 3, 16 * 1024)] {
            let bytes = frame(0, 0, &vec![7; length]).repeat(2_000_000 / (length + 9));
            let (mut source, mut portions) = (bytes.as_slice(), Portions::after(0));
            let (mut frames, mut at_once, mut longest) = (0, 0, 0);
            while !source.is_empty() {
                let mut space = vec![0; 64 * 1024];
                let read = poll_fn(|context| {
                    let mut buffer = ReadBuf::new(&mut space);
                    let polled = portions.poll_read(&mut source, context, &mut buffer, |_| {
                        frames += 1;
                        Ok(())
                    });
                    if polled.is_pending() {
                        // A turn for others.
                        frames = 0;
                    }
                    polled.map_ok(|()| buffer.filled().len())
                });
                longest = longest.max(read.await.unwrap());
                at_once = at_once.max(if length < SMALL { frames } else { 0 });
            }
            assert!(at_once <= most, "{at_once} frames of {length} without a turn");
            assert!(longest > least, "{longest} bytes of frames of {length} at once");
        }
    }
}

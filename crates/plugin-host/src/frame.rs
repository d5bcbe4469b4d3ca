//! Messages with a five-byte prefix, as gRPC and streams of Connect write them.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::call::Cause;

const PREFIX: usize = 5;

/// `message` with its prefix.
pub(crate) fn frame(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(PREFIX + message.len());
    framed.put_u8(0);
    // What ratd sends is far smaller: an executor takes sources of a few megabytes at most.
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    framed.freeze()
}

/// Puts what arrives together into messages, and holds no more than one and what came with it.
#[derive(Debug)]
pub(crate) struct Frames {
    buffer: BytesMut,
    limit: usize,
}

/// A message and its flags.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) flags: u8,
    pub(crate) message: Bytes,
}

impl Frames {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            limit,
        }
    }

    pub(crate) fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next message, once it is whole. One that is too large is told by its prefix.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, Cause> {
        let Some(mut prefix) = self.buffer.get(..PREFIX) else {
            return Ok(None);
        };
        let flags = prefix.get_u8();
        let length = usize::try_from(prefix.get_u32()).unwrap_or(usize::MAX);
        if length > self.limit {
            return Err(Cause::TooLarge(self.limit));
        }
        if self.buffer.len() < PREFIX + length {
            return Ok(None);
        }
        self.buffer.advance(PREFIX);
        let message = self.buffer.split_to(length).freeze();
        Ok(Some(Frame { flags, message }))
    }

    /// Whether nothing is left of a message that never became whole.
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_wherever_the_pieces_were_cut() {
        let mut wire = frame(b"one").to_vec();
        wire.extend_from_slice(&frame(b""));
        wire.extend_from_slice(&frame(b"three"));
        for size in 1..wire.len() {
            let (mut frames, mut found) = (Frames::new(10), Vec::new());
            for piece in wire.chunks(size) {
                frames.push(piece);
                while let Some(frame) = frames.next().unwrap() {
                    assert_eq!(frame.flags, 0);
                    found.push(frame.message);
                }
            }
            assert_eq!(found, ["one", "", "three"]);
            assert!(frames.is_empty());
        }
    }

    #[test]
    fn a_message_that_is_too_large_is_refused_by_its_prefix() {
        let mut frames = Frames::new(10);
        frames.push(&[0, 0, 0, 0, 11]);
        assert_eq!(frames.next().unwrap_err(), Cause::TooLarge(10));
    }
}

//! gRPC's message frames: a flag, four bytes of length, the message.

use bytes::{Buf, BufMut, Bytes, BytesMut};

const HEADER: usize = 5;

/// A message in its frame.
pub(crate) fn frame(message: &[u8]) -> Bytes {
    announce(message.len(), message)
}

/// A frame that says it has `length` bytes, whatever it has.
pub(crate) fn announce(length: usize, message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(HEADER + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}

/// The messages of a stream of frames.
pub(crate) fn messages(mut bytes: Bytes) -> Result<Vec<Bytes>, String> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        if bytes.len() < HEADER {
            return Err(format!("{} bytes are no frame", bytes.len()));
        }
        let flag = bytes.get_u8();
        let length = bytes.get_u32() as usize;
        if flag != 0 {
            return Err(format!(
                "a frame has the flag {flag}, which nobody asked for"
            ));
        }
        if bytes.len() < length {
            return Err(format!(
                "a frame announces {length} bytes and has {}",
                bytes.len()
            ));
        }
        found.push(bytes.split_to(length));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_back_as_written() {
        let mut both = BytesMut::from(&frame(b"one")[..]);
        both.put(frame(b""));
        assert_eq!(
            messages(both.freeze()).unwrap(),
            [Bytes::from_static(b"one"), Bytes::new()]
        );
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for bytes in [&b"\0\0"[..], b"\x01\0\0\0\0", b"\0\0\0\0\x05abc"] {
            assert!(
                messages(Bytes::copy_from_slice(bytes)).is_err(),
                "{bytes:?}"
            );
        }
    }
}

//! Messages in a stream: one byte of flags, four of length, the message. gRPC frames them alike.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Length of what stands before a message.
pub(super) const HEADER: usize = 5;
/// The flag of a compressed message.
pub(super) const COMPRESSED: u8 = 1;
/// The flag of the last message of a Connect stream.
pub(super) const END: u8 = 2;

/// `message` in an envelope.
pub(super) fn wrap(flags: u8, message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEADER + message.len());
    bytes.put_u8(flags);
    bytes.put_u32(u32::try_from(message.len()).expect("messages have less than 4 GiB"));
    bytes.put_slice(message);
    bytes.freeze()
}

/// The length that the envelope at the front of `buffer` announces.
pub(super) fn announced(buffer: &[u8]) -> Option<usize> {
    let mut length = buffer.get(1..HEADER)?;
    usize::try_from(length.get_u32()).ok()
}

/// Takes the first envelope from `buffer`, if all of it is there.
pub(super) fn take(buffer: &mut BytesMut) -> Option<(u8, Bytes)> {
    let length = announced(buffer)?;
    if buffer.len() - HEADER < length {
        return None;
    }
    let flags = buffer[0];
    buffer.advance(HEADER);
    Some((flags, buffer.split_to(length).freeze()))
}

//! Messages of vhost-user: numbers and forms.  (QEMU, docs/interop/vhost-user.rst, "Message Specification")
//!
//! Everything is in the host's byte order.
#![allow(clippy::disallowed_methods, reason = "both processes run on this host, in its byte order")]

/// Requests of this side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Request {
    GetFeatures = 1,
    SetFeatures = 2,
    SetOwner = 3,
    SetMemTable = 5,
    SetVringNum = 8,
    SetVringAddr = 9,
    SetVringBase = 10,
    GetVringBase = 11,
    SetVringKick = 12,
    SetVringCall = 13,
    GetProtocolFeatures = 15,
    SetProtocolFeatures = 16,
    GetQueueNum = 17,
    SetVringEnable = 18,
    SendRarp = 19,
    NetSetMtu = 20,
    GetConfig = 24,
    SetConfig = 25,
    SetStatus = 39,
    GetStatus = 40,
}

/// The feature bit that stands for protocol features.
pub(super) const PROTOCOL_FEATURES: u64 = 1 << 30;

/// Protocol features that this side knows.
pub(super) mod protocol {
    pub(crate) const MQ: u64 = 1 << 0;
    pub(crate) const RARP: u64 = 1 << 2;
    pub(crate) const REPLY_ACK: u64 = 1 << 3;
    pub(crate) const NET_MTU: u64 = 1 << 4;
    pub(crate) const CONFIG: u64 = 1 << 9;
    pub(crate) const STATUS: u64 = 1 << 16;
    pub(crate) const ALL: u64 = MQ | RARP | REPLY_ACK | NET_MTU | CONFIG | STATUS;
}

/// Flags of a header: version 1, an answer, an answer is wanted.
const VERSION: u32 = 1;
const VERSION_MASK: u32 = 3;
const REPLY: u32 = 1 << 2;
const NEED_REPLY: u32 = 1 << 3;
/// Length of a header: request, flags, length of what follows.
pub(super) const HEADER: usize = 12;
/// Most bytes that follow a header: the longest configuration space and its head.
pub(super) const MOST: usize = 4096;
/// Most regions of memory.
pub(super) const REGIONS: usize = 8;

/// A message.
pub(super) fn message(request: Request, answer: bool, payload: &[u8]) -> Vec<u8> {
    let flags = VERSION | if answer { NEED_REPLY } else { 0 };
    let mut out = words(&[request as u32, flags, payload.len() as u32]);
    out.extend_from_slice(payload);
    out
}

/// How many bytes follow the header of an answer to `request`.
pub(super) fn answer(request: Request, header: &[u8; HEADER]) -> Result<usize, String> {
    let [number, flags, len] = [0, 4, 8].map(|at| word(header, at));
    if number != request as u32 || flags & (VERSION_MASK | REPLY) != VERSION | REPLY {
        return Err(format!("the backend answered {request:?} with message {number}, flags {flags:#x}"));
    }
    usize::try_from(len).ok().filter(|len| *len <= MOST).ok_or_else(|| format!("an answer of {len} bytes"))
}

/// Numbers of 32 bits.
pub(super) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// Numbers of 64 bits.
pub(super) fn longs(longs: &[u64]) -> Vec<u8> {
    longs.iter().flat_map(|long| long.to_ne_bytes()).collect()
}

/// The number of 32 bits at an offset; 0 beyond the end.
pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_ne_bytes(*b))
}

/// The number of 64 bits at the start.
pub(super) fn long(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|b| u64::from_ne_bytes(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let sent = message(Request::GetFeatures, true, &[]);
        assert_eq!(sent, words(&[1, 9, 0]));
        let header = |w: [u32; 3]| *words(&w).first_chunk().unwrap();
        assert_eq!(answer(Request::GetFeatures, &header([1, 5, 8])), Ok(8));
        for wrong in [[2, 5, 8], [1, 1, 8], [1, 6, 8], [1, 5, 4097], [1, 5, u32::MAX]] {
            assert!(answer(Request::GetFeatures, &header(wrong)).is_err(), "{wrong:?}");
        }
        assert_eq!((word(&[1], 0), long(&[0; 7])), (0, None));
    }
}

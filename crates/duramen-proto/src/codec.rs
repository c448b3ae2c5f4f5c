//! How a server reads and writes messages: as tonic-prost does, but what cannot be read is the fault of who sent it, and
//! answers of workers are read however deep they are.

use crate::deep;
use bytes::Buf as _;
use core::marker::PhantomData;
use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstEncoder};

/// The codec of the generated server.
#[derive(Debug)]
pub struct ServerCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for ServerCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for ServerCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = Strict<U>;

    fn encoder(&mut self) -> ProstEncoder<T> {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::default())
    }

    fn decoder(&mut self) -> Strict<U> {
        Strict(PhantomData)
    }
}

/// Refuses as INVALID_ARGUMENT what is no message of this type. tonic says INTERNAL, which SDKs and people take for a
/// fault of the server, and some repeat.
#[derive(Debug)]
pub struct Strict<U>(PhantomData<U>);

impl<U: Message + Default + 'static> Decoder for Strict<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let message = from.copy_to_bytes(from.remaining());
        U::decode(message.clone()).map(Some).or_else(|error| match deep::read(&message) {
            Some(read) => Ok(Some(read)),
            None => Err(Status::invalid_argument(brief(&alloc::format!("{error}")))),
        })
    }
}

/// The place in a message may be a hundred levels down, and a reply must fit into a header.
fn brief(message: &str) -> alloc::string::String {
    const SIDE: usize = 150;
    let characters: alloc::vec::Vec<char> = message.chars().collect();
    if characters.len() <= 2 * SIDE {
        return message.into();
    }
    let (start, end) = (&characters[..SIDE], &characters[characters.len() - SIDE..]);
    start.iter().copied().chain(" … ".chars()).chain(end.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_keeps_its_start_and_its_end() {
        assert_eq!(brief("short"), "short");
        let long = brief(&alloc::format!("begin{}end", "ß".repeat(1_000)));
        assert!(long.starts_with("begin") && long.ends_with("end") && long.len() < 1_000, "{long}");
    }
}

//! Calls with any bytes in them.

use crate::schema::Rpc;
use bytes::{Buf, BufMut, Bytes};
use std::time::Duration;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

/// Gives and takes messages as they are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AsBytes;

impl Codec for AsBytes {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for AsBytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(&item);
        Ok(())
    }
}

impl Decoder for AsBytes {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// Makes a call; `patience` is what its `grpc-timeout` says.
pub(crate) async fn unary(
    channel: &Channel,
    rpc: &Rpc,
    message: Vec<u8>,
    patience: Option<Duration>,
) -> Result<Bytes, Status> {
    let (mut grpc, request) = ready(channel, message, patience).await?;
    grpc.unary(request, path(rpc), AsBytes).await.map(tonic::Response::into_inner)
}

/// Makes a call that is answered by a stream.
pub(crate) async fn stream(channel: &Channel, rpc: &Rpc, message: Vec<u8>) -> Result<Streaming<Bytes>, Status> {
    let (mut grpc, request) = ready(channel, message, None).await?;
    grpc.server_streaming(request, path(rpc), AsBytes).await.map(tonic::Response::into_inner)
}

async fn ready(
    channel: &Channel,
    message: Vec<u8>,
    patience: Option<Duration>,
) -> Result<(Grpc<Channel>, Request<Vec<u8>>), Status> {
    let mut grpc = Grpc::new(channel.clone()).max_decoding_message_size(usize::MAX);
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let mut request = Request::new(message);
    if let Some(patience) = patience {
        request.set_timeout(patience);
    }
    Ok((grpc, request))
}

fn path(rpc: &Rpc) -> PathAndQuery {
    rpc.path.parse().expect("the name of a call is a path")
}

//! Bodies, and futures that need nobody to wake them.

use std::{convert::Infallible, future::Future};

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};

/// A body of `bytes` in chunks of `size`, or in one where that is zero.
pub(crate) fn chunked(
    bytes: &[u8],
    size: usize,
) -> impl Body<Data = Bytes, Error = Infallible> + Send + Unpin + use<> {
    let size = if size == 0 { bytes.len().max(1) } else { size };
    let chunks: Vec<_> =
        bytes.chunks(size).map(|chunk| Ok(Frame::data(Bytes::copy_from_slice(chunk)))).collect();
    StreamBody::new(stream::iter(chunks))
}

/// What a body has, and whether it came to its end.
pub(crate) async fn read<B>(mut body: B) -> (Vec<u8>, bool)
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return (bytes, false) };
        bytes.extend(frame.into_data().unwrap_or_default());
    }
    (bytes, true)
}

/// The output of a future that has nothing to wait for.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    future.now_or_never().expect("nothing to wait for")
}

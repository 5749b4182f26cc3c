//! Bodies, and a place for futures to run in.

use std::future::Future;

use bytes::Bytes;
use futures_util::stream;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use tokio::runtime::{Builder, Runtime};
use tower_fleet::BoxError;

/// A body of `bytes` in chunks of `size`, or in one where that is zero; it may break off at its end.
pub(crate) fn chunked(
    bytes: &[u8],
    size: usize,
    breaks: bool,
) -> impl Body<Data = Bytes, Error = BoxError> + Send + Unpin + use<> {
    let size = if size == 0 { bytes.len().max(1) } else { size };
    let chunks = bytes.chunks(size).map(Bytes::copy_from_slice).map(Frame::data).map(Ok);
    let broken = breaks.then(|| Err("broken".into()));
    StreamBody::new(stream::iter(chunks.chain(broken).collect::<Vec<_>>()))
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

/// The output of a future. No time passes but what it waits for.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    thread_local! {
        static RUNTIME: Runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}

//! What still runs on a connection, so that one on which nothing does need not be waited for.

use std::{
    future::{Future, poll_fn},
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use axum::body::{Body, Bytes};
use futures_util::task::AtomicWaker;
use http::Response;
use http_body::{Frame, SizeHint};
use hyper::body::Buf;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// The requests of one connection, until their answers have been written.
#[derive(Default)]
pub(crate) struct Requests {
    running: AtomicUsize,
    /// The client takes nothing for now.
    blocked: AtomicBool,
    ended: AtomicWaker,
}

impl Requests {
    pub(crate) fn begin(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::AcqRel);
        Running(Arc::clone(self))
    }

    /// Drives `connection` until it ends, or until nothing runs on it.
    pub(crate) async fn drain<C, E>(&self, mut connection: Pin<&mut C>) -> Result<(), E>
    where
        C: Future<Output = Result<(), E>>,
    {
        let idle = || self.running.load(Ordering::Acquire) == 0;
        poll_fn(|cx| {
            self.ended.register(cx.waker());
            // What ended before is written by the poll, and what came by then has begun with it.
            let idle_before = idle();
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
            if idle_before && idle() && !self.blocked.load(Ordering::Relaxed) {
                return Poll::Ready(Ok(()));
            }
            Poll::Pending
        })
        .await
    }
}

/// A request that runs as long as one of these is there.
pub(crate) struct Running(Arc<Requests>);

impl Running {
    /// The response whose body, and each chunk of it that is not written, is what runs.
    pub(crate) fn until_written(self, response: Response<Body>) -> Response<RunningBody> {
        response.map(|body| RunningBody { body, running: self })
    }
}

impl Clone for Running {
    fn clone(&self) -> Self {
        self.0.begin()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.ended.wake();
        }
    }
}

pub(crate) struct RunningBody {
    body: Body,
    running: Running,
}

impl http_body::Body for RunningBody {
    type Data = Chunk;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        let chunk = |bytes| Chunk { bytes, _running: self.running.clone() };
        frame.map(|frame| frame.map(|frame| frame.map(|frame| frame.map_data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// HTTP/2 holds it back for as long as the client's window is full.
pub(crate) struct Chunk {
    bytes: Bytes,
    _running: Running,
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

/// A socket that notes whether it has taken all that was written.
pub(crate) struct Socket {
    socket: TcpStream,
    requests: Arc<Requests>,
}

impl Socket {
    pub(crate) const fn new(socket: TcpStream, requests: Arc<Requests>) -> Self {
        Self { socket, requests }
    }

    fn noted<T>(&self, written: Poll<T>) -> Poll<T> {
        self.requests.blocked.store(written.is_pending(), Ordering::Relaxed);
        written
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.noted(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.noted(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

//! What hyper's real client reports of servers on loopback that fail in one way each.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use FailureKind as K;
use bytes::Bytes;
use http::Request;
use http_body_util::{Either, Empty};
use hyper::body::{Body, Frame};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::*;
use crate::BoxError;
use crate::outcome::Sent;

/// Starts a server that treats its first connection with `serve`, and gives its address.
async fn server<F>(serve: impl FnOnce(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = io::Result<()>> + Send,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { serve(listener.accept().await?.0).await });
    address
}

/// A request body that breaks after its first chunk.
#[derive(Default)]
struct Broken {
    begun: bool,
}

impl Body for Broken {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let begun = std::mem::replace(&mut self.begun, true);
        Poll::Ready(Some(if begun {
            Err("the caller hung up".into())
        } else {
            Ok(Frame::data(Bytes::from_static(b"hello")))
        }))
    }
}

async fn post(
    address: SocketAddr,
    http2: bool,
    body: Either<Empty<Bytes>, Broken>,
) -> (FailureKind, Sent) {
    let client = Client::builder(TokioExecutor::new()).http2_only(http2).build_http();
    let request = Request::post(format!("http://{address}/")).body(body).unwrap();
    let error = client.request(request).await.unwrap_err();
    let failure = Failure::from_error(&Error::Service(Box::new(error)));
    (failure.kind(), failure.sent())
}

async fn http1(address: SocketAddr) -> (FailureKind, Sent) {
    post(address, false, Either::Left(Empty::new())).await
}

async fn http2(address: SocketAddr) -> (FailureKind, Sent) {
    post(address, true, Either::Left(Empty::new())).await
}

#[tokio::test]
async fn a_refused_port_was_not_sent() {
    // Bound but not listening, so that nothing else can take the port meanwhile.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    assert_eq!(http1(address).await, (K::Connect, Sent::No));
    assert_eq!(http2(address).await, (K::Connect, Sent::No));
}

#[tokio::test]
async fn a_server_that_closes_before_answering_may_have_acted() {
    let address = server(async |mut stream| stream.read(&mut [0; 1024]).await.map(drop)).await;
    assert_eq!(http1(address).await, (K::Connect, Sent::Maybe));
}

#[tokio::test]
async fn a_server_that_resets_may_have_acted() {
    // To close a socket with bytes unread is to reset it.
    let address = server(async |mut stream| stream.read_u8().await.map(drop)).await;
    assert_eq!(http1(address).await, (K::Connect, Sent::Maybe));
}

#[tokio::test]
async fn a_request_given_to_a_dead_connection_was_not_sent() {
    let address = server(async |stream| stream.set_nodelay(true)).await;
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    drop(connection);

    let closed = sender.ready().await.unwrap_err();
    let cancelled = sender.send_request(Request::new(Empty::<Bytes>::new())).await.unwrap_err();
    assert!(closed.is_closed() && cancelled.is_canceled());
    for error in [closed, cancelled] {
        let failure = Failure::from_error(&error);
        assert_eq!((failure.kind(), failure.sent()), (K::Connect, Sent::No), "{error}");
    }
}

#[tokio::test]
async fn a_broken_request_body_is_the_callers_doing() {
    for http2 in [false, true] {
        let address =
            server(async |mut stream| copy(&mut stream, &mut sink()).await.map(drop)).await;
        let verdict = post(address, http2, Either::Right(Broken::default())).await;
        assert_eq!(verdict, (K::Cancelled, Sent::Maybe), "HTTP/2: {http2}");
    }
}

/// Answers the first HTTP/2 request with one frame, then hangs up.
async fn answer(mut stream: TcpStream, kind: u8, stream_id: u8, payload: &[u8]) -> io::Result<()> {
    stream.read_exact(&mut [0; 24]).await?; // the preface
    stream.write_all(&[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        copy(&mut (&mut stream).take(length.into()), &mut sink()).await?;
        if head[3] == HEADERS {
            break;
        }
    }
    let length = u8::try_from(payload.len()).unwrap();
    stream.write_all(&[&[0, 0, length, kind, 0, 0, 0, 0, stream_id], payload].concat()).await?;
    stream.shutdown().await?;
    copy(&mut stream, &mut sink()).await.map(drop)
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// The verdict of a client whose first HTTP/2 request is answered with one frame.
async fn answered(kind: u8, stream_id: u8, payload: &'static [u8]) -> (FailureKind, Sent) {
    http2(server(async move |stream| answer(stream, kind, stream_id, payload).await).await).await
}

#[tokio::test]
async fn a_refused_stream_was_not_sent() {
    let [refused, internal_error] = [&[0, 0, 0, 7], &[0, 0, 0, 2]];
    assert_eq!(answered(RST_STREAM, 1, refused).await, (K::Connect, Sent::No));
    assert_eq!(answered(RST_STREAM, 1, internal_error).await, (K::Connect, Sent::Maybe));
}

#[tokio::test]
async fn a_goaway_says_which_streams_were_not_taken_up() {
    // The last stream that was taken up (ours is 1), then the code: NO_ERROR or INTERNAL_ERROR.
    for (payload, sent) in [
        (&[0, 0, 0, 0, 0, 0, 0, 0], Sent::No),
        (&[0, 0, 0, 0, 0, 0, 0, 2], Sent::No),
        (&[0, 0, 0, 1, 0, 0, 0, 0], Sent::Maybe),
        (&[0, 0, 0, 1, 0, 0, 0, 2], Sent::Maybe),
    ] {
        assert_eq!(answered(GOAWAY, 0, payload).await, (K::Connect, sent), "{payload:?}");
    }
}

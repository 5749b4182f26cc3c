//! Servers for the examples to call.

use std::{convert::Infallible, future, io, sync::Arc};

use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Starts a server on loopback that sends to each request what `answer` gives, and returns its URL.
pub(crate) async fn serve<F>(answer: F) -> io::Result<String>
where
    F: Fn() -> Response<String> + Send + Sync + 'static,
{
    let answer = Arc::new(answer);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            let service = service_fn(move |_: Request<Incoming>| {
                future::ready(Ok::<_, Infallible>(answer()))
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(url)
}

/// A response of `status`, with a word in its body.
pub(crate) fn status(status: u16) -> Response<String> {
    let mut response = Response::new(String::from("hello"));
    *response.status_mut() = status.try_into().unwrap_or_default();
    response
}

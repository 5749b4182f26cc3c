//! The servers that this program runs as its own child processes.

use std::{
    io::{Read, Write},
    mem,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use futures_util::stream;
use http::{
    Request, Response, Uri,
    header::{CONTENT_TYPE, HOST},
    uri::{Authority, Scheme},
};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};
use tower_fleet::{
    BoxError, Deployment, GroupName, balance::LeastBusy, body::ReplayBody, fleet::FleetLayer,
    retry::RetryPolicy, upstream::Upstream,
};

/// How many a stream has, the last one `[DONE]`.
pub(crate) const CHUNKS: u32 = 50;
const PACE: Duration = Duration::from_millis(4);

const CHUNK: &str = "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word \"}}]}\n\n";

/// Serves as `role` until the parent lets go of its end of standard input.
pub(crate) async fn run(role: &str, upstreams: &[String]) -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    match role {
        "upstream" => serve(listener, answer).await,
        "plain" => plain(listener, upstreams).await,
        "fleet" => fleet(listener, upstreams).await,
        role => Err(format!("{role}: not a role").into()),
    }
}

async fn serve<F, A, B, E>(listener: TcpListener, handler: F) -> Result<(), BoxError>
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + 'static,
    A: Future<Output = Result<Response<B>, E>> + Send,
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    E: Into<BoxError>,
{
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let handler = handler.clone();
        tokio::spawn(async move {
            let connection =
                http1::Builder::new().serve_connection(TokioIo::new(socket), service_fn(handler));
            // The client goes away when it has measured.
            let _ = connection.await;
        });
    }
}

/// A small answer, or a stream, by the path.
async fn answer(request: Request<Incoming>) -> Result<Response<Body>, BoxError> {
    let (head, body) = request.into_parts();
    body.collect().await?;
    let pace = match head.uri.path().split('/').nth(1) {
        Some("burst") => Duration::ZERO,
        Some("paced") => PACE,
        _ => {
            let body = Body::from(&include_bytes!("answer.json")[..]);
            return Ok(Response::builder().header(CONTENT_TYPE, "application/json").body(body)?);
        }
    };
    let chunks = stream::unfold(0, move |index| async move {
        if index > 0 && !pace.is_zero() {
            tokio::time::sleep(pace).await;
        }
        let chunk = if index + 1 < CHUNKS { CHUNK } else { "data: [DONE]\n\n" };
        (index < CHUNKS).then_some((Ok::<_, BoxError>(chunk), index + 1))
    });
    let body = Body::from_stream(chunks);
    Ok(Response::builder().header(CONTENT_TYPE, "text/event-stream").body(body)?)
}

/// The floor: hyper's server and pooled client, and the next upstream for each request.
async fn plain(listener: TcpListener, upstreams: &[String]) -> Result<(), BoxError> {
    let client = client::<Incoming>();
    let upstreams: Arc<[Authority]> =
        upstreams.iter().map(|one| one.parse()).collect::<Result<_, _>>()?;
    let next = Arc::new(AtomicUsize::new(0));
    serve(listener, move |mut request| {
        let at = next.fetch_add(1, Ordering::Relaxed) % upstreams.len();
        let mut uri = mem::take(request.uri_mut()).into_parts();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(upstreams[at].clone());
        let client = client.clone();
        async move {
            *request.uri_mut() = Uri::from_parts(uri)?;
            request.headers_mut().remove(HOST);
            Ok::<_, BoxError>(client.request(request).await?)
        }
    })
    .await
}

/// The same, with the fleet's layers between server and client. The group is known without reading the body.
async fn fleet(listener: TcpListener, upstreams: &[String]) -> Result<(), BoxError> {
    let group = GroupName::new("chat");
    let members = upstreams
        .iter()
        .map(|one| Ok((Deployment::new(one.as_str()), Upstream::new(&format!("http://{one}"))?)));
    let members = members.collect::<Result<Vec<_>, BoxError>>()?;
    let fleet = FleetLayer::builder()
        .group(group.clone(), members)
        .strategy(LeastBusy)
        .retry(RetryPolicy::any_method())
        .build()?
        .layer(client::<ReplayBody>());
    serve(listener, move |mut request| {
        group.clone().set(&mut request);
        fleet.clone().oneshot(request)
    })
    .await
}

fn client<B>() -> Client<HttpConnector, B>
where
    B: http_body::Body<Data: Send> + Send,
{
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

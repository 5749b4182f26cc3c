//! An axum server whose handler calls through a fleet that it keeps in its state.

use axum::{
    Router,
    body::{self, Body},
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};
use tower_fleet::{
    BoxError, Deployment, Error, Served,
    body::ReplayBody,
    fleet::{FleetLayer, Stack},
    retry::RetryPolicy,
    upstream::Upstream,
};

/// The whole stack over hyper's client: a cheap handle.
pub type Fleet = Stack<Client<HttpConnector, ReplayBody>>;

/// The server.
pub fn app(fleet: Fleet) -> Router {
    Router::new().route("/chat", post(chat)).with_state(fleet)
}

async fn chat(State(fleet): State<Fleet>, request: Request) -> Response {
    match fleet.oneshot(request).await {
        Ok(response) => {
            let by = Served::of(&response).map(|served| served.deployment().id().to_owned());
            ([("x-served-by", by.unwrap_or_default())], response.map(Body::new)).into_response()
        }
        Err(Error::Refused(refused)) => {
            (StatusCode::SERVICE_UNAVAILABLE, refused.to_string()).into_response()
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

/// Puts the server before two others, of which one fails, and asks it.
///
/// # Panics
///
/// When what it shows is not so.
pub async fn run() -> Result<(), BoxError> {
    let eu = serve(Router::new().route("/v1/chat", post(|| async { StatusCode::BAD_GATEWAY })));
    let us =
        serve(Router::new().route("/v1/chat", post(|asked: String| async { asked + " indeed" })));
    let members = [
        (Deployment::new("eu").order(1), Upstream::new(&(eu.await? + "/v1"))?),
        (Deployment::new("us").order(2), Upstream::new(&(us.await? + "/v1"))?),
    ];
    let fleet = FleetLayer::builder().group("chat", members).retry(RetryPolicy::any_method());
    let client = Client::builder(TokioExecutor::new()).build_http();
    let app = app(fleet.build()?.layer(client));

    for question in ["hello", "hello again"] {
        let request = Request::post("/chat").body(Body::from(question))?;
        let (head, body) = app.clone().oneshot(request).await?.into_parts();
        let answer = body::to_bytes(body, 1024).await?;
        println!("{} {:?}: {answer:?}", head.status, head.headers["x-served-by"]);
        assert_eq!(head.headers["x-served-by"], "us");
        assert_eq!(answer, format!("{question} indeed"));
    }
    Ok(())
}

/// Starts a server on loopback and returns its URL.
async fn serve(app: Router) -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, app).into_future());
    Ok(url)
}

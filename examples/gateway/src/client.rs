//! The one client under every deployment.

use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tower_fleet::{body::ReplayBody, llm::RewrittenBody};

/// Reaches any host over HTTP/1 or HTTP/2, with and without TLS.
pub(crate) type Client = legacy::Client<HttpsConnector<HttpConnector>, RewrittenBody<ReplayBody>>;

/// An attempt may take minutes, but a host that takes no connection in this time will not take it later.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client that trusts the roots Mozilla trusts.
pub(crate) fn client() -> Result<Client, rustls::Error> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    // Nagle's algorithm would hold back the second of two small writes for 40 ms.
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())?
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(tcp);
    Ok(legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .build(connector))
}

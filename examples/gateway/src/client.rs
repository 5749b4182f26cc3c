//! The one client under every deployment.

use std::{env, path::Path, sync::Arc, time::Duration};

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{
        CertificateDer,
        pem::{self, PemObject as _},
    },
};
use tower_fleet::{BoxError, body::ReplayBody, llm::RewrittenBody};

/// Reaches any host over HTTP/1 or HTTP/2, with and without TLS.
pub(crate) type Client = legacy::Client<HttpsConnector<HttpConnector>, RewrittenBody<ReplayBody>>;

/// An attempt may take minutes, but a host that takes no connection in this time will not take it later.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Names a file of certificates, as OpenSSL and what is built on it read it.
const MORE_AUTHORITIES: &str = "SSL_CERT_FILE";

/// A client that trusts the authorities Mozilla trusts, and those of the file that the environment names.
pub(crate) fn client() -> Result<Client, BoxError> {
    let mut authorities: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    if let Some(file) = env::var_os(MORE_AUTHORITIES).filter(|file| !file.is_empty()) {
        add(&mut authorities, file.as_ref())
            .map_err(|why| format!("{MORE_AUTHORITIES}: cannot use {}: {why}", file.display()))?;
    }
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(authorities)
        .with_no_client_auth();

    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    // Nagle's algorithm would hold back the second of two small writes for 40 ms.
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(tcp);
    Ok(legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .build(connector))
}

/// Adds the certificates of a PEM file. Some of a system's collection may be too odd to be read; none is a mistake.
fn add(authorities: &mut RootCertStore, file: &Path) -> Result<(), BoxError> {
    let certificates =
        CertificateDer::pem_file_iter(file)?.collect::<Result<Vec<_>, pem::Error>>()?;
    match authorities.add_parsable_certificates(certificates) {
        (0, _) => Err("there is no certificate in it".into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(file: &str) -> Result<usize, String> {
        let mut authorities = RootCertStore::empty();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        add(&mut authorities, &file).map_err(|error| error.to_string())?;
        Ok(authorities.len())
    }

    #[test]
    fn a_file_of_certificates_adds_authorities() {
        assert_eq!(added("tests/support/authority.pem"), Ok(1));
    }

    #[test]
    fn a_file_without_certificates_is_a_mistake() {
        assert_eq!(added("Cargo.toml"), Err("there is no certificate in it".to_owned()));
        assert!(added("nowhere.pem").is_err());
    }
}

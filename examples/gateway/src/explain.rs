//! Why a request went where it went, for those who ask.
//!
//! A request asks with the header `x-fleet-explain`, or `explain` in its query, and gets `x-fleet-explanation` back:
//! each pick, with what kept the other deployments from it. No address and no key is in it.

use std::fmt::Write as _;

use axum::extract::Request;
use http::{HeaderMap, HeaderName, HeaderValue};
use tower_fleet::{Trail, trail::Explanation};

const ASKED: HeaderName = HeaderName::from_static("x-fleet-explain");
const TOLD: HeaderName = HeaderName::from_static("x-fleet-explanation");

/// Some proxies take no more than 8 KiB of all headers together.
const LONGEST: usize = 4096;

/// Who is to know.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    client: bool,
    log: bool,
}

impl Asked {
    /// What `request` asks for; that is no business of a deployment's.
    pub(crate) fn take(request: &mut Request) -> Self {
        let header = request.headers_mut().remove(ASKED);
        let by_header = header.is_some_and(|value| is_yes(value.as_bytes()));
        let query = request.uri().query().unwrap_or_default();
        let by_query = query.split('&').any(|member| match member.split_once('=') {
            Some((name, value)) => name == "explain" && is_yes(value.as_bytes()),
            None => member == "explain",
        });
        Self { client: by_header || by_query, log: tracing::enabled!(tracing::Level::DEBUG) }
    }

    /// The trail of `request`, with explanations if anyone is to know.
    pub(crate) fn trail(self, request: &mut Request) -> Trail {
        if self.client || self.log { Trail::explain(request) } else { Trail::start(request) }
    }

    /// Tells whoever asked, once the answer's head is there.
    pub(crate) fn tell(self, headers: &mut HeaderMap, trail: &Trail) {
        headers.remove(TOLD);
        let picks = trail.explanations();
        if self.log {
            for pick in &picks {
                tracing::debug!("{pick}");
            }
        }
        if !self.client {
            return;
        }
        let picks = picks.iter().map(|pick| compact(pick));
        let text = picks.collect::<Vec<_>>().join(" -> ");
        if let Ok(value) = HeaderValue::from_bytes(shortened(&text).as_bytes()) {
            headers.insert(TOLD, value);
        }
    }
}

fn is_yes(value: &[u8]) -> bool {
    ["", "1", "true", "yes"].iter().any(|yes| value.eq_ignore_ascii_case(yes.as_bytes()))
}

/// On one line: `picked us by LeastBusy; eu is cooling for 12.0 s more (rate_limited); us load 1: picked`.
fn compact(pick: &Explanation) -> String {
    let mut text = match (pick.picked(), pick.refused()) {
        (Some(picked), _) => format!("picked {}", picked.deployment().id()),
        (None, Some(refused)) => format!("refused: {refused}"),
        (None, None) => "picked none".to_owned(),
    };
    if !pick.strategies().is_empty() {
        let _ = write!(text, " by {}", pick.strategies().join(", "));
    }
    if !pick.reasons().is_empty() {
        let _ = write!(text, ": {}", pick.reasons().join(", "));
    }
    for one in pick.considered() {
        let _ = write!(text, "; {} {one}", one.deployment().id());
    }
    text
}

/// No longer than a header should be, and without what may not stand in one.
fn shortened(text: &str) -> String {
    let plain = |char: char| if char.is_control() { ' ' } else { char };
    let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    match text.get(..end).filter(|_| text.len() > LONGEST) {
        Some(begin) => begin.chars().map(plain).chain("...".chars()).collect(),
        None => text.chars().map(plain).collect(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn a_header_or_the_query_asks() {
        let asks = |uri: &str, header: Option<&'static str>| {
            let mut request = Request::new(Body::empty());
            *request.uri_mut() = uri.parse().unwrap();
            if let Some(value) = header {
                request.headers_mut().insert(ASKED, HeaderValue::from_static(value));
            }
            let asked = Asked::take(&mut request);
            assert!(request.headers().is_empty());
            asked.client
        };
        for (uri, header) in [
            ("/v1", Some("true")),
            ("/v1", Some("1")),
            ("/v1?explain", None),
            ("/v1?key=a&explain=true", None),
        ] {
            assert!(asks(uri, header), "{uri} {header:?}");
        }
        for (uri, header) in [
            ("/v1", None),
            ("/v1", Some("false")),
            ("/v1?explain=0", None),
            ("/v1?explained", None),
        ] {
            assert!(!asks(uri, header), "{uri} {header:?}");
        }
    }

    #[test]
    fn an_explanation_fits_into_a_header() {
        assert_eq!(shortened("a\nb"), "a b");
        let whole = "a".repeat(LONGEST);
        assert_eq!(shortened(&whole), whole);
        let long = shortened(&("a".to_owned() + &"ü".repeat(LONGEST)));
        assert!(long.ends_with("ü...") && long.len() == LONGEST + 2, "{}", long.len());
        assert!(HeaderValue::from_bytes(long.as_bytes()).is_ok());
    }
}

//! What a request asks of a router by its headers, under LiteLLM's names where it has one.

use std::{str::FromStr, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::InspectError;
use crate::{
    Overrides,
    llm::peek::{SECONDS, WHOLE, duration},
};

const TIMEOUT: HeaderName = HeaderName::from_static("x-litellm-timeout");
const STREAM_TIMEOUT: HeaderName = HeaderName::from_static("x-litellm-stream-timeout");
const NUM_RETRIES: HeaderName = HeaderName::from_static("x-litellm-num-retries");
const TAGS: HeaderName = HeaderName::from_static("x-litellm-tags");
const PRIORITY: HeaderName = HeaderName::from_static("x-litellm-priority");
const SESSION: HeaderName = HeaderName::from_static("x-litellm-session-id");
pub(super) const STRATEGY: HeaderName = HeaderName::from_static("x-routing-strategy");

#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) overrides: Overrides,
    pub(super) tags: Option<Vec<Arc<str>>>,
    pub(super) priority: Option<i32>,
    /// The conversation the request belongs to.
    pub(super) session: Option<Arc<str>>,
    pub(super) strategy: Option<Arc<str>>,
}

impl Asked {
    /// Takes these headers out of `headers`, for they are not for a deployment.
    pub(super) fn take(headers: &mut HeaderMap) -> Result<Self, InspectError> {
        let tags = text(headers, &TAGS)?.map(|tags| {
            tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(Into::into).collect()
        });
        Ok(Self {
            overrides: Overrides {
                retries: number(headers, &NUM_RETRIES, WHOLE)?,
                timeout: seconds(headers, &TIMEOUT)?,
                stream_timeout: seconds(headers, &STREAM_TIMEOUT)?,
            },
            tags,
            priority: number(headers, &PRIORITY, WHOLE)?,
            session: name(headers, &SESSION)?,
            strategy: name(headers, &STRATEGY)?,
        })
    }
}

/// The lines of a header are one list, see RFC 9110, section 5.3.
fn text(headers: &mut HeaderMap, name: &HeaderName) -> Result<Option<String>, InspectError> {
    let lines: Result<Vec<_>, _> = headers.get_all(name).iter().map(HeaderValue::to_str).collect();
    let text = lines.map_err(|_| wrong(name, "expected plain text"))?.join(",");
    Ok(headers.remove(name).map(|_| text.trim().to_owned()))
}

fn name(headers: &mut HeaderMap, name: &HeaderName) -> Result<Option<Arc<str>>, InspectError> {
    Ok(text(headers, name)?.filter(|text| !text.is_empty()).map(Into::into))
}

fn number<T: FromStr>(
    headers: &mut HeaderMap,
    name: &HeaderName,
    expected: &'static str,
) -> Result<Option<T>, InspectError> {
    let number = |text: String| text.parse().map_err(|_| wrong(name, expected));
    text(headers, name)?.map(number).transpose()
}

fn seconds(headers: &mut HeaderMap, name: &HeaderName) -> Result<Option<Duration>, InspectError> {
    let given: Option<f64> = number(headers, name, SECONDS)?;
    given.map(|seconds| duration(seconds).ok_or_else(|| wrong(name, SECONDS))).transpose()
}

pub(super) fn wrong(name: &HeaderName, reason: &'static str) -> InspectError {
    InspectError::Member { name: name.to_string(), reason }
}

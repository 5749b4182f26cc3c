//! One line a request, written when its response body has ended.
//!
//! ```text
//! POST /v1/chat/completions chat 200 44ms | flaky 500 3ms -> quick 200 41ms | 12+5 tokens $0.000045
//! POST /v1/chat/completions capped 200 62ms | limited 429 1ms -> quick 200 60ms | fallback to chat | 12+5 tokens
//! POST /v1/chat/completions brief 200 44ms | small 400 context_window 2ms -> quick 200 41ms | fallback to chat | 30+5 tokens
//! POST /v1/chat/completions chat 200 310ms | quick 200 41ms | the client left
//! POST /v1/chat/completions chat 200 260ms | quick 200 41ms after 219ms in the queue
//! POST /v1/chat/completions chat 429 0ms | every deployment of group chat has had all it may have in a time: 5 requests in 60 s, try again in 12.0 s
//! ```
//!
//! Neither headers, queries nor bodies are in it, so no secret is.

use std::{borrow::Cow, error::Error, fmt, io::IsTerminal as _, sync::Arc, time::Duration};

use http::{Method, Response, StatusCode};
use tower_fleet::{
    Trail,
    body::{End, OnEnd},
    outcome::{Classify as _, FailureKind, HttpClassify, Outcome},
    trail::Step,
};
use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::{
    gateway::{Asked, Gateway},
    money::Taken,
};

/// Writes what is logged to the standard error: what `RUST_LOG` names, such as `tower_fleet_gateway=debug`, or what is worth
/// to be known.
pub fn init() {
    let named = std::env::var("RUST_LOG").ok().and_then(|names| names.parse::<Targets>().ok());
    let named = named.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer()
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines.with_filter(named)).init();
}

/// An error and what it came from, as far as it does not say that itself.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(error.source(), |cause| (*cause).source()) {
        let cause = cause.to_string();
        if !text.ends_with(&cause) {
            text = text + ": " + &cause;
        }
    }
    text
}

/// Writes of a request that reached no fleet.
pub(crate) fn turned_away(method: &Method, path: &str, status: StatusCode) {
    tracing::info!("{} {} {}", Plain(method.as_str()), Plain(path), status.as_u16());
}

/// What will be written of a request. Dropping it writes it, so that none is forgotten.
pub(crate) struct Line {
    gateway: Arc<Gateway>,
    method: Method,
    path: String,
    asked: Asked,
    trail: Trail,
    answer: Option<StatusCode>,
    end: Finish,
}

/// How a request ended.
enum Finish {
    /// Not of itself, as far as is known.
    Dropped,
    Complete,
    /// The body did, after the head had been sent.
    BrokeOff(String),
    /// Without an answer of a deployment.
    Failed(String),
}

impl Line {
    pub(crate) fn new(
        gateway: Arc<Gateway>,
        method: Method,
        path: &str,
        asked: Asked,
        trail: Trail,
    ) -> Self {
        let path = path.to_owned();
        Self { gateway, method, path, asked, trail, answer: None, end: Finish::Dropped }
    }

    /// The response head is on its way; what becomes of the body is yet to be seen.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.answer = Some(status);
    }

    /// No deployment answered.
    pub(crate) fn failed(&mut self, status: StatusCode, error: &tower_fleet::Error) {
        self.answer = Some(status);
        self.end = Finish::Failed(match error {
            tower_fleet::Error::Service(inner) => chain(&**inner),
            ours => chain(ours),
        });
    }

    fn remark(&self) -> Option<Cow<'_, str>> {
        match &self.end {
            Finish::Dropped if self.gateway.is_cut_off() => Some("cut off at shutdown".into()),
            Finish::Dropped => Some("the client left".into()),
            Finish::Complete => None,
            Finish::BrokeOff(why) => Some(format!("broke off: {why}").into()),
            Finish::Failed(why) => Some(why.into()),
        }
    }
}

impl OnEnd for Line {
    fn on_end(mut self, end: &End<'_>) {
        match end {
            End::Complete | End::Trailers(_) => self.end = Finish::Complete,
            End::Error(error) => self.end = Finish::BrokeOff(chain(*error)),
            _ => {}
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let cut_off = match self.end {
            Finish::BrokeOff(_) => true,
            Finish::Dropped => self.gateway.is_cut_off(),
            Finish::Complete | Finish::Failed(_) => false,
        };
        if cut_off || self.answer.is_some_and(|status| status.is_server_error()) {
            tracing::warn!("{self}");
        } else {
            tracing::info!("{self}");
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, Plain(&self.path))?;
        if let Some(model) = self.asked.model() {
            write!(f, " {}", Plain(model.as_str()))?;
        }
        if let Some(status) = self.answer {
            write!(f, " {}", status.as_u16())?;
        }
        write!(f, " {}", Took(self.trail.started().elapsed()))?;
        let steps = self.trail.attempts();
        let mut before = " | ";
        for step in &steps {
            write!(f, "{before}{}", Tried(step, self.answer))?;
            before = " -> ";
        }
        before = " | fallback to ";
        for group in self.trail.fallbacks() {
            write!(f, "{before}{}", Plain(group.as_str()))?;
            before = ", ";
        }
        if let Some(taken) = Taken::by(&steps) {
            write!(f, " | {taken}")?;
        }
        match self.remark() {
            Some(remark) => write!(f, " | {}", Plain(&remark)),
            None => Ok(()),
        }
    }
}

/// An attempt, of a request that was answered so.
struct Tried<'a>(&'a Step, Option<StatusCode>);

impl fmt::Display for Tried<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(step, answer) = self;
        Plain(step.deployment().map_or("-", |deployment| deployment.id())).fmt(f)?;
        let Some(took) = step.took() else {
            return write!(f, " unanswered {}", Took(step.started().elapsed()));
        };
        match step.outcome() {
            Some(Outcome::Failure(failure)) => match failure.status() {
                Some(status) => {
                    write!(f, " {}", status.as_u16())?;
                    if kind_of(status) != Some(failure.kind()) {
                        write!(f, " {}", failure.kind())?;
                    }
                }
                None => write!(f, " {}", failure.kind())?,
            },
            // What succeeds is what answers.
            _ => write!(f, " {}", answer.map_or(0, |status| status.as_u16()))?,
        }
        write!(f, " {}", Took(took))?;
        match step.waited() {
            Some(waited) => write!(f, " after {} in the queue", Took(waited)),
            None => Ok(()),
        }
    }
}

/// The kind of failure that a status says by itself; the body of an answer may say more.
fn kind_of(status: StatusCode) -> Option<FailureKind> {
    let mut response = Response::new(());
    *response.status_mut() = status;
    let outcome = HttpClassify::inference().head(&response.into_parts().0)?;
    outcome.failure().map(|failure| failure.kind())
}

/// A time as short as it can be read.
struct Took(Duration);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            millis @ 0..10_000 => write!(f, "{millis}ms"),
            _ => write!(f, "{:.1}s", self.0.as_secs_f64()),
        }
    }
}

/// Text from outside, on one line and not endless.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 300;
        let mut chars = self.0.chars();
        for char in chars.by_ref().take(LONGEST) {
            if char.is_control() {
                write!(f, "{}", char.escape_default())?;
            } else {
                write!(f, "{char}")?;
            }
        }
        if chars.next().is_some() { f.write_str("…") } else { Ok(()) }
    }
}

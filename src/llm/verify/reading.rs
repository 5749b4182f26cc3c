//! How much of a response is read before it is handed on, and what is made of it.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, response::Parts};
use http_body::Body;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    held::{Held, Shown},
    opening::{self, Opening},
};
use crate::{
    BoxError, Error,
    body::KeptBody,
    error::Malformed,
    llm::{
        content_type::{self, Format},
        meaning::{self, Model},
    },
    outcome::{Classify, Failure, FailureKind, Outcome},
    trail::{Answered, Carried},
};

/// As much of an error is read; error bodies are rarely longer.
const ERROR_LIMIT: usize = 64 * 1024;

/// As long the rest of an error is waited for: it comes with the head, or something is wrong with the server.
const ERROR_PATIENCE: Duration = Duration::from_secs(2);

/// As much of an answer is read to find why it ended.
const ANSWER_LIMIT: usize = 1024 * 1024;

/// As much of a stream is held until its first content.
const HOLD_LIMIT: usize = 16 * 1024;

/// What does not show within so much is not looked for.
const OPENING_LIMIT: usize = 4 * 1024;

/// What the request asked for, as far as it says what the response must be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// A response to it can have a body.
    with_body: bool,
    /// None where the endpoint is not known.
    format: Option<Format>,
    /// Whatever it is, an inference API gives no web pages.
    not_html: bool,
    model: Model,
    /// An answer that the provider's filter has withheld has a list of groups to go to.
    filtered_goes_elsewhere: bool,
    /// A time limit above ends the attempt then.
    until: Option<Instant>,
}

/// Why a response is read, and so how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its status says that it failed: all of it.
    Failed,
    /// Until it is clear how it begins.
    Opening(Format),
    /// It began as an error in spite of its status: all of it, or the first event.
    FailedWithin(Format),
    /// A stream, until its first content.
    Held,
    /// Until it is clear why the answer ended: all of it.
    Answer,
}

impl Asked {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let carried = Carried::of(request.extensions());
        let inspected = carried.and_then(|carried| carried.inspected.as_deref());
        let post = inspected.filter(|_| request.method() == Method::POST);
        let elsewhere = carried.map(|carried| carried.elsewhere).unwrap_or_default();
        Self {
            with_body: request.method() != Method::HEAD,
            format: post.and_then(Format::asked),
            not_html: post.is_some(),
            model: Model::of(carried),
            filtered_goes_elsewhere: elsewhere.listed.contains(FailureKind::ContentPolicy),
            until: carried.and_then(|carried| carried.until),
        }
    }

    /// Why to read the body after this head, if there is a reason.
    pub(super) fn look_into(
        self,
        head: &Parts,
        classify: &dyn Classify,
    ) -> Result<Option<Phase>, Malformed> {
        let status = head.status;
        let encoded = content_type::is_encoded(&head.headers);
        if status.is_client_error() || status.is_server_error() {
            let failed = classify.head(head).and_then(Outcome::failure).is_some();
            return Ok((failed && self.with_body && !encoded).then_some(Phase::Failed));
        }
        let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT);
        if !status.is_success() || bodiless {
            return Ok(None);
        }
        let named = content_type::named(&head.headers).unwrap_or_default();
        let Some(asked) = self.format else {
            let html = self.not_html && named.eq_ignore_ascii_case(b"text/html");
            return if html { Err(unlike("an answer", "text/html")) } else { Ok(None) };
        };
        match Format::of(&head.headers, Some(asked)) {
            Some(found) if !encoded => Ok(Some(Phase::Opening(found))),
            Some(found) if found == asked => Ok(None),
            _ => Err(unlike(name(asked), &String::from_utf8_lossy(named))),
        }
    }
}

const fn name(format: Format) -> &'static str {
    match format {
        Format::Json => "JSON",
        Format::Events => "an event stream",
    }
}

/// `found` instead of what was `expected`.
fn unlike(expected: &str, found: &str) -> Malformed {
    // A content type is short; what is longer is none.
    let found = if found.len() <= 100 { found } else { "something else" };
    Malformed::new(format!("expected {expected}, got {found}"))
}

/// A response that is read ahead.
pub(super) struct Reading<R: Body> {
    head: Parts,
    body: KeptBody<R>,
    asked: Asked,
    phase: Phase,
    patience: Option<Pin<Box<Sleep>>>,
    events: Held,
    /// How many frames `events` has read.
    frames: usize,
}

/// What is known of a response.
enum Verdict {
    /// Not enough.
    ReadOn,
    /// Nothing is wrong with it, or no more than its head says.
    Fine,
    /// It failed, and is the answer to give if there is no better one.
    Failed(Failure),
    /// It is none to give.
    Unfit(Error),
}

impl<R> Reading<R>
where
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    pub(super) fn new(head: Parts, body: R, asked: Asked, phase: Phase) -> Self {
        let body = KeptBody::to_read_ahead(body);
        Self { head, body, asked, phase, patience: None, events: Held::default(), frames: 0 }
    }

    /// Reads until it is clear how the response fails, if it does; an error takes its place.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        classify: &dyn Classify,
    ) -> Poll<Result<Option<Failure>, Error>> {
        loop {
            let waited = match self.body.poll_one_ahead(cx) {
                Poll::Ready(()) => false,
                Poll::Pending if self.is_patience_over(cx) => true,
                Poll::Pending => return Poll::Pending,
            };
            return Poll::Ready(match self.judge(waited, classify) {
                Verdict::ReadOn => continue,
                Verdict::Fine => Ok(None),
                Verdict::Failed(failure) => Ok(Some(failure)),
                Verdict::Unfit(error) => Err(error),
            });
        }
    }

    /// The response with its body intact, and how it has failed.
    pub(super) fn hand_on(self, failure: Option<Failure>) -> Response<KeptBody<R>> {
        let mut head = self.head;
        if let Some(failure) = failure {
            Answered::entry(&mut head.extensions).outcome = Some(failure.into());
        }
        Response::from_parts(head, self.body)
    }

    /// Whether the rest of an error has taken too long: then the head must do. It would be lost to a time limit.
    fn is_patience_over(&mut self, cx: &mut Context<'_>) -> bool {
        if !matches!(self.phase, Phase::Failed | Phase::FailedWithin(_)) {
            return false;
        }
        let until = self.asked.until;
        let patience = self.patience.get_or_insert_with(|| {
            let patience = Instant::now() + ERROR_PATIENCE;
            Box::pin(sleep_until(until.map_or(patience, |until| until.min(patience))))
        });
        // The limit's own timer may be the first of the two to go off.
        Instant::now() >= patience.deadline() || patience.as_mut().poll(cx).is_ready()
    }

    /// What is known by what was read; `waited` says that no more is waited for.
    fn judge(&mut self, waited: bool, classify: &dyn Classify) -> Verdict {
        if self.phase != Phase::Failed
            && let Some(error) = self.body.take_error()
        {
            return Verdict::Unfit(Error::Truncated(error.into()));
        }
        let (whole, size) = (self.body.is_whole(), self.body.size_ahead());
        match self.phase {
            Phase::Failed if whole => self.refined(classify),
            Phase::Failed if waited || size >= ERROR_LIMIT || self.body.is_broken() => {
                Verdict::Fine
            }
            Phase::Opening(found) => {
                let asked = self.asked.format.unwrap_or(found);
                let (opening, found) = self.opening(found, whole);
                let unfit = |what| Verdict::Unfit(unlike(name(asked), what).into());
                let next = match opening {
                    Opening::Unclear if size < OPENING_LIMIT => return Verdict::ReadOn,
                    Opening::Empty => return unfit("an empty body"),
                    Opening::Strange => return unfit("something else"),
                    Opening::Good if found == Format::Json && self.has_error_object() => {
                        return self.failed_within(&self.body.read_ahead(), classify);
                    }
                    Opening::Good if found != asked => return unfit(name(found)),
                    Opening::Good if !self.asked.filtered_goes_elsewhere => return Verdict::Fine,
                    Opening::Good if found == Format::Json => Phase::Answer,
                    Opening::Good => Phase::Held,
                    Opening::Unclear => return Verdict::Fine,
                    Opening::Error => Phase::FailedWithin(found),
                };
                self.phase = next;
                self.judge(false, classify)
            }
            Phase::FailedWithin(found) => {
                let over = whole || waited || size >= ERROR_LIMIT;
                let error = match found {
                    Format::Events => self.look(Held::read_first, over.then_some(Held::rest)),
                    Format::Json => over.then(|| self.body.read_ahead().into_owned()),
                };
                match error {
                    Some(error) => self.failed_within(&error, classify),
                    None if over => Verdict::Failed(Failure::new(FailureKind::Server)),
                    None => Verdict::ReadOn,
                }
            }
            Phase::Held => {
                let over = whole || size >= HOLD_LIMIT;
                match self.look(Held::read, whole.then_some(Held::finish)) {
                    Some(Shown::Content) => Verdict::Fine,
                    Some(Shown::Filtered) => FILTERED,
                    Some(Shown::Error(error)) => self.failed_within(&error, classify),
                    None if over => Verdict::Fine,
                    None => Verdict::ReadOn,
                }
            }
            Phase::Answer if whole && self.has_error_object() => {
                self.failed_within(&self.body.read_ahead(), classify)
            }
            Phase::Answer if whole && opening::is_filtered(&self.body.read_ahead()) => FILTERED,
            Phase::Answer if whole || size >= ANSWER_LIMIT => Verdict::Fine,
            Phase::Failed | Phase::Answer => Verdict::ReadOn,
        }
    }

    /// The failure that the status tells of, of the kind that the body tells of.
    fn refined(&self, classify: &dyn Classify) -> Verdict {
        let Some(Outcome::Failure(failure)) = classify.head(&self.head) else {
            return Verdict::Fine;
        };
        let body = self.body.read_ahead();
        let refined = meaning::refined(failure, self.head.status, &body, self.asked.model);
        // A classifier above may know better than this one what the status means.
        refined.map_or(Verdict::Fine, Verdict::Failed)
    }

    /// How the body begins, and as what.
    fn opening(&self, found: Format, whole: bool) -> (Opening, Format) {
        let text = self.body.read_ahead();
        let json = || opening::json(&text, whole);
        if found != Format::Events {
            return (json(), found);
        }
        match (opening::stream(&text, whole), json()) {
            // Some servers call an error an event stream because that was asked for.
            (Opening::Strange, as_json @ (Opening::Error | Opening::Unclear)) => {
                (as_json, Format::Json)
            }
            (opening, _) => (opening, found),
        }
    }

    /// What the events show that have come since the last look, or all there are, where no more will.
    fn look<T>(
        &mut self,
        read: fn(&mut Held, &[u8]) -> Option<T>,
        finish: Option<fn(&mut Held) -> Option<T>>,
    ) -> Option<T> {
        for chunk in self.body.chunks_ahead(self.frames) {
            self.frames += 1;
            let found = chunk.and_then(|chunk| read(&mut self.events, chunk));
            if found.is_some() {
                return found;
            }
        }
        finish?(&mut self.events)
    }

    /// The failure that an error inside a success means.
    fn failed_within(&self, error: &[u8], classify: &dyn Classify) -> Verdict {
        Verdict::Failed(meaning::failure_within(error, classify, self.asked.model))
    }

    fn has_error_object(&self) -> bool {
        opening::has_error_object(&self.body.read_ahead())
    }
}

const FILTERED: Verdict = Verdict::Failed(Failure::new(FailureKind::ContentPolicy));

use std::sync::atomic::Ordering::Relaxed;

use http::{Extensions, HeaderMap, StatusCode, header::CONTENT_TYPE};
use tokio::time::Instant;

use super::{super::TYPICAL_OUTPUT, Measure};
use crate::{
    Deployment,
    body::End,
    outcome::{Cools, Failure, FailureKind, HttpClassify, Outcome},
    trail::{Answered, Late},
};

/// Measures one request, from its pick to its end; dropped before, it was cancelled.
#[derive(Debug)]
pub(crate) struct Sampling {
    deployment: Deployment,
    started: Instant,
    /// The response is to be a stream.
    stream: bool,
    stage: Stage,
    /// What a layer below finds out of the body as it passes.
    late: Option<Late>,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Head,
    FirstChunk,
    /// The end of an answer that is no stream.
    Whole,
    /// The end of a stream, which may break: only then is it known whether it failed.
    End,
    Nothing,
}

/// What an outcome says of a deployment.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    Good,
    Bad,
    /// Whoever waited went away.
    Left,
    /// It is about the request.
    Nothing,
}

impl Sampling {
    /// Of a request that is sent now; none where nothing reads what is measured.
    pub(crate) fn begin(deployment: &Deployment, started: Instant, stream: bool) -> Option<Self> {
        deployment.latency().rate()?;
        deployment.latency().awaited.fetch_add(1, Relaxed);
        let deployment = deployment.clone();
        Some(Self { deployment, started, stream, stage: Stage::Head, late: None })
    }

    /// Takes the response head.
    pub(crate) fn head(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) {
        let answered = Answered::of(extensions);
        let verdict = match answered.and_then(|answered| answered.outcome) {
            Some(outcome) => Verdict::of(outcome),
            None => Verdict::of_status(status),
        };
        if verdict != Verdict::Good {
            return self.judge(verdict);
        }
        self.late = answered.and_then(|answered| answered.late.clone());
        self.stream |= is_event_stream(headers);
        self.took(Measure::FirstByte);
        self.wait_for(if self.stream { Stage::FirstChunk } else { Stage::Whole });
    }

    /// Takes the first bytes of the body.
    pub(crate) fn chunk(&mut self) {
        if self.stage == Stage::FirstChunk {
            self.took(Measure::FirstChunk);
            self.wait_for(Stage::End);
        }
    }

    /// Takes the end of the body.
    pub(crate) fn end(&mut self, end: &End<'_>) {
        let late = self.late.as_ref().and_then(Late::get);
        match end {
            _ if self.stage == Stage::Nothing => {}
            _ if late.is_some() => self.judge(late.map_or(Verdict::Nothing, Verdict::of_failure)),
            End::Error(_) => self.judge(Verdict::of_failure(Failure::new(FailureKind::Truncated))),
            End::Dropped => self.judge(Verdict::Left),
            End::Complete | End::Trailers(_) => {
                if self.stage == Stage::Whole {
                    self.took(Measure::Whole);
                }
                self.judge(Verdict::Good);
            }
        }
    }

    /// Takes the error that came instead of a head.
    pub(crate) fn error(&mut self, error: &(dyn std::error::Error + 'static)) {
        self.judge(Verdict::of_failure(Failure::from_error(error)));
    }

    fn judge(&mut self, verdict: Verdict) {
        let latency = self.deployment.latency();
        let (now, elapsed) = self.elapsed();
        // No failure is a fast answer, however fast it came; a slow one tells that an answer takes longer still.
        if matches!(verdict, Verdict::Bad | Verdict::Left) && self.stage.is_awaited() {
            if self.stage == Stage::Head {
                latency.took_at_least(Measure::FirstByte, elapsed, now);
            }
            let own = if self.stream { Measure::FirstChunk } else { Measure::Whole };
            latency.took_at_least(own, elapsed, now);
            // How long the answer would have been nobody knows.
            let each = elapsed / f32::from(TYPICAL_OUTPUT);
            latency.took_at_least(Measure::PerToken, each, now);
        }
        if matches!(verdict, Verdict::Good | Verdict::Bad) {
            latency.ended(verdict == Verdict::Bad, now);
        }
        self.wait_for(Stage::Nothing);
    }

    fn took(&self, measure: Measure) {
        let (now, elapsed) = self.elapsed();
        self.deployment.latency().took(measure, elapsed, now);
    }

    /// Now, and the seconds from the pick to now.
    fn elapsed(&self) -> (Instant, f32) {
        let now = Instant::now();
        (now, now.saturating_duration_since(self.started).as_secs_f32())
    }

    fn wait_for(&mut self, next: Stage) {
        if self.stage.is_awaited() && !next.is_awaited() {
            self.deployment.latency().awaited.fetch_sub(1, Relaxed);
        }
        self.stage = next;
    }
}

impl Stage {
    /// Whether the caller has nothing yet to go on with.
    const fn is_awaited(self) -> bool {
        matches!(self, Self::Head | Self::FirstChunk | Self::Whole)
    }
}

impl Drop for Sampling {
    fn drop(&mut self) {
        if self.stage != Stage::Nothing {
            self.judge(Verdict::Left);
        }
    }
}

impl Verdict {
    fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Good,
            Outcome::Failure(failure) => Self::of_failure(failure),
            Outcome::Ignored => Self::Nothing,
        }
    }

    fn of_failure(failure: Failure) -> Self {
        match failure.cools() {
            Cools::Counts | Cools::AtOnce => Self::Bad,
            Cools::Never if failure.is_callers() => Self::Left,
            Cools::Never => Self::Nothing,
        }
    }

    /// Where no layer below has judged.
    fn of_status(status: StatusCode) -> Self {
        if status.as_u16() < 400 {
            return Self::Good;
        }
        let kind = HttpClassify::inference().kind(status);
        kind.map_or(Self::Nothing, |kind| Self::of_failure(Failure::new(kind)))
    }
}

/// Whether it says so itself, where nothing has read what the request asks for.
fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/event-stream"))
}

use std::time::Duration;

use super::{Candidate, Candidates, Choice, Strategy};
use crate::deployment::{Measure, Reading, TYPICAL_OUTPUT};

/// The deployment that is expected to answer soonest. LiteLLM calls it `latency-based-routing`.
///
/// The expected time is what [answers took](crate::deployment::Latency) lately, where a failure costs a
/// [penalty](Self::penalty) and another try: `(time + failed × penalty) / (1 − failed)`, `failed` being the share of
/// failures. It is multiplied by the requests in flight for the weight, plus one, as in Finagle's peak EWMA balancing: a
/// fast deployment gets more requests, not all of them. A failure is a bad sample however fast it came, so a deployment
/// that fails at once draws no traffic, also without a cooldown; a request that the caller gave up counts only where it
/// had lasted longer than was expected. The [balance](super::super::Balance) measures all this itself.
///
/// A deployment nothing is known of is expected to be as fast as the median of the others, or to take at least as long as
/// callers have waited for it in vain. While it has nothing in flight, it gets one request at once, up to three times
/// until one is answered.
///
/// What is known to be slow, or to fail, is tried again by a small [share](Self::explore) of the requests, which goes to
/// whichever was silent longest (ε-greedy: Sutton and Barto, *Reinforcement Learning*, 2.2), and where the others are
/// busier than it is slow. Finagle lets the estimate of an idle deployment sink instead: with a request each minute all
/// estimates would be at nothing by the next, and the slow ones picked as often as the fast.
///
/// ```
/// use std::time::Duration;
/// use tower_fleet::balance::{LatencyMeasure, LowestLatency};
///
/// let strategy = LowestLatency::new()
///     .by(LatencyMeasure::FirstByte)
///     .buffer(0.1)
///     .decay(Duration::from_secs(30));
/// ```
#[derive(Clone, Debug)]
pub struct LowestLatency {
    by: LatencyMeasure,
    buffer: f64,
    decay: Duration,
    penalty: Duration,
    explore: f64,
}

/// The time that [`LowestLatency`] goes by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LatencyMeasure {
    /// [`FirstChunk`](Self::FirstChunk) for requests that [want a stream](crate::Demand::stream); for others
    /// [`PerToken`](Self::PerToken) where tokens are counted, else [`Whole`](Self::Whole). As long as none of them was
    /// measured, [`FirstByte`](Self::FirstByte).
    #[default]
    Auto,
    /// Until the response head, however long the body takes or hangs: for files, whose size and reader say how long they
    /// take.
    FirstByte,
    /// Until the first bytes of the body, of answers that are streams.
    FirstChunk,
    /// Until the end of the body, of answers that are no streams. A caller that reads slowly is part of it.
    Whole,
    /// That of a whole answer for each token of its output, where `llm::Meter` counts them: long answers are not slow
    /// ones.
    PerToken,
}

/// Requests that a deployment gets before anything is known of it.
const TRIALS: u64 = 3;

/// The seconds below which no time is expected to be.
const LEAST: f32 = 1e-6;

impl LowestLatency {
    /// With the defaults of the setters.
    #[must_use]
    pub fn new() -> Self {
        Self {
            by: LatencyMeasure::Auto,
            buffer: 0.0,
            decay: Duration::from_secs(10),
            penalty: Duration::from_secs(10),
            explore: 0.01,
        }
    }

    /// What time counts. Default [`LatencyMeasure::Auto`].
    #[must_use]
    pub fn by(mut self, measure: LatencyMeasure) -> Self {
        self.by = measure;
        self
    }

    /// How much worse than the best a deployment may be and still count as its equal, of 1: equals are spread by least
    /// busy. Default 0, as in LiteLLM, where it is `lowest_latency_buffer`; there equals are drawn at random.
    #[must_use]
    pub fn buffer(mut self, share: f64) -> Self {
        self.buffer = share;
        self
    }

    /// How long samples matter: one counts for a third (1/e) beside another that comes this time after it. Default 10 s,
    /// as in Finagle: about as long as an answer of a model takes. The deployment keeps one average, so of several
    /// balances that have it the one made last says.
    #[must_use]
    pub fn decay(mut self, time: Duration) -> Self {
        self.decay = time;
        self
    }

    /// What a failure costs, beside the time of another try. Default 10 s: more than an answer takes, so that a
    /// deployment with one failure in four comes after one that is twice as slow.
    #[must_use]
    pub fn penalty(mut self, time: Duration) -> Self {
        self.penalty = time;
        self
    }

    /// The share of requests, of 1, that go to the deployment that was silent longest, if it was for longer than the
    /// [decay](Self::decay). Default 0.01: what slow ones get where requests do not overlap, however many or few there
    /// are. At 0 only load brings them back.
    #[must_use]
    pub fn explore(mut self, share: f64) -> Self {
        self.explore = share;
        self
    }

    /// The candidate with the lowest score, or, if there is a buffer, one of its equals.
    fn lowest(
        &self,
        candidates: &mut Candidates<'_>,
        score: impl FnMut(Candidate<'_>) -> f64,
    ) -> Option<Choice> {
        if self.buffer > 0.0 {
            let most = 1.0 + self.buffer;
            candidates.explain(|| format!("up to {most} times the best are as good"));
            candidates.least_busy_within(score, |lowest| lowest * (1.0 + self.buffer))
        } else {
            candidates.lowest(score)
        }
    }

    /// One for all candidates, so that their times can be compared.
    fn measure(&self, candidates: &Candidates<'_>) -> Measure {
        let wanted = match self.by {
            LatencyMeasure::FirstByte => return Measure::FirstByte,
            LatencyMeasure::FirstChunk => return Measure::FirstChunk,
            LatencyMeasure::Whole => return Measure::Whole,
            LatencyMeasure::PerToken => return Measure::PerToken,
            LatencyMeasure::Auto if candidates.demand().is_some_and(|demand| demand.stream) => {
                &[Measure::FirstChunk][..]
            }
            LatencyMeasure::Auto => &[Measure::PerToken, Measure::Whole],
        };
        // Where tokens are counted they are so for most: to ask all of many would cost as much as the pick.
        let is_known = |measure: &Measure| {
            candidates.iter().take(8).any(|one| one.deployment().latency().knows(*measure))
        };
        wanted.iter().copied().find(is_known).unwrap_or(Measure::FirstByte)
    }

    /// The candidate that was silent longest, and long enough for what is known of it to be old.
    fn most_silent(&self, candidates: &mut Candidates<'_>) -> Option<Choice> {
        let clock = candidates.clock();
        let silence = |one: &Candidate<'_>| one.silence(clock);
        let long = self.decay.as_secs_f32();
        candidates.only(
            |one| silence(&one).is_some_and(|silence| silence > long),
            |silent| {
                silent.name_scores("seconds silent");
                silent.highest(|one| f64::from(silence(&one).unwrap_or(0.0)))
            },
        )
    }
}

impl Default for LowestLatency {
    fn default() -> Self {
        Self::new()
    }
}

impl Strategy for LowestLatency {
    fn pick(&self, candidates: &mut Candidates<'_>) -> Option<Choice> {
        if self.explore > 0.0 && candidates.rng().f64() < self.explore {
            let silent = self.most_silent(candidates);
            if silent.is_some() {
                candidates.explain(|| "to explore".to_owned());
                return silent;
            }
        }
        let mut forecast = Forecast {
            measure: self.measure(candidates),
            clock: candidates.clock(),
            penalty: self.penalty.as_secs_f32(),
            unknown: f32::NAN,
        };
        candidates.name_scores("expected seconds");
        candidates.remark(|one| forecast.remark(&one));
        let mut unknown = false;
        let fastest = self.lowest(candidates, |one| {
            let score = forecast.score(&one);
            unknown |= score.is_nan();
            score
        });
        if !unknown {
            return fastest;
        }
        forecast.unknown = forecast.median(candidates);
        self.lowest(candidates, |one| forecast.score(&one))
    }

    fn latency_decay(&self) -> Option<Duration> {
        Some(self.decay)
    }
}

/// The expected times of one pick.
struct Forecast {
    measure: Measure,
    clock: u32,
    /// In seconds, as the next.
    penalty: f32,
    /// The time of a candidate that has none.
    unknown: f32,
}

impl Forecast {
    /// The time of its next request, by the requests it has.
    fn score(&self, one: &Candidate<'_>) -> f64 {
        self.time(one) * (one.load() + 1.0)
    }

    /// What is to be said of an expected time that nothing was measured for.
    fn remark(&self, one: &Candidate<'_>) -> Option<&'static str> {
        let Reading { time, failed, .. } = one.latency(self.measure, self.clock);
        if is_to_be_tried(one, failed) {
            return Some("is to be tried");
        }
        time.is_none().then_some("is not measured yet")
    }

    /// The seconds until a success: finite and above 0, but 0 for one that is to be tried; not a number where it is not
    /// known and nothing was said for that.
    fn time(&self, one: &Candidate<'_>) -> f64 {
        let Reading { time, at_least, failed } = one.latency(self.measure, self.clock);
        if is_to_be_tried(one, failed) {
            return 0.0;
        }
        // Written so that what is not a number stays so.
        let bounded = |least: f32| if least > self.unknown { least } else { self.unknown };
        // However short, the load still multiplies it; and however sure the failure, there is a time.
        let time = match time {
            Some(time) => (time * self.scale()).max(LEAST),
            None => bounded(at_least * self.scale()),
        };
        // Most never fail.
        let Some(failed) = failed.filter(|failed| *failed > 0.0) else { return time.into() };
        let failed = failed.min(0.95);
        f64::from((time + failed * self.penalty) / (1.0 - failed))
    }

    /// Makes a time for a token that of an answer, which the penalty can be compared to.
    fn scale(&self) -> f32 {
        if self.measure == Measure::PerToken { TYPICAL_OUTPUT.into() } else { 1.0 }
    }

    /// The median of the times that are known, of as many as fit here; a second where none is.
    fn median(&self, candidates: &Candidates<'_>) -> f32 {
        let mut times = [0.0; 64];
        let read = |one: Candidate<'_>| one.latency(self.measure, self.clock).time;
        let mut count = 0;
        for (place, time) in times.iter_mut().zip(candidates.iter().filter_map(read)) {
            *place = (time * self.scale()).max(LEAST);
            count += 1;
        }
        let known = &mut times[..count];
        if known.is_empty() {
            return 1.0;
        }
        *known.select_nth_unstable_by(count / 2, f32::total_cmp).1
    }
}

/// Whether nothing is known of it, and a request is to change that.
fn is_to_be_tried(one: &Candidate<'_>, failed: Option<f32>) -> bool {
    failed.is_none() && one.in_flight() == 0 && one.deployment().picked() < TRIALS
}

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use http::{Extensions, Uri};
use tokio::time::Instant;

use super::answerer::Answerer;
use crate::{
    Deployment, GroupName, Trail,
    deployment::{Pinned, Sample, Usage},
    llm::{Endpoint, PriceList},
    quota::Hold,
    trail::{Captured, Carried, Spent},
};

/// What an answer took, as an [`OnUsage`] gets it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Metered<'a> {
    /// Who answered; none where no balance picked a deployment.
    pub deployment: Option<&'a Deployment>,
    /// The group it was picked from, where the request named one.
    pub group: Option<&'a GroupName>,
    /// The name under which the deployment knows the model, where it has one.
    pub model: Option<&'a str>,
    /// What the answer answers, by the path of the request.
    pub endpoint: Option<Endpoint>,
    /// The tokens; none where the answer could not be read or told nothing.
    pub usage: Option<Usage>,
    /// What they cost, in US dollars, where the deployment has a [price](Deployment::price) or a
    /// [list](super::MeterLayer::prices) knows it.
    pub cost: Option<f64>,
    /// The answer came to its end; not so where it broke, told of an error, or nobody read it to the end. A stream of
    /// chat completions or messages must have said that it ends, by a finish reason or its last event: without, it was
    /// cut off somewhere on the way, though nothing broke. That alone makes it no failure.
    pub whole: bool,
}

/// Takes what each answer took: to log it, to bill it. Closures do.
pub trait OnUsage: Send + Sync {
    /// Takes it. Called once for each answer, at the end of its body; from a drop too, so it must not panic, and it
    /// should be quick.
    fn on_usage(&self, metered: &Metered<'_>);
}

impl<F> OnUsage for F
where
    F: Fn(&Metered<'_>) + Send + Sync,
{
    fn on_usage(&self, metered: &Metered<'_>) {
        self(metered);
    }
}

/// Whom the usage of an answer concerns.
pub(super) struct Report {
    deployment: Option<Deployment>,
    sample: Option<Sample>,
    hold: Option<Arc<Hold>>,
    group: Option<GroupName>,
    captured: Option<Captured>,
    step: Option<(Trail, usize)>,
    started: Option<Instant>,
    pinned: Option<Pinned>,
    endpoint: Option<Endpoint>,
    /// Estimated tokens of the input.
    input: Option<u64>,
    prices: Option<Arc<PriceList>>,
    on_usage: Option<Arc<dyn OnUsage>>,
}

impl Report {
    pub(super) fn new(
        uri: &Uri,
        extensions: &Extensions,
        prices: Option<Arc<PriceList>>,
        on_usage: Option<Arc<dyn OnUsage>>,
    ) -> Self {
        let carried = Carried::of(extensions);
        let attempt = carried.and_then(|carried| carried.attempt.as_ref());
        let trail = carried.and_then(|carried| carried.trail.clone());
        let inspected = carried.and_then(|carried| carried.inspected.as_ref());
        let demand = carried.and_then(|carried| carried.demand.as_ref());
        Self {
            deployment: attempt.map(|attempt| attempt.deployment.clone()),
            sample: attempt.and_then(|attempt| {
                attempt.deployment.sample_whole(attempt.started, demand.map(|demand| &**demand))
            }),
            hold: attempt.and_then(|attempt| attempt.hold.clone()),
            group: carried.and_then(|carried| carried.group.clone()),
            captured: carried.and_then(|carried| carried.captured.clone()),
            pinned: carried.and_then(|carried| carried.pinned.clone()),
            step: attempt.and_then(|attempt| Some((trail?, attempt.index))),
            started: attempt.map(|attempt| attempt.started),
            endpoint: inspected
                .and_then(|inspected| inspected.endpoint)
                .or_else(|| Endpoint::of_path(uri.path())),
            input: demand.and_then(|demand| demand.input_tokens),
            prices,
            on_usage,
        }
    }

    /// The estimated tokens of the input.
    pub(super) const fn input(&self) -> Option<u64> {
        self.input
    }

    /// Whom to tell the id of the answer: OpenAI's responses alone are known to one deployment.
    pub(super) fn answerer(&self) -> Answerer {
        let pinned = self.pinned.as_ref().filter(|_| self.endpoint == Some(Endpoint::Responses));
        pinned.zip(self.deployment.as_ref()).map_or_else(Answerer::default, |(pinned, by)| {
            Answerer::new(pinned.pins.clone(), by.clone())
        })
    }

    /// Whether a stream says that it ends, before it does.
    pub(super) const fn stream_says_its_end(&self) -> bool {
        matches!(self.endpoint, Some(Endpoint::ChatCompletions | Endpoint::Messages))
    }

    /// Tells all whom it concerns.
    pub(super) fn send(self, usage: Option<Usage>, whole: bool) {
        // Of an answer of an unknown kind there is nothing to go by.
        let usage = usage.filter(|usage| !usage.estimated || self.endpoint.is_some());
        let deployment = self.deployment.as_ref();
        let model = deployment.and_then(Deployment::get_model);
        let filled = match (model, &self.captured) {
            (Some(model), Some(captured)) if model.contains('*') => Some(captured.fill(model)),
            _ => None,
        };
        let listed = || {
            let provider = deployment?.get_provider();
            self.prices.as_ref()?.get(provider, filled.as_deref()?)?.price.as_ref()
        };
        let price = deployment.and_then(Deployment::get_price).or_else(listed);
        let cost = usage.and_then(|usage| Some(price?.cost(&usage)));
        if let (Some(deployment), Some(usage)) = (deployment, usage) {
            deployment.used(&usage, cost);
            if let Some(sample) = self.sample.filter(|_| whole && !usage.estimated) {
                sample.whole(usage.output);
            }
            if let Some(started) = self.started.filter(|_| whole) {
                deployment.latency().answered_in(usage.output, started);
            }
            if let Some(hold) = &self.hold {
                hold.settle(&usage, cost);
            }
            if let Some(pinned) = &self.pinned {
                pinned.answered(deployment, &usage, Instant::now());
            }
        }
        if let (Some((trail, index)), Some(usage)) = (&self.step, usage) {
            trail.spent(*index, Spent { usage, cost });
        }
        let Some(on_usage) = &self.on_usage else { return };
        on_usage.on_usage(&Metered {
            deployment,
            group: self.group.as_ref(),
            model: filled.as_deref().or(model),
            endpoint: self.endpoint,
            usage,
            cost,
            whole,
        });
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("deployment", &self.deployment)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

use std::time::Duration;

use super::{Candidates, Choice, Pins, Place, Strategy};
use crate::{
    balance::Candidate,
    hash::{hash, mix},
};

/// How many requests a deployment may have beyond its share, so that a session that asks for two things at once stays in
/// one place while there is little to share.
const SLACK: f64 = 2.0;
/// The least share of the input, of 1, that must come from a cache for a guess to be followed. At the usual tenth of the
/// price for what is cached, less than this saves less than a twentieth of the input's price.
const WORTHWHILE: f64 = 0.05;

/// Sends requests with the same [key](crate::Demand::affinity) to the same deployment, as long as that is not much
/// busier than the others. Requests without a key are for the strategy inside.
///
/// ```
/// use std::time::Duration;
/// use tower_fleet::balance::{Affinity, LeastBusy};
///
/// let strategy = Affinity::new(LeastBusy).bound(1.5).ttl(Duration::from_secs(600));
/// ```
///
/// # Where a key belongs
///
/// Weighted rendezvous hashing (Thaler and Ravishankar 1998; the weighted form is Schindelhauer and Schomaker's of 2005):
/// each deployment of weight `w` scores `-w / ln u` for a key, with `u` in (0, 1) out of a [fixed](Self::seed) hash of the
/// key and the deployment's *id*; the highest score wins. Each deployment gets keys in proportion to its weight. One that
/// goes gives only its own keys to others, one that comes takes only what is its own, and processes that know the same
/// ids agree without a word. Or the strategy inside [places](Self::inner_places_keys) each key once.
///
/// A deployment is passed over, for the key's next best, while one more request would put it above the
/// [bound](Self::bound) (consistent hashing with bounded loads; Mirrokni, Thorup and Zadimoghaddam 2018).
///
/// # What is remembered
///
/// Where a key's request went is kept for some [time](Self::ttl) since its latest request, in a [bounded](Self::most_pins)
/// memory: it stays there though others come. A deployment that is passed over as it is too busy or full keeps the key.
/// When it has [failed](Self::repin_on_failure) the key moves.
///
/// A request that [continues](crate::Demand::continues) an answer goes to the deployment that gave it, however busy that
/// is, for no other knows it; by its key only where that is not known, or cannot take it. `llm::Meter` enters the
/// answers.
///
/// A strategy around this one that hands it a [part](Candidates::only) of the candidates, as
/// [`PreferIdle`](super::PreferIdle) does, bounds its keys but not its answers: a key leaves its place while that is left
/// out, and returns. To keep keys where they are, put `Affinity` around the other one.
///
/// # Guesses
///
/// A key may be a [guess](crate::Demand::affinity_is_guess) at who shares a provider's cache. The answers tell: where
/// the [cached share](crate::Deployment::cached_share) of a deployment is below a twentieth, keys that are guesses have
/// no effect on it, and the strategy inside picks, until those answers that come from the same deployment again by
/// chance tell otherwise.
///
/// Clones, and groups built from the same value, share the memory, but no keys. A step for each candidate.
#[derive(Clone, Debug)]
pub struct Affinity<P> {
    inner: P,
    bound: f64,
    seed: u64,
    repins: bool,
    inner_places: bool,
    pins: Pins,
}

impl<P: Strategy> Affinity<P> {
    /// Picks by `inner` what has no key.
    pub fn new(inner: P) -> Self {
        let pins = Pins::new(65_536, Duration::from_secs(3600));
        Self { inner, bound: 1.25, seed: 0, repins: true, inner_places: false, pins }
    }

    /// How many requests a deployment may have in flight before keys pass it over, as a multiple of its share, by weight,
    /// of all that the candidates have; two more are always allowed. At least 1; infinity lets keys go before all else.
    /// Default 1.25, as of other routers that bound the load: no deployment is much busier than the mean, and few
    /// keys leave their place.
    #[must_use]
    pub const fn bound(mut self, bound: f64) -> Self {
        // What is not a number is 1 too.
        self.bound = bound.max(1.0);
        self
    }

    /// How long after its latest request a key stays where that went. Default one hour, as in LiteLLM. Forgets all pins.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.pins = Pins::new(self.pins.most(), ttl);
        self
    }

    /// How many keys and answers are remembered, at least one; those that were used longest ago go first, and may move
    /// then. Default 65,536, which takes about five megabytes. Forgets all pins.
    #[must_use]
    pub fn most_pins(mut self, most: usize) -> Self {
        self.pins = Pins::new(most, self.pins.ttl());
        self
    }

    /// Whether a key whose deployment has failed stays where it went instead (LiteLLM's
    /// `session_affinity_repin_on_failover`, there off). Default true: what the new deployment has cached by then, the old
    /// one has forgotten mostly. Otherwise the key returns as soon as the deployment is back.
    #[must_use]
    pub const fn repin_on_failure(mut self, repin: bool) -> Self {
        self.repins = repin;
        self
    }

    /// Whether the strategy inside picks for a key that has no place yet, or whose place has no room by the
    /// [bound](Self::bound), instead of the hash; a new key then stays where it went, as in LiteLLM. Default false: with the hash each process sends a key to the same
    /// deployment though they share no memory, a restart forgets nothing, and no deployment is given more than its share
    /// of keys. With true the strategy has its say, which is better where one process serves all requests and the
    /// deployments are not alike: by price or by latency most sessions are to begin on the best.
    #[must_use]
    pub const fn inner_places_keys(mut self, inner: bool) -> Self {
        self.inner_places = inner;
        self
    }

    /// Another hash. Default 0; all processes that are to agree must have the same.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// What it remembers.
    #[must_use]
    pub const fn pins(&self) -> &Pins {
        &self.pins
    }

    /// The pinned candidate, or else the one that ranks first for `key`: of those that have room by the bound. Instead of
    /// the latter what the strategy inside picks, if that is to.
    fn follow(
        &self,
        candidates: &mut Candidates<'_>,
        key: &str,
        pinned: Option<Choice>,
    ) -> Option<Choice> {
        let sum = |(requests, weights), one: Candidate<'_>| {
            (requests + f64::from(one.in_flight()), weights + one.weight())
        };
        let (requests, weights) = candidates.iter().fold((1.0, 0.0), sum);
        let share = self.bound * requests / weights;
        let room = |one: &Candidate<'_>| {
            f64::from(one.in_flight()) + 1.0 <= share.mul_add(one.weight(), SLACK)
        };
        candidates.remark(|one| (pinned == Some(one.choose())).then_some("has the key"));
        candidates.remark(|one| (!room(&one)).then_some("is beyond the bound"));
        if let Some(home) = pinned.and_then(|choice| candidates.get(choice))
            && room(&home)
        {
            return pinned;
        }
        if self.inner_places {
            return candidates.pick_by(&self.inner);
        }
        let key = hash(self.seed, key.as_bytes());
        candidates.show_scores("rank for the key", |one| {
            let own = score(key, &one);
            let others = candidates.iter().map(|one| score(key, &one));
            others.map(|other| if other >= own { 1.0 } else { 0.0 }).sum()
        });
        // The bounds add up to more than all have, so there is room somewhere.
        let scores = candidates.iter().filter(room).map(|one| (score(key, &one), one.choose()));
        scores.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, choice)| choice)
    }
}

/// How well a key, by its hash, suits a deployment.
fn score(key: u64, one: &Candidate<'_>) -> f64 {
    // One less than a float has, so that halves between them are exact: neither 0 nor 1 is drawn.
    const BITS: u32 = 52;
    #[expect(clippy::cast_precision_loss, reason = "they fit")]
    let drawn = (mix(key ^ one.id_hash()) >> (64 - BITS)) as f64 + 0.5;
    #[expect(clippy::cast_precision_loss, reason = "a power of two")]
    let of = (1_u64 << BITS) as f64;
    -one.weight() / (drawn / of).ln()
}

/// Whether it is worth sending there what is only guessed to be known there.
fn is_worth_a_guess(one: &Candidate<'_>) -> bool {
    one.deployment().cached_share().is_none_or(|share| share >= WORTHWHILE)
}

impl<P: Strategy> Strategy for Affinity<P> {
    fn pick(&self, candidates: &mut Candidates<'_>) -> Option<Choice> {
        let now = candidates.now();
        let Some(demand) = candidates.demand else { return candidates.pick_by(&self.inner) };
        let answerer = demand.continues.as_deref().and_then(|id| self.pins.answerer(id, now));
        if let Some(answerer) = answerer {
            let words = "gave the answer that goes on";
            candidates.remark(|one| (one.id_hash() == answerer).then_some(words));
        }
        match answerer.and_then(|answerer| candidates.place_of_all(answerer)) {
            Some(Place::Here(choice)) => return Some(choice),
            Some(Place::Later { .. }) => return None,
            _ => {}
        }
        let Some(affinity) = demand.affinity.as_deref() else {
            return candidates.pick_by(&self.inner);
        };
        let key = Pins::key(candidates.group, affinity);
        let pinned = self.pins.get(key, now);
        let place = pinned.and_then(|pinned| candidates.place(pinned));
        let here = if let Some(Place::Here(choice)) = place { Some(choice) } else { None };
        let mut choice = self.follow(candidates, affinity, here)?;
        let stays = if demand.affinity_is_guess
            && !candidates.get(choice).is_some_and(|one| is_worth_a_guess(&one))
        {
            candidates.explain(|| "the cache makes no use of what the key guesses".to_owned());
            choice = candidates.pick_by(&self.inner)?;
            false
        } else {
            match place {
                Some(Place::Here(_) | Place::Busy | Place::Later { order: false }) => true,
                Some(Place::Failed) => !self.repins,
                // A lower order has come back, or the deployment is gone for good.
                Some(Place::Later { order: true }) | None => false,
            }
        };
        let chosen = candidates.get(choice).map(|one| one.id_hash());
        if let Some(home) = pinned.filter(|_| stays).or(chosen) {
            self.pins.pin(key, home, now);
        }
        Some(choice)
    }

    fn latency_decay(&self) -> Option<Duration> {
        self.inner.latency_decay()
    }

    fn pins(&self) -> Option<&Pins> {
        Some(&self.pins)
    }
}

#[cfg(test)]
mod tests;

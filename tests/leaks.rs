//! Nothing leaks: requests are cancelled, refused, broken and finished in every order, and in the end nothing is in
//! flight anywhere.

#![allow(
    clippy::expect_used,
    clippy::cast_possible_truncation,
    reason = "a test may fail, and its numbers are small"
)]

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use proptest::{prelude::*, strategy::Strategy as Generate};
use tokio::{runtime::Builder, time::sleep};
use tokio_test::task::{self, Spawn};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, util::BoxCloneSyncService};
use tower_fleet::{
    BoxError, Deployment,
    balance::{
        Balance, Candidates, Choice, LeastBusy, QueuePolicy, RoundRobin, Strategy, WeightedShuffle,
    },
    cooldown::{CooldownLayer, CooldownPolicy},
    retry::{RetryLayer, RetryPolicy},
    timeout::TimeoutLayer,
};

use self::script::{
    Part::{Data, Error as Broken, Stall, Trailers},
    Script,
};

#[path = "balance/script.rs"]
mod script;

/// What becomes of one attempt, on whichever deployment it lands.
#[derive(Clone, Debug)]
enum Fate {
    /// The readiness fails.
    Unready,
    /// The readiness never comes.
    NeverReady,
    /// The head never comes.
    Silent,
    Fails,
    /// Answers with this status after so many seconds.
    Answers {
        status: u16,
        after: u64,
        body: Script,
    },
}

/// What the caller does.
#[derive(Clone, Copy, Debug)]
enum Caller {
    /// Drops the future at this poll, if it is not done before.
    Cancels { at: usize },
    /// Reads so many frames, then drops the body.
    Reads { frames: usize },
}

fn body() -> impl Generate<Value = Script> {
    let part =
        prop_oneof![4 => Just(Data), 1 => Just(Trailers), 1 => Just(Broken), 1 => Just(Stall)];
    let parts = proptest::collection::vec(part, 0..5);
    (parts, any::<bool>(), any::<bool>()).prop_map(|(parts, says_end, says_length)| {
        let script = Script::new(parts);
        let script = if says_end { script.saying_end() } else { script };
        if says_length { script.saying_length() } else { script }
    })
}

fn fate() -> impl Generate<Value = Fate> {
    let status = prop_oneof![5 => Just(200), 1 => Just(204), 2 => Just(429), 2 => Just(500)];
    let answers = (status, 0_u64..4, body()).prop_map(|(status, after, body)| Fate::Answers {
        status,
        after,
        body,
    });
    prop_oneof![
        1 => Just(Fate::Unready),
        1 => Just(Fate::NeverReady),
        1 => Just(Fate::Silent),
        1 => Just(Fate::Fails),
        6 => answers,
    ]
}

fn caller() -> impl Generate<Value = Caller> {
    prop_oneof![
        1 => (0_usize..3).prop_map(|at| Caller::Cancels { at }),
        2 => (0_usize..7).prop_map(|frames| Caller::Reads { frames }),
    ]
}

/// Every clone meets the readiness of the fate whose turn it is, and every call the rest of one.
struct Scripted {
    fates: Arc<Vec<Fate>>,
    /// Clones made, which is one for each pick.
    clones: Arc<AtomicUsize>,
    /// Requests that arrived.
    calls: Arc<AtomicUsize>,
    turn: usize,
}

impl Clone for Scripted {
    fn clone(&self) -> Self {
        let turn = self.clones.fetch_add(1, Ordering::Relaxed);
        let (fates, clones) = (Arc::clone(&self.fates), Arc::clone(&self.clones));
        Self { fates, clones, calls: Arc::clone(&self.calls), turn }
    }
}

type Attempt = Pin<Box<dyn Future<Output = io::Result<Response<Script>>> + Send>>;

impl<B> Service<Request<B>> for Scripted {
    type Response = Response<Script>;
    type Error = io::Error;
    type Future = Attempt;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.fates[self.turn % self.fates.len()] {
            Fate::Unready => Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into())),
            Fate::NeverReady => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, _: Request<B>) -> Attempt {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let fate = self.fates[call % self.fates.len()].clone();
        Box::pin(async move {
            match fate {
                Fate::Answers { status, after, body } => {
                    sleep(Duration::from_secs(after)).await;
                    let mut response = Response::new(body);
                    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
                    Ok(response)
                }
                Fate::Fails => Err(io::ErrorKind::ConnectionReset.into()),
                _ => std::future::pending().await,
            }
        })
    }
}

type Stack = BoxCloneSyncService<Request<Full<Bytes>>, Response<Reply>, BoxError>;
type Reply = UnsyncBoxBody<Bytes, BoxError>;

#[derive(Clone, Copy, Debug)]
enum Choosing {
    Least,
    Turns,
    Shuffle,
}

/// Any strategy of the crate. Once all is over it must be offered every member, with nothing in flight.
struct Checked {
    choosing: Choosing,
    over: Arc<AtomicUsize>,
}

impl Strategy for Checked {
    fn pick(&self, candidates: &mut Candidates<'_>) -> Option<Choice> {
        let members = self.over.load(Ordering::Relaxed);
        if members > 0 {
            assert_eq!(candidates.iter().count(), members);
            assert!(candidates.iter().all(|one| one.in_flight() == 0), "{candidates:?}");
        }
        match self.choosing {
            Choosing::Least => LeastBusy.pick(candidates),
            Choosing::Turns => RoundRobin.pick(candidates),
            Choosing::Shuffle => WeightedShuffle.pick(candidates),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Layers {
    Balance,
    Judged,
    Retried,
    /// Requests wait, and a few are too many.
    Queued,
}

fn stack<S, R>(pool: S) -> Stack
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Error: Into<BoxError>,
    R: Body<Data = Bytes, Error = BoxError> + Send + 'static,
{
    let boxed = pool.map_response(|response| response.map(BodyExt::boxed_unsync));
    BoxCloneSyncService::new(boxed.map_err(Into::into))
}

fn build(layers: Layers, members: &[Deployment], strategy: Checked, inner: &Scripted) -> Stack {
    let policy = CooldownPolicy::default().cooldown_time(Duration::from_secs(1));
    let judged = ServiceBuilder::new()
        .layer(CooldownLayer::new(policy))
        .layer(TimeoutLayer::new(Duration::from_secs(3)));
    let judged = || members.iter().map(|one| (one.clone(), judged.clone().service(inner.clone())));
    match layers {
        Layers::Balance => {
            let members = members.iter().map(|one| (one.clone(), inner.clone()));
            stack(Balance::new(strategy, members))
        }
        Layers::Judged => stack(Balance::new(strategy, judged())),
        Layers::Queued => stack(Balance::new(strategy, judged()).queue(QueuePolicy::new(3))),
        Layers::Retried => {
            let retry = RetryLayer::new(RetryPolicy::any_method().attempts(3));
            stack(retry.layer(Balance::new(strategy, judged())))
        }
    }
}

/// One of the requests, in whatever state it is.
enum Running {
    Waiting,
    Called { future: Spawn<BoxFuture>, polls: usize },
    Reading { body: Spawn<Reply>, frames: usize },
    Over,
}

type BoxFuture = Pin<Box<dyn Future<Output = Result<Response<Reply>, BoxError>>>>;

impl Running {
    /// One step of what the caller does; waiting in vain is a step too.
    fn step(self, caller: Caller, stack: &Stack) -> Self {
        match self {
            Self::Waiting => {
                let future = Box::pin(stack.clone().call(Request::default())) as BoxFuture;
                Self::Called { future: task::spawn(future), polls: 0 }
            }
            Self::Called { mut future, polls } => match caller {
                Caller::Cancels { at } if at <= polls => Self::Over,
                _ => match future.poll() {
                    Poll::Ready(Ok(response)) => {
                        let Caller::Reads { frames } = caller else { return Self::Over };
                        Self::Reading { body: task::spawn(response.into_body()), frames }
                    }
                    Poll::Ready(Err(_)) => Self::Over,
                    Poll::Pending => Self::Called { future, polls: polls + 1 },
                },
            },
            Self::Reading { frames: 0, .. } | Self::Over => Self::Over,
            Self::Reading { mut body, frames } => {
                let _ = body.enter(|cx, body| body.poll_frame(cx));
                Self::Reading { body, frames: frames - 1 }
            }
        }
    }
}

#[derive(Clone, Debug)]
struct Scenario {
    layers: Layers,
    choosing: Choosing,
    /// Weight and limit of each deployment.
    members: Vec<(u32, u32)>,
    fates: Vec<Fate>,
    callers: Vec<Caller>,
    /// Which request makes its next step, and how many milliseconds pass after it.
    steps: Vec<(usize, u64)>,
}

fn scenario() -> impl Generate<Value = Scenario> {
    use proptest::{collection::vec, sample::select};
    (
        select(vec![Layers::Balance, Layers::Judged, Layers::Retried, Layers::Queued]),
        select(vec![Choosing::Least, Choosing::Turns, Choosing::Shuffle]),
        vec((1_u32..4, select(vec![0, 0, 0, 1, 3])), 1..5),
        vec(fate(), 1..6),
        vec(caller(), 1..12),
        vec((0_usize..12, select(vec![0, 0, 0, 100, 1000, 5000])), 0..80),
    )
        .prop_map(|(layers, choosing, members, fates, callers, steps)| Scenario {
            layers,
            choosing,
            members,
            fates,
            callers,
            steps,
        })
}

async fn play(scenario: Scenario) {
    let Scenario { layers, choosing, members, fates, callers, steps } = scenario;
    let is_simple = layers == Layers::Balance
        && members.iter().all(|(_, limit)| *limit == 0)
        && !fates.iter().any(|fate| matches!(fate, Fate::Unready | Fate::NeverReady));
    let members: Vec<_> = (0..)
        .zip(members)
        .map(|(index, (weight, limit)): (usize, _)| {
            Deployment::new(index.to_string()).weight(weight).max_parallel_requests(limit)
        })
        .collect();
    let inner =
        Scripted { fates: Arc::new(fates), clones: Arc::default(), calls: Arc::default(), turn: 0 };
    let over = Arc::new(AtomicUsize::new(0));
    let strategy = Checked { choosing, over: Arc::clone(&over) };
    let stack = build(layers, &members, strategy, &inner);
    let built = inner.clones.load(Ordering::Relaxed);
    let mut running: Vec<_> = callers.iter().map(|_| Running::Waiting).collect();
    let mut begun = 0;

    for (index, pause) in steps {
        let index = index % running.len();
        let before = std::mem::replace(&mut running[index], Running::Over);
        begun += usize::from(matches!(before, Running::Waiting));
        running[index] = before.step(callers[index], &stack);
        for one in &members {
            let limit = one.get_max_parallel_requests();
            assert!(limit.is_none_or(|limit| one.in_flight() <= limit as usize), "{one:?}");
        }
        tokio::time::advance(Duration::from_millis(pause)).await;
    }
    running.clear();

    let picked = || members.iter().map(|one| one.picked() as usize).sum::<usize>();
    assert!(members.iter().all(|one| one.in_flight() == 0), "{members:?}");
    assert_eq!(picked(), inner.clones.load(Ordering::Relaxed) - built, "a clone for each pick");
    assert!(inner.calls.load(Ordering::Relaxed) <= picked());
    if is_simple {
        assert_eq!(picked(), begun);
    }
    for one in &members {
        one.health().reset();
    }
    over.store(members.len(), Ordering::Relaxed);
    drop(stack.clone().call(Request::default()));
    assert!(members.iter().all(|one| one.in_flight() == 0), "{members:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_in_flight_after_requests_that_ended_in_any_way_and_order(scenario in scenario()) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(play(scenario));
    }
}

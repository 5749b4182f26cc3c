//! No wake-up is lost: whatever happens, once nobody is left who was woken, nobody waits who could be served.

use proptest::prelude::*;
use tower_fleet::quota::{Limit, Quota};

use super::*;

const MEMBERS: [(&str, u32); 3] = [("eu-1", 1), ("eu-2", 2), ("us", 1)];

#[derive(Clone, Debug)]
enum Do {
    /// A request that must stay in one of these, made and perhaps not polled.
    Ask {
        region: usize,
        caller: u8,
        priority: i32,
        polled: bool,
    },
    /// The end of a response.
    End {
        at: usize,
    },
    GoAway {
        at: usize,
    },
    Cool {
        member: usize,
        seconds: u64,
    },
    Pause {
        member: usize,
    },
    Heal {
        member: usize,
    },
    Remove {
        member: usize,
    },
    Insert {
        member: usize,
    },
    /// So many milliseconds pass.
    Pass {
        time: u64,
    },
    /// One that was woken is polled.
    Poll {
        at: usize,
    },
    /// One is polled, woken or not.
    PollAny {
        at: usize,
    },
    /// All that are woken are polled until none is.
    Settle,
}

fn step() -> impl proptest::strategy::Strategy<Value = Do> {
    let ask = (0..4_usize, 0..3_u8, 0..3_i32, prop::bool::weighted(0.9));
    prop_oneof![
        8 => ask.prop_map(|(region, caller, priority, polled)| Do::Ask {
            region, caller, priority, polled
        }),
        5 => (0..9_usize).prop_map(|at| Do::End { at }),
        2 => (0..9_usize).prop_map(|at| Do::GoAway { at }),
        1 => (0..3_usize, 1..9_u64).prop_map(|(member, seconds)| Do::Cool { member, seconds }),
        1 => (0..3_usize).prop_map(|member| Do::Pause { member }),
        1 => (0..3_usize).prop_map(|member| Do::Heal { member }),
        1 => (0..3_usize).prop_map(|member| Do::Remove { member }),
        1 => (0..3_usize).prop_map(|member| Do::Insert { member }),
        2 => prop::sample::select(vec![1, 50, 1000, 3000]).prop_map(|time| Do::Pass { time }),
        5 => (0..9_usize).prop_map(|at| Do::Poll { at }),
        3 => (0..9_usize).prop_map(|at| Do::PollAny { at }),
        3 => Just(Do::Settle),
    ]
}

fn wanting(region: usize, tokens: u64, caller: u8, priority: i32) -> Request<()> {
    asking(|demand| {
        demand.region = [None, Some("eu"), Some("eu-2"), Some("us")][region].map(Into::into);
        demand.caller = Some(caller.to_string().into());
        demand.priority = Some(priority);
        (demand.input_tokens, demand.output_tokens) = (Some(tokens), Some(1));
    })
}

struct One {
    region: usize,
    tokens: u64,
    call: Waiting,
}

struct World {
    pool: Pool,
    members: [Deployment; 3],
    waiting: Vec<One>,
    answers: Vec<Answer>,
}

impl World {
    /// `limited`: by time too, each for itself and all by one account.
    fn new(limited: bool) -> Self {
        let account = Quota::new("account", [Limit::tokens(100, Duration::from_secs(10))]);
        let members = MEMBERS.map(|(id, most)| {
            let one = Deployment::new(id).region(id).max_parallel_requests(most);
            let limit = Limit::requests(u64::from(most) + 2, Duration::from_secs(5));
            let parallel = Limit::parallel(u64::from(most));
            if limited { one.limit(limit).limit(parallel).quota(&account) } else { one }
        });
        let policy = QueuePolicy::new(8)
            .max_wait(Duration::from_secs(20))
            .class(PriorityClass::up_to(0, 0.5));
        let pool = Balance::new(LeastBusy, members.clone().map(|one| (one, Endless)));
        Self { pool: pool.queue(policy), members, waiting: Vec::new(), answers: Vec::new() }
    }

    fn poll(&mut self, at: usize) {
        if let Poll::Ready(result) = self.waiting[at].call.poll() {
            self.waiting.remove(at);
            self.answers.extend(result.ok());
        }
    }

    /// Polls one that was woken: of several the one at this index.
    fn poll_woken(&mut self, at: usize) -> bool {
        let woken = (0..self.waiting.len()).filter(|at| self.waiting[*at].call.is_woken());
        let woken: Vec<_> = woken.collect();
        woken.get(at % woken.len().max(1)).inspect(|at| self.poll(**at)).is_some()
    }

    async fn step(&mut self, step: Do) {
        match step {
            Do::Ask { region, caller, priority, polled } => {
                let tokens = 1 + 20 * u64::from(caller);
                let request = wanting(region, tokens, caller, priority);
                let call = spawn(self.pool.clone().call(request));
                self.waiting.push(One { region, tokens, call });
                if polled {
                    self.poll(self.waiting.len() - 1);
                }
            }
            Do::End { at } if at < self.answers.len() => drop(self.answers.swap_remove(at)),
            Do::GoAway { at } if at < self.waiting.len() => drop(self.waiting.remove(at)),
            Do::PollAny { at } if at < self.waiting.len() => self.poll(at),
            Do::End { .. } | Do::GoAway { .. } | Do::PollAny { .. } => {}
            Do::Cool { member, seconds } => {
                self.members[member].health().cool_for(Duration::from_secs(seconds));
            }
            Do::Pause { member } => self.members[member].health().pause(),
            Do::Heal { member } => {
                self.members[member].health().resume();
                self.members[member].health().reset();
            }
            Do::Remove { member } => drop(self.pool.members().remove(MEMBERS[member].0)),
            Do::Insert { member } => {
                self.pool.members().insert(self.members[member].clone(), Endless);
            }
            Do::Pass { time } => advance(Duration::from_millis(time)).await,
            Do::Poll { at } => drop(self.poll_woken(at)),
            Do::Settle => self.settle().await,
        }
    }

    async fn settle(&mut self) {
        // Those that were not polled yet are not woken, nor in line.
        for at in (0..self.waiting.len()).rev() {
            self.poll(at);
        }
        // Whoever came while another was called looks again after a while.
        advance(Duration::from_millis(101)).await;
        while self.poll_woken(0) {}
        for at in 0..self.waiting.len() {
            // The probe may have taken the place of one that waited.
            if at >= self.waiting.len() {
                break;
            }
            let One { region, tokens, .. } = self.waiting[at];
            let mut probe = spawn(self.pool.clone().call(wanting(region, tokens, 99, 0)));
            match probe.poll() {
                Poll::Pending => {}
                Poll::Ready(Ok(_)) => panic!("one waits for {region:?}, which is free"),
                Poll::Ready(Err(error)) => {
                    let reason = reason::<()>(Err(error));
                    let full = Some(RefusedReason::QueueFull);
                    assert_eq!(reason, full, "one waits for {region:?} in vain");
                }
            }
            drop(probe);
            let answered = self.answers.len();
            while self.poll_woken(0) {}
            assert_eq!(self.answers.len(), answered, "one had only to be woken");
        }
    }
}

async fn play(limited: bool, steps: Vec<Do>) {
    let mut world = World::new(limited);
    for step in steps {
        world.step(step).await;
        let waiting: usize = world.pool.members().waiting().iter().sum();
        assert!(waiting <= world.waiting.len().min(8));
    }
    world.settle().await;
    world.waiting.clear();
    world.answers.clear();
    assert_eq!(world.pool.members().waiting(), [0, 0]);
    assert!(world.members.iter().all(|one| one.in_flight() == 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_waits_who_could_be_served(
        limited: bool,
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(play(limited, steps));
    }
}

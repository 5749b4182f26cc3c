#![allow(clippy::cast_precision_loss, reason = "the numbers of a test are small")]

use std::sync::Arc;

use fastrand::Rng;
use proptest::{prelude::*, strategy::Strategy};

use super::*;
use crate::balance::PriorityClass;

/// A line spelled out: every rule as it is documented, and nothing kept that can be counted.
struct Model {
    max: usize,
    reserved: Vec<usize>,
    all: Vec<Entry>,
    /// By class, the callers in the order of their turns.
    turns: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Is {
    Open,
    Called,
    Declined,
}

struct Entry {
    ticket: Ticket,
    class: usize,
    caller: u8,
    is: Is,
}

impl Model {
    fn of_class(&self, class: usize) -> impl Iterator<Item = &Entry> {
        self.all.iter().filter(move |one| one.class == class)
    }

    fn of_caller(&self, class: usize, caller: u8) -> usize {
        self.of_class(class).filter(|one| one.caller == caller).count()
    }

    /// Who has to make room for one more; an error if nobody has to.
    fn displaced(&self, class: usize, caller: u8) -> Result<Option<Ticket>, NoPlace> {
        if self.all.len() < self.max {
            return Ok(None);
        }
        let waiting = |class| self.of_class(class).count();
        let excess = |class: usize| waiting(class).saturating_sub(self.reserved[class]);
        let from = if waiting(class) < self.reserved[class] {
            let classes = 0..self.reserved.len();
            classes.filter(|one| excess(*one) > 0).max_by_key(|one| excess(*one)).ok_or(NoPlace)?
        } else {
            class
        };
        let longest = self.of_class(from).map(|one| self.of_caller(from, one.caller)).max();
        let longest = longest.ok_or(NoPlace)?;
        if from == class
            && waiting(class) >= self.reserved[class]
            && longest <= self.of_caller(class, caller) + 1
        {
            return Err(NoPlace);
        }
        let of_longest =
            self.of_class(from).filter(|one| self.of_caller(from, one.caller) == longest);
        Ok(of_longest.map(|one| one.ticket).max())
    }

    fn remove(&mut self, ticket: Ticket) -> Entry {
        let at = self.all.iter().position(|one| one.ticket == ticket).expect("it is there");
        let entry = self.all.remove(at);
        if self.of_caller(entry.class, entry.caller) == 0 {
            self.turns[entry.class].retain(|caller| *caller != entry.caller);
        }
        entry
    }

    /// Whose turn it is in a class: the first caller that has an open request, and the first of those.
    fn next(&self, class: usize) -> Option<Ticket> {
        self.turns[class].iter().find_map(|caller| {
            let open = |one: &&Entry| one.caller == *caller && one.is == Is::Open;
            self.of_class(class).filter(open).map(|one| one.ticket).min()
        })
    }
}

#[derive(Clone, Debug)]
enum Do {
    Join {
        priority: i32,
        caller: u8,
        has_tried: bool,
    },
    Offer,
    Call,
    /// The called one at this index tries: it is served or declines.
    Try {
        at: usize,
        served: bool,
    },
    /// The called one at this index is not to try yet.
    TakeBack {
        at: usize,
    },
    /// The one at this index goes away.
    Leave {
        at: usize,
    },
}

fn step() -> impl Strategy<Value = Do> {
    prop_oneof![
        4 => (-1..3_i32, 0..4_u8, prop::bool::weighted(0.7))
            .prop_map(|(priority, caller, has_tried)| Do::Join { priority, caller, has_tried }),
        3 => Just(Do::Offer),
        4 => Just(Do::Call),
        4 => (0..9_usize, prop::bool::ANY).prop_map(|(at, served)| Do::Try { at, served }),
        1 => (0..9_usize).prop_map(|at| Do::TakeBack { at }),
        1 => (0..40_usize).prop_map(|at| Do::Leave { at }),
    ]
}

#[allow(clippy::too_many_lines, reason = "one arm for each thing that can happen")]
fn play(max: usize, shares: &[f64], steps: Vec<Do>) {
    let policy = shares.iter().zip(0..).fold(QueuePolicy::new(max), |policy, (share, up_to)| {
        policy.class(PriorityClass::up_to(up_to, *share))
    });
    let mut line = Line::new(policy);
    let rest = 1.0 - shares.iter().sum::<f64>();
    let shares = || shares.iter().copied().chain([rest]);
    let mut model = Model {
        max,
        reserved: line.classes.iter().map(|class| class.reserved).collect(),
        all: Vec::new(),
        turns: shares().map(|_| Vec::new()).collect(),
    };
    let now = Instant::now();
    for step in steps {
        match step {
            Do::Join { priority, caller, has_tried } => {
                let class = usize::try_from(priority.max(0)).expect("small");
                let class = class.min(model.turns.len() - 1);
                let displaced = model.displaced(class, caller);
                let before: Vec<_> = model.all.iter().map(|one| one.ticket).collect();
                let name = Some(Arc::from(caller.to_string()));
                let joined = line.join(Some(priority), &name, has_tried, Waker::noop().clone());
                let gone: Vec<_> = before.into_iter().filter(|one| !line.has(*one)).collect();
                let Ok((ticket, waker)) = joined else {
                    assert!(displaced.is_err());
                    continue;
                };
                assert_eq!(waker.is_some(), !gone.is_empty());
                let displaced = displaced.expect("the model has a place");
                assert_eq!(gone, displaced.into_iter().collect::<Vec<_>>());
                for one in gone {
                    let class = model.remove(one).class;
                    model.turns[class] = line.classes[class].callers();
                }
                if !model.turns[class].contains(&caller) {
                    model.turns[class].push(caller);
                }
                let is = if has_tried { Is::Declined } else { Is::Open };
                model.all.push(Entry { ticket, class, caller, is });
            }
            Do::Offer => {
                line.offer(now, false);
                let declined = model.all.iter_mut().filter(|one| one.is == Is::Declined);
                declined.for_each(|one| one.is = Is::Open);
            }
            Do::Call => {
                let Some(ticket) = line.call(now) else {
                    assert!(model.all.iter().all(|one| one.is != Is::Open));
                    continue;
                };
                let entry = model.all.iter_mut().find(|one| one.ticket == ticket);
                let entry = entry.expect("it waits");
                let (class, caller) = (entry.class, entry.caller);
                assert_eq!(model.next(class), Some(ticket));
                // A class that goes before the first is owed for its share.
                let first = (0..model.turns.len()).find(|class| model.next(*class).is_some());
                assert!(first == Some(class) || shares().nth(class) > Some(0.0));
                let entry = model.all.iter_mut().find(|one| one.ticket == ticket);
                entry.expect("it waits").is = Is::Called;
                model.turns[class].retain(|one| *one != caller);
                model.turns[class].push(caller);
            }
            Do::Try { at, served } => {
                let those: Vec<_> = model.all.iter().filter(|one| one.is == Is::Called).collect();
                let Some(entry) = those.get(at % those.len().max(1)) else { continue };
                let (ticket, class, caller) = (entry.ticket, entry.class, entry.caller);
                if served {
                    assert!(line.leave(ticket, true).is_some());
                    model.remove(ticket);
                } else {
                    line.decline(ticket);
                    let entry = model.all.iter_mut().find(|one| one.ticket == ticket);
                    entry.expect("it waits").is = Is::Declined;
                }
                // Where its turn is now depends on the calls between; that it is not worse than before is checked below.
                model.turns[class] = line.classes[class].callers();
                assert!(served || model.turns[class].contains(&caller));
            }
            Do::TakeBack { at } => {
                let mut those: Vec<_> =
                    model.all.iter_mut().filter(|one| one.is == Is::Called).collect();
                let at = at % those.len().max(1);
                let Some(entry) = those.get_mut(at) else { continue };
                line.take_back(entry.ticket);
                entry.is = Is::Open;
                let class = entry.class;
                model.turns[class] = line.classes[class].callers();
            }
            Do::Leave { at } => {
                let Some(entry) = model.all.get(at) else { continue };
                let ticket = entry.ticket;
                assert!(line.leave(ticket, false).is_some());
                let class = model.remove(ticket).class;
                model.turns[class] = line.classes[class].callers();
            }
        }
        check(&line, &model);
    }
    for ticket in model.all.iter().map(|one| one.ticket) {
        line.leave(ticket, false);
    }
    assert!(line.is_empty() && line.declined.is_empty() && line.calls.is_empty());
    assert!(line.classes.iter().all(Class::is_as_new));
}

/// What the fields promise.
fn check(line: &Line, model: &Model) {
    let count = |is| model.all.iter().filter(|one| one.is == is).count();
    assert_eq!(line.waiters.len(), model.all.len());
    assert!(line.waiters.len() <= model.max);
    assert_eq!((line.calls.len(), line.declined.len()), (count(Is::Called), count(Is::Declined)));
    let waiting: Vec<_> =
        (0..model.turns.len()).map(|class| model.of_class(class).count()).collect();
    assert_eq!(line.waiting(), waiting);
    for (index, class) in line.classes.iter().enumerate() {
        assert_eq!(class.has_open(), model.of_class(index).any(|one| one.is == Is::Open));
        assert_eq!(class.callers(), model.turns[index]);
    }
    for one in &model.all {
        assert_eq!(line.is_called(one.ticket), one.is == Is::Called);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_line_does_what_the_rules_spelled_out_do(
        max in 0..12_usize,
        shares in prop::sample::select(vec![vec![], vec![0.5], vec![0.6, 0.2], vec![0.0, 1.0]]),
        steps in prop::collection::vec(step(), 0..200),
    ) {
        play(max, &shares, steps);
    }
}

fn line_of(shares: [f64; 2]) -> Line {
    let policy = QueuePolicy::new(100_000)
        .class(PriorityClass::up_to(0, shares[0]))
        .class(PriorityClass::up_to(1, shares[1]));
    Line::new(policy)
}

fn join(line: &mut Line, priority: i32) -> Ticket {
    let joined = line.join(Some(priority), &None, true, Waker::noop().clone());
    joined.expect("there is room").0
}

#[test]
fn each_class_that_waits_gets_its_share_of_the_dispatches_whatever_is_declined() {
    let mut rng = Rng::with_seed(3);
    for shares in [[0.5, 0.3], [0.1, 0.1], [0.0, 0.9], [0.98, 0.01]] {
        let mut line = line_of(shares);
        (0..3).for_each(|class| (0..3000).for_each(|_| _ = join(&mut line, class)));
        let (mut served, mut called) = ([0_u32; 3], Vec::new());
        let now = Instant::now();
        while served.iter().sum::<u32>() < 2000 {
            line.offer(now, false);
            called.extend(line.call(now));
            if called.len() > 5 || rng.bool() {
                let ticket = called.swap_remove(rng.usize(0..called.len()));
                let class = line.waiters[&ticket].class;
                if rng.u8(0..3) == 0 {
                    line.decline(ticket);
                } else {
                    line.leave(ticket, true);
                    served[class] += 1;
                }
            }
        }
        let rest = 1.0 - shares[0] - shares[1];
        for (share, served) in [shares[0], shares[1], rest].into_iter().zip(served) {
            assert!(f64::from(served) + 10.0 >= share * 2000.0, "{shares:?}: {served}");
        }
    }
}

#[test]
fn a_decline_gives_the_turn_back() {
    let mut line = Line::new(QueuePolicy::new(10));
    let now = Instant::now();
    let mut join = |caller: &str| {
        let name = Some(Arc::from(caller));
        line.join(None, &name, true, Waker::noop().clone()).expect("there is room").0
    };
    let (a, b, _) = (join("a"), join("b"), join("a"));
    line.offer(now, false);
    assert_eq!(line.call(now), Some(a));
    line.decline(a);
    line.offer(now, false);
    assert_eq!(line.call(now), Some(a));
    assert_eq!(line.call(now), Some(b));
}

#[tokio::test(start_paused = true)]
async fn one_whose_call_is_taken_back_is_the_next_to_be_called() {
    let mut line = Line::new(QueuePolicy::new(10));
    let [a, b, c] = [(); 3].map(|()| join(&mut line, 0));
    let now = Instant::now();
    line.offer(now, false);
    assert_eq!([(); 3].map(|()| line.call(now)), [Some(a), Some(b), Some(c)]);
    assert_eq!([a, b, c].map(|one| line.called_before(one, now)), [0, 1, 2]);
    line.take_back(b);
    assert_eq!((line.called(now), line.called_before(c, now)), (2, 1));
    assert_eq!(line.call(now), Some(b));
    assert_eq!(line.called_before(b, now), 2);
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_come_for_long_is_not_counted_on() {
    let mut line = Line::new(QueuePolicy::new(10));
    let [a, b] = [(); 2].map(|()| join(&mut line, 0));
    let now = Instant::now();
    assert!(!line.is_stuck(now));
    line.offer(now, false);
    assert_eq!(line.call(now), Some(a));
    let later = now + PATIENCE;
    assert_eq!((line.called(now), line.called(later), line.is_stuck(later)), (1, 0, true));
    assert_eq!(line.call(later), Some(b));
    assert_eq!((line.called_before(b, later), line.watch_at(later)), (0, Some(later + PATIENCE)));
}

#[test]
fn shares_that_come_to_more_than_one_are_scaled_down() {
    let mut policy = QueuePolicy::new(100).class(PriorityClass::up_to(0, 3.0));
    policy = policy.class(PriorityClass::up_to(1, 1.0)).class(PriorityClass::up_to(2, f64::NAN));
    let line = Line::new(policy.class(PriorityClass::up_to(3, -1.0)));
    let reserved: Vec<_> = line.classes.iter().map(|class| class.reserved).collect();
    assert_eq!(reserved, [75, 25, 0, 0, 0]);
}

//! Threads that send, report, cancel, operate and change members all at once: nothing locks up, nothing is lost.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use fastrand::Rng;
use http::Request;
use http_body_util::BodyExt;
use tower::{Layer, Service};
use tower_fleet::{
    Deployment,
    balance::{Balance, LeastBusy},
    cooldown::{Cooldown, CooldownLayer, CooldownPolicy},
};

use super::backend::{Backend, Reply};

type Fleet = Balance<Cooldown<Backend>, LeastBusy>;

const MEMBERS: usize = 4;
const PROBES: u32 = 2;
const ROUNDS: usize = 5000;

/// What `future` gives without having to wait.
fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

/// Sends requests and lets go of them at every stage, some long after others.
fn send(mut fleet: Fleet, mut rng: Rng) {
    let mut held = Vec::new();
    for _ in 0..ROUNDS {
        let future = fleet.call(Request::new(()));
        if rng.u8(0..8) == 0 {
            continue;
        }
        let Ok(response) = at_once(future) else { continue };
        let mut body = response.into_body();
        match rng.u8(0..4) {
            0 => drop(body),
            1 => drop(at_once(body.frame())),
            2 => drop(at_once(body.collect())),
            _ => held.push(body),
        }
        if held.len() > 8 {
            held.swap_remove(rng.usize(0..held.len()));
        }
    }
}

fn operate(deployments: &[Deployment], mut rng: Rng) {
    for _ in 0..ROUNDS {
        let health = deployments[rng.usize(0..MEMBERS)].health();
        match rng.u8(0..6) {
            0 => health.pause(),
            1 => health.cool_for(Duration::ZERO),
            2 => health.reset(),
            3 => assert!(!health.status().as_str().is_empty()),
            _ => health.resume(),
        }
    }
}

fn change(fleet: &Fleet, all: &[(Deployment, Cooldown<Backend>)], mut rng: Rng) {
    let members = fleet.members();
    for _ in 0..ROUNDS {
        let (deployment, service) = all[rng.usize(0..MEMBERS)].clone();
        match rng.u8(0..6) {
            0 => drop(members.remove(deployment.id())),
            1 => drop(members.drain(deployment.id())),
            2 => members.replace(all.iter().skip(rng.usize(0..2)).cloned()),
            3 => assert!(members.list().len() <= MEMBERS),
            _ => members.insert(deployment, service),
        }
    }
}

#[test]
fn threads_that_do_everything_at_once_lose_nothing() {
    let backend = Backend::new(|before| match before % 6 {
        0 => Reply::status(500),
        1 => Reply::error(),
        2 => Reply::status(200).chunk().breaks_off(),
        _ => Reply::status(200).chunk().chunk(),
    });
    // Set aside at each failure and probed at once; the place of a lost probe would not come back.
    let policy = CooldownPolicy::default()
        .consecutive_failures(1)
        .cooldown_time(Duration::ZERO)
        .ramp(Duration::from_micros(50))
        .probes(PROBES)
        .probe_deadline(Duration::from_secs(3600));
    let layer = CooldownLayer::new(policy);
    let all = ["a", "b", "c", "d"].map(|id| (Deployment::new(id), layer.layer(backend.clone())));
    let deployments = all.clone().map(|(deployment, _)| deployment);
    // Two groups over the same deployments.
    let fleets = [(); 2].map(|()| Fleet::new(LeastBusy, all.clone()));

    thread::scope(|scope| {
        for (seed, fleet) in (0..).zip(&fleets) {
            for thread in 0..3 {
                scope.spawn(move || send(fleet.clone(), Rng::with_seed(10 * seed + thread)));
            }
            let (all, deployments) = (&all, &deployments);
            scope.spawn(move || change(fleet, all, Rng::with_seed(10 * seed + 8)));
            scope.spawn(move || operate(deployments, Rng::with_seed(10 * seed + 9)));
        }
    });

    let totals = deployments.each_ref().map(|deployment| deployment.health().totals());
    let reported = totals.map(|all| all.succeeded + all.failed + all.cancelled).iter().sum::<u64>();
    assert_eq!(reported, backend.calls() as u64, "each request is reported once");
    assert!(totals.iter().all(|totals| totals.ejections > 10), "{totals:?}");

    let fine = Backend::new(|_| Reply::status(200).chunk());
    for deployment in &deployments {
        assert_eq!(deployment.in_flight(), 0);
        deployment.health().resume();
        let mut alone = layer.clone().of(deployment.clone()).layer(fine.clone());
        let trials = [(); PROBES as usize].map(|()| at_once(alone.call(Request::new(()))).unwrap());
        for trial in trials {
            assert!(at_once(trial.into_body().collect()).is_ok());
        }
        deployment.health().reset();
    }
    for mut fleet in fleets {
        let fine = all.clone().map(|(deployment, _)| (deployment, layer.layer(fine.clone())));
        fleet.members().replace(fine);
        let _held = [(); MEMBERS].map(|()| at_once(fleet.call(Request::new(()))).unwrap());
        assert!(deployments.iter().all(|one| one.in_flight() == 1), "{deployments:?}");
    }
}

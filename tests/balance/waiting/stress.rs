//! Many threads at once.

use tokio::task::yield_now;

use super::*;

struct Inside(Arc<AtomicUsize>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Counts what is with it, and answers after a few turns of the scheduler.
fn counted(
    inside: Arc<AtomicUsize>,
    most: usize,
) -> impl Service<
    Request<()>,
    Response = Response<Script>,
    Error = Infallible,
    Future: Future<Output = Result<Response<Script>, Infallible>> + Send,
> + Clone
+ Send
+ Sync
+ 'static {
    service_fn(move |_: Request<()>| {
        let inside = Arc::clone(&inside);
        async move {
            let inside = Inside(inside);
            assert!(inside.0.fetch_add(1, Ordering::SeqCst) < most, "more than the limit");
            for _ in 0..fastrand::u8(0..4) {
                yield_now().await;
            }
            drop(inside);
            Ok(Response::new(Script::default()))
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_many_threads_each_request_is_served_once_or_cancelled_and_none_waits_for_ever() {
    const TASKS: usize = 64;
    const REQUESTS: usize = 200;
    let policy = QueuePolicy::new(TASKS).class(PriorityClass::up_to(0, 0.5));
    let regions = [("eu", 2), ("us", 1)];
    let members = regions.map(|(id, most)| {
        let one = Deployment::new(id).region(id).max_parallel_requests(most);
        (one, counted(Arc::default(), most as usize))
    });
    let deployments = members.clone().map(|(one, _)| one);
    let pool = Balance::new(LeastBusy, members).queue(policy);
    let answered = Arc::new(AtomicUsize::new(0));
    let tasks = (0..TASKS).map(|task| {
        let (pool, answered) = (pool.clone(), Arc::clone(&answered));
        tokio::spawn(async move {
            let mut cancelled = 0;
            for at in 0..REQUESTS {
                let request = asking(|demand| {
                    demand.caller = Some((task % 5).to_string().into());
                    demand.priority = Some(i32::from(task % 3 == 0));
                    demand.region = [None, Some("eu".into()), Some("us".into())][at % 3].clone();
                });
                let call = pool.clone().oneshot(request);
                if fastrand::u8(0..8) > 0 {
                    // A wait in vain would end in a refusal.
                    drop(call.await.expect("an answer"));
                    answered.fetch_add(1, Ordering::Relaxed);
                } else {
                    let some_turns = async {
                        for _ in 0..fastrand::u8(0..6) {
                            yield_now().await;
                        }
                    };
                    tokio::select! {
                        answer = call => {
                            drop(answer.expect("an answer"));
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        () = some_turns => cancelled += 1,
                    }
                }
            }
            cancelled
        })
    });
    let mut cancelled = 0;
    for task in tasks.collect::<Vec<_>>() {
        cancelled += task.await.expect("no panic");
    }
    assert_eq!(answered.load(Ordering::Relaxed) + cancelled, TASKS * REQUESTS);
    assert_eq!(deployments.map(|one| one.in_flight()), [0, 0]);
    assert_eq!(pool.members().waiting(), [0, 0]);
}

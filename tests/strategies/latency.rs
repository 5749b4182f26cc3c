//! Lowest latency: measured by the balance alone, with no cooldown anywhere.

use std::sync::Arc;

use tokio::{
    task::{LocalSet, spawn_local},
    time::{advance, sleep, timeout},
};
use tower::Layer;
use tower_fleet::{
    Trail,
    balance::{AnyStrategy, HotCold, LatencyMeasure, LeastBusy, LowestLatency, PreferIdle},
    timeout::TimeoutLayer,
    trail::{Considered, Explanation},
};

use super::{support::secs, *};

fn lowest() -> LowestLatency {
    LowestLatency::new().explore(0.0)
}

/// An answer as a stream: its head at once, its first chunk later.
fn streaming(first_chunk: u64) -> Fake {
    Fake::new([Answer::status(200)
        .data("data: 1\n\n")
        .data("data: 2\n\n")
        .pausing(ms(first_chunk))])
}

/// Sends 300 requests, one each `pause`, whether or not the ones before are answered.
async fn every<P: Strategy>(
    pause: Duration,
    pool: &Pool<P>,
    request: impl Fn() -> Request<Full<Bytes>>,
) {
    let sending = LocalSet::new();
    let all = async {
        for _ in 0..300 {
            let (pool, request) = (pool.clone(), request());
            spawn_local(async move { send(&pool, request).await });
            sleep(pause).await;
        }
    };
    sending.run_until(all).await;
}

fn named<const N: usize>(ids: [&'static str; N]) -> [Deployment; N] {
    ids.map(Deployment::new)
}

#[tokio::test(start_paused = true)]
async fn the_fastest_gets_the_requests_that_do_not_overlap() {
    let [fast, slow, slower] = named(["fast", "slow", "slower"]);
    let pool = pool(
        lowest(),
        [
            (slow.clone(), answering(300)),
            (fast.clone(), answering(100)),
            (slower.clone(), answering(900)),
        ],
    );
    for _ in 0..20 {
        send(&pool, get()).await;
    }
    assert_eq!([&fast, &slow, &slower].map(Deployment::picked), [18, 1, 1]);
    assert_eq!(fast.latency().first_byte(), Some(ms(100)));
    assert_eq!(slower.latency().first_byte(), Some(ms(900)));
}

#[tokio::test(start_paused = true)]
async fn overlapping_requests_are_shared_by_speed() {
    let [fast, slow] = named(["fast", "slow"]);
    let pool = pool(lowest(), [(fast.clone(), answering(100)), (slow.clone(), answering(300))]);
    for _ in 0..2 {
        send(&pool, get()).await;
    }
    let held = hold(&pool, 40);
    assert_eq!((fast.in_flight(), slow.in_flight()), (30, 10));
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_one_is_tried_at_once_and_never_taken_for_the_fastest() {
    let [known, fresh] = named(["known", "fresh"]);
    let pool = pool(lowest(), [(known.clone(), answering(50))]);
    for _ in 0..10 {
        send(&pool, get()).await;
    }
    pool.members().insert(fresh.clone(), answering(500));
    for _ in 0..20 {
        send(&pool, get()).await;
    }
    // A number of zero kept as a sample draws ten requests in LiteLLM.
    assert_eq!((known.picked(), fresh.picked()), (29, 1));
}

#[tokio::test(start_paused = true)]
async fn while_the_first_answer_is_awaited_an_unknown_one_counts_as_the_median() {
    let all = named(["one", "three", "nine"]);
    let times = [100, 300, 900];
    let fresh = Deployment::new("fresh");
    let members: Vec<_> = all.iter().cloned().zip(times.map(answering)).collect();
    let pool = Balance::new(lowest(), members).seed(5);
    for _ in 0..3 {
        send(&pool, get()).await;
    }
    pool.members().insert(fresh.clone(), answering(100_000));
    let held = hold(&pool, 1 + 9 + 3 + 3 + 1);
    // In proportion to speed, the fresh one as the median, its trial included: 9 : 3 : 1 : 3.
    let [one, three, nine] = all.each_ref().map(Deployment::in_flight);
    assert_eq!(one + three + nine + fresh.in_flight(), 17);
    assert!(
        (8..=10).contains(&one) && (3..=4).contains(&three) && nine <= 1,
        "{one} {three} {nine}"
    );
    assert!((3..=4).contains(&fresh.in_flight()), "{fresh:?}");
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_fails_at_once_gets_no_more_than_its_share() {
    let bad = [
        ("status", Fake::new([Answer::status(500).after(ms(1))])),
        ("limit", Fake::new([Answer::status(429).after(ms(1))])),
        ("key", Fake::new([Answer::status(401).after(ms(1))])),
        ("model", Fake::new([Answer::status(404).after(ms(1))])),
        ("error", Fake::new([Answer::error().after(ms(1))])),
        ("cut", Fake::new([Answer::status(200).data("{").broken().after(ms(1))])),
    ];
    for (what, bad) in bad {
        for strategy in [AnyStrategy::new(LowestLatency::new()), AnyStrategy::new(HotCold::new())] {
            let fails = Deployment::new("fails");
            let [good, other] = named(["good", "other"]);
            let pool = pool(
                strategy,
                [(fails.clone(), bad.clone()), (good, answering(100)), (other, answering(120))],
            );
            for _ in 0..20 {
                send(&pool, get()).await;
            }
            // In LiteLLM 8 of 20.
            assert!((1..=6).contains(&fails.picked()), "{what}: {}", fails.picked());
            let first = fails.picked();
            for _ in 0..200 {
                send(&pool, get()).await;
            }
            assert!(fails.picked() - first <= 12, "{what}: {}", fails.picked());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_was_fastest_and_begins_to_fail_is_left() {
    let [turns, good] = named(["turns", "good"]);
    let well = Answer::status(200).after(ms(10));
    let script = std::iter::repeat_n(well, 20).chain([Answer::status(503).after(ms(1))]);
    let pool =
        pool(lowest(), [(turns.clone(), Fake::new(script)), (good.clone(), answering(1000))]);
    for _ in 0..60 {
        send(&pool, get()).await;
    }
    // A few failures, and now and then another try.
    assert!((21..30).contains(&turns.picked()), "{}", turns.picked());
}

#[tokio::test(start_paused = true)]
async fn time_outs_are_slow_however_they_are_told() {
    let [hangs, good] = named(["hangs", "good"]);
    let limited = |fake| TimeoutLayer::new(ms(2000)).layer(fake);
    let pool = Balance::new(
        lowest(),
        [
            (hangs.clone(), limited(Fake::new([Answer::never()]))),
            (good.clone(), limited(answering(100))),
        ],
    )
    .seed(5);
    for _ in 0..20 {
        let _ = pool.clone().oneshot(get()).await;
    }
    assert!(hangs.picked() <= 2, "{}", hangs.picked());
    assert!(hangs.latency().failed_share() > Some(0.2), "{:?}", hangs.latency());
}

#[tokio::test(start_paused = true)]
async fn a_request_given_up_early_is_no_sample_and_one_given_up_late_is_a_bad_one() {
    let a = Deployment::new("a");
    let slow = [Answer::status(200).after(ms(100)), Answer::never()];
    let pool = pool(lowest(), [(a.clone(), Fake::new(slow))]);
    send(&pool, get()).await;
    let known = a.latency().first_byte();
    assert!(timeout(ms(10), pool.clone().oneshot(get())).await.is_err());
    assert_eq!(a.latency().first_byte(), known, "it lasted shorter than was expected");
    assert!(timeout(ms(5000), pool.clone().oneshot(get())).await.is_err());
    assert_eq!(a.latency().first_byte(), Some(ms(5000)));
    assert_eq!(a.latency().failed_share().map(|share| share < 0.01), Some(true), "nor a failure");
}

#[tokio::test(start_paused = true)]
async fn requests_given_up_before_any_answer_do_not_make_a_deployment_look_fast() {
    let [fresh, known] = named(["fresh", "known"]);
    let pool = pool(lowest(), [(known.clone(), answering(100))]);
    send(&pool, get()).await;
    pool.members().insert(fresh.clone(), Fake::new([Answer::never()]));
    for _ in 0..20 {
        let _ = timeout(ms(150), pool.clone().oneshot(get())).await;
    }
    assert_eq!(fresh.latency().first_byte(), None);
    assert!(fresh.picked() <= 13, "its trials, then half of the others: {}", fresh.picked());
}

#[tokio::test(start_paused = true)]
async fn what_is_about_the_request_is_neither_good_nor_bad() {
    let a = Deployment::new("a");
    let pool = pool(lowest(), [(a.clone(), Fake::new([Answer::status(400)]))]);
    send(&pool, get()).await;
    assert_eq!((a.latency().first_byte(), a.latency().failed_share()), (None, None));
}

#[tokio::test(start_paused = true)]
async fn one_that_was_slow_and_is_no_more_is_found_out() {
    let [fast, slow] = named(["fast", "slow"]);
    let script = [Answer::status(200).after(ms(1000)), Answer::status(200).after(ms(10))];
    let pool = pool(
        LowestLatency::new(),
        [(fast.clone(), answering(100)), (slow.clone(), Fake::new(script))],
    );
    for _ in 0..90 {
        send(&pool, get()).await;
    }
    assert_eq!(slow.picked(), 1, "not silent for long yet");
    for _ in 0..900 {
        send(&pool, get()).await;
    }
    assert!(slow.picked() > 300, "{}", slow.picked());
}

#[tokio::test(start_paused = true)]
async fn one_answer_that_never_comes_does_not_end_the_exploring() {
    let [fast, slow] = named(["fast", "slow"]);
    let script =
        [Answer::status(200).after(ms(2000)), Answer::never(), Answer::status(200).after(ms(10))];
    let pool = pool(
        LowestLatency::new(),
        [(fast.clone(), answering(1000)), (slow.clone(), Fake::new(script))],
    );
    let sending = LocalSet::new();
    let all = async {
        while slow.picked() < 2 {
            let pool = pool.clone();
            spawn_local(async move { send(&pool, get()).await });
            sleep(ms(2000)).await;
        }
        assert_eq!(slow.in_flight(), 1, "the one that hangs");
        for _ in 0..2000 {
            send(&pool, get()).await;
        }
    };
    sending.run_until(all).await;
    assert!(slow.picked() > 500, "{}", slow.picked());
}

#[tokio::test(start_paused = true)]
async fn one_that_failed_and_does_no_more_is_found_out() {
    let [turns, good] = named(["turns", "good"]);
    let script = std::iter::repeat_n(Answer::status(503), 8)
        .chain([Answer::status(200).data("{}").after(ms(10))]);
    let pool = pool(
        LowestLatency::new(),
        [(turns.clone(), Fake::new(script)), (good.clone(), answering(500))],
    );
    for _ in 0..3000 {
        send(&pool, get()).await;
    }
    assert!(turns.picked() > 1000, "{}", turns.picked());
}

#[tokio::test(start_paused = true)]
async fn the_slow_one_gets_what_is_to_be_explored_however_few_requests_there_are() {
    let fails = || Fake::new([Answer::status(503)]);
    for (bad, fake) in [("slow", answering(5000)), ("fails", fails())] {
        for pause in [1, 10, 20, 30, 60] {
            let [fast, slow] = named(["fast", "slow"]);
            let members = [(fast, answering(100)), (slow.clone(), fake.clone())];
            let pool = pool(LowestLatency::new(), members);
            for _ in 0..1000 {
                send(&pool, get()).await;
                advance(Duration::from_secs(pause)).await;
            }
            // Ten, and the first; by chance up to twice as many.
            assert!((2..=22).contains(&slow.picked()), "{bad}, {pause} s: {}", slow.picked());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_never_answers_is_found_out_by_the_callers_that_leave() {
    let json = || Answer::status(200).data("{}");
    let endless = Duration::from_secs(1_000_000);
    let holes = [("head", Answer::never()), ("body", json().pausing(endless))];
    let streaming: fn(&mut Demand) = |demand| demand.stream = true;
    for (where_to, hole) in holes {
        for change in [|_: &mut Demand| {}, streaming] {
            for patience in [600, 5000, 30_000, 60_000, 600_000] {
                let [good, hangs] = named(["good", "hangs"]);
                let well = Fake::new([json().after(ms(500))]);
                let members = [(hangs.clone(), Fake::new([hole.clone()])), (good, well)];
                let pool = pool(LowestLatency::new(), members);
                for _ in 0..300 {
                    let _ = timeout(ms(patience), send(&pool, asking(change))).await;
                }
                assert!(hangs.picked() <= 12, "{where_to}, {patience} ms: {}", hangs.picked());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_begins_to_hang_is_found_out_by_the_callers_that_leave() {
    let well = Answer::status(200).data("{}").after(ms(100));
    for hole in [Answer::never(), Answer::status(200).data("{}").pausing(secs(1_000_000))] {
        let [turns, good] = named(["turns", "good"]);
        let script = std::iter::repeat_n(well.clone(), 20).chain([hole]);
        let pool = pool(
            LowestLatency::new(),
            [(turns.clone(), Fake::new(script)), (good, answering(500))],
        );
        for _ in 0..300 {
            let _ = timeout(secs(30), send(&pool, get())).await;
        }
        assert!((20..32).contains(&turns.picked()), "{}", turns.picked());
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_the_caller_does_not_wait_for_is_no_good_answer() {
    let a = Deployment::new("a");
    let stalls = Answer::status(200).data("{}").pausing(secs(1_000_000)).after(ms(1));
    let pool = pool(lowest(), [(a.clone(), Fake::new([stalls]))]);
    assert!(timeout(secs(5), send(&pool, get())).await.is_err());
    assert_eq!((a.latency().failed_share(), a.latency().whole()), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_left_is_neither_good_nor_bad() {
    let a = Deployment::new("a");
    let pool = pool(lowest(), [(a.clone(), streaming(10))]);
    let response = pool.clone().oneshot(asking(|demand| demand.stream = true)).await.unwrap();
    let mut body = response.into_body();
    assert!(body.frame().await.is_some());
    drop(body);
    assert_eq!(a.latency().failed_share(), None);
    assert_eq!(a.latency().first_chunk(), Some(ms(10)));
}

#[tokio::test(start_paused = true)]
async fn a_head_at_once_is_no_answer_where_the_body_takes_long() {
    let [late, good] = named(["late", "good"]);
    let body_late = || Fake::new([Answer::status(200).data("{}").pausing(secs(20))]);
    for (by, most) in [(LatencyMeasure::Auto, 2), (LatencyMeasure::Whole, 4)] {
        let pool =
            pool(lowest().by(by), [(late.clone(), body_late()), (good.clone(), answering(500))]);
        for _ in 0..50 {
            send(&pool, get()).await;
        }
        assert!(late.picked() <= most, "{by:?}: {}", late.picked());
    }
    assert_eq!(late.latency().whole(), Some(secs(20)));
    assert_eq!(late.latency().first_byte(), Some(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_does_not_look_better_the_longer_it_hangs() {
    let [hangs, good] = named(["hangs", "good"]);
    let script = [Answer::status(200).after(ms(90)), Answer::never()];
    let pool = pool(lowest(), [(hangs.clone(), Fake::new(script)), (good.clone(), answering(100))]);
    every(ms(200), &pool, get).await;
    assert!(hangs.picked() <= 4, "{}", hangs.picked());
}

#[tokio::test(start_paused = true)]
async fn a_share_of_the_requests_goes_to_the_one_silent_longest() {
    let [fast, slow, slower] = named(["fast", "slow", "slower"]);
    let strategy = LowestLatency::new().explore(0.1).decay(Duration::from_secs(1));
    let pool = pool(
        strategy.penalty(Duration::from_secs(1_000_000)),
        [
            (fast, answering(10)),
            (slow.clone(), Fake::new([Answer::status(500)])),
            (slower.clone(), Fake::new([Answer::status(500)])),
        ],
    );
    for _ in 0..1000 {
        send(&pool, get()).await;
        advance(ms(990)).await;
    }
    // 10 of 100, in turn; each has to be silent for a second, which most are.
    let picks = [slow.picked(), slower.picked()];
    assert!(picks.iter().all(|picks| (25..90).contains(picks)), "{picks:?}");
    assert!(picks[0].abs_diff(picks[1]) <= 3, "{picks:?}");
}

#[tokio::test(start_paused = true)]
async fn within_the_buffer_all_are_equals_and_the_least_busy_goes_first() {
    let [one, other, slow] = named(["one", "other", "slow"]);
    let pool = pool(
        lowest().buffer(0.5),
        [
            (one.clone(), answering(100)),
            (other.clone(), answering(140)),
            (slow.clone(), answering(400)),
        ],
    );
    for _ in 0..1200 {
        send(&pool, get()).await;
    }
    let (one, other, slow) = (one.picked(), other.picked(), slow.picked());
    assert!(chi_square(&[one, other]) < LIMIT_OF_2, "{one} {other}");
    assert!(slow < 60, "{slow}");
}

#[tokio::test(start_paused = true)]
async fn equals_are_drawn_evenly() {
    let all = named(["a", "b", "c"]);
    // Unknown to all: the head says nothing of a first chunk.
    let strategy = lowest().by(LatencyMeasure::FirstChunk);
    let pool = pool(strategy, all.each_ref().map(|one| (one.clone(), answering(10))));
    for _ in 0..3000 {
        send(&pool, get()).await;
    }
    let picks = all.map(|one| one.picked());
    assert!(chi_square(&picks) < LIMIT_OF_3, "{picks:?}");
}

#[tokio::test(start_paused = true)]
async fn streams_are_measured_by_their_first_chunk() {
    let [late, early] = named(["late", "early"]);
    let pool = pool(lowest(), [(late.clone(), streaming(800)), (early.clone(), streaming(100))]);
    for _ in 0..20 {
        send(&pool, asking(|demand| demand.stream = true)).await;
    }
    assert_eq!((late.picked(), early.picked()), (1, 19));
    assert_eq!(late.latency().first_chunk(), Some(ms(800)));
    assert_eq!(late.latency().first_byte(), Some(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_stream_says_so_itself_where_nothing_read_the_request() {
    let a = Deployment::new("a");
    let events = Answer::status(200).header("content-type", "Text/Event-Stream; charset=utf-8");
    let pool =
        pool(lowest(), [(a.clone(), Fake::new([events.data("data: 1\n\n").pausing(ms(70))]))]);
    send(&pool, get()).await;
    assert_eq!(a.latency().first_chunk(), Some(ms(70)));
}

#[tokio::test(start_paused = true)]
async fn a_head_without_a_chunk_is_awaited_still() {
    let [hangs, good] = named(["hangs", "good"]);
    let first = Answer::status(200).data("data: 1\n\n").pausing(ms(90));
    let script = [first.clone(), first.pausing(Duration::from_secs(1_000_000))];
    let pool = pool(lowest(), [(hangs.clone(), Fake::new(script)), (good.clone(), streaming(100))]);
    every(ms(250), &pool, || asking(|demand| demand.stream = true)).await;
    assert!(hangs.picked() <= 4, "{}", hangs.picked());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_measured_for_strategies_that_do_not_read_it() {
    let [one, other] = named(["one", "other"]);
    let busy = pool(LeastBusy, [(one.clone(), answering(10))]);
    send(&busy, get()).await;
    assert_eq!(one.latency().first_byte(), None);
    let idle = pool(PreferIdle::new(AnyStrategy::new(lowest())), [(other.clone(), answering(10))]);
    send(&idle, get()).await;
    assert_eq!(other.latency().first_byte(), Some(ms(10)));
}

#[tokio::test(start_paused = true)]
async fn what_is_known_stays_as_small_as_it_is() {
    // LiteLLM's map grows by a key a minute.
    assert!(size_of::<tower_fleet::deployment::Latency>() <= 64);
}

#[cfg(feature = "llm")]
#[tokio::test(start_paused = true)]
async fn long_answers_are_not_slow_ones_where_tokens_are_counted() {
    use tower_fleet::llm::MeterLayer;

    let answer = |tokens: u64, each: u64| {
        let usage = format!(
            r#"{{"choices":[],"usage":{{"prompt_tokens":10,"completion_tokens":{tokens},"total_tokens":1}}}}"#
        );
        let json = Answer::status(200).header("content-type", "application/json").data(usage);
        MeterLayer::new().layer(Fake::new([json.after(ms(tokens * each))]))
    };
    let [long, short] = named(["long", "short"]);
    let pool =
        Balance::new(lowest(), [(long.clone(), answer(1000, 1)), (short.clone(), answer(100, 3))])
            .seed(5);
    for _ in 0..20 {
        let mut request = get();
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = "/v1/chat/completions".parse().unwrap();
        support::text(pool.clone().oneshot(request).await.unwrap()).await;
    }
    assert_eq!(long.latency().per_token(), Some(ms(1)));
    assert!(long.picked() > 14, "{}", long.picked());
}

/// Where a request goes, and why.
async fn explained<P: Strategy>(pool: &Pool<P>) -> Arc<Explanation> {
    let mut request = get();
    let trail = Trail::explain(&mut request);
    send(pool, request).await;
    trail.explanations().remove(0)
}

#[tokio::test(start_paused = true)]
async fn an_explanation_gives_the_expected_times_and_not_who_is_within_the_buffer() {
    let members = [("a", 100), ("b", 110), ("c", 200)];
    let members = members.map(|(id, time)| (Deployment::new(id), answering(time)));
    let pool = pool(lowest().buffer(0.25).by(LatencyMeasure::FirstByte), members);
    for _ in 0..40 {
        send(&pool, get()).await;
    }
    let why = explained(&pool).await;
    let scores: Vec<_> = why.considered().iter().filter_map(Considered::score).collect();
    // They fade as they are not used.
    assert!(
        scores[0] < scores[2] && scores.iter().all(|score| (0.05..0.25).contains(score)),
        "{why}"
    );
    let reasons = why.reasons().join("; ");
    assert!(reasons.starts_with("up to 1.25 times the best are as good; "), "{why}");
}

#[tokio::test(start_paused = true)]
async fn an_explanation_says_that_a_request_explores_and_what() {
    let members = ["a", "b"].map(|id| (Deployment::new(id), answering(100)));
    let pool = pool(LowestLatency::new().explore(1.0).decay(Duration::from_secs(1)), members);
    for _ in 0..4 {
        send(&pool, get()).await;
    }
    tokio::time::sleep(Duration::from_millis(21_005)).await;
    let why = explained(&pool).await;
    assert_eq!(why.reasons().first().map(String::as_str), Some("to explore"), "{why}");
    assert!(why.picked().unwrap().to_string().starts_with("seconds silent 21."), "{why}");
}

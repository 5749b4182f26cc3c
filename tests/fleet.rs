//! Groups by name, and the stack over them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt, limit::ConcurrencyLimit};
use tower_fleet::{
    BoxError, Captured, Demand, Deployment, Error, GroupName, Trail,
    body::ReplayBody,
    cooldown::CooldownPolicy,
    deployment::Status,
    error::RefusedReason,
    fallback::FallbackPlan,
    fleet::{Fleet, FleetBuilder, FleetError, FleetLayer},
    outcome::FailureKind,
    retry::{RetryCounts, RetryPolicy},
    upstream::Upstream,
};

/// Answers with its name and what the wildcards stood for.
#[derive(Clone, Debug)]
struct Named(&'static str);

impl<B> Service<Request<B>> for Named {
    type Response = String;
    type Error = Infallible;
    type Future = Ready<Result<String, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let captured = Captured::of(&request).map(|captured| captured.iter().collect::<Vec<_>>());
        ready(Ok(captured.map_or_else(|| self.0.into(), |it| format!("{} {it:?}", self.0))))
    }
}

fn fleet<const N: usize>(groups: [&'static str; N], aliases: &[(&str, &str)]) -> Fleet<Named> {
    let aliases = aliases.iter().map(|(name, group)| ((*name).into(), (*group).into()));
    Fleet::new(groups.map(|name| (name.into(), Named(name))), aliases)
}

fn to(group: &str) -> Request<ReplayBody> {
    let mut request = Request::new(ReplayBody::empty());
    GroupName::new(group).set(&mut request);
    request
}

async fn asked(fleet: &Fleet<Named>, name: &str) -> Result<String, Error> {
    fleet.clone().oneshot(to(name)).await
}

#[tokio::test]
async fn an_alias_goes_before_a_group_a_group_before_a_pattern_and_a_longer_pattern_first() {
    let groups = ["*", "openai/*", "openai/gpt-4o", "openai/gpt-*", "old"];
    let fleet = fleet(groups, &[("old", "openai/gpt-4o"), ("new", "openai/o3")]);
    for (name, expected) in [
        ("openai/gpt-4o", "openai/gpt-4o"),
        ("openai/gpt-5", r#"openai/gpt-* ["5"]"#),
        ("openai/o3", r#"openai/* ["o3"]"#),
        ("llama", r#"* ["llama"]"#),
        ("old", "openai/gpt-4o"),
        ("new", r#"openai/* ["o3"]"#),
    ] {
        assert_eq!(asked(&fleet, name).await.unwrap(), expected, "{name}");
    }
}

#[tokio::test]
async fn an_unknown_name_is_refused_by_its_type_and_named() {
    let fleet = fleet(["x-*-mini", "y"], &[]);
    assert_eq!(asked(&fleet, "x-4-mini").await.unwrap(), r#"x-*-mini ["4"]"#);
    for name in ["x-4-mini-extra", "an-x-4-mini", "z"] {
        let error = asked(&fleet, name).await.unwrap_err();
        let refused = error.as_refused().unwrap();
        assert_eq!(refused.reason(), RefusedReason::UnknownGroup);
        assert_eq!(refused.group(), Some(&GroupName::new(name)));
    }
}

#[tokio::test]
async fn a_request_without_a_name_goes_to_the_only_group_there_is() {
    let nameless = || Request::new(ReplayBody::empty());
    assert_eq!(fleet(["one"], &[]).oneshot(nameless()).await.unwrap(), "one");
    for several in
        [fleet(["one", "two"], &[]).oneshot(nameless()), Fleet::new([], []).oneshot(nameless())]
    {
        let error = several.await.unwrap_err();
        assert_eq!(error.as_refused().unwrap().reason(), RefusedReason::UnknownGroup);
    }
    assert!(asked(&fleet(["one"], &[]), "two").await.is_err(), "a name must be right all the same");
}

#[tokio::test]
async fn what_wildcards_stood_for_does_not_stay_with_a_request_that_goes_elsewhere() {
    let inner = fleet(["openai/*", "plain"], &[]);
    let mut first = to("openai/o3");
    let outer = Fleet::new(
        [(
            GroupName::new("openai/*"),
            inner.clone().map_request(|mut request: Request<_>| {
                assert!(Captured::of(&request).is_some());
                GroupName::new("plain").set(&mut request);
                request
            }),
        )],
        [],
    );
    GroupName::new("openai/o3").set(&mut first);
    assert_eq!(outer.oneshot(first).await.unwrap(), "plain");
}

#[tokio::test]
async fn the_service_of_a_group_is_called_only_once_it_is_ready() {
    let limited = ConcurrencyLimit::new(Named("a"), 1);
    let mut holder = limited.clone();
    <_ as ServiceExt<Request<()>>>::ready(&mut holder).await.unwrap();
    let fleet = Fleet::new([(GroupName::new("a"), limited)], []);
    let mut call = Box::pin(fleet.oneshot(to("a")));
    assert!((&mut call).now_or_never().is_none());
    drop(holder);
    assert_eq!(call.await.unwrap(), "a");
}

/// A client that answers for the hosts as told and notes whom it was asked for.
#[derive(Clone, Default)]
struct Hosts {
    failing: Arc<Mutex<Vec<&'static str>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

type HostsResult = Result<Response<Full<Bytes>>, Infallible>;

impl<B> Service<Request<B>> for Hosts {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let fails = self.failing.lock().unwrap().contains(&&*host);
        self.asked.lock().unwrap().push(host);
        let response = Response::builder().status(if fails { 429 } else { 200 });
        ready(Ok(response.body(Full::default()).unwrap()))
    }
}

impl Hosts {
    fn failing<const N: usize>(hosts: [&'static str; N]) -> Self {
        Self { failing: Arc::new(Mutex::new(hosts.into())), ..Self::default() }
    }

    fn take_asked(&self) -> String {
        std::mem::take(&mut *self.asked.lock().unwrap()).join(" ")
    }
}

fn member(id: &'static str) -> (Deployment, Upstream) {
    (Deployment::new(id), Upstream::new(&format!("http://{id}/")).unwrap())
}

/// The groups `one` of `a` and `b`, and `two` of `c`.
fn builder() -> FleetBuilder {
    let cooldown = CooldownPolicy::default().cooldown_time(Duration::from_secs(60));
    let builder = FleetLayer::builder().cooldown(cooldown).retry(RetryPolicy::any_method());
    builder.group("one", [member("a"), member("b")]).group("two", [member("c")])
}

async fn status<S, R>(stack: &S, group: &str) -> u16
where
    S: Service<Request<ReplayBody>, Response = Response<R>, Error = Error> + Clone,
    R: Body,
{
    stack.clone().oneshot(to(group)).await.unwrap().status().as_u16()
}

#[test]
fn two_of_a_name_are_an_error_that_names_them() {
    let twice = builder().group("two", [member("d")]).build().unwrap_err();
    assert_eq!(twice, FleetError::Group("two".into()));
    assert_eq!(twice.to_string(), r#"two groups are named "two""#);
    let twins =
        builder().group("three", [member("d"), member("e"), member("d")]).build().unwrap_err();
    assert_eq!(twins, FleetError::Deployment("three".into(), "d".into()));
    assert_eq!(twins.to_string(), r#"group "three": two deployments have the id "d""#);
    assert!(builder().group("three", [member("a")]).build().is_ok(), "ids are for one group");
}

#[test]
fn an_alias_of_no_group_and_a_policy_for_no_deployment_are_errors() {
    let builder = || builder().group("openai/*", [member("d")]);
    assert!(builder().alias("small", "openai/mini").alias("one", "two").build().is_ok());
    let nowhere = builder().alias("nick", "three").build().unwrap_err();
    assert_eq!(nowhere, FleetError::Alias("nick".into(), "three".into()));
    assert_eq!(nowhere.to_string(), r#"alias "nick": no group is named "three""#);
    let of_alias = builder().alias("nick", "one").alias("nock", "nick").build().unwrap_err();
    assert_eq!(of_alias, FleetError::Alias("nock".into(), "nick".into()));

    let policy = CooldownPolicy::default;
    assert!(builder().cooldown_of("d", policy()).build().is_ok());
    let nobody = builder().cooldown_of("e", policy()).build().unwrap_err();
    assert_eq!(nobody, FleetError::Cooldown("e".into()));
    assert_eq!(nobody.to_string(), r#"a cooldown policy is for "e", which is no deployment's id"#);
}

#[cfg(feature = "config")]
#[tokio::test]
async fn an_alias_of_a_file_that_leads_nowhere_is_only_a_warning() {
    let layer = FleetLayer::from_yaml(
        "model_list: [{model_name: m, litellm_params: {model: openai/m, api_base: 'http://m', api_key: k}}]\n\
         router_settings: {model_group_alias: {good: m, bad: n}}",
    );
    let layer = layer.unwrap();
    assert_eq!(layer.aliases().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["good"]);
}

#[tokio::test(start_paused = true)]
async fn a_deployment_with_a_cooldown_policy_of_its_own_is_judged_by_it_alone() {
    let hosts = Hosts::failing(["a", "b", "c"]);
    let own = CooldownPolicy::default().allowed_fails_of(FailureKind::RateLimited, 1);
    let layer = builder().retry(RetryPolicy::new().attempts(1)).cooldown_of("b", own);
    let layer = layer.build().unwrap();
    let stack = layer.layer(hosts);
    let b = &layer.groups()[0].members()[1].0;
    for failures in 1..=2 {
        assert_eq!(b.health().status(), Status::Ready, "one is let pass");
        while b.picked() < failures {
            assert_eq!(status(&stack, "one").await, 429);
        }
    }
    assert!(matches!(b.health().status(), Status::Cooling { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_list_or_counts_for_a_wildcard_are_for_every_name_it_matches() {
    let hosts = Hosts::failing(["d"]);
    let patient = RetryCounts::new().of(FailureKind::RateLimited, 4);
    let layer = builder()
        .group("openai/*", [member("d")])
        .alias("small", "openai/mini")
        .retry(RetryPolicy::any_method().attempts(1).group("openai/*", patient))
        .fallback(FallbackPlan::new().group("openai/*", ["two"]).group("openai/o3", ["one"]));
    let stack = layer.clone().build().unwrap().layer(hosts.clone());
    for name in ["openai/gpt", "small"] {
        assert_eq!(status(&stack, name).await, 200);
        assert!(hosts.take_asked().ends_with('c'), "{name}");
    }
    assert_eq!(status(&stack, "openai/o3").await, 200);
    assert!(hosts.take_asked().ends_with(['a', 'b']), "its own list goes first");

    let stack = layer.fallback(FallbackPlan::new()).build().unwrap().layer(hosts.clone());
    for name in ["openai/gpt", "small"] {
        assert_eq!(status(&stack, name).await, 429);
        assert_eq!(hosts.take_asked(), "d d d d d", "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_names_of_one_wildcard_are_two_groups_to_fall_back_between() {
    let hosts = Hosts::failing(["d"]);
    let layer = builder()
        .group("openai/*", [member("d")])
        .retry(RetryPolicy::new().attempts(1))
        .fallback(FallbackPlan::new().group("openai/gpt", ["openai/mini", "two"]));
    let stack = layer.build().unwrap().layer(hosts.clone());
    let mut request = to("openai/gpt");
    let trail = Trail::start(&mut request);
    assert_eq!(stack.oneshot(request).await.unwrap().status(), 200);
    assert_eq!(trail.fallbacks(), [GroupName::new("openai/mini"), GroupName::new("two")]);
}

#[tokio::test(start_paused = true)]
async fn streams_have_a_time_limit_of_their_own() {
    let (all, streams) = (Duration::from_secs(9), Duration::from_secs(2));
    for builder in [
        builder().timeout(all).stream_timeout(streams),
        builder().stream_timeout(streams).timeout(all),
    ] {
        let hangs =
            tower::service_fn(|_: Request<ReplayBody>| std::future::pending::<HostsResult>());
        let stack = builder.retry(RetryPolicy::new().attempts(1)).build().unwrap().layer(hangs);
        for (stream, limit) in [(true, streams), (false, all)] {
            let mut demand = Demand::default();
            demand.stream = stream;
            let mut request = to("one");
            demand.set(&mut request);
            let start = tokio::time::Instant::now();
            assert!(stack.clone().oneshot(request).await.is_err_and(|error| error.is_timeout()));
            assert_eq!(start.elapsed(), limit);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_deployment_may_allow_retries_where_the_policy_allows_none() {
    let hosts = Hosts::failing(["d"]);
    let (deployment, upstream) = member("d");
    let layer = builder()
        .group("three", [(deployment.retries(2), upstream)])
        .retry(RetryPolicy::any_method().attempts(1));
    let stack = layer.build().unwrap().layer(hosts.clone());
    assert_eq!(status(&stack, "three").await, 429);
    assert_eq!(hosts.take_asked(), "d d d");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_name_goes_to_the_default_fallback() {
    let hosts = Hosts::default();
    let layer = builder().fallback(FallbackPlan::new().otherwise(["two"])).build().unwrap();
    assert_eq!(status(&layer.layer(hosts.clone()), "nobody").await, 200);
    assert_eq!(hosts.take_asked(), "c");
}

#[tokio::test(start_paused = true)]
async fn an_alias_has_the_fallbacks_of_its_group_unless_it_has_its_own() {
    let hosts = Hosts::failing(["a", "b"]);
    let plan = FallbackPlan::new().group("one", ["two"]).group("own", ["three"]);
    let layer = builder()
        .group("three", [member("d")])
        .fallback(plan)
        .alias("nick", "one")
        .alias("own", "one")
        .build()
        .unwrap();
    let stack = layer.layer(hosts.clone());
    assert_eq!(status(&stack, "nick").await, 200);
    assert!(hosts.take_asked().ends_with(" c"));
    assert_eq!(status(&stack, "own").await, 200);
    assert!(hosts.take_asked().ends_with('d'));
}

#[tokio::test(start_paused = true)]
async fn a_group_is_not_asked_again_under_another_name() {
    let hosts = Hosts::failing(["c"]);
    let plan = FallbackPlan::new().otherwise(["two", "nick"]);
    let layer = builder().fallback(plan).alias("nick", "two").alias("nock", "two").build().unwrap();
    let retried = "c c c";
    for name in ["two", "nick", "nock"] {
        let stack = layer.layer(hosts.clone());
        assert_eq!(status(&stack, name).await, 429);
        assert_eq!(hosts.take_asked(), retried, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_stack_of_a_layer_knows_what_the_others_learned() {
    let hosts = Hosts::failing(["a"]);
    let layer = builder().build().unwrap();
    let (first, second) = (layer.layer(hosts.clone()), layer.layer(hosts.clone()));
    let a = &layer.groups()[0].members()[0].0;
    while a.picked() == 0 {
        assert_eq!(status(&first, "one").await, 200);
    }
    assert!(matches!(a.health().status(), Status::Cooling { .. }));
    hosts.take_asked();
    for _ in 0..20 {
        assert_eq!(status(&second, "one").await, 200);
    }
    assert_eq!(hosts.take_asked(), ["b"; 20].join(" "));
}

#[tokio::test]
async fn members_come_and_go_while_the_fleet_runs() {
    let hosts = Hosts::default();
    let group = |name| {
        let (deployment, to) = member(name);
        let balance = tower_fleet::balance::Balance::new(
            tower_fleet::balance::LeastBusy,
            [(deployment, to.layer(hosts.clone()))],
        );
        (GroupName::new(name), balance)
    };
    let fleet = Fleet::new([group("a"), group("b")], [("nick".into(), "a".into())]);
    let members = fleet.group("nick").unwrap().members();
    assert_eq!(fleet.groups().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(fleet.group("c").is_none());

    let (deployment, to_c) = member("c");
    members.replace([(deployment, to_c.layer(hosts.clone()))]);
    assert_eq!(status(&fleet, "a").await, 200);
    assert_eq!(hosts.take_asked(), "c");
    members.remove("c");
    let error = fleet.oneshot(to("a")).await.unwrap_err();
    assert_eq!(error.as_refused().unwrap().reason(), RefusedReason::Empty);
}

/// An extension that counts how often the head it is part of is copied.
#[derive(Default)]
struct Copies(Arc<AtomicUsize>);

impl Clone for Copies {
    fn clone(&self) -> Self {
        self.0.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

#[tokio::test]
async fn a_request_that_can_be_retried_and_fall_back_is_copied_once() {
    let plan = FallbackPlan::new().group("one", ["two"]);
    let stack = builder().fallback(plan).build().unwrap().layer(Hosts::default());
    let (mut request, copies) = (to("one"), Copies::default());
    let count = Arc::clone(&copies.0);
    request.extensions_mut().insert(copies);
    assert!(stack.oneshot(request).await.unwrap().status().is_success());
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_attempt_layer_sees_each_attempt_at_each_deployment() {
    let (hosts, seen) = (Hosts::failing(["a", "b"]), Arc::new(Mutex::new(Vec::new())));
    let log = Arc::clone(&seen);
    let note = tower::util::MapRequestLayer::new(move |request: Request<ReplayBody>| {
        let attempt = tower_fleet::Attempt::of(&request).unwrap();
        log.lock().unwrap().push((attempt.index(), attempt.deployment().id().to_owned()));
        request
    });
    let plan = FallbackPlan::new().group("one", ["two"]);
    let stack = builder().fallback(plan).attempt_layer(note).build().unwrap().layer(hosts.clone());
    let answer: Result<_, BoxError> = stack.oneshot(to("one")).await.map_err(Into::into);
    assert!(answer.unwrap().status().is_success());
    let mut seen = seen.lock().unwrap().clone();
    assert_eq!(seen.pop(), Some((2, "c".into())));
    seen.sort_unstable_by(|(_, a), (_, b)| a.cmp(b));
    assert_eq!(seen.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[tokio::test]
async fn the_members_of_a_stack_change_while_it_runs() {
    let layer = FleetLayer::builder()
        .group("chat", [(Deployment::new("one"), Upstream::new("http://one.example").unwrap())])
        .max_ejected(1.0)
        .build()
        .unwrap();
    let client = tower::service_fn(|_: Request<ReplayBody>| async {
        Ok::<_, BoxError>(Response::new(Full::<Bytes>::default()))
    });
    let stack = layer.layer(client);
    let members = stack.get_ref().get_ref().group("chat").unwrap().members();
    members.remove("one");
    let mut request = Request::new(Full::<Bytes>::default());
    GroupName::new("chat").set(&mut request);
    let refused = stack.oneshot(request).await.unwrap_err();
    assert_eq!(refused.as_refused().unwrap().reason(), RefusedReason::Empty);
}

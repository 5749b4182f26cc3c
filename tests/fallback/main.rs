//! Which group answers, what it costs, and what the caller sees when none does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod answers;
mod copy;
mod elsewhere;
mod kinds;
mod lists;
mod to;

use std::{
    convert::Infallible,
    future::{Future, pending},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, StreamBody};
use tower::{Layer, Service, ServiceExt};
use tower_fleet::{
    BoxError, Deployment, GroupName,
    balance::{Balance, LeastBusy},
    body::ReplayBody,
    cooldown::{Cooldown, CooldownLayer, CooldownPolicy},
    fallback::{FallbackLayer, FallbackPlan},
    fleet::Fleet,
};

type Answer = Response<Full<Bytes>>;

/// The status of a group that never answers.
const HANGS: u16 = 0;

/// Groups that answer as told, remember in what order they were asked, and insist on their readiness.
#[derive(Debug, Default)]
struct Groups {
    answers: Vec<(&'static str, u16)>,
    asked: Arc<Mutex<Vec<String>>>,
    ready: bool,
}

impl Groups {
    /// The status of each group; those not named answer 503.
    fn new(answers: impl IntoIterator<Item = (&'static str, u16)>) -> Self {
        Self { answers: answers.into_iter().collect(), ..Self::default() }
    }

    fn asked(&self) -> String {
        self.asked.lock().unwrap().join(" ")
    }

    /// Falls back by `plan`: the status and the body of the answer.
    async fn ask(&self, plan: FallbackPlan, request: Request<ReplayBody>) -> (u16, String) {
        read(FallbackLayer::new(plan).layer(self.clone()).oneshot(request).await.unwrap()).await
    }
}

impl Clone for Groups {
    fn clone(&self) -> Self {
        Self { answers: self.answers.clone(), asked: Arc::clone(&self.asked), ready: false }
    }
}

/// Takes the whole request body, then answers with the name of the group.
impl Service<Request<ReplayBody>> for Groups {
    type Response = Answer;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReplayBody>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called before it was ready");
        let group = GroupName::of(&request).map_or("-", GroupName::as_str).to_owned();
        self.asked.lock().unwrap().push(group.clone());
        let status = self.answers.iter().find(|(name, _)| *name == group).map_or(503, |it| it.1);
        Box::pin(async move {
            request.into_body().collect().await?;
            if status == HANGS {
                pending::<()>().await;
            }
            Ok(answer(status, group))
        })
    }
}

fn answer(status: u16, body: impl Into<Bytes>) -> Answer {
    Response::builder().status(status).body(Full::new(body.into())).unwrap()
}

async fn read<B: Body>(response: Response<B>) -> (u16, String)
where
    B::Error: std::fmt::Debug,
{
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// A body that must be recorded to be sent again: it comes in pieces, and says nothing of its size.
fn in_pieces(
    count: usize,
    piece: impl Fn() -> Bytes + Send + 'static,
) -> impl Body<Data = Bytes, Error = Infallible> + Send {
    StreamBody::new(stream::iter((0..count).map(move |_| Ok(Frame::data(piece())))))
}

fn request(group: &str) -> Request<ReplayBody> {
    let mut request = Request::post("/").body(ReplayBody::from(Bytes::from("ask"))).unwrap();
    GroupName::new(group).set(&mut request);
    request
}

/// The groups `a`, `b` and `c`, each a balance over one deployment of the same name.
type OfOne = Fleet<Balance<Cooldown<Groups>, LeastBusy>>;

fn of_one(groups: &Groups) -> OfOne {
    let policy = CooldownPolicy::default().cooldown_time(Duration::from_secs(60));
    let cooldown = CooldownLayer::new(policy);
    let group = |name: &'static str| {
        let member = (Deployment::new(name), cooldown.layer(groups.clone()));
        (GroupName::new(name), Balance::new(LeastBusy, [member]))
    };
    Fleet::new(["a", "b", "c"].map(group), [])
}

fn deployment(fleet: &OfOne, group: &str) -> Deployment {
    fleet.group(group).unwrap().members().list().remove(0)
}

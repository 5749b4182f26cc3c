use tokio::time::advance;
use tower::Layer;
use tower_fleet::{
    Deployment,
    balance::{Balance, LeastBusy},
    cooldown::{Cooldown, CooldownLayer},
    deployment::{Cause, Status},
    outcome::FailureKind,
    quota::Quota,
};

use super::{
    ask, request,
    support::{Answer, Fake, secs},
};

fn answering(answers: impl IntoIterator<Item = Answer>) -> Cooldown<Fake> {
    CooldownLayer::default().layer(Fake::new(answers))
}

fn limited() -> Answer {
    Answer::status(429).header("retry-after", "20")
}

fn ok() -> Answer {
    Answer::status(200)
}

fn cause(deployment: &Deployment) -> Option<FailureKind> {
    match deployment.health().status() {
        Status::Cooling { cause: Cause::Failed(kind), .. } => Some(kind),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_429_sets_aside_all_that_share_the_key_in_every_group() {
    let key = Quota::new("key", []);
    let deployment = |id| Deployment::new(id).quota(&key);
    let (chat, mini, code) = (deployment("chat"), deployment("mini"), deployment("code"));
    let foreign = Deployment::new("foreign");
    let one = Balance::new(
        LeastBusy,
        [
            (chat.clone().order(1), answering([limited(), ok()])),
            (mini.clone().order(2), answering([ok()])),
            (foreign.clone().order(3), answering([ok()])),
        ],
    );
    let other = Balance::new(LeastBusy, [(code.clone(), answering([ok()]))]);
    assert_eq!(ask(&one, request(&[])).await.unwrap().status(), 429);
    for shared in [&chat, &mini, &code] {
        assert_eq!(cause(shared), Some(FailureKind::RateLimited), "{shared:?}");
    }
    assert_eq!(cause(&foreign), None);
    ask(&one, request(&[])).await.unwrap();
    assert_eq!(foreign.picked(), 1);

    advance(secs(20)).await;
    for shared in [&chat, &mini, &code] {
        assert_eq!(shared.health().status(), Status::Probing);
    }
    ask(&other, request(&[])).await.unwrap();
    assert!(matches!(code.health().status(), Status::Ramping { .. }));
    assert_eq!(chat.health().status(), Status::Probing, "each proves itself");
    assert_eq!((chat.health().totals().failed, code.health().totals().failed), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_one_deployment_sets_no_other_aside() {
    for status in [500, 503, 401, 404] {
        let key = Quota::new("key", []);
        let (chat, code) =
            (Deployment::new("chat").quota(&key), Deployment::new("code").quota(&key));
        let answer = Answer::status(status).header("retry-after", "20");
        let one = Balance::new(LeastBusy, [(chat.clone(), answering([answer]))]);
        let _other = Balance::new(LeastBusy, [(code.clone(), answering([ok()]))]);
        for _ in 0..5 {
            let _ = ask(&one, request(&[])).await;
        }
        assert_eq!(code.health().status(), Status::Ready, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_with_nothing_left_to_spend_is_one_too() {
    let account = Quota::new("account", []);
    let deployment = |id| Deployment::new(id).quota(&account);
    let (chat, code) = (deployment("chat"), deployment("code"));
    let one = Balance::new(LeastBusy, [(chat, answering([Answer::status(402)]))]);
    let _other = Balance::new(LeastBusy, [(code.clone(), answering([ok()]))]);
    ask(&one, request(&[])).await.unwrap();
    assert_eq!(cause(&code), Some(FailureKind::QuotaExhausted));
}

#[tokio::test(start_paused = true)]
async fn one_that_has_left_the_group_is_no_longer_concerned() {
    let key = Quota::new("key", []);
    let (chat, code) = (Deployment::new("chat").quota(&key), Deployment::new("code").quota(&key));
    let one = Balance::new(LeastBusy, [(chat, answering([limited()]))]);
    let other = Balance::new(LeastBusy, [(code.clone(), answering([ok()]))]);
    other.members().remove("code");
    ask(&one, request(&[])).await.unwrap();
    assert_eq!(code.health().status(), Status::Ready);
}

use super::*;
use crate::{error::RefusedReason, quota::Limit};

fn considered(id: &str, in_flight: u32, removed: Option<Removed>) -> Considered {
    let deployment = Deployment::new(id);
    Considered {
        deployment,
        in_flight,
        removed,
        scores: Vec::new(),
        remarks: Vec::new(),
        picked: false,
    }
}

#[tokio::test(start_paused = true)]
async fn it_reads_as_a_table() {
    let cooling = Removed::Cooling {
        wait: Duration::from_millis(12_340),
        cause: Some(FailureKind::RateLimited),
    };
    let wait = Some(Duration::from_secs(9));
    let limited = Removed::Limited { limit: Limit::rpm(5), wait };
    let explanation = Explanation {
        group: Some("chat".into()),
        at: Instant::now(),
        considered: vec![
            considered("eu-1", 17, Some(cooling)),
            Considered {
                scores: vec![("score", 1.0)],
                picked: true,
                ..considered("eu-22", 1, None)
            },
            Considered {
                scores: vec![("dollars", f64::from(0.1_f32))],
                remarks: vec!["is hot"],
                ..considered("eu-3", 4, None)
            },
            considered("us", 0, Some(Removed::Ramping { share: 0.25 })),
            considered("asia", 0, Some(limited)),
        ],
        strategies: vec!["Affinity", "LowestCost"],
        reasons: vec!["one".into(), "another".into()],
        refused: None,
    };
    let table = "\
picked eu-22 of group chat by Affinity, LowestCost: one; another
  eu-1   17 in flight  is cooling for 12.3 s more (rate_limited)
  eu-22   1 in flight  score 1: picked
  eu-3    4 in flight  dollars 0.1, is hot
  us      0 in flight  takes 25 % of its share so far
  asia    0 in flight  has too little left of 5 requests in 60 s, for 9.0 s more";
    assert_eq!(explanation.to_string(), table);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_and_a_last_resort_are_told_as_such() {
    let at = Instant::now();
    let paused = considered("a", 0, Some(Removed::Paused));
    let group = Some(GroupName::new("chat"));
    let refused = Some(Refused::new(RefusedReason::Paused).in_group(group.clone()));
    let considered = vec![paused.clone()];
    let (strategies, reasons) = (Vec::new(), Vec::new());
    let explanation = Explanation { group, at, considered, strategies, reasons, refused };
    let said = "refused: every deployment of group chat is paused\n  a  0 in flight  is paused";
    assert_eq!(explanation.to_string(), said);
    let considered = vec![Considered { picked: true, ..paused }];
    let explanation = Explanation { group: None, considered, refused: None, ..explanation };
    let said = "picked a\n  a  0 in flight  is paused: picked as the last resort";
    assert_eq!(explanation.to_string(), said);
}

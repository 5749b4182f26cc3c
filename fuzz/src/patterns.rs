//! Which group a name stands for: the name, then the names of groups, a line each.

use std::{cmp::Reverse, future};

use http::{Request, Response};
use tower::{ServiceExt, service_fn};
use tower_fleet::{BoxError, Captured, GroupName, fleet::Fleet};

use super::support::now;

/// The group is the one that a plain matcher finds, and what its wildcards stand for makes the name of it.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.lines();
    let name = lines.next().unwrap_or_default();
    let mut groups: Vec<String> = lines.map(str::to_owned).collect();
    groups.sort();
    groups.dedup();

    let services = groups.iter().map(|group| {
        let found = group.clone();
        let service = service_fn(move |request: Request<()>| {
            let captured = Captured::of(&request).cloned();
            future::ready(Ok::<_, BoxError>(Response::new((found.clone(), captured))))
        });
        (GroupName::new(group.as_str()), service)
    });
    let fleet = Fleet::new(services, []);
    let mut request = Request::new(());
    GroupName::new(name).set(&mut request);
    let answer = now(fleet.oneshot(request));

    let best = groups.iter().filter(|group| matches(group, name)).min_by_key(|group| rank(group));
    if groups.iter().any(|group| group == name) {
        let (found, captured) = answer.expect("a group").into_body();
        assert_eq!((&*found, captured), (name, None));
    } else if let Some(best) = best {
        let (found, captured) = answer.expect("a group").into_body();
        assert!(matches(&found, name));
        assert_eq!(rank(&found), rank(best));
        assert_eq!(captured.expect("what the wildcards stand for").fill(&found), name);
    } else {
        assert!(answer.is_err());
    }
}

/// The first is the most specific.
fn rank(pattern: &str) -> impl Ord + std::fmt::Debug + use<> {
    let wildcards = pattern.matches('*').count();
    (Reverse(pattern.len() - wildcards), wildcards)
}

/// Keeps, for each beginning of the pattern, which beginnings of the name it matches.
fn matches(pattern: &str, name: &str) -> bool {
    let mut begins = vec![false; name.len() + 1];
    begins[0] = true;
    for wanted in pattern.bytes() {
        if wanted == b'*' {
            let first = begins.iter().position(|matched| *matched).unwrap_or(begins.len());
            begins[first..].fill(true);
        } else {
            for (at, byte) in name.bytes().enumerate().rev() {
                begins[at + 1] = begins[at] && byte == wanted;
            }
            begins[0] = false;
        }
    }
    begins[name.len()]
}

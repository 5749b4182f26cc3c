//! Requests go where their tags say.

use super::*;
use crate::{balance::TagMatch, trail::Demand};

/// A group of these: the id of each is its tags, joined.
fn tagged(members: &[&str]) -> (Pool, Vec<Key>) {
    pool(
        members
            .iter()
            .map(|tags| Deployment::new(*tags).tags(tags.split('+').filter(|tag| *tag != "none"))),
    )
}

fn asking(tags: &[&str]) -> Demand {
    Demand { tags: tags.iter().map(|tag| (*tag).into()).collect(), ..Demand::default() }
}

fn pick_for(pool: &mut Pool, demand: Option<&Demand>) -> Result<Picked, Refused> {
    let (now, tried) = (Instant::now(), Tried::default());
    pool.pick(
        &LeastBusy,
        &Wish {
            now,
            tried: &tried,
            strict: false,
            beside: false,
            elsewhere: false,
            demand,
            explain: None,
        },
    )
}

/// All that a request with these tags may go to, least first; empty where it is refused for them.
fn served_by(pool: &mut Pool, tags: &[&str]) -> Vec<String> {
    let demand = asking(tags);
    let mut ids = Vec::new();
    for _ in 0..60 {
        match pick_for(pool, Some(&demand)) {
            Ok(picked) => ids.push(give_back(pool, picked)),
            Err(refused) => assert_eq!(refused.reason(), RefusedReason::Unsupported, "{tags:?}"),
        }
    }
    ids.sort();
    ids.dedup();
    ids
}

#[tokio::test(start_paused = true)]
async fn one_tag_in_common_is_enough_unless_all_must_match() {
    let (mut pool, _) = tagged(&["a", "a+b", "c", "none"]);
    for (tags, any, all) in [
        (&["a"][..], &["a", "a+b"][..], &["a", "a+b"][..]),
        (&["a", "b"], &["a", "a+b"], &["a+b"]),
        (&["b", "c"], &["a+b", "c"], &[]),
        (&["c", "unknown"], &["c"], &[]),
    ] {
        pool.set_tag_match(TagMatch::Any);
        assert_eq!(served_by(&mut pool, tags), any, "any of {tags:?}");
        pool.set_tag_match(TagMatch::All);
        assert_eq!(served_by(&mut pool, tags), all, "all of {tags:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn tags_with_a_mark_require_and_exclude() {
    let (mut pool, _) = tagged(&["a", "a+b", "b", "none"]);
    for (tags, served) in [
        (&["&a"][..], &["a", "a+b"][..]),
        (&["&a", "&b"], &["a+b"]),
        (&["!a"], &["b", "none"]),
        (&["&a", "!b"], &["a"]),
        (&["b", "!a"], &["b"]),
        (&["a", "&b"], &["a+b"]),
        (&["&a", "!a"], &[]),
        (&["a", "!a"], &[]),
        (&["&unknown"], &[]),
        (&["!unknown"], &["a", "a+b", "b", "none"]),
        (&["&", "!"], &["a", "a+b", "b", "none"]),
    ] {
        for how in [TagMatch::Any, TagMatch::All] {
            pool.set_tag_match(how);
            assert_eq!(served_by(&mut pool, tags), served, "{tags:?}, {how:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn those_tagged_default_serve_requests_without_tags_and_with_unknown_ones() {
    let (mut pool, _) = tagged(&["a", "default", "b+default", "none"]);
    for (tags, served) in [
        (&[][..], &["b+default", "default"][..]),
        (&["unknown"], &["b+default", "default"]),
        (&["unknown", "!b"], &["default"]),
        (&["unknown", "&b"], &["b+default"]),
        (&["unknown", "&a"], &[]),
        (&["!b"], &["default"]),
        (&["!default"], &[]),
        (&["&a"], &["a"]),
        (&["a"], &["a"]),
        (&["default"], &["b+default", "default"]),
        // Known, if not by one that may serve it.
        (&["a", "!a"], &[]),
    ] {
        assert_eq!(served_by(&mut pool, tags), served, "{tags:?}");
    }
    let picked = pick_for(&mut pool, None).expect("there are some by default");
    assert!(give_back(&mut pool, picked).ends_with("default"), "asking for nothing is no tags");
}

#[tokio::test(start_paused = true)]
async fn without_any_tagged_default_all_serve_requests_without_tags_and_none_unknown_ones() {
    let (mut pool, _) = tagged(&["a", "none"]);
    assert_eq!(served_by(&mut pool, &[]), ["a", "none"]);
    assert!(served_by(&mut pool, &["unknown"]).is_empty());
}

#[tokio::test(start_paused = true)]
async fn in_a_group_without_tags_plain_ones_say_nothing() {
    let (mut pool, _) = tagged(&["none"]);
    assert_eq!(served_by(&mut pool, &["a", "!b"]), ["none"]);
    assert!(served_by(&mut pool, &["a", "&b"]).is_empty());
}

#[tokio::test(start_paused = true)]
async fn tags_that_are_ignored_keep_no_request_away() {
    let (mut pool, _) = tagged(&["a", "default"]);
    pool.set_tag_match(TagMatch::Ignore);
    for tags in [&[][..], &["a"], &["unknown"], &["!a"], &["&unknown"]] {
        assert_eq!(served_by(&mut pool, tags), ["a", "default"], "{tags:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_does_not_change_with_who_is_well() {
    let (mut pool, keys) = tagged(&["paid", "default"]);
    set(&mut pool, keys[1], |one| one.health().cool_for(MINUTE));
    let refused = pick_for(&mut pool, None).expect_err("only the paid one is well");
    assert_eq!((refused.reason(), refused.wait()), (RefusedReason::Cooling, Some(MINUTE)));
    set(&mut pool, keys[1], |one| one.health().reset());
    set(&mut pool, keys[0], |one| one.health().pause());
    let refused = pick_for(&mut pool, Some(&asking(&["paid"]))).expect_err("it is paused");
    assert_eq!(refused.reason(), RefusedReason::Paused);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_names_the_tags() {
    let (mut pool, _) = tagged(&["a", "b"]);
    let refused = pick_for(&mut pool, Some(&asking(&["a", "&b"]))).expect_err("none has both");
    let said = "no deployment has all that the request needs: the tags `a`, `&b`";
    assert_eq!(refused.to_string(), said);
    assert_eq!(refused.lack().expect("it says").tags, ["a".into(), "&b".into()]);
    // The tag is there, and the region is there, but not together.
    let (mut pool, _) = super::pool([
        Deployment::new("eu").region("eu"),
        Deployment::new("us").region("us").tags(["a"]),
    ]);
    let demand = Demand { region: Some("eu".into()), ..asking(&["a"]) };
    let refused = pick_for(&mut pool, Some(&demand)).expect_err("the tag is elsewhere");
    assert!(refused.to_string().ends_with("needs: the region `eu`, the tags `a`"), "{refused}");
    let demand = Demand { region: Some("asia".into()), ..asking(&["a"]) };
    let refused = pick_for(&mut pool, Some(&demand)).expect_err("nobody is there");
    assert!(refused.to_string().ends_with("needs: the region `asia`"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn an_input_that_is_too_long_for_those_with_the_tags_is_too_long() {
    let (mut pool, _) = pool([
        Deployment::new("a").tags(["a"]).max_input_tokens(5),
        Deployment::new("b").tags(["b"]),
    ]);
    let demand = Demand { input_tokens: Some(6), ..asking(&["a"]) };
    let refused = pick_for(&mut pool, Some(&demand)).expect_err("a is too small");
    assert_eq!(refused.reason(), RefusedReason::ContextWindow);
}

#[tokio::test(start_paused = true)]
async fn tags_that_come_and_go_count_from_then_on() {
    let (mut pool, keys) = tagged(&["none", "a"]);
    assert_eq!(served_by(&mut pool, &[]), ["a", "none"]);
    pool.update(keys[0], Deployment::new("one").tags(["default"]));
    pool.rebuild(Instant::now());
    assert_eq!(served_by(&mut pool, &["b"]), ["one"]);
    pool.remove(keys[0]);
    pool.rebuild(Instant::now());
    assert_eq!(served_by(&mut pool, &[]), ["a"]);
    assert!(served_by(&mut pool, &["b"]).is_empty());
}

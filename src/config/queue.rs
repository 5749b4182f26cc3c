//! `router_settings.queue`, which LiteLLM has not.

use std::time::Duration;

use super::{field::Field, keys};

/// How requests wait for a place when none is free.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Queue {
    /// How many may wait for each group at a time, more than 0.
    pub max_waiting: usize,
    /// How long one may wait.
    pub max_wait: Option<Duration>,
    /// The classes of requests, in the order of the file.
    pub classes: Vec<QueueClass>,
    /// Whether requests wait also where a fallback could take them. Default: false.
    pub before_fallback: bool,
}

/// The requests up to a priority, and what is reserved for them.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct QueueClass {
    /// The last priority, as lower goes first.
    pub up_to: i32,
    /// The share of places that is theirs while they need it, of 1.
    pub share: f64,
}

impl Queue {
    pub(super) fn read(field: Field<'_>) -> Option<Self> {
        let mut queue = field.section();
        let max_waiting = queue.require("max_waiting", "how many requests may wait at a time");
        let max_waiting = max_waiting.and_then(|field| {
            let most = field.integer::<u32>("a whole number greater than 0")?;
            if most == 0 {
                field.wrong("a whole number greater than 0");
            }
            usize::try_from(most).ok()
        });
        let max_wait = queue.take("max_wait").and_then(|field| field.some_seconds());
        let classes = queue.take("classes").and_then(|field| field.list("a list of classes"));
        let classes = classes.unwrap_or_default().into_iter().filter_map(class).collect();
        let before_fallback = queue.take("before_fallback").and_then(|field| field.flag());
        queue.finish(&keys::QUEUE);
        let before_fallback = before_fallback.unwrap_or_default();
        Some(Self { max_waiting: max_waiting?, max_wait, classes, before_fallback })
    }
}

fn class(field: Field<'_>) -> Option<QueueClass> {
    let mut class = field.section();
    let up_to = class.require("up_to", "the last priority of the class");
    let up_to = up_to.and_then(|field| field.integer("a whole number"));
    let share = class.require("share", "the share of places that is reserved for it");
    let share = share.and_then(|field| {
        field.number("a number from 0 to 1", |share| (0.0..=1.0).contains(&share))
    });
    class.finish(&keys::QUEUE_CLASS);
    Some(QueueClass { up_to: up_to?, share: share? })
}

use std::time::Duration;

use tokio::time::Instant;

use super::GroupName;
use crate::{
    deployment::{Deployment, Usage},
    outcome::Outcome,
};

/// One attempt on a [`Trail`](super::Trail).
#[derive(Clone, Debug)]
pub struct Step {
    pub(super) deployment: Option<Deployment>,
    pub(super) group: Option<GroupName>,
    pub(super) started: Instant,
    pub(super) waited: Option<Duration>,
    pub(super) took: Option<Duration>,
    pub(super) outcome: Option<Outcome>,
    pub(super) spent: Option<Spent>,
    /// Another deployment, not tried yet, stood ready when this one was picked.
    pub(super) spare: bool,
}

/// What the answer of an attempt took.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Spent {
    /// The tokens.
    pub usage: Usage,
    /// What they cost, in US dollars, where the price is known.
    pub cost: Option<f64>,
}

impl Step {
    /// The deployment that was tried; none where no balance picked one.
    #[must_use]
    pub fn deployment(&self) -> Option<&Deployment> {
        self.deployment.as_ref()
    }

    /// The group it was picked from, where the request named one.
    #[must_use]
    pub fn group(&self) -> Option<&GroupName> {
        self.group.as_ref()
    }

    /// When it was picked.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// How long it had waited for its place, where none was free [at once](crate::balance::QueuePolicy).
    #[must_use]
    pub fn waited(&self) -> Option<Duration> {
        self.waited
    }

    /// How long until the response head, the error or the cancellation; none while it is awaited.
    #[must_use]
    pub fn took(&self) -> Option<Duration> {
        self.took
    }

    /// How it ended, as far as is known: a body may still be on its way.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// What its answer took, once that is known: at the end of the body.
    #[must_use]
    pub fn spent(&self) -> Option<&Spent> {
        self.spent.as_ref()
    }
}

/// The steps of a trail, the first one inline: most requests need no other.
#[derive(Default)]
pub(super) struct Steps {
    first: Option<Step>,
    more: Vec<Step>,
}

impl Steps {
    /// Adds a step and returns its index.
    pub(super) fn push(&mut self, step: Step) -> usize {
        let index = self.len();
        if index == 0 {
            self.first = Some(step);
        } else {
            self.more.push(step);
        }
        index
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Step> {
        self.first.iter().chain(&self.more)
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Step> {
        match index.checked_sub(1) {
            None => self.first.as_mut(),
            Some(index) => self.more.get_mut(index),
        }
    }
}

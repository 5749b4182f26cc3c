use std::{error, fmt, sync::Arc, time::Duration};

use crate::{outcome::FailureKind, quota::Limit, trail::GroupName};

/// A refusal: no deployment could take the request, so nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    reason: RefusedReason,
    group: Option<GroupName>,
    retry_after: Option<Duration>,
    cause: Option<FailureKind>,
    lack: Option<Box<Lack>>,
    limit: Option<Box<Limit>>,
}

/// Why nothing could take a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusedReason {
    /// No group has the name the request asks for.
    UnknownGroup,
    /// The group has no deployment.
    Empty,
    /// Every deployment that could serve is cooling.
    Cooling,
    /// Every deployment that could serve is at its limit of parallel requests.
    Full,
    /// Every deployment that could serve has had all the requests or tokens it may have in a time.
    Limited,
    /// Every deployment that could serve has spent the money it may spend in a time.
    Budget,
    /// The request takes more than any deployment may ever have, or spend, in a time.
    TooLarge,
    /// No place was free, and as many requests as may wait for one do.
    QueueFull,
    /// No place became free in the time the request may wait for one.
    QueueTimeout,
    /// Every deployment was paused by an operator.
    Paused,
    /// The request's deadline had passed.
    Deadline,
    /// The input is too long for every deployment.
    ContextWindow,
    /// No deployment has all that the request needs: its region, its endpoint, its images, its tags.
    Unsupported,
}

/// What a request needs that no deployment has; together, where each has a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lack {
    /// Room for an input of so many tokens, by estimate.
    pub input_tokens: Option<u64>,
    /// The longest input that a deployment takes which has all else.
    pub max_input_tokens: Option<u64>,
    /// Images in the input.
    pub images: bool,
    /// The endpoint.
    pub endpoint: Option<Arc<str>>,
    /// The region.
    pub region: Option<Arc<str>>,
    /// The tags, as the request has them.
    pub tags: Vec<Arc<str>>,
    /// A limit of which the request takes more than there ever is, and how much it takes: the limit of the deployment
    /// that comes closest.
    pub limit: Option<(Limit, u64)>,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let input = self.input_tokens.map(|tokens| format!("about {tokens} tokens"));
        let most = self.max_input_tokens.map(|most| format!("{most} at most"));
        let images = self.images.then(|| "images".to_owned());
        let endpoint = self.endpoint.as_ref().map(|path| format!("the endpoint `{path}`"));
        let region = self.region.as_ref().map(|name| format!("the region `{name}`"));
        let tags = self.tags.iter().map(|tag| format!("`{tag}`")).collect::<Vec<_>>().join(", ");
        let tags = (!tags.is_empty()).then(|| format!("the tags {tags}"));
        let limit = self
            .limit
            .map(|(limit, cost)| format!("about {}, {limit} at most", limit.unit().amount(cost)));
        let all = [input, most, images, endpoint, region, tags, limit];
        f.write_str(&all.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

impl Refused {
    /// A refusal for `reason`, naming no group and no time.
    #[must_use]
    pub const fn new(reason: RefusedReason) -> Self {
        Self { reason, group: None, retry_after: None, cause: None, lack: None, limit: None }
    }

    /// Names the group that was asked.
    #[must_use]
    pub fn in_group(mut self, group: Option<GroupName>) -> Self {
        self.group = group;
        self
    }

    /// Says how long until a deployment can take a request; nothing by default, where that is not known.
    #[must_use]
    pub const fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// Says which kind of failure set the deployments aside; nothing by default.
    #[must_use]
    pub const fn caused_by(mut self, kind: Option<FailureKind>) -> Self {
        self.cause = kind;
        self
    }

    /// Says what the request needs that no deployment has; nothing by default.
    #[must_use]
    pub fn lacking(mut self, lack: Lack) -> Self {
        self.lack = Some(Box::new(lack));
        self
    }

    /// Says of which limit too little is left; nothing by default.
    #[must_use]
    pub fn by_limit(mut self, limit: Limit) -> Self {
        self.limit = Some(Box::new(limit));
        self
    }

    /// Why the request was refused.
    #[must_use]
    pub const fn reason(&self) -> RefusedReason {
        self.reason
    }

    /// The group that was asked, where the request named one.
    #[must_use]
    pub const fn group(&self) -> Option<&GroupName> {
        self.group.as_ref()
    }

    /// How long, from the refusal, until the first deployment can take a request again, where that is known.
    #[must_use]
    pub const fn wait(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The kind of failure that set aside the deployment that will be back first.
    #[must_use]
    pub const fn cause(&self) -> Option<FailureKind> {
        self.cause
    }

    /// What the request needs that no deployment has: where it is too long, or asks for what is not supported.
    #[must_use]
    pub fn lack(&self) -> Option<&Lack> {
        self.lack.as_deref()
    }

    /// The limit, or the budget, that keeps the request longest from the deployment that will have enough left first.
    #[must_use]
    pub fn limit(&self) -> Option<Limit> {
        self.limit.as_deref().copied()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.group.as_ref().map_or("", GroupName::as_str);
        let of = if self.group.is_some() { " of group " } else { "" };
        match self.reason {
            RefusedReason::UnknownGroup => write!(f, "no group is named {name:?}"),
            RefusedReason::Empty => write!(f, "there is no deployment{of}{name}"),
            RefusedReason::Cooling => write!(f, "every deployment{of}{name} is cooling down"),
            RefusedReason::Full => {
                write!(f, "every deployment{of}{name} has all the requests it may have at a time")
            }
            RefusedReason::Limited => {
                write!(f, "every deployment{of}{name} has had all it may have in a time")
            }
            RefusedReason::Budget => {
                write!(f, "every deployment{of}{name} has spent the money it may spend in a time")
            }
            RefusedReason::TooLarge => {
                write!(f, "the request takes more than any deployment{of}{name} may ever have")
            }
            RefusedReason::QueueFull => {
                write!(f, "too many requests wait for a deployment{of}{name} already")
            }
            RefusedReason::QueueTimeout => {
                write!(f, "no deployment{of}{name} was free in the time the request may wait")
            }
            RefusedReason::Paused => write!(f, "every deployment{of}{name} is paused"),
            RefusedReason::Deadline => f.write_str("the deadline of the request has passed"),
            RefusedReason::ContextWindow => {
                write!(f, "the input is too long for every deployment{of}{name}")
            }
            RefusedReason::Unsupported => {
                write!(f, "no deployment{of}{name} has all that the request needs")
            }
        }?;
        if let Some(lack) = &self.lack {
            write!(f, ": {lack}")?;
        }
        if let Some(limit) = &self.limit {
            write!(f, ": {limit}")?;
        }
        if let Some(kind) = self.cause {
            write!(f, " ({kind})")?;
        }
        match self.retry_after {
            Some(wait) => write!(f, ", try again in {:.1} s", wait.as_secs_f64()),
            None => Ok(()),
        }
    }
}

impl error::Error for Refused {}

use std::{fmt, sync::Arc};

use http::{Request, request::Parts};

use super::Carried;
use crate::body::ReplayBody;

/// A copy of a request's head that layers share.
#[derive(Clone)]
pub(crate) struct SavedHead(Arc<Parts>);

impl fmt::Debug for SavedHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SavedHead")
    }
}

/// The head of a request, to send it again: a copy of its own, or one made above.
pub(crate) struct Saved {
    head: SavedHead,
    /// What the head was to carry when it came here, where that is not what the copy carries.
    carried: Option<Carried>,
}

impl Saved {
    /// A copy of `head`.
    pub(crate) fn new(head: &Parts) -> Self {
        Self { head: SavedHead(Arc::new(head.clone())), carried: None }
    }

    /// The copy a layer above has made, where there is one and it may be `shared`.
    pub(crate) fn of(head: &Parts, shared: bool) -> Self {
        let carried = Carried::of(&head.extensions)
            .filter(|carried| shared && carried.saved.is_some())
            .cloned();
        match carried.as_ref().and_then(|carried| carried.saved.clone()) {
            Some(head) => Self { head, carried },
            None => Self::new(head),
        }
    }

    pub(crate) fn head(&self) -> &Parts {
        &self.head.0
    }

    /// Whether a layer above can still send the request elsewhere.
    pub(crate) fn has_elsewhere(&self) -> bool {
        let carried = self.carried.as_ref().or_else(|| Carried::of(&self.head().extensions));
        carried.is_some_and(|carried| carried.elsewhere)
    }

    /// The copy, for layers below to share.
    pub(crate) fn share(&self) -> SavedHead {
        self.head.clone()
    }

    /// The request again.
    pub(crate) fn request(&self, body: ReplayBody) -> Request<ReplayBody> {
        let mut head = self.head().clone();
        if let Some(carried) = &self.carried {
            *Carried::entry(&mut head.extensions) = carried.clone();
        }
        Request::from_parts(head, body)
    }
}

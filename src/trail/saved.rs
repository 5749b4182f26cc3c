use std::{fmt, sync::Arc};

use http::{Request, request::Parts};
use tokio::time::Instant;

use super::{Carried, Trail};
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
    /// What the head carried when it came here, which is not what the copy carries.
    carried: Carried,
}

impl Saved {
    /// Saves `head`, which gets a trail, begun `now`, where it has none; in a copy that a layer above has made, where
    /// there is one and it may be `shared`. What the head carries then is for the caller to change.
    pub(crate) fn with_trail(
        head: &mut Parts,
        shared: bool,
        now: Instant,
    ) -> (Self, Trail, &mut Carried) {
        let carried = Carried::of(&head.extensions).filter(|_| shared);
        let copy = carried.and_then(|carried| carried.saved.clone());
        // Copied before it gets the trail: an entry of the extensions is dearer to copy than what it holds.
        let copy = copy.unwrap_or_else(|| SavedHead(Arc::new(head.clone())));
        let carried = Carried::entry(&mut head.extensions);
        let trail = carried.begin_trail(now);
        (Self { head: copy, carried: carried.clone() }, trail, carried)
    }

    pub(crate) fn head(&self) -> &Parts {
        &self.head.0
    }

    /// What the request carried when it came here.
    pub(crate) fn carried(&self) -> &Carried {
        &self.carried
    }

    /// The copy, for layers below to share.
    pub(crate) fn share(&self) -> SavedHead {
        self.head.clone()
    }

    /// The request again.
    pub(crate) fn request(&self, body: ReplayBody) -> Request<ReplayBody> {
        let mut head = self.head().clone();
        *Carried::entry(&mut head.extensions) = self.carried.clone();
        Request::from_parts(head, body)
    }
}

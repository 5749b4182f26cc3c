use std::sync::Arc;

use super::{Carried, GroupName};

/// The groups a request names itself to fall back to, in the stead of those the plan has for its group; empty for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallbacks(Arc<[GroupName]>);

impl Fallbacks {
    /// Falls back to these, in this order.
    pub fn new<G: Into<GroupName>>(groups: impl IntoIterator<Item = G>) -> Self {
        Self(groups.into_iter().map(Into::into).collect())
    }

    /// Attaches the list to `request`.
    pub fn set<B>(self, request: &mut http::Request<B>) {
        Carried::entry(request.extensions_mut()).fallbacks = Some(self);
    }

    pub(crate) fn groups(&self) -> &[GroupName] {
        &self.0
    }
}

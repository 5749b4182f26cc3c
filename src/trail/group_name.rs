use std::{fmt, sync::Arc};

use super::Carried;

/// The name of a group of interchangeable deployments (LiteLLM's `model_name`). Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupName(Arc<str>);

impl GroupName {
    /// A name.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The group `request` asks for.
    #[must_use]
    pub fn of<B>(request: &http::Request<B>) -> Option<&Self> {
        Carried::of(request.extensions())?.group.as_ref()
    }

    /// Makes `request` ask for this group.
    pub fn set<B>(self, request: &mut http::Request<B>) {
        Carried::entry(request.extensions_mut()).group = Some(self);
    }
}

impl From<&str> for GroupName {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for GroupName {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

impl std::borrow::Borrow<str> for GroupName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

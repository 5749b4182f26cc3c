use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::Request;
use tower_service::Service;

use super::future::ResponseFuture;
use crate::{
    BoxError, Error,
    error::{Refused, RefusedReason},
    trail::{Carried, GroupName, Names},
};

/// Sends each request to the service of the group it names, see the [module](super).
///
/// A cheap handle. The service of the group is cloned for each request.
pub struct Fleet<S> {
    shared: Arc<Shared<S>>,
}

struct Shared<S> {
    names: Names,
    services: Vec<(GroupName, S)>,
}

impl<S> Fleet<S> {
    /// Routes to `groups`; `aliases` are pairs of a name and the group it stands for. Of two groups with the same name
    /// the later one serves.
    pub fn new(
        groups: impl IntoIterator<Item = (GroupName, S)>,
        aliases: impl IntoIterator<Item = (GroupName, GroupName)>,
    ) -> Self {
        let services: Vec<_> = groups.into_iter().collect();
        let names = Names::new(
            services.iter().map(|(name, _)| name.clone()),
            aliases.into_iter().collect(),
        );
        Self { shared: Arc::new(Shared { names, services }) }
    }

    /// The service a request for `name` goes to.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&S> {
        let (index, _) = self.shared.names.find(name)?;
        self.shared.services.get(index).map(|(_, service)| service)
    }

    /// The groups, in the order they were given.
    pub fn groups(&self) -> impl Iterator<Item = (&GroupName, &S)> {
        self.shared.services.iter().map(|(name, service)| (name, service))
    }

    fn route<B>(&self, request: &mut Request<B>) -> Result<&S, Refused> {
        let services = &self.shared.services;
        let unknown = Refused::new(RefusedReason::UnknownGroup);
        let carried = request.extensions_mut().get_mut::<Carried>();
        let Some((carried, name)) = carried.and_then(|it| it.group.clone().map(|name| (it, name)))
        else {
            return match &services[..] {
                [(_, only)] => Ok(only),
                _ => Err(unknown),
            };
        };
        let Some((index, captured)) = self.shared.names.find(name.as_str()) else {
            return Err(unknown.in_group(Some(name)));
        };
        carried.captured = captured;
        services.get(index).map(|(_, service)| service).ok_or(unknown)
    }
}

impl<S, B> Service<Request<B>> for Fleet<S>
where
    S: Service<Request<B>> + Clone,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.route(&mut request) {
            Ok(service) => ResponseFuture::routed(service.clone(), request),
            Err(refused) => ResponseFuture::refused(refused),
        }
    }
}

impl<S> Clone for Fleet<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S: fmt::Debug> fmt::Debug for Fleet<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.groups()).finish()
    }
}

//! What the handlers share: the fleet as a service, and what there is to tell of it.

use std::{
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use http::Request;
use tower::{Layer, ServiceBuilder, util::MapRequest};
use tower_fleet::{
    BoxError, Deployment, GroupName,
    body::ReplayBody,
    config::Config,
    fleet::Stack,
    llm::{Inspect, InspectLayer, RewriteModelLayer},
};

use crate::client::{Client, client};

type Fleet = Stack<Client, RewriteModelLayer>;

/// Reads the model's name, notes it for the log, and sends the request to the fleet.
pub(crate) type Service =
    Inspect<MapRequest<Fleet, fn(Request<ReplayBody>) -> Request<ReplayBody>>>;

pub(crate) struct Gateway {
    pub(crate) service: Service,
    /// Every deployment once, with its group, in the order of the configuration.
    pub(crate) deployments: Vec<(GroupName, Deployment)>,
    /// The names that requests may ask for, hidden ones left out.
    pub(crate) models: Vec<String>,
    pub(crate) started: SystemTime,
}

impl Gateway {
    pub(crate) fn new(config: &Config) -> Result<Self, BoxError> {
        let fleet = config.fleet()?;
        let mut models: Vec<String> = Vec::new();
        for deployment in &config.deployments {
            if !models.contains(&deployment.model_name) {
                models.push(deployment.model_name.clone());
            }
        }
        // A deployment that a fallback names by its id is a group of its own beside the group it is a member of.
        let groups = fleet.groups().iter();
        let deployments = groups
            .filter(|group| models.iter().any(|name| name == group.name().as_str()))
            .flat_map(|group| {
                group.members().iter().map(|(one, _)| (group.name().clone(), one.clone()))
            })
            .collect();
        let aliases = config.router.model_group_alias.iter().filter(|alias| !alias.hidden);
        models.extend(aliases.map(|alias| alias.name.clone()));
        let service = ServiceBuilder::new()
            .layer(InspectLayer::new())
            .map_request(Asked::note as fn(_) -> _)
            .service(fleet.layer(client()?));
        Ok(Self { service, deployments, models, started: SystemTime::now() })
    }
}

/// The model a request asks for, known once its body has been read: rides in the request's extensions.
#[derive(Clone, Default)]
pub(crate) struct Asked(Arc<OnceLock<GroupName>>);

impl Asked {
    pub(crate) fn model(&self) -> Option<&GroupName> {
        self.0.get()
    }

    fn note(request: Request<ReplayBody>) -> Request<ReplayBody> {
        if let (Some(Self(slot)), Some(name)) =
            (request.extensions().get(), GroupName::of(&request))
        {
            slot.get_or_init(|| name.clone());
        }
        request
    }
}

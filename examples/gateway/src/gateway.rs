//! The fleet as a service, and what there is to tell of it.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use http::Request;
use tower::{Layer, ServiceBuilder, util::MapRequest};
use tower_fleet::{
    BoxError, Deployment, GroupName,
    body::ReplayBody,
    config::{Config, ConfiguredFleet},
    fleet::GroupService,
    llm::{AttemptLayer, Inspect},
};

use crate::{
    client::{Client, client},
    key::MasterKey,
};

type Fleet = <ConfiguredFleet as Layer<Client>>::Service;

/// Reads what the request asks for, notes the model for the log, and sends it to the fleet.
pub(crate) type Service =
    Inspect<MapRequest<Fleet, fn(Request<ReplayBody>) -> Request<ReplayBody>>>;

/// What balances over the deployments of one group.
pub(crate) type Group = GroupService<Client, AttemptLayer>;

/// The fleet of a configuration, for [`serve`](crate::serve()) to put to work.
pub struct Gateway {
    pub(crate) service: Service,
    /// The groups that requests may ask for, in the order of the configuration.
    pub(crate) groups: Vec<(GroupName, Group)>,
    /// The name of the strategy, as files have it.
    pub(crate) strategy: &'static str,
    /// Every deployment once, with its group, in the order of the configuration.
    pub(crate) deployments: Vec<(GroupName, Deployment)>,
    /// The names that requests may ask for, hidden ones left out.
    pub(crate) models: Vec<String>,
    pub(crate) started: SystemTime,
    /// What callers must hold, where they must hold anything.
    pub(crate) key: Option<MasterKey>,
    cut_off: AtomicBool,
}

impl Gateway {
    /// The gateway that `config` describes.
    ///
    /// # Errors
    ///
    /// A fleet that cannot be built, or TLS that cannot be set up.
    pub fn new(config: &Config) -> Result<Self, BoxError> {
        let fleet = config.fleet()?;
        let mut models: Vec<String> = Vec::new();
        for deployment in &config.deployments {
            if !models.contains(&deployment.model_name) {
                models.push(deployment.model_name.clone());
            }
        }
        // A deployment that a fallback names by its id is a group of its own beside the group it is a member of.
        let is_model = |name: &GroupName| models.iter().any(|model| model == name.as_str());
        let deployments = fleet
            .groups()
            .iter()
            .filter(|group| is_model(group.name()))
            .flat_map(|group| {
                group.members().iter().map(|(one, _)| (group.name().clone(), one.clone()))
            })
            .collect();
        let stack = fleet.layer(client()?);
        let groups = stack.get_ref().get_ref().groups().filter(|(name, _)| is_model(name));
        let groups = groups.map(|(name, group)| (name.clone(), group.clone())).collect();
        let aliases = config.router.model_group_alias.iter().filter(|alias| !alias.hidden);
        models.extend(aliases.map(|alias| alias.name.clone()));
        let service = ServiceBuilder::new()
            .layer(config.inspect())
            .map_request(Asked::note as fn(_) -> _)
            .service(stack);
        Ok(Self {
            service,
            groups,
            strategy: config.router.routing_strategy.name(),
            deployments,
            models,
            started: SystemTime::now(),
            key: config.master_key.clone().map(MasterKey::new),
            cut_off: AtomicBool::new(false),
        })
    }

    /// The process ends now: a request that still runs is cut off by it, not left by its client.
    pub(crate) fn cut_off(&self) {
        self.cut_off.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_cut_off(&self) -> bool {
        self.cut_off.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("deployments", &self.deployments).finish_non_exhaustive()
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

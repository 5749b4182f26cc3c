use crate::Deployment;

/// The deployments a request was sent to already, by identity: nearly always one or none, so that takes no allocation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tried {
    first: Option<usize>,
    rest: Vec<usize>,
}

impl Tried {
    pub(crate) fn add(&mut self, deployment: &Deployment) {
        let identity = deployment.identity();
        if self.first.is_none() {
            self.first = Some(identity);
        } else {
            self.rest.push(identity);
        }
    }

    pub(crate) fn contains(&self, identity: usize) -> bool {
        self.first == Some(identity) || self.rest.contains(&identity)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

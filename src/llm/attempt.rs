use std::sync::Arc;

use tower_layer::Layer;

use super::{
    Meter, MeterLayer, OnUsage, PriceList, RewriteModel, RewriteModelLayer, Verify, VerifyLayer,
};
use crate::outcome::Classify;

/// Everything of this room that goes around each attempt: [`Meter`] over [`Verify`] over [`RewriteModel`].
///
/// For [`FleetBuilder::attempt_layer`](crate::fleet::FleetBuilder::attempt_layer); a fleet from a configuration has it.
/// The three can be used one by one as well, in this order.
#[derive(Clone, Debug, Default)]
pub struct AttemptLayer {
    meter: MeterLayer,
    verify: VerifyLayer,
    rewrite: RewriteModelLayer,
}

impl AttemptLayer {
    /// The three with their defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells `on_usage` what each answer took, see [`MeterLayer::on_usage`].
    #[must_use]
    pub fn on_usage(mut self, on_usage: impl OnUsage + 'static) -> Self {
        self.meter = self.meter.on_usage(on_usage);
        self
    }

    /// What a response head means by itself, see [`VerifyLayer::classify`] and [`MeterLayer::classify`].
    #[must_use]
    pub fn classify(mut self, classify: impl Classify) -> Self {
        let classify = Arc::new(classify);
        self.verify = self.verify.classify(Arc::clone(&classify));
        self.meter = self.meter.classify(classify);
        self
    }

    /// Prices of models that a wildcard stands for, see [`MeterLayer::prices`].
    #[must_use]
    pub fn prices(mut self, prices: Arc<PriceList>) -> Self {
        self.meter = self.meter.prices(prices);
        self
    }

    /// Asks for the usage of streams, see [`MeterLayer::include_usage`].
    #[must_use]
    pub fn include_usage(mut self, include: bool) -> Self {
        self.meter = self.meter.include_usage(include);
        self
    }
}

impl<S> Layer<S> for AttemptLayer {
    type Service = Meter<Verify<RewriteModel<S>>>;

    fn layer(&self, inner: S) -> Self::Service {
        self.meter.layer(self.verify.layer(self.rewrite.layer(inner)))
    }
}

use tokio_stream::Iter;
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_server::Health,
};

/// A server of the standard health service: a call, and a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Backend {
    /// Answers UNAVAILABLE, in a response of trailers only.
    Down,
    /// Answers calls, but breaks streams off after a message.
    Exhausted,
    Well,
}

impl Backend {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Exhausted => "exhausted",
            Self::Well => "well",
        }
    }

    fn answer(self) -> Result<HealthCheckResponse, Status> {
        match self {
            Self::Down => Err(Status::unavailable("shutting down")),
            Self::Exhausted | Self::Well => {
                Ok(HealthCheckResponse { status: ServingStatus::Serving.into() })
            }
        }
    }
}

#[tonic::async_trait]
impl Health for Backend {
    async fn check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.answer().map(Response::new)
    }

    type WatchStream = Iter<std::vec::IntoIter<Result<HealthCheckResponse, Status>>>;

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let mut messages = vec![Ok(self.answer()?)];
        if let Self::Exhausted = self {
            messages.push(Err(Status::resource_exhausted("no more today")));
        }
        Ok(Response::new(tokio_stream::iter(messages)))
    }
}

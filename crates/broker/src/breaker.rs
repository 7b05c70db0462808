//! Sharing the state of an endpoint's breaker: the node that sees it change tells the others through the catalog.

use jiff::Timestamp;
use posthaste_base::{EndpointId, Error, Result};
use posthaste_engine::breaker::Shared;

use crate::Broker;

impl Broker {
    /// The database's clock, by which the nodes compare the states of breakers.
    pub async fn database_now(&self) -> Result<Timestamp> {
        let session = self.pool().get().await.map_err(Error::from)?;
        Ok(posthaste_store::lead::database_now(&session).await?)
    }

    /// Tells all nodes the state of an endpoint's breaker, unless they know a newer one.
    pub async fn share_breaker(&self, endpoint: EndpointId, shared: &Shared) -> Result<()> {
        let state = serde_json::to_value(shared).map_err(|error| {
            Error::new(posthaste_base::Code::Internal, "the breaker's state could not be written")
                .caused_by(error)
        })?;
        let session = self.pool().get().await.map_err(Error::from)?;
        if posthaste_store::declare::set_breaker(&session, endpoint.0, &state).await? {
            posthaste_store::declare::notify_catalog(&session).await?;
        }
        Ok(())
    }
}

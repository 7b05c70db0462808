//! Sharing the state of an endpoint's breaker: the node that sees it change tells the others through the catalog.

use posthaste_base::{EndpointId, Error, Result};
use posthaste_engine::breaker::{Shared, State};

use crate::Broker;

impl Broker {
    /// Tells all nodes the state of an endpoint's breaker.
    pub async fn share_breaker(&self, endpoint: EndpointId, shared: &Shared) -> Result<()> {
        let state = serde_json::to_value(shared).map_err(|error| {
            Error::new(posthaste_base::Code::Internal, "the breaker's state could not be written")
                .caused_by(error)
        })?;
        // A breaker that is closed, and has not been heard of, is the rule.
        let state =
            if shared.state == State::Closed && shared.changed_at_ms == 0 { None } else { Some(state) };
        let session = self.pool().get().await.map_err(Error::from)?;
        posthaste_store::declare::set_breaker(&session, endpoint.0, state.as_ref()).await?;
        posthaste_store::declare::notify_catalog(&session).await?;
        Ok(())
    }
}

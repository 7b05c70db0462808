//! Posthaste's use cases, without a transport: what a front may ask for, in the words of the design.
//!
//! [`Broker`] is cheap to clone. Its methods are in one file an area, over the typed functions of the store.
//! Not for: HTTP, the names of other vendors, or SQL.

mod accept;
mod bell;
mod broker;
mod catalog;
mod dead;
mod declare;
mod event;
mod finish;
mod gather;
mod keeper;
mod key;
mod metrics;
mod mode;
mod queue;
mod redrive;
mod route;
mod schedule;
mod subject;
mod transact;

pub use accept::{Accepted, NewEvent};
pub use broker::{Broker, BrokerOptions};
pub use catalog::{
    Catalog, Destination, Endpoint, EndpointKind, EndpointSettings, Queue, QueueSettings, Subscription, Topic,
};
pub use queue::{Attempted, Death, Depth, Message, MessageEvent, Peeked, Receipt, SendIn, Settlement};
pub use declare::{
    Action, Change, Declaration, DeliverySettings, Diff, EndpointCheck, EndpointCreated, EndpointDeclaration,
    EndpointIn, EndpointOut, EndpointPatch, FieldChange, Kind, QueueIn, QueueOut, QueuePatch,
    QueueSettingsPatch, RotatedSecret, SecretOut, SubscriptionDeclaration, SubscriptionIn, SubscriptionOut,
    SubscriptionPatch, TopicIn, TopicOut, TopicPatch, TypeDeclaration, read_section,
};
pub use key::{KEY_PREFIX, KeyCreated, KeyGrant, KeyIn, KeyOut, Scope, key_hash};
pub use mode::{Effect, FailureMode, FailureModeKind, effect, effect_at_ingest};
pub use route::{DOMAIN_EVENTS, is_domain_event, priority_of, priority_of_name, route};

//! Posthaste's use cases, without a transport: what a front may ask for, in the words of the design.
//!
//! [`Broker`] is cheap to clone. Its methods are in one file an area, over the typed functions of the store.
//! Not for: HTTP, the names of other vendors, or SQL.

mod accept;
mod bell;
mod breaker;
mod broker;
mod catalog;
mod dead;
mod declare;
mod domain;
mod event;
mod finish;
mod gather;
pub mod intake;
mod keeper;
mod key;
mod metrics;
mod mode;
mod queue;
mod redrive;
mod room;
mod route;
mod schedule;
mod seal;
mod subject;
mod transact;
mod uptake;

pub use accept::{Accepted, NewEvent};
pub use broker::{Broker, BrokerOptions};
pub use catalog::{
    BodyType, Catalog, Destination, Endpoint, EndpointKind, EndpointSecret, EndpointSettings, Queue,
    QueueSettings, Subscription, Topic,
};
pub use dead::{
    DeadCountOut, DeadLetterFilter, DeadLetterOut, DeadPage, DiscardIn, DiscardOut, ExportPage, GroupRedrive,
    TriageOut, triage_file,
};
pub use declare::{
    Action, Change, Declaration, DeliverySettings, Diff, EndpointCheck, EndpointCreated, EndpointDeclaration,
    EndpointIn, EndpointOut, EndpointPatch, FieldChange, Kind, QueueIn, QueueOut, QueuePatch,
    QueueSettingsPatch, RotatedSecret, SecretOut, SubscriptionDeclaration, SubscriptionIn, SubscriptionOut,
    SubscriptionPatch, TopicIn, TopicOut, TopicPatch, TypeDeclaration, read_section,
};
pub use event::{AttemptOut, EventIn, EventOut, EventStatus, MessageCounts, Payload, PayloadOut, PublishOut};
pub use finish::EventCancelled;
pub use key::{KEY_PREFIX, KeyCreated, KeyGrant, KeyIn, KeyOut, Scope, key_hash};
// What it takes to open a broker: see docs/library.md.
pub use posthaste_store::{Pool, SESSION_SETTINGS, Target, schema};

pub use mode::{Effect, FailureMode, FailureModeKind, effect, effect_at_ingest};
pub use queue::{Attempted, Death, Depth, Message, MessageEvent, Peeked, Receipt, SendIn, Settlement};
pub use redrive::{PreviewOut, RedriveIn, RedriveOut, RedriveStatus};
pub use route::{DOMAIN_EVENTS, is_domain_event, priority_of, priority_of_name, route};
pub use schedule::{Moved, NotMoved, NotMovedReason, ScheduleChange, ScheduleIn, ScheduleOut};
pub use seal::{SealKey, SealedSecret};
pub use subject::{SubjectChange, SubjectIn, SubjectOut, SubjectPatch, SubjectRemoved};

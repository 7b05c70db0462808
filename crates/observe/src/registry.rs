//! The registry behind the `metrics` facade: installed once for each process, rendered as Prometheus text.
//!
//! Not for: naming metrics (see `names`), nor for serving the text.

use std::sync::{Mutex, OnceLock, PoisonError};

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use posthaste_base::{Code, Error, Result};

use crate::names::{self, Kind, Metric};
use crate::process;

static INSTALLED: OnceLock<Handle> = OnceLock::new();
static INSTALLING: Mutex<()> = Mutex::new(());
static METADATA: Metadata<'static> = Metadata::new("posthaste", Level::INFO, None);

/// What renders the registry. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    prometheus: PrometheusHandle,
}

/// Installs the registry, or gives the one that is installed already.
///
/// Handles (`QueueMetrics::new` and the like) that are made before this record nothing, so it comes first in
/// a process.
pub fn install() -> Result<Handle> {
    // The lock keeps two threads from both finding nothing installed.
    let _installing = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = INSTALLED.get() {
        return Ok(handle.clone());
    }
    let failed = |error: &dyn std::fmt::Display| {
        Error::new(Code::Internal, "failed to install the metrics registry").caused_by(error)
    };
    let mut builder = PrometheusBuilder::new();
    for metric in names::ALL.iter().filter(|metric| metric.kind == Kind::Histogram) {
        builder = builder
            .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), metric.buckets())
            .map_err(|error| failed(&error))?;
    }
    let recorder = builder.build_recorder();
    for metric in names::ALL {
        let (name, help) = (metric.name.into(), metric.help.into());
        match metric.kind {
            Kind::Counter => recorder.describe_counter(name, None, help),
            Kind::Gauge => recorder.describe_gauge(name, None, help),
            Kind::Histogram => recorder.describe_histogram(name, None, help),
        }
    }
    let handle = Handle { prometheus: recorder.handle() };
    metrics::set_global_recorder(recorder).map_err(|error| failed(&error))?;
    gauge(&names::BUILD_INFO, &[env!("CARGO_PKG_VERSION")]).set(1.0);
    Ok(INSTALLED.get_or_init(|| handle).clone())
}

impl Handle {
    /// All metrics as Prometheus text (`text/plain; version=0.0.4`).
    pub fn render(&self) -> String {
        let mut text = self.prometheus.render();
        process::render(&mut text);
        text
    }

    /// Folds recorded samples into their buckets. Samples are kept one by one until this or `render` runs, so
    /// a process that nobody scrapes calls it every few seconds.
    pub fn upkeep(&self) {
        self.prometheus.run_upkeep();
    }
}

/// Resolves a counter once, so that each increment is one atomic addition.
pub(crate) fn counter(metric: &'static Metric, values: &[&str]) -> Counter {
    metrics::with_recorder(|recorder| recorder.register_counter(&key(metric, values), &METADATA))
}

pub(crate) fn gauge(metric: &'static Metric, values: &[&str]) -> Gauge {
    metrics::with_recorder(|recorder| recorder.register_gauge(&key(metric, values), &METADATA))
}

pub(crate) fn histogram(metric: &'static Metric, values: &[&str]) -> Histogram {
    metrics::with_recorder(|recorder| recorder.register_histogram(&key(metric, values), &METADATA))
}

fn key(metric: &'static Metric, values: &[&str]) -> Key {
    assert_eq!(metric.labels.len(), values.len(), "{} has the labels {:?}", metric.name, metric.labels);
    let labels = metric.labels.iter().zip(values);
    let labels: Vec<Label> =
        labels.map(|(label, value)| Label::new(*label, crate::label::bounded(label, value))).collect();
    Key::from_parts(metric.name, labels)
}

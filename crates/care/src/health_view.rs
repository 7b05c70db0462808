//! Views for dashboards that read a database themselves: sizes, dead rows, and when tables were vacuumed.
//!
//! They read the catalog and the counters, and wait behind no lock. Not for: judging (see `doctor`).

use posthaste_base::quote;
use posthaste_report::{Action, Phase, Plan, Step};

use crate::template::fill;

/// The plan that makes the views in that schema, or makes them anew.
pub fn plan(schema: &str) -> Plan {
    let quoted = quote::identifier(schema);
    let put = |template: &str| fill(template, &[("schema", &quoted)]);
    let statements = vec![
        put(include_str!("../sql/health/create_schema.sql")),
        put(include_str!("../sql/health/create_tables.sql")),
        put(include_str!("../sql/health/create_summary.sql")),
    ];
    let mut step =
        Step::new("health-view", format!("make the views in `{schema}`"), Action::Transaction { statements });
    step.undo = vec![
        put(include_str!("../sql/health/drop_summary.sql")),
        put(include_str!("../sql/health/drop_tables.sql")),
    ];
    Plan {
        version: Plan::VERSION,
        title: format!("health views in {schema}"),
        kind: "health-view".into(),
        database: String::new(),
        fingerprint: None,
        notes: vec![format!(
            "`{schema}.db_health_summary` and `{schema}.tables` read the catalog; nothing else is changed."
        )],
        gates: Vec::new(),
        phases: vec![Phase {
            name: "views".into(),
            about: String::new(),
            compatible_with: String::new(),
            gates: Vec::new(),
            watch: Vec::new(),
            steps: vec![step],
        }],
    }
}

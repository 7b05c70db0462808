//! A run as a Kubernetes Job: one manifest with the plan in it.
//!
//! Not for: talking to a cluster; the manifest is applied by whoever may.

use posthaste_base::{Code, Error, Result};
use posthaste_report::Plan;

/// What the manifest needs beside the plan.
pub struct Job {
    /// Of the Job and of the ConfigMap: lower-case letters, digits and dashes, at most 63.
    pub name: String,
    pub image: String,
    /// The Secret whose `DATABASE_URL` is the database's address.
    pub secret: String,
    /// What the file will be called, for the comment that says how to apply it.
    pub file: String,
}

/// A ConfigMap takes no more than 1 MiB; some of it is for its own form.
const PLAN_BYTES_MAX: usize = 1_000_000;

impl Job {
    pub fn manifest(&self, plan: &Plan) -> Result<String> {
        check_name("name", &self.name)?;
        check_name("secret", &self.secret)?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "./:@_-".contains(c);
        if self.image.is_empty() || !self.image.chars().all(is_plain) {
            return Err(Error::new(Code::InvalidParameter, format!("`{}` is no image", self.image))
                .field("image")
                .expected("a reference such as `registry.example/posthaste:1.0`"));
        }
        let plan = plan.to_toml()?;
        if plan.len() > PLAN_BYTES_MAX {
            let message =
                format!("the plan has {} bytes, and a ConfigMap takes {PLAN_BYTES_MAX}", plan.len());
            return Err(Error::new(Code::PayloadTooLarge, message).hint("put the plan into the image"));
        }
        let indented: Vec<String> =
            plan.lines().map(|line| format!("    {line}").trim_end().to_owned()).collect();
        let template = include_str!("../templates/job.yaml");
        let filled =
            [("name", &self.name), ("image", &self.image), ("secret", &self.secret), ("file", &self.file)]
                .iter()
                .fold(template.to_owned(), |text, (key, value)| text.replace(&format!("{{{key}}}"), value));
        // Last, so that nothing in the plan is taken for a place to fill.
        Ok(filled.replacen("{plan}", &indented.join("\n"), 1))
    }
}

/// RFC 1123's label, which Kubernetes asks of names.
fn check_name(field: &str, name: &str) -> Result<()> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_good = !name.is_empty()
        && name.len() <= 63
        && name.chars().all(is_plain)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if is_good {
        return Ok(());
    }
    Err(Error::new(Code::InvalidParameter, format!("`{name}` is no name for Kubernetes"))
        .field(field)
        .expected("lower-case letters, digits and dashes, at most 63, no dash at its ends"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(name: &str) -> Job {
        Job {
            name: name.into(),
            image: "posthaste:1".into(),
            secret: "database".into(),
            file: "job.yaml".into(),
        }
    }

    fn plan() -> Plan {
        let text = "version = 1\ntitle = \"{image} stays\"\nkind = \"rollout\"\n";
        Plan::from_toml(text).expect("a valid plan")
    }

    #[test]
    fn the_plan_is_in_the_manifest_as_it_is() {
        let manifest = job("users-score").manifest(&plan()).expect("valid");
        assert!(manifest.contains("    title = \"{image} stays\"\n"), "{manifest}");
        assert!(manifest.contains("restartPolicy: Never") && manifest.contains("backoffLimit: 1"));
        assert!(manifest.contains("image: posthaste:1\n"));
    }

    #[test]
    fn what_kubernetes_would_refuse_is_refused_here() {
        for name in ["", "Users", "-a", "a_b", &"a".repeat(64)] {
            let error = job(name).manifest(&plan()).expect_err("not a name");
            assert_eq!(error.field_name(), Some("name"), "{name}");
        }
    }
}

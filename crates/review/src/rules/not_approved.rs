//! The file itself says that nobody approved it.

use posthaste_report::{Finding, Location, Severity};

use super::{Check, Findings, Rule, page};
use crate::comment;
use crate::context::{FileContext, place, remedy};

pub(super) const RULE: Rule = Rule {
    code: "not-approved",
    title: "The file says of itself that it was not reviewed or not approved",
    page: page!("not-approved"),
    check: Check::File(check),
};

fn check(ctx: &FileContext<'_>, found: &mut Findings) {
    for (offset, comment) in comment::comments(ctx.text) {
        let Some(said) = comment::words(comment).find(|line| says_not_approved(line)) else { continue };
        let (line, column) = place(ctx.text, offset);
        let mut finding = Finding::new(RULE.code, Severity::High, format!("the file says: \"{said}\""));
        finding.location = Some(Location { file: ctx.file.to_owned(), line, column, statement: 0 });
        finding.remedy = remedy(
            "have it reviewed and approved, and write down by whom; a plan's gate can ask for the approval",
        );
        found.push(finding);
        return;
    }
}

/// A denial and what is denied, near each other.
fn says_not_approved(line: &str) -> bool {
    let words: Vec<String> = line
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let denies = |word: &String| {
        ["not", "without", "never", "no", "unapproved", "unreviewed"].contains(&word.as_str())
    };
    let is_it = |word: &String| {
        ["approved", "approval", "reviewed", "review", "unapproved", "unreviewed", "signoff"]
            .contains(&word.as_str())
    };
    words.iter().enumerate().any(|(at, word)| denies(word) && words[at..].iter().take(5).any(is_it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denials_are_told_from_approvals() {
        let check = |line: &str, expected| assert_eq!(says_not_approved(line), expected, "{line}");
        check("NOTE: This script has NOT been approved for production execution.", true);
        check("This migration was written by a developer without DBA review.", true);
        check("Not yet reviewed", true);
        check("Approved by the database team on 2024-01-14", false);
        check("Reviewed; do not run twice", false);
        check("REVIEWER NOTES:", false);
    }
}

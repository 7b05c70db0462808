//! Names of places outside this repository, which must not find their way into it.

use super::{Problem, line_of};
use crate::tree::Tree;

/// Written backwards, so that this file passes its own check.
const BACKWARDS: &[&str] = &["edualc", "ciporhtna", "niam/krow/", "tpircsnart noisses", "yrarbil."];

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let words: Vec<String> = BACKWARDS.iter().map(|word| word.chars().rev().collect()).collect();
    let mut problems = Vec::new();
    for file in &tree.files {
        let text = file.text.to_ascii_lowercase();
        for word in &words {
            let message = format!("`{word}` means nothing to those who read this; leave it out");
            problems.extend(
                text.match_indices(word)
                    .map(|(offset, _)| Problem::new(file, line_of(&text, offset), &message)),
            );
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::{check_none, check_one};
    use super::*;

    #[test]
    fn foreign_place_is_found_in_any_file_and_case() {
        let text: String = "A\nniam/krOW/".chars().rev().collect();
        check_one(check, &[("notes.txt", &text)], "notes.txt:1:");
        check_none(check, &[("notes.txt", "work, main, library")]);
    }
}

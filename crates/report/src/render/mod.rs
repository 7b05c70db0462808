//! The forms in which a report is shown: one file each, all of the same data.
//!
//! Names and texts in a report come from databases and files of strangers, so that each form writes them in a way
//! that cannot be mistaken for the form's own marks. Not for: what is found, and where the text goes.

mod github;
mod html;
mod human;
mod json;
mod markdown;
mod plan;
mod sarif;
mod words;

pub use plan::plan_markdown;

use crate::Report;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    #[default]
    Human,
    Json,
    Sarif,
    Github,
    Markdown,
    Html,
}

/// What a renderer cannot know by itself.
#[derive(Clone, Debug)]
pub struct RenderOptions<'a> {
    /// Of the human form: whether severities are coloured.
    pub is_colored: bool,
    /// Of the human form: characters of a line.
    pub width: usize,
    /// Of the program.
    pub tool_version: &'a str,
    /// What there is to say of rules, for the forms that explain them. Those without findings are left out.
    pub rules: &'a [RuleText],
}

/// What a rule or a check looks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleText {
    pub code: String,
    /// One sentence.
    pub title: String,
    /// Markdown: why, and what to do instead.
    pub help: String,
    /// A page about it.
    pub link: Option<String>,
}

impl Default for RenderOptions<'_> {
    fn default() -> Self {
        Self { is_colored: false, width: 100, tool_version: env!("CARGO_PKG_VERSION"), rules: &[] }
    }
}

impl Format {
    pub const ALL: [Format; 6] =
        [Format::Human, Format::Json, Format::Sarif, Format::Github, Format::Markdown, Format::Html];

    pub fn as_str(self) -> &'static str {
        match self {
            Format::Human => "human",
            Format::Json => "json",
            Format::Sarif => "sarif",
            Format::Github => "github",
            Format::Markdown => "markdown",
            Format::Html => "html",
        }
    }
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|format| format.as_str() == word).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|format| format.as_str()).collect();
            format!("expected one of {}", known.join(", "))
        })
    }
}

/// The whole text of that form; it ends with a line break.
pub fn render(report: &Report, format: Format, options: &RenderOptions<'_>) -> String {
    match format {
        Format::Human => human::render(report, options),
        Format::Json => json::render(report),
        Format::Sarif => sarif::render(report, options),
        Format::Github => github::render(report),
        Format::Markdown => markdown::render(report),
        Format::Html => html::render(report),
    }
}

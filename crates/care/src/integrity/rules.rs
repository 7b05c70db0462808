//! Rules of the user's own: conditions, keys, references and queries, in a TOML or a SQL file.
//!
//! Not for: carrying them out. What is wrong in a file is named by its line and column.

use posthaste_base::catalog::Name;
use posthaste_base::{Code, Error};
use posthaste_report::Severity;
use serde::Deserialize;
use toml::Spanned;

use super::check::{About, Belief, Check, GroupCheck, Link, OrphanCheck, QueryCheck, RowCheck};
use super::tables::Tables;

/// Rules from one file, and what is to be passed over.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    file: String,
    text: String,
    rules: Vec<Rule>,
    ignored: Vec<Ignore>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    #[serde(default)]
    rule: Vec<Rule>,
    #[serde(default)]
    ignore: Vec<Ignore>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Rule {
    name: Spanned<String>,
    #[serde(default = "medium")]
    severity: Severity,
    /// What is said after "3 of 100 rows of `table`".
    message: Option<String>,
    table: Option<Spanned<String>>,
    /// A condition on the rows that break it.
    r#where: Option<Spanned<String>>,
    /// Columns or expressions that must differ in all rows.
    unique: Option<Vec<Spanned<String>>>,
    columns: Option<Vec<String>>,
    /// `schema.table(column, ...)`, for the `columns`.
    references: Option<Spanned<String>>,
    /// A query whose rows are what breaks it.
    sql: Option<Spanned<String>>,
}

/// What is not to be reported; what is left out goes for all.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ignore {
    code: Option<String>,
    table: Option<String>,
    column: Option<String>,
    /// Why it is well as it is.
    #[serde(rename = "reason")]
    _reason: String,
}

fn medium() -> Severity {
    Severity::Medium
}

impl Rules {
    /// From a file's text; one that ends in `.sql` is a single rule.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        if file.to_lowercase().ends_with(".sql") {
            return Self::parse_sql(file, text);
        }
        let form: Form = toml::from_str(text)
            .map_err(|error| at(file, text, error.span().map_or(0, |span| span.start), error.message()))?;
        let rules = Self { file: file.into(), text: text.into(), rules: form.rule, ignored: form.ignore };
        for rule in &rules.rules {
            let ways = [
                rule.r#where.is_some(),
                rule.unique.is_some(),
                rule.references.is_some(),
                rule.sql.is_some(),
            ];
            let name = rule.name.get_ref();
            let place = rule.name.span().start;
            if ways.iter().filter(|is_there| **is_there).count() != 1 {
                let message = format!("rule `{name}` needs one of `where`, `unique`, `references` and `sql`");
                return Err(at(file, text, place, &message));
            }
            if rule.sql.is_none() && rule.table.is_none() {
                return Err(at(file, text, place, &format!("rule `{name}` names no `table`")));
            }
            if rule.references.is_some() != rule.columns.is_some() {
                return Err(at(
                    file,
                    text,
                    place,
                    &format!("rule `{name}` needs `columns` with `references`"),
                ));
            }
        }
        Ok(rules)
    }

    /// Comments `-- rule:`, `-- severity:`, `-- message:` and a query.
    fn parse_sql(file: &str, text: &str) -> Result<Self, Error> {
        let header = |name: &str| {
            let start = format!("-- {name}:");
            let mut place = 0;
            text.lines().find_map(|line| {
                let here = place;
                place += line.len() + 1;
                line.strip_prefix(&start).map(|value| (here, value.trim().to_owned()))
            })
        };
        let Some((place, name)) = header("rule").filter(|(_, name)| !name.is_empty()) else {
            return Err(at(file, text, 0, "the file has no line `-- rule: NAME`"));
        };
        let severity = match header("severity") {
            None => Severity::Medium,
            Some((place, word)) => {
                Severity::ALL.into_iter().find(|known| known.as_str() == word).ok_or_else(|| {
                    at(file, text, place, &format!("`{word}` is no severity"))
                        .expected("critical, high, medium, low or info")
                })?
            }
        };
        let query = text.trim_end().trim_end_matches(';');
        let has_code =
            query.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with("--"));
        if !has_code {
            return Err(at(file, text, text.len(), "the file holds no query"));
        }
        let rule = Rule {
            name: Spanned::new(place..place, name),
            severity,
            message: header("message").map(|(_, message)| message),
            table: None,
            r#where: None,
            unique: None,
            columns: None,
            references: None,
            sql: Some(Spanned::new(0..query.len(), query.to_owned())),
        };
        Ok(Self { file: file.into(), text: text.into(), rules: vec![rule], ignored: Vec::new() })
    }

    /// The rules as checks on tables that are there.
    pub(super) fn checks(&self, tables: &Tables<'_>) -> Result<Vec<Check>, Error> {
        self.rules.iter().map(|rule| self.check(rule, tables)).collect()
    }

    fn check(&self, rule: &Rule, tables: &Tables<'_>) -> Result<Check, Error> {
        let name = rule.name.get_ref();
        let says = rule.message.clone().unwrap_or_else(|| format!("break the rule `{name}`"));
        if let Some(query) = &rule.sql {
            let mut about = About::new("rule-broken", rule.severity, &Name::default(), says);
            about.name = Some(name.clone());
            return Ok(Check::Query(QueryCheck { about, query: query.get_ref().clone() }));
        }
        let table = rule.table.as_ref().map(|table| self.table(table, tables)).transpose()?;
        let Some(table) = table else {
            return Err(self.wrong(rule.name.span().start, "it names no `table`"));
        };
        let about = About::new("rule-broken", rule.severity, table.name(), says).named(name);
        if let Some(condition) = &rule.r#where {
            let condition = condition.get_ref().clone();
            return Ok(Check::Row(RowCheck {
                about,
                condition,
                belief: Belief::Declared,
                beside: Vec::new(),
            }));
        }
        if let Some(unique) = &rule.unique {
            let expressions = unique.iter().map(|expression| format!("({})", expression.get_ref())).collect();
            return Ok(Check::Group(GroupCheck {
                about,
                from: table.from(),
                expressions,
                filter: None,
                nulls_are_equal: false,
                is_variant: false,
                can_be_parted: false,
                belief: Belief::Declared,
            }));
        }
        let references =
            rule.references.as_ref().ok_or_else(|| self.wrong(rule.name.span().start, "it says nothing"))?;
        let columns = rule.columns.clone().unwrap_or_default();
        let (parent, parent_columns) =
            references.get_ref().split_once('(').unwrap_or((references.get_ref(), ""));
        let parent = Spanned::new(references.span(), parent.trim().to_owned());
        let parent = self.table(&parent, tables)?;
        let parent_columns: Vec<String> = match parent_columns.trim().strip_suffix(')') {
            Some(list) => list.split(',').map(|column| unquoted(column.trim())).collect(),
            None => parent.primary_key().map(<[String]>::to_vec).unwrap_or_default(),
        };
        for (of, names, place) in
            [(table, &columns, rule.name.span().start), (parent, &parent_columns, references.span().start)]
        {
            if let Some(missing) = names.iter().find(|name| of.column(name).is_none()) {
                let name = &of.name().name;
                return Err(self.wrong(place, &format!("table `{name}` has no column `{missing}`")));
            }
        }
        if columns.is_empty() || columns.len() != parent_columns.len() {
            let message = format!("{} columns cannot point to {}", columns.len(), parent_columns.len());
            return Err(self.wrong(references.span().start, &message));
        }
        let by_text = columns.iter().zip(&parent_columns).any(|(one, other)| {
            let family =
                |table: &super::tables::Table<'_>, name: &str| table.column(name).map(|col| col.family);
            match (family(table, one), family(parent, other)) {
                (Some(one), Some(other)) => !one.compares_with(other),
                _ => false,
            }
        });
        let about = about.columns(&columns);
        let link = Link {
            child: table.name().clone(),
            columns,
            parent: parent.name().clone(),
            parent_columns,
            by_text,
        };
        Ok(Check::Orphan(OrphanCheck { about, link, belief: Belief::Declared, match_full: false }))
    }

    fn table<'t, 'a>(
        &self,
        name: &Spanned<String>,
        tables: &'t Tables<'a>,
    ) -> Result<&'t super::tables::Table<'a>, Error> {
        let parts = name_parts(name.get_ref());
        let found = match parts.as_slice() {
            [schema, name] => tables.find(&Name::new(schema, name)),
            [name] => {
                let path = &tables.catalog.search_path;
                path.iter().find_map(|schema| tables.find(&Name::new(schema, name)))
            }
            _ => None,
        };
        found.ok_or_else(|| self.wrong(name.span().start, &format!("there is no table `{}`", name.get_ref())))
    }

    fn wrong(&self, place: usize, message: &str) -> Error {
        at(&self.file, &self.text, place, message)
    }

    /// The error of a rule whose SQL the server refused; `position` counts characters within that SQL.
    pub(super) fn refused(&self, name: &str, message: &str, position: Option<usize>) -> Error {
        let rule = self.rules.iter().find(|rule| rule.name.get_ref() == name);
        let sql = rule.and_then(|rule| {
            let unique = rule.unique.as_ref().and_then(|unique| unique.first());
            rule.sql.as_ref().or(rule.r#where.as_ref()).or(unique)
        });
        let Some(sql) = sql else { return self.wrong(0, message) };
        let start = sql.span().start;
        // Where the text stands in the file as it is, without escapes, the very place can be named.
        let inside = self.text.get(start..).and_then(|rest| rest.find(sql.get_ref().as_str()));
        let offset = position.and_then(|position| {
            let (byte, _) = sql.get_ref().char_indices().nth(position.checked_sub(1)?)?;
            Some(byte)
        });
        let place = inside.map_or(start, |inside| start + inside + offset.unwrap_or(0));
        self.wrong(place, &format!("rule `{name}`: {message}"))
    }

    pub(super) fn names(&self, rule: &str) -> bool {
        self.rules.iter().any(|known| known.name.get_ref() == rule)
    }

    pub(super) fn ignores(&self, about: &About) -> bool {
        self.ignored.iter().any(|ignore| {
            let is_table = ignore.table.as_ref().is_none_or(|table| match name_parts(table).as_slice() {
                [schema, name] => about.table == Name::new(schema, name),
                [name] => about.table.name == *name,
                _ => false,
            });
            ignore.code.as_ref().is_none_or(|code| code == about.code)
                && is_table
                && ignore.column.as_ref().is_none_or(|column| about.columns.contains(column))
        })
    }
}

/// An error with the place in the file; lines and columns count from 1.
fn at(file: &str, text: &str, place: usize, message: &str) -> Error {
    let before = text.get(..place.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Error::new(Code::InvalidFile, message.trim_end().to_owned()).field(format!("{file}:{line}:{column}"))
}

/// `sales."Order Items"` as its names.
fn name_parts(text: &str) -> Vec<String> {
    let (mut parts, mut is_quoted) = (vec![String::new()], false);
    for letter in text.trim().chars() {
        match letter {
            '"' => is_quoted = !is_quoted,
            '.' if !is_quoted => parts.push(String::new()),
            letter => parts.last_mut().into_iter().for_each(|part| part.push(letter)),
        }
    }
    parts
}

fn unquoted(name: &str) -> String {
    name.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(file: &str, text: &str, place: &str, part: &str) {
        let error = Rules::parse(file, text).expect_err("the file to be refused");
        assert_eq!(error.field_name(), Some(format!("{file}:{place}").as_str()), "{error:?}");
        assert!(error.message().contains(part), "{}", error.message());
    }

    #[test]
    fn what_is_wrong_in_a_file_is_named_with_its_place() {
        refused("a.toml", "[[rule]]\nname = \"x\"\n  tabel = \"t\"", "3:3", "unknown field `tabel`");
        refused("a.toml", "[[rule]]\nname = \"x\"\ntable = \"t\"", "2:8", "needs one of");
        refused("a.toml", "[[rule]]\nname = \"x\"\nwhere = \"a\"", "2:8", "names no `table`");
        refused("a.toml", "[[rule]\n", "1:8", "");
        refused("a.sql", "select 1", "1:1", "-- rule:");
        refused("a.sql", "-- rule: x\n-- severity: bad\nselect 1", "2:1", "`bad` is no severity");
        refused("a.sql", "-- rule: x\n", "2:1", "no query");
    }

    #[test]
    fn names_are_read_with_their_quotes() {
        assert_eq!(name_parts("sales.\"Order. Items\""), ["sales", "Order. Items"]);
    }
}

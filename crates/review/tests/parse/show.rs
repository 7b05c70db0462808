//! A statement in few words, so that a test can say what it expects on a line.
//!
//! It reads the derived `Debug` text: what is empty, false or a place is left out, names and expressions are shown as
//! they are written. Not for: people.

use std::iter::Peekable;
use std::str::Chars;

pub(crate) fn show(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    let mut chars = text.chars().peekable();
    read(&mut chars).shown().unwrap_or_default()
}

enum Value {
    Plain(String),
    Text(String),
    List(Vec<Value>),
    Tuple(String, Vec<Value>),
    Struct(String, Vec<(String, Value)>),
}

impl Value {
    /// `None` when there is nothing to tell.
    fn shown(&self) -> Option<String> {
        let joined = |values: &[Value]| values.iter().filter_map(Value::shown).collect::<Vec<_>>().join(", ");
        match self {
            Value::Plain(text) => {
                let is_usual = matches!(text.as_str(), "None" | "false" | "Permanent" | "NoAction" | "0");
                (!is_usual).then(|| text.clone())
            }
            Value::Text(text) => (!text.is_empty()).then(|| text.clone()),
            Value::List(values) => (!values.is_empty()).then(|| format!("[{}]", joined(values))),
            // What was written, and is false or nothing.
            Value::Tuple(name, values) if name == "Some" && matches!(&values[..], [Value::Plain(_)]) => {
                Some(if joined(values).is_empty() { "no".to_owned() } else { joined(values) })
            }
            Value::Tuple(name, values) if name.is_empty() || name == "Some" => Some(joined(values)),
            // A variant that holds a struct of the same name.
            Value::Tuple(name, values) if matches!(&values[..], [Value::Struct(inner, _)] if inner == name) => {
                values[0].shown()
            }
            Value::Tuple(name, values) => Some(format!("{name}({})", joined(values))),
            Value::Struct(name, fields) => self.short(name).or_else(|| self.fields(name, fields)),
        }
    }

    /// Of what is shown as it was written.
    fn short(&self, name: &str) -> Option<String> {
        let field = |field: &str| self.field(field).and_then(Value::shown);
        match name {
            "Span" => Some(String::new()),
            "Identifier" => Some(field("name").unwrap_or_default()),
            "ObjectName" => Some(
                field("schema").map(|schema| schema + ".").unwrap_or_default()
                    + &field("name").unwrap_or_default(),
            ),
            "Expression" => Some(format!("<{}>", field("text").unwrap_or_default())),
            "TypeName" => field("canonical"),
            "Setting" => {
                let value = field("value").map(|value| format!("={value}")).unwrap_or_default();
                Some(field("name").unwrap_or_default() + &value)
            }
            "AlterClause" => field("action"),
            "FunctionCall" => field("name"),
            "ColumnUse" => Some(
                field("table").map(|table| table + ".").unwrap_or_default()
                    + &field("column").unwrap_or_default(),
            ),
            "TableUse" => {
                let only = if field("is_only").is_some() { "only " } else { "" };
                let alias = field("alias").map(|alias| format!(" {alias}")).unwrap_or_default();
                Some(format!("{only}{}{alias}", field("name").unwrap_or_default()))
            }
            "Located" => {
                let marks = [("is_conditional", "?"), ("is_repeated", "*")];
                let marks: String =
                    marks.iter().filter(|(name, _)| field(name).is_some()).map(|(_, mark)| *mark).collect();
                Some(marks + &field("statement").unwrap_or_default())
            }
            _ => None,
        }
    }

    fn fields(&self, name: &str, fields: &[(String, Value)]) -> Option<String> {
        let field = |(name, value): &(String, Value)| {
            let is_place = matches!(value, Value::Struct(kind, _) if kind == "Span");
            let is_query_text = name == "text" && self.field("reads").is_some();
            let shown = value.shown().filter(|shown| !is_place && !is_query_text && !shown.is_empty())?;
            Some(if shown == "true" { name.clone() } else { format!("{name}: {shown}") })
        };
        let fields: Vec<String> = fields.iter().filter_map(field).collect();
        if fields.is_empty() && matches!(name, "ConstraintTiming" | "SequenceOptions") {
            return None;
        }
        Some(if fields.is_empty() { name.to_owned() } else { format!("{name} {{ {} }}", fields.join(", ")) })
    }

    fn field(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Struct(_, fields) => {
                fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }
}

fn read(chars: &mut Peekable<Chars>) -> Value {
    skip(chars);
    match chars.peek() {
        Some('"') => Value::Text(read_string(chars)),
        Some('[') => Value::List(read_list(chars, ']')),
        Some('(') => Value::Tuple(String::new(), read_list(chars, ')')),
        _ => {
            let name = read_word(chars);
            match chars.peek() {
                Some('(') => Value::Tuple(name, read_list(chars, ')')),
                Some('{') => Value::Struct(name, read_fields(chars)),
                _ => Value::Plain(name.trim().to_owned()),
            }
        }
    }
}

fn skip(chars: &mut Peekable<Chars>) {
    while chars.next_if(|c| c.is_whitespace() || *c == ',').is_some() {}
}

/// A name, with the blank behind it when a `{` follows.
fn read_word(chars: &mut Peekable<Chars>) -> String {
    let mut word = String::new();
    while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.')) {
        word.push(c);
    }
    let mut ahead = chars.clone();
    if ahead.next() == Some(' ') && ahead.peek() == Some(&'{') {
        chars.next();
    }
    word
}

fn read_string(chars: &mut Peekable<Chars>) -> String {
    chars.next();
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some(other) => text.push(other),
                None => {}
            },
            c => text.push(c),
        }
    }
    text
}

fn read_list(chars: &mut Peekable<Chars>, end: char) -> Vec<Value> {
    chars.next();
    let mut values = Vec::new();
    loop {
        skip(chars);
        if chars.next_if_eq(&end).is_some() || chars.peek().is_none() {
            return values;
        }
        values.push(read(chars));
    }
}

fn read_fields(chars: &mut Peekable<Chars>) -> Vec<(String, Value)> {
    chars.next();
    let mut fields = Vec::new();
    loop {
        skip(chars);
        if chars.next_if_eq(&'}').is_some() || chars.peek().is_none() {
            return fields;
        }
        let name = read_word(chars);
        chars.next_if_eq(&':');
        fields.push((name, read(chars)));
    }
}

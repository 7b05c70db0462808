//! Conditions and bounds as PostgreSQL writes them (`pg_get_constraintdef`, `relpartbound`), read just as far as
//! proofs need: comparisons of a column with constants, IS [NOT] NULL, IN, BETWEEN, AND, OR.
//!
//! Not for: what users write in files, which the parser reads. What is not understood is [`Predicate::Other`], which
//! proves nothing.

/// A condition. Values are as written, without casts; strings with their quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Predicate {
    And(Vec<Predicate>),
    Or(Vec<Predicate>),
    NotNull(String),
    Null(String),
    /// One of `=`, `<>`, `<`, `<=`, `>`, `>=`, with the column to the left.
    Compare {
        column: String,
        operator: Operator,
        value: String,
    },
    /// Not understood; it mentions these names.
    Other(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What a partition takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    List(Vec<String>),
    /// `MINVALUE` and `MAXVALUE` are in capitals.
    Range {
        from: Vec<String>,
        to: Vec<String>,
    },
    Hash,
    Default,
}

/// The condition of `CHECK (...)`, with or without the word.
pub(super) fn predicate(text: &str) -> Predicate {
    let text = text.trim();
    let text = match text.get(..5) {
        Some(word) if word.eq_ignore_ascii_case("check") => &text[5..],
        _ => text,
    };
    let tokens = tokens(text);
    let mut reader = Reader { tokens: &tokens, next: 0 };
    let parsed = reader.either();
    // What follows may be NOT VALID, NO INHERIT or NOT ENFORCED.
    match parsed {
        Some(predicate) if reader.is_at_end_of_condition() => predicate,
        _ => Predicate::Other(words(&tokens)),
    }
}

/// `FOR VALUES FROM (1) TO (10)`, `FOR VALUES IN ('a')`, `FOR VALUES WITH (...)`, `DEFAULT`.
pub(super) fn bound(text: &str) -> Option<Bound> {
    let tokens = tokens(text);
    let mut reader = Reader { tokens: &tokens, next: 0 };
    if reader.word("DEFAULT") {
        return Some(Bound::Default);
    }
    if !(reader.word("FOR") && reader.word("VALUES")) {
        return None;
    }
    if reader.word("WITH") {
        return Some(Bound::Hash);
    }
    if reader.word("IN") {
        return reader.values().map(Bound::List);
    }
    let from = reader.word("FROM").then(|| reader.values())??;
    let to = reader.word("TO").then(|| reader.values())??;
    Some(Bound::Range { from, to })
}

fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(&c) = letters.peek() {
        let mut token = String::new();
        if c.is_whitespace() {
            letters.next();
            continue;
        }
        if c == '\'' || c == '"' {
            token.push(c);
            letters.next();
            while let Some(inner) = letters.next() {
                token.push(inner);
                if inner == c {
                    if letters.peek() != Some(&c) {
                        break;
                    }
                    letters.next();
                }
            }
        } else if c.is_alphanumeric() || c == '_' {
            while let Some(&inner) =
                letters.peek().filter(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '.'))
            {
                token.push(inner);
                letters.next();
            }
        } else if "<>=!:".contains(c) {
            while let Some(&inner) = letters.peek().filter(|c| "<>=!:".contains(**c)) {
                token.push(inner);
                letters.next();
            }
        } else {
            token.push(c);
            letters.next();
        }
        tokens.push(token);
    }
    tokens
}

fn words(tokens: &[String]) -> Vec<String> {
    tokens.iter().filter_map(|token| column_of(token)).collect()
}

/// The name that a token stands for, if it can be a column.
fn column_of(token: &str) -> Option<String> {
    if let Some(quoted) = token.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        return Some(quoted.to_owned());
    }
    let first = token.chars().next()?;
    (first.is_alphabetic() || first == '_').then(|| token.to_lowercase())
}

struct Reader<'a> {
    tokens: &'a [String],
    next: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.next).map(String::as_str)
    }

    fn word(&mut self, word: &str) -> bool {
        let is_it = self.peek().is_some_and(|token| token.eq_ignore_ascii_case(word));
        self.next += usize::from(is_it);
        is_it
    }

    fn is_at_end_of_condition(&self) -> bool {
        self.peek().is_none_or(|token| ["NOT", "NO"].iter().any(|word| token.eq_ignore_ascii_case(word)))
    }

    fn either(&mut self) -> Option<Predicate> {
        let mut parts = vec![self.both()?];
        while self.word("OR") {
            parts.push(self.both()?);
        }
        Some(if parts.len() == 1 { parts.remove(0) } else { Predicate::Or(parts) })
    }

    fn both(&mut self) -> Option<Predicate> {
        let mut parts = vec![self.part()?];
        while self.word("AND") {
            parts.push(self.part()?);
        }
        let flat = parts.into_iter().flat_map(|part| match part {
            Predicate::And(inner) => inner,
            other => vec![other],
        });
        let mut parts: Vec<_> = flat.collect();
        Some(if parts.len() == 1 { parts.remove(0) } else { Predicate::And(parts) })
    }

    /// A condition in parentheses, or a test of a column. What is neither is skipped, with what it mentions.
    fn part(&mut self) -> Option<Predicate> {
        let start = self.next;
        if self.word("(") {
            let inner = self.either();
            // `(a)::text = 'x'` and `(a + 1) > 0` also open with one.
            if let Some(inner) = inner.filter(|_| self.word(")") && self.is_at_end_of_part()) {
                return Some(inner);
            }
            self.next = start;
        }
        if let Some(test) = self.test().filter(|_| self.is_at_end_of_part()) {
            return Some(test);
        }
        self.next = start;
        Some(self.skip())
    }

    fn is_at_end_of_part(&self) -> bool {
        self.is_at_end_of_condition()
            || self.peek().is_some_and(|token| {
                token == ")" || ["AND", "OR"].iter().any(|word| token.eq_ignore_ascii_case(word))
            })
    }

    fn skip(&mut self) -> Predicate {
        let start = self.next;
        let mut depth = 0;
        while let Some(token) = self.peek() {
            match token {
                "(" => depth += 1,
                ")" if depth == 0 => break,
                ")" => depth -= 1,
                other if depth == 0 && ["AND", "OR"].iter().any(|word| other.eq_ignore_ascii_case(word)) => {
                    break;
                }
                _ => {}
            }
            self.next += 1;
        }
        Predicate::Other(words(&self.tokens[start..self.next]))
    }

    fn test(&mut self) -> Option<Predicate> {
        if let Some(value) = self.value() {
            let operator = self.operator()?.turned();
            return Some(Predicate::Compare { column: self.column()?, operator, value });
        }
        let column = self.column()?;
        if self.word("IS") {
            let is_not = self.word("NOT");
            let is_null = self.word("NULL");
            return is_null.then_some(if is_not {
                Predicate::NotNull(column)
            } else {
                Predicate::Null(column)
            });
        }
        let equal = |value| Predicate::Compare { column: column.clone(), operator: Operator::Equal, value };
        if self.word("NOT") {
            let differs =
                |value| Predicate::Compare { column: column.clone(), operator: Operator::NotEqual, value };
            let values = self.word("IN").then(|| self.values())??;
            return Some(Predicate::And(values.into_iter().map(differs).collect()));
        }
        if self.word("IN") {
            return Some(Predicate::Or(self.values()?.into_iter().map(equal).collect()));
        }
        if self.word("BETWEEN") {
            let low = self.value()?;
            let high = self.word("AND").then(|| self.value())??;
            let compare = |operator, value| Predicate::Compare { column: column.clone(), operator, value };
            return Some(Predicate::And(vec![
                compare(Operator::GreaterOrEqual, low),
                compare(Operator::LessOrEqual, high),
            ]));
        }
        let operator = self.operator()?;
        let is_none_of = operator == Operator::NotEqual && self.word("ALL");
        if is_none_of || (operator == Operator::Equal && self.word("ANY")) {
            // `ANY (ARRAY[...])`, or with a cast `ANY ((ARRAY[...])::text[])`.
            self.word("(").then_some(())?;
            let is_wrapped = self.word("(");
            let values = self.word("ARRAY").then(|| self.list("[", "]"))??;
            if is_wrapped {
                self.word(")").then_some(())?;
            }
            self.cast();
            self.word(")").then_some(())?;
            let differs =
                |value| Predicate::Compare { column: column.clone(), operator: Operator::NotEqual, value };
            return Some(if is_none_of {
                Predicate::And(values.into_iter().map(differs).collect())
            } else {
                Predicate::Or(values.into_iter().map(equal).collect())
            });
        }
        Some(Predicate::Compare { value: self.value()?, column, operator })
    }

    fn operator(&mut self) -> Option<Operator> {
        let operator = match self.peek()? {
            "=" => Operator::Equal,
            "<>" => Operator::NotEqual,
            "<" => Operator::Less,
            "<=" => Operator::LessOrEqual,
            ">" => Operator::Greater,
            ">=" => Operator::GreaterOrEqual,
            _ => return None,
        };
        self.next += 1;
        Some(operator)
    }

    /// `a`, `(a)::text`.
    fn column(&mut self) -> Option<String> {
        let is_wrapped = self.word("(");
        let column = column_of(self.peek()?)?;
        self.next += 1;
        // A function's name is none.
        if self.peek() == Some("(") || (is_wrapped && !self.word(")")) {
            return None;
        }
        self.cast();
        Some(column)
    }

    /// A number or a string, maybe in parentheses, maybe with a cast.
    fn value(&mut self) -> Option<String> {
        let start = self.next;
        let value = self.bare_value();
        if value.is_none() {
            self.next = start;
        }
        value
    }

    fn bare_value(&mut self) -> Option<String> {
        if self.word("(") {
            let value = self.bare_value()?;
            self.word(")").then_some(())?;
            self.cast();
            return Some(value);
        }
        let sign = if self.word("-") { "-" } else { "" };
        let token = self.peek()?;
        let first = token.chars().next()?;
        let is_word =
            ["true", "false", "minvalue", "maxvalue", "null"].iter().any(|w| token.eq_ignore_ascii_case(w));
        if !(first.is_ascii_digit() || first == '\'' || is_word) {
            return None;
        }
        let value = if is_word { token.to_uppercase() } else { token.to_owned() };
        self.next += 1;
        self.cast();
        Some(format!("{sign}{value}"))
    }

    /// `::type`, with its modifiers, as often as it comes.
    fn cast(&mut self) {
        while self.word("::") {
            while self.peek().is_some_and(|token| column_of(token).is_some() && !self.is_at_end_of_part()) {
                self.next += 1;
            }
            if self.peek() == Some("(") {
                while !self.word(")") && self.peek().is_some() {
                    self.next += 1;
                }
                while ["with", "without", "time", "zone"].iter().any(|word| self.word(word)) {}
            }
            while self.peek() == Some("[") && self.tokens.get(self.next + 1).is_some_and(|token| token == "]")
            {
                self.next += 2;
            }
        }
    }

    fn values(&mut self) -> Option<Vec<String>> {
        self.list("(", ")")
    }

    fn list(&mut self, open: &str, close: &str) -> Option<Vec<String>> {
        self.word(open).then_some(())?;
        let mut values = vec![self.value()?];
        while self.word(",") {
            values.push(self.value()?);
        }
        self.word(close).then_some(values)
    }
}

impl Operator {
    fn turned(self) -> Self {
        match self {
            Operator::Equal => Operator::Equal,
            Operator::NotEqual => Operator::NotEqual,
            Operator::Less => Operator::Greater,
            Operator::LessOrEqual => Operator::GreaterOrEqual,
            Operator::Greater => Operator::Less,
            Operator::GreaterOrEqual => Operator::LessOrEqual,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(column: &str, operator: Operator, value: &str) -> Predicate {
        Predicate::Compare { column: column.into(), operator, value: value.into() }
    }

    #[track_caller]
    fn check(text: &str, expected: Predicate) {
        assert_eq!(predicate(text), expected, "{text}");
    }

    #[test]
    fn comparisons_are_read_as_postgresql_writes_them() {
        use Operator::*;
        check("CHECK ((a > 0))", compare("a", Greater, "0"));
        check("CHECK ((a > '-5'::integer))", compare("a", Greater, "'-5'"));
        check("CHECK ((0 < a)) NOT VALID", compare("a", Greater, "0"));
        check("CHECK ((\"Odd Name\" = 'it''s'::text))", compare("Odd Name", Equal, "'it's'"));
        check("CHECK (((b)::text = 'x'::text))", compare("b", Equal, "'x'"));
        check(
            "CHECK (((id >= 2000) AND (id < 3000)))",
            Predicate::And(vec![compare("id", GreaterOrEqual, "2000"), compare("id", Less, "3000")]),
        );
        check(
            "CHECK ((a = ANY (ARRAY[3, 4])))",
            Predicate::Or(vec![compare("a", Equal, "3"), compare("a", Equal, "4")]),
        );
        check("CHECK ((b <> 'x'::text))", compare("b", NotEqual, "'x'"));
        check(
            "CHECK ((a <> ALL (ARRAY[3, 4])))",
            Predicate::And(vec![compare("a", NotEqual, "3"), compare("a", NotEqual, "4")]),
        );
        check(
            "CHECK (((b)::text = ANY ((ARRAY['x'::character varying, 'y'::character varying])::text[])))",
            Predicate::Or(vec![compare("b", Equal, "'x'"), compare("b", Equal, "'y'")]),
        );
        check(
            "CHECK ((ts >= '2024-01-01 00:00:00'::timestamp without time zone))",
            compare("ts", GreaterOrEqual, "'2024-01-01 00:00:00'"),
        );
        check(
            "a between 1 and 5",
            Predicate::And(vec![compare("a", GreaterOrEqual, "1"), compare("a", LessOrEqual, "5")]),
        );
    }

    #[test]
    fn nulls_and_alternatives_are_read() {
        check(
            "k is null or k not in ('b')",
            Predicate::Or(vec![Predicate::Null("k".into()), compare("k", Operator::NotEqual, "'b'")]),
        );
        check("CHECK ((a IS NOT NULL))", Predicate::NotNull("a".into()));
        check(
            "CHECK (((a IS NOT NULL) OR (b IS NULL)))",
            Predicate::Or(vec![Predicate::NotNull("a".into()), Predicate::Null("b".into())]),
        );
    }

    #[test]
    fn what_is_not_understood_is_kept_apart() {
        check("CHECK ((length(b) > 0))", Predicate::Other(vec!["length".into(), "b".into()]));
        let both = predicate("CHECK (((a IS NOT NULL) AND (length(b) > 0)))");
        let Predicate::And(parts) = both else { panic!("{both:?}") };
        assert_eq!(parts[0], Predicate::NotNull("a".into()));
        assert!(matches!(parts[1], Predicate::Other(_)));
    }

    #[test]
    fn bounds_are_read() {
        let range = Bound::Range { from: vec!["1".into()], to: vec!["MAXVALUE".into()] };
        assert_eq!(bound("FOR VALUES FROM (1) TO (MAXVALUE)"), Some(range));
        assert_eq!(bound("FOR VALUES IN ('a', NULL)"), Some(Bound::List(vec!["'a'".into(), "NULL".into()])));
        assert_eq!(bound("FOR VALUES WITH (modulus 4, remainder 0)"), Some(Bound::Hash));
        assert_eq!(bound("DEFAULT"), Some(Bound::Default));
    }
}

//! Whole files: places, comments, psql's lines, dumps, and texts that were cut or changed.

use posthaste_review::parse;
use posthaste_review::script::Script;
use posthaste_review::statement::{Span, Statement};

use crate::forms::forms;

const FILES: [&str; 7] =
    ["alter.txt", "create.txt", "drop.txt", "rows.txt", "bodies.txt", "session.txt", "wrong.txt"];

/// Statement by statement: line, column, first words.
fn check(text: &str, expected: &[&str]) {
    let script = parse(text);
    let found =
        script.statements.iter().map(|it| format!("{}:{} {}", it.line, it.column, it.statement.keyword()));
    let errors = script.errors.iter().map(|error| format!("! {error}"));
    assert_eq!(found.chain(errors).collect::<Vec<_>>(), expected, "{text}");
    check_places(text, &script);
}

/// Places are within the text, in order and on the bounds of characters; texts and gaps give the file back.
fn check_places(text: &str, script: &Script) {
    let mut rebuilt = String::new();
    let mut end = 0;
    for located in &script.statements {
        assert!(end <= located.span.start, "statements are in order: {text:?}");
        rebuilt.push_str(&text[end..located.span.start]);
        assert_eq!(located.span.of(text), located.text);
        rebuilt.push_str(&located.text);
        end = located.span.end;
        check_spans(text, &format!("{:?}", located.statement));
    }
    rebuilt.push_str(&text[end..]);
    assert_eq!(rebuilt, text);
    for error in &script.errors {
        check_span(text, error.span);
    }
}

/// Every `Span { start: a, end: b }` in what was lowered.
fn check_spans(text: &str, debug: &str) {
    for part in debug.split("Span { start: ").skip(1) {
        let mut numbers = part.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty());
        let mut number =
            || numbers.next().and_then(|number| number.parse().ok()).expect("a span has two numbers");
        check_span(text, Span::new(number(), number()));
    }
}

fn check_span(text: &str, span: Span) {
    assert!(
        span.start <= span.end && text.get(span.start..span.end).is_some(),
        "{span:?} is no part of {text:?}"
    );
}

#[test]
fn places_count_characters_and_lines() {
    check("select 'ü'; select 2;\n\n  select\n3", &["1:1 SELECT", "1:13 SELECT", "3:3 SELECT"]);
    check("\u{feff}select 1;\r\nselect 2", &["1:2 SELECT", "2:1 SELECT"]);
    check("", &[]);
    check(";;; -- nothing\n", &[]);
}

#[test]
fn broken_statement_harms_no_other() {
    check(
        "create table a (b int;\nselct 1;\nselect 2;",
        &[
            "1:1 ",
            "2:1 ",
            "3:1 SELECT",
            "! line 1, column 22: the statement ends too early: expected `)`",
            "! line 2, column 1: not understood at `selct`: expected a statement",
        ],
    );
    check(
        "select 1;\nselect 'a;\nselect 2;",
        &[
            "1:1 SELECT",
            "2:1 ",
            "! line 2, column 8: the string that begins here is not closed (a quote within a string is written twice: \
             'it''s')",
        ],
    );
    check(
        "select 1;\nalter table t add",
        &["1:1 SELECT", "2:1 ", "! line 2, column 18: the file ends within a statement: expected name"],
    );
    check(
        "do $$ begin",
        &[
            "1:1 ",
            "! line 1, column 4: the dollar-quoted text that begins here is not closed (it ends with the same mark)",
        ],
    );
}

#[test]
fn nul_is_told() {
    let script = parse("select 1;\nselect '\0'");
    assert!(script.errors[0].to_string().starts_with("line 2, column 9: the file holds a NUL byte"));
}

#[test]
fn lines_of_psql_are_no_statements() {
    check(
        "\\set ON_ERROR_STOP on\n\\connect it's\nselect 1 \\gexec\n\\i 'a b.sql'\nselect 2;\\echo x; y\nselect 3",
        &[
            "1:1 \\set",
            "2:1 \\connect",
            "3:1 SELECT",
            "3:10 \\gexec",
            "4:1 \\i",
            "5:1 SELECT",
            "5:10 \\echo",
            "6:1 SELECT",
        ],
    );
    let script = parse("\\copy t from 'x.csv' csv\n");
    assert!(matches!(&script.statements[0].statement, Statement::Meta(meta)
        if meta.name == "copy" && meta.arguments == "t from 'x.csv' csv"));
}

#[test]
fn rows_of_a_dump_are_passed_by() {
    let text = "COPY public.t (a, b) FROM stdin;\n1\tit's $$ ; \\\\ /*\n2\t\\N\n\\.\n\nSELECT 1;\n";
    check(text, &["1:1 COPY", "6:1 SELECT"]);
    let script = parse(text);
    let Statement::Copy(copy) = &script.statements[0].statement else { panic!("it is a COPY") };
    assert_eq!(copy.rows.map(|rows| rows.of(text)), Some("1\tit's $$ ; \\\\ /*\n2\t\\N\n\\.\n"));
    check("copy t from stdin;\n", &["1:1 COPY"]);
    check(
        "copy t from stdin;\n1\n2\n",
        &[
            "1:1 COPY",
            "! line 2, column 1: the rows behind COPY ... FROM stdin have no end (the line behind the last row is `\\.`)",
        ],
    );
}

#[test]
fn semicolons_within_bodies_and_rules_end_nothing() {
    check(
        "create function f() returns int begin atomic select case when true then 1 end; select 2; end;\nselect 3",
        &["1:1 CREATE FUNCTION", "2:1 SELECT"],
    );
    check(
        "create rule r as on insert to t do also (delete from u; delete from v);\nselect 3",
        &["1:1 CREATE RULE", "2:1 SELECT"],
    );
    check(
        "create function f() returns int language sql as 'select 1; select 2';select 3",
        &["1:1 CREATE FUNCTION", "1:70 SELECT"],
    );
}

#[test]
fn comments_go_with_their_statements() {
    let text = "-- a\nselect /* b */ 1; -- c\n-- d\nselect 2;\n-- e\n";
    let script = parse(text);
    let comments = |index: usize| -> Vec<(String, bool, bool)> {
        let of = script.statements[index].comments.iter();
        of.map(|comment| (comment.text.clone(), comment.is_before, comment.is_trailing)).collect()
    };
    let text = |text: &str, is_before, is_trailing| (text.to_owned(), is_before, is_trailing);
    assert_eq!(
        comments(0),
        [text("-- a", true, false), text("/* b */", false, true), text("-- c", false, true)]
    );
    assert_eq!(comments(1), [text("-- d", true, false)]);
    assert_eq!(script.trailing_comments[0].text, "-- e");
}

#[test]
fn statements_of_a_body_have_places_in_the_file() {
    let text =
        "do $$\nbegin\n  alter table ü add b int;\nend $$;\ndo 'begin execute ''drop table \"x y\"''; end'";
    let script = parse(text);
    let Statement::Do(block) = &script.statements[0].statement else { panic!("it is a DO") };
    let inner = &block.body.statements[0];
    assert_eq!((inner.line, inner.column, inner.span.of(text)), (3, 3, "alter table ü add b int"));
    let Statement::Alter(alter) = &inner.statement else { panic!("it is an ALTER") };
    assert_eq!(alter.clauses[0].span.of(text), "add b int");
    let Statement::Do(block) = &script.statements[1].statement else { panic!("it is a DO") };
    let Statement::Drop(drop) = &block.body.statements[0].statement else { panic!("it is a DROP") };
    assert_eq!(drop.targets[0].name.span.of(text), "\"x y\"");
}

#[test]
fn names_are_folded_and_cut_as_the_server_does() {
    let long = "Ä".repeat(40);
    let script = parse(&format!("drop table A.\"B\"\"c\", U&\"\\0041\", \"{long}\""));
    let Statement::Drop(drop) = &script.statements[0].statement else { panic!("it is a DROP") };
    let names: Vec<String> = drop.targets.iter().map(|target| target.name.to_string()).collect();
    assert_eq!(names, ["a.B\"c".to_owned(), "A".to_owned(), "Ä".repeat(31)]);
}

#[test]
fn each_form_has_its_places() {
    for (sql, _) in FILES.iter().flat_map(|file| forms(file)) {
        check_places(&sql, &parse(&sql));
    }
}

/// A small generator: tests must be the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}

#[test]
fn cut_and_changed_texts_are_read_without_a_panic() {
    let seed = 20_240_114;
    let mut random = Random(seed);
    let statements: Vec<String> = FILES.iter().flat_map(|file| forms(file)).map(|(sql, _)| sql).collect();
    let pieces = [
        "(", ")", "'", "\"", "$$", ";", ",", "ü", "\\", "--", "/*", "*/", " begin ", " end ", " into ", "\0",
        ".", " 1 ", "\n", "::",
    ];
    for _ in 0..1_500 {
        let mut text: Vec<char> = statements[random.below(statements.len())].chars().collect();
        for _ in 0..=random.below(3) {
            let at = random.below(text.len() + 1);
            match random.below(4) {
                0 => text.truncate(at),
                1 => drop(text.splice(at..at, pieces[random.below(pieces.len())].chars())),
                2 if at < text.len() => drop(text.remove(at)),
                _ => {
                    let other: Vec<char> = statements[random.below(statements.len())].chars().collect();
                    let from = random.below(other.len());
                    let to = (from + random.below(20)).min(other.len());
                    drop(text.splice(at..at, other[from..to].iter().copied()));
                }
            }
        }
        let text: String = text.into_iter().collect();
        check_places(&text, &parse(&text));
    }
}

#[test]
fn deep_and_long_statements_are_read_or_refused() {
    let is_read = |text: &str| parse(text).errors.is_empty();
    assert!(is_read(&format!("select {}1{}", "(".repeat(400), ")".repeat(400))));
    assert!(!is_read(&format!("select {}1{}", "(".repeat(100_000), ")".repeat(100_000))));
    assert!(is_read(&format!("select 1{}", " + 1".repeat(3_000))));
    assert!(!is_read(&format!("select 1{}", " + 1".repeat(100_000))));
    assert!(is_read(&format!("select 1, 2{}", " union all select 3, 4".repeat(1_000))));
    assert!(is_read(&format!("insert into t values (1, 2){}", ", (f(3), 4)".repeat(2_000))));
    assert!(is_read(&format!("update t set a = case b{} end", " when 1 then 2".repeat(6_000))));
    let body = format!("do $$ begin perform {}1{}; end $$", "(".repeat(100_000), ")".repeat(100_000));
    assert!(!is_read(&body));
    let body = format!("do $$ {} end $$", "begin if true then ".repeat(10_000));
    parse(&body);
}

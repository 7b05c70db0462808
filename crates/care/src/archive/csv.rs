//! CSV as RFC 4180 has it, with one thing more: a cell without quotes is NULL, and an empty text stands in quotes.
//!
//! The same as PostgreSQL's own `COPY ... (FORMAT csv, HEADER, FORCE_QUOTE *)`. Not for: other dialects.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write as _};
use std::path::Path;

/// Rows that are read together, and about so many bytes of them.
const READ_ROWS: usize = 2_000;
const READ_BYTES: usize = 32 * 1024 * 1024;

/// One row; None is NULL.
pub(super) type Record = Vec<Option<String>>;

/// Reads the next record; None at the end.
///
/// # Errors
/// The file ends within quotes, or is no UTF-8.
fn read(input: &mut impl BufRead) -> io::Result<Option<Record>> {
    let mut text = String::new();
    // A record ends at a line's end that is not within quotes.
    let mut is_quoted = false;
    loop {
        let from = text.len();
        if input.read_line(&mut text)? == 0 {
            return match text.is_empty() {
                true => Ok(None),
                false => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends within a record")),
            };
        }
        is_quoted ^= text[from..].matches('"').count() % 2 == 1;
        if !is_quoted && text.ends_with('\n') {
            break;
        }
    }
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Some(cells(line)))
}

fn cells(line: &str) -> Record {
    let (mut cells, mut rest) = (Vec::new(), line);
    loop {
        let end = match rest.strip_prefix('"') {
            None => rest.find(',').unwrap_or(rest.len()),
            Some(quoted) => 1 + closing(quoted) + 1,
        };
        let end = end.min(rest.len());
        let cell = &rest[..end];
        let quoted = cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"'));
        cells.push(match quoted {
            Some(text) => Some(text.replace("\"\"", "\"")),
            None if cell.is_empty() => None,
            None => Some(cell.to_owned()),
        });
        match rest[end..].strip_prefix(',') {
            Some(more) => rest = more,
            None => return cells,
        }
    }
}

/// Where the quote is that ends the cell.
fn closing(text: &str) -> usize {
    let mut from = 0;
    while let Some(at) = text[from..].find('"') {
        let place = from + at;
        if !text[place + 1..].starts_with('"') {
            return place;
        }
        from = place + 2;
    }
    text.len()
}

pub(super) struct Writer(BufWriter<File>);

impl Writer {
    pub(super) fn create(path: &Path, names: &[String]) -> io::Result<Self> {
        let mut writer = Self(BufWriter::new(File::create(path)?));
        writer.line(&header(names))?;
        Ok(writer)
    }

    /// A row as the server has written it.
    pub(super) fn line(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.0, "{line}")
    }

    pub(super) fn finish(self) -> io::Result<File> {
        self.0.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

pub(super) struct Reader {
    input: BufReader<File>,
    names: Vec<String>,
}

impl Reader {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut input = BufReader::new(File::open(path)?);
        let names = read(&mut input)?.unwrap_or_default().into_iter().flatten().collect();
        Ok(Self { input, names })
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The next rows as columns; None at the end.
    pub(super) fn columns(&mut self) -> io::Result<Option<Vec<Record>>> {
        let width = self.names.len();
        let mut columns = vec![Vec::new(); width];
        let mut bytes = 0;
        for _ in 0..READ_ROWS {
            if bytes > READ_BYTES {
                break;
            }
            let Some(record) = read(&mut self.input)? else { break };
            if record.len() != width {
                let message = format!("a row has {} cells and not {width}", record.len());
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            bytes += record.iter().flatten().map(String::len).sum::<usize>();
            columns.iter_mut().zip(record).for_each(|(column, cell)| column.push(cell));
        }
        Ok(columns.first().is_some_and(|column| !column.is_empty()).then_some(columns))
    }
}

/// The names of columns as a line.
fn header<S: AsRef<str>>(names: &[S]) -> String {
    let cells = names.iter().map(|name| format!("\"{}\"", name.as_ref().replace('"', "\"\"")));
    cells.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> io::Result<Vec<Record>> {
        let mut input = text.as_bytes();
        std::iter::from_fn(|| read(&mut input).transpose()).collect()
    }

    #[test]
    fn nulls_quotes_commas_and_lines_are_told_apart() {
        let some = |text: &str| Some(text.to_owned());
        let found = all("\"a\",,\"\"\n\"x,\"\"y\"\"\n\",\"\"\"\",\n").expect("records");
        assert_eq!(found, [vec![some("a"), None, some("")], vec![some("x,\"y\"\n"), some("\""), None]]);
        assert_eq!(header(&["a", "b\"c"]), "\"a\",\"b\"\"c\"");
    }

    #[test]
    fn a_file_that_was_cut_is_no_file() {
        assert!(all("\"a\"\n\"b").is_err());
        assert!(all("\"a\"\n\"b\"").is_err());
    }
}

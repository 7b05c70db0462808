//! Archives in files: rows leave the database only when a file holds them, on disk, and was read again.
//!
//! An archive's table is held against changes, written beside the name that the file will have, synced, and read again; the server counts what was read and takes its checksum, each cell as the type of its column. Only when
//! these are those of the table is the table dropped, in the transaction that held it. A kill at any point leaves the
//! table as it is, or the file proven. Not for: moving rows out of the application's tables (see `archive`).

use std::fs::{self, File};
use std::path::Path;

use posthaste_base::catalog::{Catalog, Relation};
use posthaste_base::{Code, Error, quote};
use posthaste_pg::driver::{FromSql, ToSql};
use posthaste_pg::{Target, Visit, VisitOptions};
use serde::Serialize;

use super::csv::{self, Record};
use super::parquet::{self, Failed, Kind};
use crate::template::fill;
use crate::visiting::{cell, read_rows, says, with_catalog};

macro_rules! template {
    ($name:literal) => {
        include_str!(concat!("../../sql/archive/", $name, ".sql"))
    };
}

/// What a file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Texts, as `COPY` writes them.
    #[default]
    Csv,
    /// Columns with types.
    Parquet,
}

/// What is written, and where.
#[derive(Clone, Debug)]
pub struct Writing<'w> {
    /// The plan whose archive it is.
    pub plan: &'w str,
    /// In it a folder of the plan's name is made.
    pub folder: &'w Path,
    pub form: Form,
    /// Whether tables go whose rows are proven to be in their file.
    pub drops: bool,
}

/// An archive's table and the file that has its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Filed {
    pub table: String,
    pub archive: String,
    pub file: String,
    pub rows: i64,
    pub checksum: String,
    /// Whether the archive's table is still there.
    pub is_kept: bool,
}

/// Points at which a test lets the process die.
pub type Fault<'f> = &'f (dyn Fn(&str) -> bool + Sync);

/// A number of rows and the sum of their hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sum {
    rows: i64,
    checksum: String,
}

/// What the archive's rows consist of.
struct Shape {
    names: Vec<String>,
    types: Vec<String>,
}

impl Form {
    fn extension(self) -> &'static str {
        match self {
            Form::Csv => "csv",
            Form::Parquet => "parquet",
        }
    }

    fn of(path: &Path) -> Self {
        let is_parquet = path.extension().is_some_and(|end| end == Form::Parquet.extension());
        if is_parquet { Form::Parquet } else { Form::Csv }
    }
}

/// Writes what a plan has archived to files. What was written before, and dropped, is left out: it can be said again
/// after a kill.
pub async fn export(target: &Target, writing: &Writing<'_>, fault: Fault<'_>) -> Result<Vec<Filed>, Error> {
    let (visit, catalog) = open(target).await?;
    let plan = writing.plan;
    let folder = writing.folder.join(safe(plan));
    fs::create_dir_all(&folder).map_err(|error| of_file(&folder, &error))?;
    visit.batch_execute(template!("create_exported")).await?;
    let moved = visit.query(template!("totals"), &[&plan]).await?;
    let written = read_filed(&visit, plan).await?;
    if moved.is_empty() {
        return Err(nothing(plan));
    }
    let mut filed = Vec::new();
    for row in &moved {
        let (table, archive): (String, String) = (cell(row, "relation")?, cell(row, "archive")?);
        let before = written.iter().find(|before| before.table == table && !before.is_kept);
        let Some(relation) = find(&catalog, &archive) else {
            match before {
                Some(before) => filed.push(before.clone()),
                None => return Err(Error::new(Code::NotFound, format!("the archive {archive} is gone"))),
            }
            continue;
        };
        let file = folder.join(format!("{}.{}", safe(&table), writing.form.extension()));
        let one = Export { visit: &visit, writing, table: &table, archive: relation, file: &file, fault };
        visit.batch_execute("begin isolation level repeatable read").await?;
        let done = one.carry_out().await;
        if done.is_err() {
            visit.batch_execute("rollback").await?;
        }
        filed.push(done?);
    }
    Ok(filed)
}

struct Export<'e> {
    visit: &'e Visit,
    writing: &'e Writing<'e>,
    table: &'e str,
    archive: &'e Relation,
    file: &'e Path,
    fault: Fault<'e>,
}

impl Export<'_> {
    async fn carry_out(&self) -> Result<Filed, Error> {
        let archive = self.archive.name.quoted();
        let values = [("archive", archive.as_str())];
        self.visit.batch_execute(&fill(template!("hold_archive"), &values)).await?;
        self.visit.query_one(template!("text_settings"), &[]).await?;
        let shape = Shape::of(self.archive);
        let there = self.sum_of_table(&shape, &archive).await?;
        let form = self.writing.form;
        self.leaves_other_rows_alone(&shape, &there).await?;
        let part = self.file.with_extension(format!("{}.part", form.extension()));
        let file = match form {
            Form::Csv => self.write_csv(&part, &shape).await?,
            Form::Parquet => self.write_parquet(&part, &shape).await?,
        };
        file.sync_all().map_err(|error| of_file(&part, &error))?;
        self.die("written")?;
        let read = sum_of_file(self.visit, &part, form, &shape).await?;
        if read != there {
            let message = format!(
                "{} holds {} rows and {} of them came back from the file, or others",
                archive, there.rows, read.rows
            );
            return Err(Error::new(Code::ProofFailed, message).field(part.display().to_string()));
        }
        fs::rename(&part, self.file).map_err(|error| of_file(self.file, &error))?;
        sync_folder(self.file)?;
        self.die("proven")?;
        let file = self.file.display().to_string();
        let params: [&(dyn ToSql + Sync); 7] =
            [&self.writing.plan, &self.table, &archive, &file, &shape.names, &there.rows, &there.checksum];
        self.visit.execute(template!("set_exported"), &params).await?;
        if self.writing.drops {
            self.visit.batch_execute(&fill(template!("drop_archive"), &values)).await?;
        }
        self.die("before-commit")?;
        self.visit.batch_execute("commit").await?;
        Ok(Filed {
            table: self.table.to_owned(),
            archive,
            file,
            rows: there.rows,
            checksum: there.checksum,
            is_kept: !self.writing.drops,
        })
    }

    /// A file of that name may be all that is left of an earlier run's rows; a killed export's has the same rows.
    async fn leaves_other_rows_alone(&self, shape: &Shape, there: &Sum) -> Result<(), Error> {
        if !fs::exists(self.file).map_err(|error| of_file(self.file, &error))? {
            return Ok(());
        }
        match sum_of_file(self.visit, self.file, self.writing.form, shape).await {
            Ok(found) if found == *there => Ok(()),
            _ => Err(Error::new(Code::Conflict, "the file is there already, with other rows than these")
                .field(self.file.display().to_string())
                .expected("another folder, or no file of that name")),
        }
    }

    fn die(&self, point: &str) -> Result<(), Error> {
        match (self.fault)(point) {
            true => Err(Error::new(Code::Internal, "a test let the export die")),
            false => Ok(()),
        }
    }

    async fn sum_of_table(&self, shape: &Shape, archive: &str) -> Result<Sum, Error> {
        let columns: Vec<String> =
            shape.names.iter().map(|name| format!("t.{}", quote::identifier(name))).collect();
        let row = format!("row({})", columns.join(", "));
        let sql = fill(template!("sum_rows"), &[("archive", archive), ("row", &row)]);
        sum(&self.visit.query_one(&sql, &[]).await?)
    }

    async fn write_csv(&self, part: &Path, shape: &Shape) -> Result<File, Error> {
        let failed = |error: &std::io::Error| of_file(part, error);
        let mut output = csv::Writer::create(part, &shape.names).map_err(|error| failed(&error))?;
        let cells = shape.names.iter().map(|name| {
            let column = quote::identifier(name);
            format!("coalesce('\"' || replace(t.{column}::text, '\"', '\"\"') || '\"', '')")
        });
        let line = cells.collect::<Vec<_>>().join(" || ',' || ");
        self.each(&line, |line: String| {
            output.line(&line).map_err(|error| failed(&error))?;
            Ok(true)
        })
        .await?;
        output.finish().map_err(|error| failed(&error))
    }

    /// A column whose values have no place in its type is written as text, and the file once more.
    async fn write_parquet(&self, part: &Path, shape: &Shape) -> Result<File, Error> {
        let failed = |error: &dyn std::fmt::Display| unreadable(part, error);
        let mut kinds: Vec<Kind> = shape.types.iter().map(|name| Kind::of(name)).collect();
        let cells = shape.names.iter().map(|name| format!("t.{}::text", quote::identifier(name)));
        let line = format!("array[{}]", cells.collect::<Vec<_>>().join(", "));
        loop {
            let file = File::create(part).map_err(|error| of_file(part, &error))?;
            let mut unfit = None;
            let mut note = |done: Result<(), Failed>| match done {
                Ok(()) => Ok(true),
                Err(Failed::Unfit(column)) => {
                    unfit = Some(column);
                    Ok(false)
                }
                Err(Failed::File(error)) => Err(failed(&error)),
            };
            let mut output = match parquet::Writer::new(file, &shape.names, &kinds) {
                Ok(output) => output,
                Err(Failed::File(error)) => return Err(failed(&error)),
                Err(Failed::Unfit(_)) => return Err(failed(&"no column")),
            };
            self.each(&line, |cells: Record| note(output.push(cells))).await?;
            match (unfit, output.finish()) {
                (None, Ok(file)) => return Ok(file),
                (Some(column), _) | (None, Err(Failed::Unfit(column))) => kinds[column] = Kind::Text,
                (None, Err(Failed::File(error))) => return Err(failed(&error)),
            }
        }
    }

    /// All rows of the archive, each as what the expression makes of it, until one is enough.
    async fn each<T: for<'r> FromSql<'r>>(
        &self,
        line: &str,
        mut each: impl FnMut(T) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let archive = self.archive.name.quoted();
        let sql = fill(template!("open_lines"), &[("line", line), ("archive", &archive)]);
        self.visit.batch_execute(&sql).await?;
        let mut goes_on = true;
        while goes_on {
            let rows = self.visit.query(&fill(template!("next_lines"), &[]), &[]).await?;
            goes_on = !rows.is_empty();
            for row in rows {
                goes_on = goes_on && each(cell(&row, "line")?)?;
            }
        }
        self.visit.batch_execute("close posthaste_lines").await?;
        Ok(())
    }
}

/// Reads the files of a plan back into archives as they were, from where `restore` brings the rows back. An archive
/// that is still there is left alone.
pub async fn import(target: &Target, plan: &str) -> Result<Vec<Filed>, Error> {
    let (visit, catalog) = open(target).await?;
    let filed = read_filed(&visit, plan).await?;
    if filed.is_empty() {
        return Err(nothing(plan));
    }
    let mut read = Vec::new();
    for one in filed {
        if one.is_kept {
            read.push(one);
            continue;
        }
        let table = find(&catalog, &one.table).ok_or_else(|| {
            Error::new(Code::NotFound, format!("there is no table {}, like which the archive was", one.table))
        })?;
        visit.batch_execute("begin").await?;
        let done = read_file(&visit, &one, table).await;
        visit.batch_execute(if done.is_ok() { "commit" } else { "rollback" }).await?;
        done?;
        read.push(Filed { is_kept: true, ..one });
    }
    Ok(read)
}

async fn read_file(visit: &Visit, one: &Filed, table: &Relation) -> Result<(), Error> {
    visit.query_one(template!("text_settings"), &[]).await?;
    let values = [("archive", one.archive.as_str()), ("table", one.table.as_str())];
    visit.batch_execute(&fill(template!("create_archive"), &values)).await?;
    let path = Path::new(&one.file);
    let form = Form::of(path);
    let shape = Shape::of(table);
    let columns = quote::identifiers(&shape.names);
    let (arrays, names, cells) = (shape.arrays(), shape.numbers(), shape.cells().join(", "));
    let values = [
        ("archive", one.archive.as_str()),
        ("columns", &columns),
        ("cells", &cells),
        ("arrays", &arrays),
        ("names", &names),
    ];
    let sql = fill(template!("put_cells"), &values);
    let read = sum_of_file(visit, path, form, &shape).await?;
    if (read.rows, &read.checksum) != (one.rows, &one.checksum) {
        let message = format!("the file has {} rows and should have {}, or others", read.rows, one.rows);
        return Err(Error::new(Code::ProofFailed, message).field(one.file.clone()));
    }
    let mut reader = Reader::open(path, form, &shape)?;
    while let Some(columns) = reader.columns()? {
        let params: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|c| c as &(dyn ToSql + Sync)).collect();
        visit.execute(&sql, &params).await?;
    }
    Ok(())
}

/// Reads a file from the disk, and lets the server count it and take its checksum.
async fn sum_of_file(visit: &Visit, path: &Path, form: Form, shape: &Shape) -> Result<Sum, Error> {
    let row = format!("row({})", shape.cells().join(", "));
    let values = [("arrays", shape.arrays()), ("names", shape.numbers()), ("row", row)];
    let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
    let sql = fill(template!("sum_cells"), &values);
    let mut whole = Sum { rows: 0, checksum: "0".into() };
    let mut reader = Reader::open(path, form, shape)?;
    while let Some(columns) = reader.columns()? {
        let params: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|c| c as &(dyn ToSql + Sync)).collect();
        let part = sum(&visit.query_one(&sql, &params).await?)?;
        whole.rows += part.rows;
        let row = visit.query_one(template!("add_sums"), &[&whole.checksum, &part.checksum]).await?;
        whole.checksum = cell(&row, "sum")?;
    }
    Ok(whole)
}

/// A file, some rows at a time.
struct Reader<'r> {
    path: &'r Path,
    input: Input,
}

enum Input {
    Csv(csv::Reader),
    Parquet(Box<parquet::Reader>),
}

impl<'r> Reader<'r> {
    fn open(path: &'r Path, form: Form, shape: &Shape) -> Result<Self, Error> {
        let (names, input) = match form {
            Form::Csv => {
                let reader = csv::Reader::open(path).map_err(|error| of_file(path, &error))?;
                (reader.names().to_vec(), Input::Csv(reader))
            }
            Form::Parquet => {
                let reader = parquet::Reader::open(path).map_err(|error| unreadable(path, &error))?;
                (reader.names(), Input::Parquet(Box::new(reader)))
            }
        };
        if names != shape.names {
            let message = format!("its columns are {}", names.join(", "));
            return Err(unreadable(path, &message).expected(shape.names.join(", ")));
        }
        Ok(Self { path, input })
    }

    /// The next rows as columns; None at the end.
    fn columns(&mut self) -> Result<Option<Vec<Record>>, Error> {
        match &mut self.input {
            Input::Csv(reader) => reader.columns().map_err(|error| of_file(self.path, &error)),
            Input::Parquet(reader) => reader.columns().map_err(|error| unreadable(self.path, &error)),
        }
    }
}

impl Shape {
    /// Without what is computed from other columns.
    fn of(relation: &Relation) -> Self {
        let is_stored = |generated: Option<&str>| generated.is_none_or(str::is_empty);
        let stored = relation.columns.iter().filter(|column| is_stored(column.generated.as_deref()));
        let (names, types) = stored.map(|column| (column.name.clone(), column.type_name.clone())).unzip();
        Self { names, types }
    }

    fn arrays(&self) -> String {
        let arrays = (1..=self.names.len()).map(|number| format!("${number}::text[]"));
        arrays.collect::<Vec<_>>().join(", ")
    }

    /// What the cells of a row are called.
    fn numbers(&self) -> String {
        (0..self.names.len()).map(|number| format!("c{number}")).collect::<Vec<_>>().join(", ")
    }

    fn cells(&self) -> Vec<String> {
        self.types.iter().enumerate().map(|(number, name)| format!("r.c{number}::{name}")).collect()
    }
}

async fn open(target: &Target) -> Result<(Visit, Catalog), Error> {
    let options = VisitOptions {
        lock_timeout_ms: 1_000,
        statement_timeout_ms: 3_600_000,
        ..VisitOptions::named("posthaste archive")
    };
    with_catalog(target, options).await
}

/// By the name as SQL writes it.
pub(super) fn find<'c>(catalog: &'c Catalog, quoted: &str) -> Option<&'c Relation> {
    catalog.relations.iter().find(|relation| relation.name.quoted() == quoted)
}

async fn read_filed(visit: &Visit, plan: &str) -> Result<Vec<Filed>, Error> {
    if !says(visit, template!("is_moved"), "is_exported").await? {
        return Ok(Vec::new());
    }
    let rows = visit.query(template!("exported"), &[&plan]).await?;
    read_rows(&rows, |row| {
        Ok(Filed {
            table: row.try_get("relation")?,
            archive: row.try_get("archive")?,
            file: row.try_get("file")?,
            rows: row.try_get("rows")?,
            checksum: row.try_get("checksum")?,
            is_kept: row.try_get("is_there")?,
        })
    })
}

fn sum(row: &posthaste_pg::driver::Row) -> Result<Sum, Error> {
    Ok(Sum { rows: cell(row, "rows")?, checksum: cell(row, "checksum")? })
}

/// A name that is one on every disk, and differs when the other does.
fn safe(name: &str) -> String {
    let mut safe = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => safe.push(char::from(byte)),
            other => safe.push_str(&format!("%{other:02X}")),
        }
    }
    // Neither the folder itself nor the one above it.
    match safe.strip_prefix('.') {
        Some(rest) => format!("%2E{rest}"),
        None => safe,
    }
}

fn sync_folder(file: &Path) -> Result<(), Error> {
    let Some(folder) = file.parent() else { return Ok(()) };
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| of_file(folder, &error))
}

fn of_file(path: &Path, error: &std::io::Error) -> Error {
    unreadable(path, error)
}

fn unreadable(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::new(Code::InvalidFile, why.to_string()).field(path.display().to_string())
}

pub(super) fn nothing(plan: &str) -> Error {
    Error::new(Code::NotFound, format!("nothing was archived by a plan `{plan}`"))
        .hint("a plan's name is its title; `posthaste runs list` shows it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_stay_in_their_folder() {
        for (name, expected) in
            [("public.t", "public.t"), ("../x", "%2E.%2Fx"), ("\"a b\".\"c/d\"", "%22a%20b%22.%22c%2Fd%22")]
        {
            assert_eq!(safe(name), expected);
        }
    }
}

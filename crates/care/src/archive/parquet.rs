//! Parquet files: columns have types, so that what reads them needs not guess, and rows come in groups.
//!
//! What is written is the text of each value as the server says it, and what is read is such a text again: the server
//! compares the sums of both. A column in which a value has no place in its Parquet type (`infinity`, a year before
//! Christ, NaN among decimals) is written as text as a whole. Nothing is compressed. Not for: nested columns, which
//! are texts too.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use jiff::civil::{Date, DateTime, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::column::reader::{ColumnReader, get_typed_column_reader};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray, FixedLenByteArrayType,
    FloatType, Int32Type, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{ColumnDescriptor, Type};

use super::csv::Record;

/// A group is held in memory when it is written, and when it is read.
const GROUP_ROWS: usize = 50_000;
const GROUP_BYTES: usize = 32 << 20;

/// What a column is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int,
    Long,
    Float,
    Double,
    /// As an integer of 4, 8 or 16 bytes, by the precision.
    Decimal {
        precision: u32,
        scale: u32,
    },
    Date,
    Timestamp {
        is_zoned: bool,
    },
    Uuid,
    Bytes,
    Json,
    Text,
}

#[derive(Debug)]
pub(super) enum Failed {
    /// A value of the column of that number cannot be written as its kind.
    Unfit(usize),
    File(ParquetError),
}

impl From<ParquetError> for Failed {
    fn from(error: ParquetError) -> Self {
        Failed::File(error)
    }
}

impl Kind {
    /// By the column's type as PostgreSQL writes it.
    pub(super) fn of(type_name: &str) -> Self {
        match type_name {
            "boolean" => Kind::Bool,
            "smallint" | "integer" => Kind::Int,
            "bigint" => Kind::Long,
            "real" => Kind::Float,
            "double precision" => Kind::Double,
            "date" => Kind::Date,
            "uuid" => Kind::Uuid,
            "bytea" => Kind::Bytes,
            "json" | "jsonb" => Kind::Json,
            _ if type_name.ends_with("[]") => Kind::Text,
            _ if type_name.starts_with("timestamp") => {
                Kind::Timestamp { is_zoned: type_name.ends_with("with time zone") }
            }
            _ => Self::decimal(type_name).unwrap_or(Kind::Text),
        }
    }

    fn decimal(type_name: &str) -> Option<Self> {
        let (precision, scale) = type_name.strip_prefix("numeric(")?.strip_suffix(')')?.split_once(',')?;
        let (precision, scale) = (precision.parse().ok()?, scale.parse().ok()?);
        // A negative scale is no number here.
        (precision <= 38 && scale <= precision).then_some(Kind::Decimal { precision, scale })
    }

    /// By what the file says of itself.
    fn in_file(column: &ColumnDescriptor) -> Option<Self> {
        Some(match (column.physical_type(), column.logical_type_ref()) {
            (_, Some(LogicalType::Decimal(decimal))) => Kind::Decimal {
                precision: decimal.precision.try_into().ok()?,
                scale: decimal.scale.try_into().ok()?,
            },
            (Physical::BOOLEAN, _) => Kind::Bool,
            (Physical::INT32, Some(LogicalType::Date)) => Kind::Date,
            (Physical::INT32, _) => Kind::Int,
            (Physical::INT64, Some(LogicalType::Timestamp(time))) => {
                Kind::Timestamp { is_zoned: time.is_adjusted_to_u_t_c }
            }
            (Physical::INT64, _) => Kind::Long,
            (Physical::FLOAT, _) => Kind::Float,
            (Physical::DOUBLE, _) => Kind::Double,
            (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Uuid)) => Kind::Uuid,
            (Physical::BYTE_ARRAY, Some(LogicalType::Json)) => Kind::Json,
            (Physical::BYTE_ARRAY, Some(LogicalType::String)) => Kind::Text,
            (Physical::BYTE_ARRAY, None) => Kind::Bytes,
            _ => return None,
        })
    }

    fn column(self, name: &str) -> Result<Type, ParquetError> {
        let (physical, logical, length) = match self {
            Kind::Bool => (Physical::BOOLEAN, None, -1),
            Kind::Int => (Physical::INT32, None, -1),
            Kind::Long => (Physical::INT64, None, -1),
            Kind::Float => (Physical::FLOAT, None, -1),
            Kind::Double => (Physical::DOUBLE, None, -1),
            Kind::Date => (Physical::INT32, Some(LogicalType::Date), -1),
            Kind::Timestamp { is_zoned } => {
                (Physical::INT64, Some(LogicalType::timestamp(is_zoned, TimeUnit::MICROS)), -1)
            }
            Kind::Decimal { precision, scale } => {
                let (physical, length) = match precision {
                    0..=9 => (Physical::INT32, -1),
                    10..=18 => (Physical::INT64, -1),
                    _ => (Physical::FIXED_LEN_BYTE_ARRAY, 16),
                };
                (physical, Some(LogicalType::decimal(scale as i32, precision as i32)), length)
            }
            Kind::Uuid => (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Uuid), 16),
            Kind::Bytes => (Physical::BYTE_ARRAY, None, -1),
            Kind::Json => (Physical::BYTE_ARRAY, Some(LogicalType::Json), -1),
            Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String), -1),
        };
        let mut column = Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .with_length(length);
        if let Kind::Decimal { precision, scale } = self {
            column = column.with_precision(precision as i32).with_scale(scale as i32);
        }
        column.build()
    }

    /// Writes a group's part of a column; false when a value has no place in it.
    fn write(
        self,
        column: &mut SerializedColumnWriter<'_>,
        cells: &[Option<String>],
    ) -> Result<bool, ParquetError> {
        match self {
            Kind::Bool => put::<BoolType>(column, cells, |text| text.parse().ok()),
            Kind::Int => put::<Int32Type>(column, cells, |text| text.parse().ok()),
            Kind::Long => put::<Int64Type>(column, cells, |text| text.parse().ok()),
            Kind::Float => put::<FloatType>(column, cells, |text| text.parse().ok()),
            Kind::Double => put::<DoubleType>(column, cells, |text| text.parse().ok()),
            Kind::Date => put::<Int32Type>(column, cells, days),
            Kind::Timestamp { is_zoned } => {
                put::<Int64Type>(column, cells, |text| microseconds(text, is_zoned))
            }
            Kind::Decimal { precision: 0..=9, scale } => {
                put::<Int32Type>(column, cells, |text| unscaled(text, scale)?.try_into().ok())
            }
            Kind::Decimal { precision: 10..=18, scale } => {
                put::<Int64Type>(column, cells, |text| unscaled(text, scale)?.try_into().ok())
            }
            Kind::Decimal { scale, .. } => put::<FixedLenByteArrayType>(column, cells, |text| {
                Some(FixedLenByteArray::from(unscaled(text, scale)?.to_be_bytes().to_vec()))
            }),
            Kind::Uuid => put::<FixedLenByteArrayType>(column, cells, |text| {
                let bytes = from_hex(&text.replace('-', ""))?;
                (bytes.len() == 16).then(|| FixedLenByteArray::from(bytes))
            }),
            Kind::Bytes => put::<ByteArrayType>(column, cells, |text| {
                Some(ByteArray::from(from_hex(text.strip_prefix("\\x")?)?))
            }),
            Kind::Json | Kind::Text => {
                put::<ByteArrayType>(column, cells, |text| Some(ByteArray::from(text)))
            }
        }
    }

    /// Reads a group's part of a column, as texts that the server understands.
    fn read(self, column: ColumnReader, rows: usize) -> Result<Record, ParquetError> {
        match self {
            Kind::Bool => take::<BoolType>(column, rows, |value| Some(value.to_string())),
            Kind::Int => take::<Int32Type>(column, rows, |value| Some(value.to_string())),
            Kind::Long => take::<Int64Type>(column, rows, |value| Some(value.to_string())),
            Kind::Float => take::<FloatType>(column, rows, |value| Some(value.to_string())),
            Kind::Double => take::<DoubleType>(column, rows, |value| Some(value.to_string())),
            Kind::Date => take::<Int32Type>(column, rows, |value| {
                Some(EPOCH.checked_add((*value).days()).ok()?.to_string())
            }),
            Kind::Timestamp { is_zoned } => take::<Int64Type>(column, rows, |value| {
                let time = TimeZone::UTC.to_datetime(Timestamp::from_microsecond(*value).ok()?);
                Some(format!(
                    "{}{}",
                    time.strftime("%Y-%m-%d %H:%M:%S%.6f"),
                    if is_zoned { "+00" } else { "" }
                ))
            }),
            Kind::Decimal { precision: 0..=9, scale } => {
                take::<Int32Type>(column, rows, |value| Some(scaled(i128::from(*value), scale)))
            }
            Kind::Decimal { precision: 10..=18, scale } => {
                take::<Int64Type>(column, rows, |value| Some(scaled(i128::from(*value), scale)))
            }
            Kind::Decimal { scale, .. } => take::<FixedLenByteArrayType>(column, rows, |value| {
                Some(scaled(i128::from_be_bytes(value.data().try_into().ok()?), scale))
            }),
            Kind::Uuid => take::<FixedLenByteArrayType>(column, rows, |value| Some(to_hex(value.data()))),
            Kind::Bytes => {
                take::<ByteArrayType>(column, rows, |value| Some(format!("\\x{}", to_hex(value.data()))))
            }
            Kind::Json | Kind::Text => {
                take::<ByteArrayType>(column, rows, |value| value.as_utf8().ok().map(str::to_owned))
            }
        }
    }
}

fn put<D: DataType>(
    column: &mut SerializedColumnWriter<'_>,
    cells: &[Option<String>],
    parse: impl Fn(&str) -> Option<D::T>,
) -> Result<bool, ParquetError> {
    let levels: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
    let Some(values) = cells.iter().flatten().map(|text| parse(text)).collect::<Option<Vec<_>>>() else {
        return Ok(false);
    };
    column.typed::<D>().write_batch(&values, Some(&levels), None)?;
    Ok(true)
}

fn take<D: DataType>(
    column: ColumnReader,
    rows: usize,
    show: impl Fn(&D::T) -> Option<String>,
) -> Result<Record, ParquetError> {
    let mut column = get_typed_column_reader::<D>(column);
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    while levels.len() < rows {
        let (read, ..) = column.read_records(rows - levels.len(), Some(&mut levels), None, &mut values)?;
        if read == 0 {
            return Err(ParquetError::EOF("a column is shorter than its group".into()));
        }
    }
    let mut values = values.iter();
    let cell = |level: &i16| match level {
        0 => Ok(None),
        _ => values
            .next()
            .and_then(&show)
            .map(Some)
            .ok_or_else(|| ParquetError::General("a value is out of the range of its type".into())),
    };
    levels.iter().map(cell).collect()
}

pub(super) struct Writer {
    file: SerializedFileWriter<File>,
    kinds: Vec<Kind>,
    columns: Vec<Record>,
    bytes: usize,
}

impl Writer {
    pub(super) fn new(file: File, names: &[String], kinds: &[Kind]) -> Result<Self, Failed> {
        let columns = names.iter().zip(kinds).map(|(name, kind)| Ok(Arc::new(kind.column(name)?)));
        let columns = columns.collect::<Result<Vec<_>, ParquetError>>()?;
        let schema = Arc::new(Type::group_type_builder("archive").with_fields(columns).build()?);
        let properties = WriterProperties::builder().set_created_by("posthaste".to_owned()).build();
        let file = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
        Ok(Self { file, kinds: kinds.to_vec(), columns: vec![Vec::new(); kinds.len()], bytes: 0 })
    }

    pub(super) fn push(&mut self, cells: Record) -> Result<(), Failed> {
        self.bytes += cells.iter().flatten().map(String::len).sum::<usize>();
        self.columns.iter_mut().zip(cells).for_each(|(column, cell)| column.push(cell));
        let rows = self.columns.first().map_or(0, Vec::len);
        if rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES { self.end_group() } else { Ok(()) }
    }

    fn end_group(&mut self) -> Result<(), Failed> {
        let mut group = self.file.next_row_group()?;
        for (number, (kind, cells)) in self.kinds.iter().zip(&mut self.columns).enumerate() {
            let Some(mut column) = group.next_column()? else { break };
            if !kind.write(&mut column, cells)? {
                return Err(Failed::Unfit(number));
            }
            column.close()?;
            cells.clear();
        }
        group.close()?;
        self.bytes = 0;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<File, Failed> {
        if self.columns.first().is_some_and(|column| !column.is_empty()) {
            self.end_group()?;
        }
        Ok(self.file.into_inner()?)
    }
}

pub(super) struct Reader {
    file: SerializedFileReader<File>,
    kinds: Vec<Kind>,
    next: usize,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self, ParquetError> {
        let file = SerializedFileReader::new(File::open(path)?)?;
        let columns = file.metadata().file_metadata().schema_descr().columns();
        let kinds = columns.iter().map(|column| {
            let message = || format!("column `{}` has a type that is not read", column.name());
            Kind::in_file(column).ok_or_else(|| ParquetError::NYI(message()))
        });
        let kinds = kinds.collect::<Result<_, _>>()?;
        Ok(Self { file, kinds, next: 0 })
    }

    pub(super) fn names(&self) -> Vec<String> {
        let schema = self.file.metadata().file_metadata().schema_descr();
        schema.columns().iter().map(|column| column.name().to_owned()).collect()
    }

    /// The next group as columns; None at the end.
    pub(super) fn columns(&mut self) -> Result<Option<Vec<Record>>, ParquetError> {
        if self.next >= self.file.num_row_groups() {
            return Ok(None);
        }
        let group = self.file.get_row_group(self.next)?;
        self.next += 1;
        let rows = usize::try_from(group.metadata().num_rows()).unwrap_or_default();
        let columns = self.kinds.iter().enumerate();
        columns
            .map(|(number, kind)| kind.read(group.get_column_reader(number)?, rows))
            .collect::<Result<_, _>>()
            .map(Some)
    }
}

const EPOCH: Date = date(1970, 1, 1);

/// Since 1970.
fn days(text: &str) -> Option<i32> {
    let day: Date = text.parse().ok()?;
    i32::try_from(day.duration_since(EPOCH).as_hours() / 24).ok()
}

/// Since 1970, in UTC, which is the zone of the session too.
fn microseconds(text: &str, is_zoned: bool) -> Option<i64> {
    let local = if is_zoned { text.strip_suffix("+00")? } else { text };
    let time: DateTime = local.parse().ok()?;
    Some(TimeZone::UTC.to_timestamp(time).ok()?.as_microsecond())
}

/// The digits of a decimal without its point.
fn unscaled(text: &str, scale: u32) -> Option<i128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    (part.len() == scale as usize).then(|| format!("{whole}{part}").parse().ok())?
}

fn scaled(value: i128, scale: u32) -> String {
    let digits = format!("{:0width$}", value.unsigned_abs(), width = scale as usize + 1);
    let (whole, part) = digits.split_at(digits.len() - scale as usize);
    let sign = if value < 0 { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{part}")
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(type_name: &str, texts: &[Option<&str>], expected: Option<Kind>) {
        let path = std::env::temp_dir().join(format!(
            "posthaste-parquet-{}-{}",
            std::process::id(),
            type_name.len()
        ));
        let kind = Kind::of(type_name);
        let names = ["a \"b\"".to_owned()];
        let mut writer = Writer::new(File::create(&path).unwrap(), &names, &[kind]).unwrap();
        for text in texts {
            writer.push(vec![text.map(str::to_owned)]).unwrap();
        }
        match (writer.finish(), expected) {
            (Err(Failed::Unfit(0)), None) => {}
            (Ok(_), Some(expected)) => {
                let mut reader = Reader::open(&path).unwrap();
                assert_eq!((reader.names(), &reader.kinds), (names.to_vec(), &vec![expected]), "{type_name}");
                let read = reader.columns().unwrap().unwrap_or_default();
                let texts: Vec<_> = texts.iter().map(|text| text.map(str::to_owned)).collect();
                assert_eq!(read, [texts], "{type_name}");
                assert_eq!(reader.columns().unwrap(), None);
            }
            (done, expected) => panic!("{type_name}: {:?} and not {expected:?}", done.err()),
        }
        let _ = std::fs::remove_file(&path);
    }

    #[test]
    fn each_type_is_read_as_it_was_written() {
        check("boolean", &[Some("true"), None, Some("false")], Some(Kind::Bool));
        check("integer", &[Some("-2147483648"), None], Some(Kind::Int));
        check("bigint", &[None, Some("9223372036854775807")], Some(Kind::Long));
        check("real", &[Some("NaN"), Some("-0.1")], Some(Kind::Float));
        check("double precision", &[Some("0.30000000000000004"), None, Some("inf")], Some(Kind::Double));
        check(
            "numeric(8,2)",
            &[Some("-0.05"), None, Some("123456.78")],
            Some(Kind::Decimal { precision: 8, scale: 2 }),
        );
        check("numeric(15,0)", &[Some("-5")], Some(Kind::Decimal { precision: 15, scale: 0 }));
        check(
            "numeric(38,10)",
            &[Some("-1234567890123456789012345678.0123456789")],
            Some(Kind::Decimal { precision: 38, scale: 10 }),
        );
        check("date", &[Some("0001-01-01"), None, Some("1969-12-31"), Some("9999-12-31")], Some(Kind::Date));
        let (local, zoned) = (Kind::Timestamp { is_zoned: false }, Kind::Timestamp { is_zoned: true });
        check("timestamp(3) without time zone", &[Some("1969-12-31 23:59:59.999000")], Some(local));
        check("timestamp with time zone", &[None, Some("2026-03-29 02:30:00.000001+00")], Some(zoned));
        check("uuid", &[Some("00112233445566778899aabbccddeeff"), None], Some(Kind::Uuid));
        check("bytea", &[Some("\\x"), Some("\\x00ff"), None], Some(Kind::Bytes));
        check("jsonb", &[Some("{\"a\": [1]}"), None], Some(Kind::Json));
        check(
            "character varying(20)[]",
            &[Some("{a,NULL}"), Some(""), Some("\u{1f600}\n")],
            Some(Kind::Text),
        );
    }

    #[test]
    fn what_has_no_place_in_its_type_is_said() {
        check("date", &[Some("infinity")], None);
        check("date", &[Some("0044-03-15 BC")], None);
        check("timestamp with time zone", &[Some("10000-01-01 00:00:00+00")], None);
        check("numeric(8,2)", &[Some("NaN")], None);
    }
}

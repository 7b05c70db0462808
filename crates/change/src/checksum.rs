//! Checksums of migrations, each as its tool computes and keeps it.
//!
//! Not for: deciding what a difference means (`history`).

use sha2::{Digest, Sha256, Sha384};

use crate::folder::{Migration, Tool};

/// The checksum that the tool writes down; none where it keeps none.
pub fn of(tool: Tool, migration: &Migration) -> Option<String> {
    let text = &migration.up.text;
    match tool {
        Tool::Plain | Tool::Prisma => Some(hex(&Sha256::digest(text))),
        Tool::Sqlx => Some(hex(&Sha384::digest(text))),
        // What is applied again when it changed has changed when a placeholder's value did.
        Tool::Flyway if migration.is_repeatable() => Some(flyway(text).to_string()),
        Tool::Flyway => Some(flyway(migration.up.raw.as_ref().unwrap_or(text)).to_string()),
        Tool::GolangMigrate | Tool::Diesel | Tool::Dbmate | Tool::Goose => None,
        Tool::Psql | Tool::Rails | Tool::Atlas => None,
    }
}

/// Whether what the tool wrote down is of this text. Line breaks of another system make no difference to Prisma.
pub fn agrees(tool: Tool, migration: &Migration, kept: &str) -> bool {
    let text = &migration.up.text;
    let same = of(tool, migration).is_none_or(|now| now == kept);
    let unix = || text.replace("\r\n", "\n");
    match tool {
        _ if same => true,
        Tool::Prisma => {
            let dos = unix().replace('\n', "\r\n");
            [unix(), dos].iter().any(|text| hex(&Sha256::digest(text)) == kept)
        }
        _ => false,
    }
}

/// CRC-32 over the lines without their breaks, as a signed number. A byte order mark is no part of it.
fn flyway(text: &str) -> i32 {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut crc = u32::MAX;
    for byte in text.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')) {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    (!crc).cast_signed()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flyway_counts_lines_without_their_breaks() {
        // Of `zlib.crc32(b"123456789")`, which is the check value of CRC-32.
        assert_eq!(flyway("1234\r\n56\n789\n").cast_unsigned(), 0xcbf4_3926);
        assert_eq!(flyway("\u{feff}123456789").cast_unsigned(), 0xcbf4_3926);
        assert_eq!(flyway(""), 0);
    }
}

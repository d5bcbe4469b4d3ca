//! A look at the footer of a Parquet file before it is parsed.
//!
//! The parser makes room for as many elements as a list says that it has, before it has seen any:
//! a few bytes could ask for all memory, which ends the process. Here nothing is made of the
//! footer; it is only found out whether what it says about itself can be true.

/// Bytes of a footer; files with thousands of columns and row groups have some MiB.
const LARGEST: u64 = 64 << 20;
/// Bytes at the end of a file: how long the footer is, and what the file is.
pub(super) const TAIL: usize = 8;
/// Structures within each other; those of the format are far fewer.
const DEEPEST: usize = 32;

/// The length of the footer of a file of `size` bytes that ends with `tail`.
pub(super) fn length(tail: [u8; TAIL], size: u64) -> Result<u64, &'static str> {
    let [a, b, c, d, magic @ ..] = tail;
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    match &magic {
        b"PAR1" => {}
        b"PARE" => return Err("the file is encrypted"),
        _ => return Err("this is not a Parquet file"),
    }
    if length.saturating_add(TAIL as u64) > size {
        return Err("the file refers to bytes before its beginning");
    }
    if length > LARGEST {
        return Err("the footer of the file is longer than 64 MiB");
    }
    Ok(length)
}

/// Whether the lists of a footer can be as long as it says.
pub(super) fn check(footer: &[u8]) -> Result<(), &'static str> {
    let mut walk = Walk { left: footer };
    walk.structure(0).ok_or("the footer of the file is damaged")
}

/// Walks over a structure of Thrift's compact protocol. `None`: it cannot be one.
struct Walk<'a> {
    left: &'a [u8],
}

impl Walk<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, left) = self.left.split_first()?;
        self.left = left;
        Some(*first)
    }

    fn skip(&mut self, count: u64) -> Option<()> {
        self.left = self.left.get(usize::try_from(count).ok()?..)?;
        Some(())
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn structure(&mut self, depth: usize) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        loop {
            let header = self.byte()?;
            if header == 0 {
                return Some(());
            }
            // Without a difference to the number of the field before, the number follows.
            if header >> 4 == 0 {
                self.number()?;
            }
            // The value of a truth value is its type.
            if !matches!(header & 0x0f, 1 | 2) {
                self.value(header & 0x0f, depth)?;
            }
        }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Option<()> {
        match kind {
            1..=3 => self.skip(1),
            4..=6 => self.number().map(drop),
            7 => self.skip(8),
            8 => {
                let length = self.number()?;
                self.skip(length)
            }
            9 | 10 => self.list(depth),
            11 => self.map(depth),
            12 => self.structure(depth + 1),
            _ => None,
        }
    }

    fn list(&mut self, depth: usize) -> Option<()> {
        let header = self.byte()?;
        let count = match header >> 4 {
            15 => self.number()?,
            count => u64::from(count),
        };
        self.elements(count, &[header & 0x0f], depth)
    }

    fn map(&mut self, depth: usize) -> Option<()> {
        let count = self.number()?;
        if count == 0 {
            return Some(());
        }
        let kinds = self.byte()?;
        self.elements(count, &[kinds >> 4, kinds & 0x0f], depth)
    }

    fn elements(&mut self, count: u64, kinds: &[u8], depth: usize) -> Option<()> {
        // Each takes a byte at least.
        if count > self.left.len() as u64 || depth > DEEPEST {
            return None;
        }
        for _ in 0..count {
            for kind in kinds {
                self.value(*kind, depth + 1)?;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn footer(rows: i64) -> Vec<u8> {
        use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
        use datafusion::parquet::arrow::ArrowWriter;
        use std::sync::Arc;

        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
        let names: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|_| "x")));
        let batch = RecordBatch::try_from_iter([("id", ids), ("name", names)]).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let tail = *bytes.last_chunk::<TAIL>().unwrap();
        let length = length(tail, bytes.len() as u64).unwrap();
        let end = bytes.len() - TAIL;
        bytes[end - usize::try_from(length).unwrap()..end].to_vec()
    }

    #[test]
    fn footers_of_files_are_accepted_and_what_is_cut_off_is_not() {
        let footer = footer(100);
        assert_eq!(check(&footer), Ok(()));
        for length in 0..footer.len() {
            assert!(check(&footer[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_list_that_cannot_be_as_long_as_it_says_is_refused() {
        // Field 2, a list of structures: two thousand million of them.
        let list = [0x29, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00];
        assert_eq!(check(&list), Err("the footer of the file is damaged"));
        // Structures within structures without end.
        assert!(check(&[0x1c; 1000]).is_err());
        assert!(check(&[0x19, 0x19].repeat(1000)).is_err());
        // A text that ends after the footer.
        assert!(check(&[0x18, 0x7f, b'x', 0x00]).is_err());
    }

    #[test]
    fn the_tail_says_what_the_file_is() {
        let tail = |length: u32, magic: &[u8; 4]| {
            let mut tail = [0; TAIL];
            tail[..4].copy_from_slice(&length.to_le_bytes());
            tail[4..].copy_from_slice(magic);
            tail
        };
        assert_eq!(length(tail(100, b"PAR1"), 200), Ok(100));
        assert!(length(tail(100, b"PAR1"), 100).is_err());
        assert!(length(tail(u32::MAX, b"PAR1"), 1 << 40).is_err());
        assert!(length(tail(100, b"PARE"), 200).is_err());
        assert!(length(tail(100, b"junk"), 200).is_err());
    }
}

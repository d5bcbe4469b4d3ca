//! Watches the quotes of a CSV file while it is read.
//!
//! The decoder takes a quoted field that never ends for one that ends with the file, and drops
//! quotes within a field: a stray quote makes it swallow rows without a word. Here such a file
//! fails with the line on which the quote stands. Outside of quotes only quotes matter, so most
//! of the text is skipped with `memchr`.

use std::io::{self, BufRead, Read};

use memchr::{memchr, memchr2, memrchr2};

use crate::landing::lines::{self, Division};
use crate::landing::source::SourceFile;

/// Bytes of a record. A file without line breaks, or one that decompresses to any size, fails
/// here instead of filling the memory.
const LONGEST: u64 = 64 << 20;

/// Fields of the first record.
const COLUMNS: u64 = 10_000;

/// The text of a CSV file, unchanged.
pub(super) struct Quotes<R> {
    text: R,
    file: SourceFile,
    scan: Scan,
    /// Bytes of the buffer that have been looked at.
    seen: usize,
}

impl<R: BufRead> Quotes<R> {
    pub(super) fn new(text: R, file: &SourceFile, division: Division) -> Self {
        Self {
            text,
            file: file.clone(),
            scan: Scan::new(division),
            seen: 0,
        }
    }
}

impl<R> Quotes<R> {
    /// Bytes that have been looked at.
    pub(super) fn bytes(&self) -> usize {
        usize::try_from(self.scan.offset).unwrap_or(usize::MAX)
    }

    /// Bytes of the buffer up to the end of the last record that ends in it.
    pub(super) fn whole_records(&self) -> usize {
        let start = self.scan.offset - self.seen as u64;
        usize::try_from(self.scan.record.saturating_sub(start)).unwrap_or(0)
    }
}

impl<R: BufRead> BufRead for Quotes<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let buffer = self.text.fill_buf()?;
        let scanned = if buffer.is_empty() {
            self.scan.finish()
        } else {
            self.scan.push(&buffer[self.seen..])
        };
        self.seen = buffer.len();
        match scanned {
            Ok(()) => Ok(buffer),
            Err(Fault { offset, message }) => {
                let line = lines::open(&self.file)
                    .ok()
                    .and_then(|text| lines::line_at(text, offset));
                Err(self.file.fault(self.file.error(line, message)))
            }
        }
    }

    fn consume(&mut self, count: usize) {
        self.seen = self.seen.saturating_sub(count);
        self.text.consume(count);
    }
}

impl<R: BufRead> Read for Quotes<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

/// What is wrong, and at which byte.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    offset: u64,
    message: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    StartOfRecord,
    StartOfField,
    InField,
    InQuotes,
    Escaped,
    QuoteInQuotes,
    InComment,
}

struct Scan {
    division: Division,
    state: State,
    /// Bytes seen.
    offset: u64,
    /// Where the record starts.
    record: u64,
    /// Where the last quoted field starts.
    quote: u64,
    /// Delimiters of the first record, as long as it has not ended.
    delimiters: Option<u64>,
}

impl Scan {
    fn new(division: Division) -> Self {
        Self {
            division,
            state: State::StartOfRecord,
            offset: 0,
            record: 0,
            quote: 0,
            delimiters: Some(0),
        }
    }

    fn push(&mut self, mut text: &[u8]) -> Result<(), Fault> {
        while !text.is_empty() {
            let count = match self.state {
                State::InQuotes => self.quoted(text),
                State::Escaped => {
                    self.state = State::InQuotes;
                    1
                }
                State::QuoteInQuotes => {
                    self.after_quote(text[0])?;
                    1
                }
                State::InComment => self.comment(text),
                // A comment starts at the start of a line, so every line has to be looked at.
                _ if self.division.comment.is_some() || self.delimiters.is_some() => {
                    self.byte(text[0]);
                    1
                }
                _ => self.plain(text),
            };
            text = &text[count..];
            self.offset += count as u64;
        }
        if self.delimiters.is_some_and(|count| count >= COLUMNS) {
            return Err(Fault {
                offset: self.record,
                message: format!("the first record has more than {COLUMNS} fields"),
            });
        }
        if self.offset - self.record > LONGEST {
            let message = format!("a record is longer than {} MiB", LONGEST >> 20);
            return Err(Fault {
                offset: self.record,
                message,
            });
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), Fault> {
        match self.state {
            State::InQuotes | State::Escaped => Err(Fault {
                offset: self.quote,
                message: "a quote opens here that is never closed".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    fn quoted(&mut self, text: &[u8]) -> usize {
        let found = match self.division.escape {
            Some(escape) => memchr2(b'"', escape, text),
            None => memchr(b'"', text),
        };
        let Some(at) = found else { return text.len() };
        self.state = if text[at] == b'"' {
            State::QuoteInQuotes
        } else {
            State::Escaped
        };
        at + 1
    }

    fn after_quote(&mut self, byte: u8) -> Result<(), Fault> {
        match self.after(byte) {
            _ if byte == b'"' => self.state = State::InQuotes,
            State::InField => {
                let message = "text follows the closing quote of a field that starts here; a quote within quotes is written twice";
                return Err(Fault {
                    offset: self.quote,
                    message: message.to_owned(),
                });
            }
            state => {
                self.state = state;
                self.ended(byte);
            }
        }
        Ok(())
    }

    fn comment(&mut self, text: &[u8]) -> usize {
        let Some(at) = memchr(b'\n', text) else {
            return text.len();
        };
        self.state = State::StartOfRecord;
        self.record = self.offset + at as u64 + 1;
        at + 1
    }

    /// Up to the next quote.
    fn plain(&mut self, text: &[u8]) -> usize {
        let end = memchr(b'"', text).unwrap_or(text.len());
        if let Some(at) = memrchr2(b'\n', b'\r', &text[..end]) {
            self.record = self.offset + at as u64 + 1;
        }
        if let Some(last) = text[..end].last() {
            self.state = self.after(*last);
        }
        if end < text.len() {
            self.open_quote(end);
            return end + 1;
        }
        end
    }

    fn byte(&mut self, byte: u8) {
        if byte == b'"' {
            return self.open_quote(0);
        }
        if self.state == State::StartOfRecord && Some(byte) == self.division.comment {
            self.state = State::InComment;
            return;
        }
        let is_blank = self.state == State::StartOfRecord && matches!(byte, b'\n' | b'\r');
        self.state = self.after(byte);
        if is_blank {
            self.record = self.offset + 1;
        } else {
            self.ended(byte);
        }
    }

    /// After a byte that ends a field or a record.
    fn ended(&mut self, byte: u8) {
        if self.state == State::StartOfRecord {
            self.record = self.offset + 1;
            self.delimiters = None;
        } else if byte == self.division.delimiter
            && let Some(count) = &mut self.delimiters
        {
            *count += 1;
        }
    }

    /// A quote, `ahead` bytes after those seen; within a field it is a character like others.
    fn open_quote(&mut self, ahead: usize) {
        if self.state == State::InField {
            return;
        }
        self.quote = self.offset + ahead as u64;
        self.state = State::InQuotes;
    }

    /// The state after a byte that is neither in quotes nor a quote.
    fn after(&self, byte: u8) -> State {
        match byte {
            b'\n' | b'\r' => State::StartOfRecord,
            byte if byte == self.division.delimiter => State::StartOfField,
            _ => State::InField,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAS: Division = Division {
        delimiter: b',',
        escape: None,
        comment: None,
    };

    /// Offset of the fault, the same however the text is cut into buffers.
    fn fault(text: &str, division: Division) -> Option<u64> {
        let mut found = Vec::new();
        for size in [1, 2, 3, 1_000] {
            let mut scan = Scan::new(division);
            let mut chunks = text.as_bytes().chunks(size);
            let result = chunks.try_for_each(|chunk| scan.push(chunk));
            let result = result.and_then(|()| scan.finish());
            found.push(result.err().map(|fault| fault.offset));
        }
        found.dedup();
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        found[0]
    }

    #[test]
    fn sound_quotes_pass() {
        for text in [
            "",
            "a,b\n1,2\n",
            "a,b\r\n\"1\",\"2\"\r\n",
            "\"a\"",
            "\"a\"\"b\",\"\"\n",
            "5\" pipe,x\n",
            "\"two\nlines, one comma\",x\n\n\"y\"",
        ] {
            assert_eq!(fault(text, COMMAS), None, "{text}");
        }
    }

    #[test]
    fn a_quote_that_is_not_closed_is_found() {
        assert_eq!(fault("id,s\n1,x\n2,\"y\n3,z\n4,w\n", COMMAS), Some(11));
        assert_eq!(fault("a\n\"\"\"\n", COMMAS), Some(2));
    }

    #[test]
    fn text_after_a_closing_quote_is_found() {
        assert_eq!(fault("a,b\n1,\"a\"b\n", COMMAS), Some(6));
        assert_eq!(fault("\"a\" ,b\n", COMMAS), Some(0));
    }

    #[test]
    fn escapes_and_comments_are_known() {
        let division = Division {
            escape: Some(b'\\'),
            comment: Some(b'#'),
            ..COMMAS
        };
        let text = "# it's \"\na,\"x\\\"y\"\n#\"\n";
        assert_eq!(fault(text, division), None);
        assert_eq!(fault("# \"\na,\"x\\\"\n", division), Some(6));
        assert_eq!(fault("a,#\"\n", division), None);
        assert!(fault(text, COMMAS).is_some());
    }

    #[test]
    fn a_record_without_end_is_refused() {
        let file = SourceFile::new("a.csv".to_owned(), "/nowhere/a.csv".into(), 0);
        for start in ["a,b\n", "a,b\n\"", "a,b\n1,\"\""] {
            let endless = io::Read::chain(start.as_bytes(), io::repeat(b'"'));
            let endless: Box<dyn Read> = match start {
                "a,b\n" => Box::new(io::Read::chain(start.as_bytes(), io::repeat(b'x'))),
                _ => Box::new(endless),
            };
            let text = io::BufReader::with_capacity(1 << 20, endless.take(2 * LONGEST));
            let mut quotes = Quotes::new(text, &file, COMMAS);
            let error = io::copy(&mut quotes, &mut io::sink()).unwrap_err();
            let message = error.to_string();
            assert!(message.contains("longer than 64 MiB"), "{message}");
        }
    }
}

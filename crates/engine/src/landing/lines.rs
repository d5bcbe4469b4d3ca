//! Opening text files, and finding the line on which a record starts.

use std::io::{self, BufRead, BufReader, Read};

use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use liblzma::read::XzDecoder;
use liblzma::stream;

use crate::LandingFileError;
use crate::landing::source::{Opened, SourceFile};

const BUFFER: usize = 128 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const COMPRESSED: [(&str, FileCompressionType); 4] = [
    (".gz", FileCompressionType::GZIP),
    (".bz2", FileCompressionType::BZIP2),
    (".xz", FileCompressionType::XZ),
    (".zst", FileCompressionType::ZSTD),
];

/// Memory for decompressing an XZ file, which says itself how much that takes: up to 4 GiB. What
/// `xz -9` makes needs half of this. The other formats need no more, or refuse what does.
const XZ_MEMORY: u64 = 128 << 20;

/// An XZ file.
struct Xz {
    decoder: XzDecoder<Opened>,
    file: SourceFile,
}

impl Xz {
    fn new(opened: Opened, file: &SourceFile) -> Result<Self, LandingFileError> {
        let stream = stream::Stream::new_stream_decoder(XZ_MEMORY, stream::CONCATENATED);
        let stream = stream.map_err(|error| undecompressed(file, &error))?;
        Ok(Self {
            decoder: XzDecoder::new_stream(opened, stream),
            file: file.clone(),
        })
    }
}

impl Read for Xz {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(buffer).map_err(|error| {
            let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
            if cause != Some(&stream::Error::MemLimit) {
                return error;
            }
            let message = format!(
                "decompressing the file takes more than {} MiB of memory; compress it with a \
                 smaller dictionary, as `xz -6` does",
                XZ_MEMORY >> 20
            );
            self.file.fault(self.file.error(None, message))
        })
    }
}

fn undecompressed(file: &SourceFile, error: &dyn std::error::Error) -> LandingFileError {
    file.error(None, format!("the file cannot be decompressed: {error}"))
}

/// The file's text: decompressed by its extension, without a byte order mark.
pub(super) fn open(file: &SourceFile) -> Result<Box<dyn BufRead + Send>, LandingFileError> {
    let compression = COMPRESSED
        .into_iter()
        .find(|(extension, _)| file.name.ends_with(extension))
        .map_or(FileCompressionType::UNCOMPRESSED, |(_, compression)| {
            compression
        });
    let opened = file.open()?;
    let text: Box<dyn Read + Send> = match compression == FileCompressionType::XZ {
        true => Box::new(Xz::new(opened, file)?),
        false => compression
            .convert_read(opened)
            .map_err(|error| undecompressed(file, &error))?,
    };
    let mut reader = BufReader::with_capacity(BUFFER, text);
    let start = reader.fill_buf().map_err(|error| io(file, &error))?;
    if start.starts_with(BYTE_ORDER_MARK) {
        reader.consume(BYTE_ORDER_MARK.len());
    }
    Ok(Box::new(reader))
}

/// Name of the file without the extension of its compression.
pub(super) fn plain_name(file: &SourceFile) -> &str {
    COMPRESSED
        .iter()
        .find_map(|(end, _)| file.name.strip_suffix(end))
        .unwrap_or(&file.name)
}

/// An error while reading.
pub(super) fn io(file: &SourceFile, error: &std::io::Error) -> LandingFileError {
    file.error(None, format!("the file cannot be read: {error}"))
}

/// How a CSV file is divided into records.
#[derive(Debug, Clone, Copy)]
pub(super) struct Division {
    pub(super) delimiter: u8,
    pub(super) escape: Option<u8>,
    pub(super) comment: Option<u8>,
}

/// The line, from 1, of the byte at `offset`.
pub(super) fn line_at(text: impl BufRead, offset: u64) -> Option<u64> {
    let (mut line, mut last) = (1, 0);
    for byte in text.take(offset).bytes() {
        let byte = byte.ok()?;
        if byte == b'\r' || (byte == b'\n' && last != b'\r') {
            line += 1;
        }
        last = byte;
    }
    Some(line)
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

/// The line, from 1, on which the `wanted`th record (from 1) starts.
///
/// The decoder counts records. An editor counts lines, and the two part ways at blank lines,
/// comments and line breaks within quotes.
pub(super) fn line_of_record(text: impl BufRead, division: Division, wanted: u64) -> Option<u64> {
    let (mut line, mut record, mut state) = (1, 0, State::StartOfRecord);
    let mut last = 0;
    for byte in text.bytes() {
        let byte = byte.ok()?;
        if state == State::StartOfRecord && !matches!(byte, b'\n' | b'\r') {
            if Some(byte) == division.comment {
                state = State::InComment;
            } else {
                record += 1;
                if record == wanted {
                    return Some(line);
                }
                state = State::StartOfField;
            }
        }
        state = next(state, byte, division);
        let second_half = last == b'\r' && byte == b'\n';
        if byte == b'\r' || (byte == b'\n' && !second_half) {
            line += 1;
        }
        last = byte;
    }
    None
}

fn next(state: State, byte: u8, division: Division) -> State {
    let ends_line = matches!(byte, b'\n' | b'\r');
    match state {
        State::InComment if !ends_line => State::InComment,
        State::InQuotes if Some(byte) == division.escape => State::Escaped,
        State::InQuotes if byte == b'"' => State::QuoteInQuotes,
        State::QuoteInQuotes if byte == b'"' => State::InQuotes,
        State::InQuotes | State::Escaped => State::InQuotes,
        State::StartOfField if byte == b'"' => State::InQuotes,
        _ if ends_line => State::StartOfRecord,
        _ if byte == division.delimiter => State::StartOfField,
        _ => State::InField,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAS: Division = Division {
        delimiter: b',',
        escape: None,
        comment: Some(b'#'),
    };

    fn line(text: &str, record: u64) -> Option<u64> {
        line_of_record(text.as_bytes(), COMMAS, record)
    }

    #[test]
    fn records_and_lines_part_ways_at_quotes_comments_and_blank_lines() {
        let text = "a,b\n\n# note \"x\n1,\"two\nlines \"\" here\"\n2,x\r\n3,\"y\"\r\n";
        assert_eq!(line(text, 1), Some(1));
        assert_eq!(line(text, 2), Some(4));
        assert_eq!(line(text, 3), Some(6));
        assert_eq!(line(text, 4), Some(7));
        assert_eq!(line(text, 5), None);
    }

    #[test]
    fn a_quote_within_a_field_is_just_a_quote() {
        assert_eq!(line("5\" pipe,1\n6\" pipe,2\nx,3\n", 3), Some(3));
    }

    #[test]
    fn an_escaped_quote_does_not_end_the_field() {
        let division = Division {
            escape: Some(b'\\'),
            ..COMMAS
        };
        let text = "a,\"x\\\"\ny\"\nb,1\n";
        assert_eq!(line_of_record(text.as_bytes(), division, 2), Some(3));
    }
}

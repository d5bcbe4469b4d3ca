//! The text of a JSON file as the decoder likes it: one object after the other.
//!
//! An array becomes one element a line, without holding more than a buffer of it. As its brackets
//! and commas are taken away here, nobody after us can tell whether they were right, so they are
//! checked here as well.

use std::io::{self, BufRead, Read};

use memchr::memchr3;

use crate::landing::source::SourceFile;

/// Bytes of an object, and of a line. A file without end fails here instead of filling the memory.
const LONGEST: u64 = 16 << 20;

/// The objects of a file.
pub(super) struct Elements<R> {
    text: R,
    file: SourceFile,
    scan: Scan,
}

impl<R: BufRead> Elements<R> {
    /// The elements of an `array`, or text that consists of objects already.
    pub(super) fn new(text: R, file: &SourceFile, array: bool) -> Self {
        Self {
            text,
            file: file.clone(),
            scan: Scan {
                array,
                longest: LONGEST,
                ..Scan::default()
            },
        }
    }
}

impl<R: BufRead> Read for Elements<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.text.read(out)?;
        let (scanned, line) = if count == 0 && !out.is_empty() {
            (self.scan.finish(), self.scan.last_start())
        } else {
            (self.scan.push(&mut out[..count]), self.scan.lines)
        };
        match scanned {
            Ok(()) => Ok(count),
            Err(message) => {
                let error = self.file.error(Some(line + 1), message);
                Err(self.file.fault(error))
            }
        }
    }
}

#[derive(Default)]
struct Scan {
    array: bool,
    longest: u64,
    /// Brackets that are open.
    open: Vec<u8>,
    in_string: bool,
    escaped: bool,
    /// The array has been closed.
    closed: bool,
    /// An element has begun since the last comma, or the bracket that opens the array.
    element: bool,
    /// A comma waits for the element after it.
    comma: bool,
    /// Line breaks seen.
    lines: u64,
    /// Those before the object that is open.
    start: u64,
    /// Bytes since the start of the line that the decoder sees.
    line: u64,
    /// Bytes since the start of the object.
    object: u64,
}

impl Scan {
    fn push(&mut self, text: &mut [u8]) -> Result<(), &'static str> {
        let mut at = 0;
        while at < text.len() {
            let count = if self.in_string {
                self.string(&text[at..])?
            } else {
                text[at] = self.byte(text[at])?;
                1
            };
            at += count;
            self.line += count as u64;
            self.object += count as u64;
            if self.open.len() <= usize::from(self.array) {
                self.object = 0;
            }
        }
        if self.object > self.longest {
            return Err("an object is longer than 16 MiB");
        }
        if self.line > self.longest {
            return Err("a line is longer than 16 MiB");
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), &'static str> {
        if self.in_string {
            return Err("the file ends within a string");
        }
        if !self.open.is_empty() {
            return Err(if self.array {
                "the file ends before the array does"
            } else {
                "the file ends before the object does"
            });
        }
        Ok(())
    }

    /// Line breaks before what the end of the file cuts off.
    fn last_start(&self) -> u64 {
        if self.open.len() > usize::from(self.array) {
            self.start
        } else {
            self.lines
        }
    }

    /// Up to the end of the string, or to the end of an escape.
    fn string(&mut self, text: &[u8]) -> Result<usize, &'static str> {
        if self.escaped {
            self.escaped = false;
            return Ok(1);
        }
        let Some(at) = memchr3(b'"', b'\\', b'\n', text) else {
            return Ok(text.len());
        };
        match text[at] {
            b'"' => self.in_string = false,
            b'\\' => self.escaped = true,
            _ => return Err("a line ends within a string"),
        }
        Ok(at + 1)
    }

    fn byte(&mut self, byte: u8) -> Result<u8, &'static str> {
        let top = self.array && self.open.len() == 1;
        match byte {
            b'\n' => {
                self.lines += 1;
                if !self.array {
                    self.line = 0;
                }
                return Ok(if self.array { b' ' } else { byte });
            }
            b' ' | b'\t' | b'\r' => return Ok(if self.array { b' ' } else { byte }),
            _ if self.closed => return Err("text follows the array"),
            b',' if top => {
                if !self.element {
                    return Err("a comma stands where an object is expected");
                }
                (self.element, self.comma, self.line) = (false, true, 0);
                return Ok(b'\n');
            }
            b'[' | b'{' => {
                if top && self.element {
                    return Err("a comma is missing between two elements of the array");
                }
                if self.open.len() == usize::from(self.array) {
                    self.start = self.lines;
                }
                self.open.push(byte);
                if self.array && self.open.len() == 1 {
                    return Ok(b' ');
                }
            }
            b']' | b'}' => {
                let opening = if byte == b']' { b'[' } else { b'{' };
                if self.open.pop() != Some(opening) {
                    return Err("a bracket closes what is not open");
                }
                if top {
                    if self.comma && !self.element {
                        return Err("a comma stands before the end of the array");
                    }
                    self.closed = true;
                    return Ok(b' ');
                }
            }
            b'"' => self.in_string = true,
            _ => {}
        }
        if top {
            (self.element, self.comma) = (true, false);
        }
        Ok(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(text: impl BufRead, array: bool) -> Result<String, String> {
        let file = SourceFile::new("a.json".to_owned(), "/nowhere/a.json".into(), 0);
        let mut elements = Elements::new(text, &file, array);
        let mut out = String::new();
        match elements.read_to_string(&mut out) {
            Ok(_) => Ok(out),
            Err(error) => Err(error.to_string()),
        }
    }

    fn array(text: &str) -> Result<String, String> {
        elements(text.as_bytes(), true)
    }

    #[test]
    fn an_array_becomes_lines() {
        assert_eq!(
            array("[{\"a\": [1, 2]},\n {\"b\": \"],\\\"\"}]\n").unwrap(),
            " {\"a\": [1, 2]}\n  {\"b\": \"],\\\"\"}  "
        );
        assert_eq!(array(" [ ] ").unwrap(), "     ");
    }

    #[test]
    fn an_array_that_is_cut_off_or_does_not_match_is_refused() {
        for (text, line, expected) in [
            ("[{\"id\":1},{\"id\":2}", 1, "ends before the array"),
            ("[{\"id\":1},\n", 2, "ends before the array"),
            ("[{\"id\":1},", 1, "ends before the array"),
            ("[{\"id\":1},\n]", 2, "before the end of the array"),
            ("[{\"id\":1}}", 1, "closes what is not open"),
            ("[{\"id\":[1}]", 1, "closes what is not open"),
            ("[{\"id\":1}]]", 1, "follows the array"),
            ("[{\"id\":1}]\n{\"id\":2}", 2, "follows the array"),
            ("[{\"id\":1} {\"id\":2}]", 1, "comma is missing"),
            ("[{\"id\":1},,{\"id\":2}]", 1, "where an object is expected"),
            ("[,{\"id\":1}]", 1, "where an object is expected"),
            ("[{\"id\":\"x", 1, "within a string"),
            ("[{\"id\":\"x\n\"}]", 1, "within a string"),
        ] {
            let message = array(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
            let place = format!("a.json, line {line}: ");
            assert!(message.starts_with(&place), "{text}: {message}");
        }
    }

    #[test]
    fn lines_stay_what_they_are() {
        let text = "{\"a\": {\n\"b\": \"[\"}}\r\n\n{}";
        assert_eq!(elements(text.as_bytes(), false).unwrap(), text);
        assert!(elements("{\"a\": {}".as_bytes(), false).is_err());
    }

    #[test]
    fn text_without_end_is_refused() {
        for (start, array, endless, expected) in [
            ("[{\"a\": \"", true, b'x', "an object is longer"),
            ("{\"a\": \"", false, b'x', "an object is longer"),
            ("{\"a\": [", false, b'\n', "an object is longer"),
            ("", false, b'1', "a line is longer"),
            ("[", true, b'1', "a line is longer"),
        ] {
            let endless = start.as_bytes().chain(io::repeat(endless));
            let text = io::BufReader::new(endless.take(3 << 20));
            let file = SourceFile::new("a.json".to_owned(), "/nowhere/a.json".into(), 0);
            let mut elements = Elements::new(text, &file, array);
            assert_eq!(elements.scan.longest, 16 << 20);
            elements.scan.longest = 1 << 20;
            let message = io::copy(&mut elements, &mut io::sink()).unwrap_err();
            let message = message.to_string();
            assert!(message.contains(expected), "{start}: {message}");
        }
    }
}

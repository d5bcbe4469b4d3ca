//! Server-sent events: the log of a run as it happens.
//!
//! Only what ratd sends is understood: `event`, `id` and `data` fields; comments keep the
//! connection alive and are dropped.

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// Kind: `log`, `status`, `error`; `message` where the server named none.
    pub name: String,
    /// Data lines, joined by line feeds.
    pub data: String,
    /// Id, where given.
    pub id: Option<String>,
}

/// Longest event that is kept: a server that sends more is not ratd.
const MAX_PENDING: usize = 1 << 20;

/// Cuts a byte stream into events.
#[derive(Debug, Default)]
pub struct EventParser {
    pending: Vec<u8>,
    event: Event,
    has_data: bool,
}

impl EventParser {
    /// Takes the next bytes and answers with the events that they complete.
    ///
    /// # Errors
    /// A line longer than a mebibyte.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, &'static str> {
        self.pending.extend_from_slice(bytes);
        let mut events = Vec::new();
        let mut start = 0;
        while let Some(length) = self.pending[start..].iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&self.pending[start..start + length]).into_owned();
            start += length + 1;
            if let Some(event) = self.line(line.trim_end_matches('\r')) {
                events.push(event);
            }
        }
        self.pending.drain(..start);
        match self.pending.len() + self.event.data.len() > MAX_PENDING {
            true => Err("an event of the log stream is longer than 1 MiB"),
            false => Ok(events),
        }
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then(|| Event {
                name: if event.name.is_empty() {
                    "message".to_owned()
                } else {
                    event.name
                },
                ..event
            });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.event.name = value.to_owned(),
            "id" => self.event.id = Some(value.to_owned()),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_across_chunks() {
        let text = ": hello\n\nevent: log\nid: 7\ndata: {\"a\":1}\n\nevent: status\r\ndata: x\r\ndata: y\r\n\r\n";
        for size in [1, 2, 3, 7, text.len()] {
            let mut parser = EventParser::default();
            let events: Vec<Event> = text
                .as_bytes()
                .chunks(size)
                .flat_map(|chunk| parser.push(chunk).unwrap())
                .collect();
            let expected = [
                Event {
                    name: "log".into(),
                    data: "{\"a\":1}".into(),
                    id: Some("7".into()),
                },
                Event {
                    name: "status".into(),
                    data: "x\ny".into(),
                    id: None,
                },
            ];
            assert_eq!(events, expected, "chunks of {size}");
        }
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut parser = EventParser::default();
        assert!(parser.push(&vec![b'x'; MAX_PENDING + 1]).is_err());
    }
}

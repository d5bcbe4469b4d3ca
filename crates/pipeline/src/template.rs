//! Rendering of SQL templates.
//!
//! A template sees what is listed in [`environment`] and in [`language`] and nothing else: no
//! file, no other template, no environment variable, no clock. What it names through `ref` and
//! `landing_zone` is recorded, because that is exactly what its run may read.
//!
//! Templates are rendered in the daemon, so none may take it down. The engine bounds steps,
//! recursion and, here, output; the rest is bounded by refusing what could grow before anything
//! runs: [`tags`] how deep and how much, [`growth`] what makes values larger, and [`language`]
//! what filters make. Time is bounded through steps only, and a step may compare long values.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, SecondsFormat, Utc};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Rest, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, machinery};
use rat_types::{InvalidName, Kind, MergeStrategy, NamespaceName, TableIdent, ZoneIdent};

mod growth;
mod language;
mod tags;

/// Bytes that a rendered template may have.
pub const MAX_RENDERED_BYTES: usize = 1_000_000;

/// Instructions of the template engine that one rendering may execute.
const FUEL: u64 = 250_000;
const RECURSION: usize = 64;
/// Tables, and landing zones, that a template may name.
pub(crate) const MAX_NAMED: usize = 1_000;
/// Bytes of a text within a tag, and of all texts that are written in the tags of a file.
const MAX_TEXT_BYTES: usize = 64 * 1024;
const LANDING_SCHEME: &str = "landing://";

/// What a rendering depends on beside the sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderContext {
    /// What `run_started_at` is.
    pub run_started_at: DateTime<Utc>,
}

/// A rendered template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The SQL.
    pub sql: String,
    /// Tables named through `ref`, the pipeline's own among them if it was.
    pub refs: BTreeSet<TableIdent>,
    /// Landing zones named through `landing_zone`.
    pub zones: BTreeSet<ZoneIdent>,
}

/// A template that does not render.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {message}", self.line_suffix())]
pub struct RenderError {
    /// File, relative to the pipeline's folder.
    pub file: String,
    /// Line, from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl RenderError {
    fn line_suffix(&self) -> String {
        self.line.map(|line| format!(":{line}")).unwrap_or_default()
    }

    /// Always the caller's mistake.
    pub fn kind(&self) -> Kind {
        Kind::InvalidArgument
    }

    /// Stable code.
    pub fn reason(&self) -> &'static str {
        "TEMPLATE_INVALID"
    }

    fn new(file: &str, error: &Error) -> Self {
        let line = error.line();
        let mut message = describe(error);
        let mut source = error.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self {
            file: file.to_owned(),
            line,
            message,
        }
    }
}

fn describe(error: &Error) -> String {
    match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => {
            format!("the template takes more than {FUEL} steps; is there an endless loop?")
        }
        (ErrorKind::InvalidOperation, Some(detail)) => detail.to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    }
}

/// The location that `landing_zone` renders to, and that `read_csv` and its kin understand.
pub fn landing_uri(zone: &ZoneIdent, glob: &str) -> String {
    format!("{LANDING_SCHEME}{}/{}/{glob}", zone.namespace, zone.name)
}

/// Takes such a location apart again. `None`: it is not one.
pub fn parse_landing_uri(uri: &str) -> Option<(ZoneIdent, &str)> {
    let (namespace, rest) = uri.strip_prefix(LANDING_SCHEME)?.split_once('/')?;
    let (zone, glob) = rest.split_once('/')?;
    let ident = ZoneIdent {
        namespace: namespace.parse().ok()?,
        name: zone.parse().ok()?,
    };
    check_glob(glob).ok()?;
    Some((ident, glob))
}

/// Something that a template may not contain.
#[derive(Debug)]
struct Refusal {
    offset: usize,
    message: String,
}

impl Refusal {
    fn new(offset: usize, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { offset, message }
    }

    fn at(self, file: &str, text: &str) -> RenderError {
        let before = text.as_bytes().iter().take(self.offset);
        RenderError {
            file: file.to_owned(),
            line: Some(1 + before.filter(|byte| **byte == b'\n').count()),
            message: self.message,
        }
    }
}

/// Everything that can be known without rendering.
pub(crate) fn check(file: &str, text: &str) -> Result<(), RenderError> {
    tags::check(text).map_err(|refusal| refusal.at(file, text))?;
    let parsed = machinery::parse(text, file, SyntaxConfig::default())
        .map_err(|error| RenderError::new(file, &error))?;
    growth::check(&parsed).map_err(|refusal| refusal.at(file, text))
}

pub(crate) fn render(
    file: &str,
    text: &str,
    own: &TableIdent,
    strategy: MergeStrategy,
    context: &RenderContext,
) -> Result<Rendered, RenderError> {
    check(file, text)?;
    let record = Arc::new(Mutex::new(Record::default()));
    let env = environment(own, strategy, context, &record);
    let mut output = Bounded(Vec::with_capacity(text.len()));
    env.template_from_named_str(file, text)
        .and_then(|template| template.render_captured_to((), &mut output).map(|_| ()))
        .map_err(|error| RenderError::new(file, &error))?;
    let sql = String::from_utf8(output.0).map_err(|_| RenderError {
        file: file.to_owned(),
        line: None,
        message: "the rendered text is not UTF-8".to_owned(),
    })?;
    let record = std::mem::take(&mut *record.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Rendered {
        sql,
        refs: record.refs,
        zones: record.zones,
    })
}

#[derive(Debug, Default)]
struct Record {
    refs: BTreeSet<TableIdent>,
    zones: BTreeSet<ZoneIdent>,
}

fn environment<'a>(
    own: &TableIdent,
    strategy: MergeStrategy,
    context: &RenderContext,
    record: &Arc<Mutex<Record>>,
) -> Environment<'a> {
    let mut env = Environment::empty();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(RECURSION);
    // Names the undefined variable in errors.
    env.set_debug(true);
    language::add(&mut env);
    let started = context
        .run_started_at
        .to_rfc3339_opts(SecondsFormat::Micros, true);
    env.add_global("run_started_at", started);
    env.add_global("this", own.to_sql());
    // Templates that ask which strategy they run under work, whichever it is.
    for name in language::STRATEGIES {
        let is = name == "is_append_only" && strategy == MergeStrategy::AppendOnly;
        env.add_function(name, move || is);
    }
    let (namespace, seen) = (own.namespace.clone(), Arc::clone(record));
    env.add_function("ref", move |args: Rest<Value>| {
        let ident = parse_ref(&namespace, &args)?;
        let sql = ident.to_sql();
        let refs = &mut seen.lock().unwrap_or_else(PoisonError::into_inner).refs;
        record_one(refs, ident, "tables")?;
        Ok::<_, Error>(sql)
    });
    let (namespace, seen) = (own.namespace.clone(), Arc::clone(record));
    env.add_function("landing_zone", move |args: Rest<Value>| {
        let (zone, glob) = parse_zone(&namespace, &args)?;
        let uri = landing_uri(&zone, &glob);
        let zones = &mut seen.lock().unwrap_or_else(PoisonError::into_inner).zones;
        record_one(zones, zone, "landing zones")?;
        Ok::<_, Error>(uri)
    });
    env
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

fn record_one<T: Ord>(seen: &mut BTreeSet<T>, name: T, what: &str) -> Result<(), Error> {
    seen.insert(name);
    if seen.len() > MAX_NAMED {
        return Err(invalid(format!(
            "the template names more than {MAX_NAMED} {what}"
        )));
    }
    Ok(())
}

fn parse_ref(namespace: &NamespaceName, args: &[Value]) -> Result<TableIdent, Error> {
    const USAGE: &str = "write ref('layer.table') or ref('namespace.layer.table')";
    let [name] = args else {
        return Err(invalid(format!(
            "ref takes one name, not {}: {USAGE}",
            args.len()
        )));
    };
    let name = name
        .as_str()
        .ok_or_else(|| invalid(format!("ref takes text: {USAGE}")))?;
    TableIdent::parse_in(namespace, name)
        .map_err(|error: InvalidName| invalid(format!("ref: {error}; {USAGE}")))
}

fn parse_zone(namespace: &NamespaceName, args: &[Value]) -> Result<(ZoneIdent, String), Error> {
    const USAGE: &str = "write landing_zone('zone') or landing_zone('zone', '2026/*.csv')";
    let text = |value: &Value| {
        let text = value.as_str().map(str::to_owned);
        text.ok_or_else(|| invalid(format!("landing_zone takes text: {USAGE}")))
    };
    let (zone, glob) = match args {
        [zone] => (text(zone)?, "**".to_owned()),
        [zone, glob] => (text(zone)?, text(glob)?),
        _ => {
            let count = args.len();
            return Err(invalid(format!(
                "landing_zone takes one or two texts, not {count}: {USAGE}"
            )));
        }
    };
    let name = zone
        .parse()
        .map_err(|error| invalid(format!("landing_zone: {error}")))?;
    check_glob(&glob).map_err(|reason| invalid(format!("landing_zone: {reason}")))?;
    Ok((
        ZoneIdent {
            namespace: namespace.clone(),
            name,
        },
        glob,
    ))
}

/// A pattern is put between quotes in SQL and matched against paths within the zone.
fn check_glob(glob: &str) -> Result<(), String> {
    let shown: String = glob.chars().take(160).collect();
    if glob.is_empty() {
        return Err("the pattern is empty, leave it out for all files".to_owned());
    }
    if glob.len() > 1_024 {
        return Err("the pattern is longer than 1024 bytes".to_owned());
    }
    if glob.contains(['\'', '"', '\\']) || glob.contains(char::is_control) {
        return Err(format!(
            "the pattern {shown:?} contains a quote, backslash or control character"
        ));
    }
    if glob.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(format!(
            "the pattern {shown:?} must be a relative path without empty, `.` and `..` parts"
        ));
    }
    Ok(())
}

struct Bounded(Vec<u8>);

impl io::Write for &mut Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_RENDERED_BYTES {
            let message = format!("the rendered text is longer than {MAX_RENDERED_BYTES} bytes");
            return Err(io::Error::other(message));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! The arguments of one call.
//!
//! Options may be written `name => value`, `name := value` or `name = value`. An option that does
//! not exist is an error: ignoring it would read the file in another way than was asked for.

use arrow::datatypes::DataType;
use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, UnaryOperator, Value,
};
use regex::Regex;

use crate::Error;
use crate::landing::columns;
use crate::landing::csv::CsvOptions;
use crate::landing::json::JsonOptions;

/// Records of each file that are looked at to find out the types of its columns.
const SAMPLE: usize = 20_480;

/// A call of a file function, as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    function: String,
    pub(super) patterns: Vec<String>,
    options: Vec<(String, Argument)>,
}

/// Value of an option.
#[derive(Debug, Clone, PartialEq)]
enum Argument {
    Text(String),
    Bool(bool),
    Int(i64),
    Texts(Vec<String>),
    Pairs(Vec<(String, String)>),
}

/// A file format with its options.
#[derive(Debug)]
pub(super) enum Format {
    Csv(CsvOptions),
    Json(JsonOptions),
    Parquet,
}

impl Call {
    /// Functions that read files.
    pub(crate) const FUNCTIONS: [&str; 3] = ["read_csv", "read_json", "read_parquet"];

    /// Reads the arguments of a call of `function`.
    pub(crate) fn parse(function: &str, args: &[FunctionArg]) -> Result<Self, Error> {
        let fail = |message: String| Error::sql(format!("{function}(): {message}"));
        let mut call = Self {
            function: function.to_owned(),
            patterns: Vec::new(),
            options: Vec::new(),
        };
        for (position, arg) in args.iter().enumerate() {
            let (name, value) = split(arg).ok_or_else(|| fail(format!("cannot read {arg}")))?;
            let value = Argument::from_expr(value)
                .ok_or_else(|| fail(format!("{value} must be a constant")))?;
            match (name, value) {
                (Some(name), value) => {
                    let name = name.to_lowercase();
                    if call.options.iter().any(|(given, _)| *given == name) {
                        return Err(fail(format!("option {name} is given twice")));
                    }
                    call.options.push((name, value));
                }
                (None, Argument::Text(pattern)) if position == 0 => call.patterns.push(pattern),
                (None, Argument::Texts(patterns)) if position == 0 => call.patterns = patterns,
                (None, _) => {
                    let message = "the first argument is a location, all others are options such as `header => true`";
                    return Err(fail(message.to_owned()));
                }
            }
        }
        if call.patterns.is_empty() {
            return Err(fail(
                "write a location, `'{{ landing_zone('zone') }}'`".to_owned(),
            ));
        }
        Ok(call)
    }

    /// The format and its options.
    pub(super) fn options(&self, state: &SessionState) -> Result<Format, Error> {
        match self.function.as_str() {
            "read_csv" => self.csv(state).map(Format::Csv),
            "read_json" => self.json(state).map(Format::Json),
            _ => self.parquet().map(|()| Format::Parquet),
        }
    }

    fn csv(&self, state: &SessionState) -> Result<CsvOptions, Error> {
        let mut options = CsvOptions {
            sample: SAMPLE,
            header: true,
            ..CsvOptions::default()
        };
        for (name, value) in &self.options {
            match name.as_str() {
                "header" => options.header = self.bool(name, value)?,
                "delim" | "sep" | "delimiter" => {
                    options.delimiter = Some(self.byte(name, value)?);
                }
                "escape" => options.escape = Some(self.byte(name, value)?),
                "comment" => options.comment = Some(self.byte(name, value)?),
                "nullstr" => options.null_regex = Some(self.null_regex(name, value)?),
                "all_varchar" => options.all_text = self.bool(name, value)?,
                "union_by_name" => options.union_by_name = self.bool(name, value)?,
                "sample_size" => options.sample = self.sample(name, value)?,
                "columns" => options.columns = Some(self.columns(name, value, state)?),
                "types" => options.types = self.columns(name, value, state)?,
                _ => {
                    return Err(self.unknown(
                        name,
                        &[
                            "all_varchar",
                            "columns",
                            "comment",
                            "delim",
                            "escape",
                            "header",
                            "nullstr",
                            "sample_size",
                            "types",
                            "union_by_name",
                        ],
                    ));
                }
            }
        }
        Ok(options)
    }

    fn json(&self, state: &SessionState) -> Result<JsonOptions, Error> {
        let mut options = JsonOptions {
            sample: SAMPLE,
            columns: None,
        };
        for (name, value) in &self.options {
            match name.as_str() {
                "columns" => options.columns = Some(self.columns(name, value, state)?),
                "sample_size" => options.sample = self.sample(name, value)?,
                _ => return Err(self.unknown(name, &["columns", "sample_size"])),
            }
        }
        Ok(options)
    }

    fn parquet(&self) -> Result<(), Error> {
        match self.options.first() {
            Some((name, _)) => Err(self.unknown(name, &[])),
            None => Ok(()),
        }
    }

    fn fail(&self, message: &str) -> Error {
        Error::sql(format!("{}(): {message}", self.function))
    }

    fn unknown(&self, name: &str, known: &[&str]) -> Error {
        let hint = rat_pipeline::nearest(name, known.iter().copied())
            .map(|near| format!(", did you mean {near}?"))
            .unwrap_or_default();
        let choice = if known.is_empty() {
            "it has none".to_owned()
        } else {
            format!("it has {}", known.join(", "))
        };
        let shown: String = name.chars().take(80).collect();
        self.fail(&format!("there is no option {shown}{hint} ({choice})"))
    }

    fn bool(&self, name: &str, value: &Argument) -> Result<bool, Error> {
        match value {
            Argument::Bool(value) => Ok(*value),
            _ => Err(self.fail(&format!("option {name} must be true or false"))),
        }
    }

    fn byte(&self, name: &str, value: &Argument) -> Result<u8, Error> {
        let text = match value {
            Argument::Text(text) if text == "\\t" => "\t",
            Argument::Text(text) => text,
            _ => "",
        };
        match text.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | b'"') => Ok(*byte),
            _ => Err(self.fail(&format!("option {name} must be one ASCII character"))),
        }
    }

    fn sample(&self, name: &str, value: &Argument) -> Result<usize, Error> {
        match value {
            Argument::Int(-1) => Ok(usize::MAX),
            Argument::Int(count @ 1..) => Ok(usize::try_from(*count).unwrap_or(usize::MAX)),
            _ => Err(self.fail(&format!(
                "option {name} must be a positive number, or -1 for all"
            ))),
        }
    }

    /// Texts that stand for NULL, the empty one among them.
    fn null_regex(&self, name: &str, value: &Argument) -> Result<Regex, Error> {
        let texts = match value {
            Argument::Text(text) => std::slice::from_ref(text),
            Argument::Texts(texts) => texts,
            _ => return Err(self.fail(&format!("option {name} must be text, or a list of texts"))),
        };
        let choice: Vec<String> = texts.iter().map(|text| regex::escape(text)).collect();
        Regex::new(&format!("^(?:{})?$", choice.join("|")))
            .map_err(|_| self.fail(&format!("option {name} is too long")))
    }

    fn columns(
        &self,
        name: &str,
        value: &Argument,
        state: &SessionState,
    ) -> Result<Vec<(String, DataType)>, Error> {
        let result = match value {
            Argument::Text(text) => columns::parse_list(text, state),
            Argument::Pairs(pairs) => columns::parse_pairs(pairs, state),
            _ => Err("write it as 'a BIGINT, b VARCHAR' or {'a': 'BIGINT', 'b': 'VARCHAR'}".into()),
        };
        result.map_err(|message| self.fail(&format!("option {name}: {message}")))
    }
}

/// Name, if there is one, and value of an argument.
fn split(arg: &FunctionArg) -> Option<(Option<&str>, &Expr)> {
    match arg {
        FunctionArg::Named {
            name,
            arg: FunctionArgExpr::Expr(value),
            ..
        } => Some((Some(&name.value), value)),
        FunctionArg::ExprNamed {
            name: Expr::Identifier(name),
            arg: FunctionArgExpr::Expr(value),
            ..
        } => Some((Some(&name.value), value)),
        // `header = true`, which is a comparison to the parser.
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::BinaryOp {
            left,
            op: BinaryOperator::Eq,
            right,
        })) => match left.as_ref() {
            Expr::Identifier(name) => Some((Some(&name.value), right)),
            _ => None,
        },
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some((None, value)),
        _ => None,
    }
}

impl Argument {
    fn from_expr(expr: &Expr) -> Option<Self> {
        match expr {
            Expr::Value(value) => match &value.value {
                Value::Boolean(value) => Some(Self::Bool(*value)),
                Value::Number(digits, _) => digits.parse().ok().map(Self::Int),
                Value::SingleQuotedString(text)
                | Value::EscapedStringLiteral(text)
                | Value::DollarQuotedString(
                    datafusion::sql::sqlparser::ast::DollarQuotedString { value: text, .. },
                ) => Some(Self::Text(text.clone())),
                _ => None,
            },
            Expr::UnaryOp {
                op: UnaryOperator::Minus,
                expr,
            } => match Self::from_expr(expr)? {
                Self::Int(value) => value.checked_neg().map(Self::Int),
                _ => None,
            },
            Expr::Array(array) => array
                .elem
                .iter()
                .map(Self::text)
                .collect::<Option<_>>()
                .map(Self::Texts),
            Expr::Dictionary(fields) => fields
                .iter()
                .map(|field| Some((field.key.value.clone(), Self::text(&field.value)?)))
                .collect::<Option<_>>()
                .map(Self::Pairs),
            _ => None,
        }
    }

    fn text(expr: &Expr) -> Option<String> {
        match Self::from_expr(expr)? {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;
    use crate::statement::{self, Purpose};

    fn call(arguments: &str) -> Result<Call, Error> {
        let sql = format!("SELECT * FROM read_csv({arguments})");
        statement::parse(&sql, Purpose::Pipeline).map(|mut parsed| parsed.calls.remove(0).1)
    }

    fn csv(arguments: &str) -> Result<CsvOptions, String> {
        let state = SessionContext::new().state();
        match call(arguments).and_then(|call| call.options(&state)) {
            Ok(Format::Csv(options)) => Ok(options),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn options_may_be_written_in_three_ways() {
        for arguments in [
            "'x', header => false",
            "'x', header := false",
            "'x', HEADER = false",
        ] {
            assert!(!csv(arguments).unwrap().header, "{arguments}");
        }
    }

    #[test]
    fn columns_may_be_a_list_or_a_structure() {
        for arguments in [
            "'x', columns => 'a BIGINT, \"b c\" DECIMAL(15, 2), t TIMESTAMP'",
            "'x', columns = {'a': 'BIGINT', 'b c': 'DECIMAL(15, 2)', 't': 'TIMESTAMP'}",
        ] {
            let columns = csv(arguments).unwrap().columns.unwrap();
            let text: Vec<String> = columns.iter().map(|(n, t)| format!("{n}: {t}")).collect();
            assert_eq!(
                text,
                ["a: Int64", "b c: Decimal128(15, 2)", "t: Timestamp(µs)"],
                "{arguments}"
            );
        }
    }

    #[test]
    fn wrong_options_are_named() {
        assert_eq!(
            csv("'x', heder => true").unwrap_err(),
            "read_csv(): there is no option heder, did you mean header? (it has all_varchar, columns, comment, delim, escape, header, nullstr, sample_size, types, union_by_name)"
        );
        for arguments in [
            "'x', header => 'yes'",
            "'x', delim => 'ab'",
            "'x', sample_size => 0",
            "'x', columns => 'a'",
            "'x', columns => 'a NOTATYPE'",
            "'x', columns => 'a INT, a INT'",
            "'x', header => true, header => false",
            "'x', 'y'",
            "header => true",
            "lower('X')",
            "",
        ] {
            assert!(csv(arguments).is_err(), "{arguments}");
        }
    }

    #[test]
    fn several_locations_make_one_table() {
        assert_eq!(call("['a', 'b']").unwrap().patterns, ["a", "b"]);
    }

    #[test]
    fn texts_for_null_are_taken_literally() {
        let regex = csv("'x', nullstr => ['N/A', '.']")
            .unwrap()
            .null_regex
            .unwrap();
        for null in ["N/A", ".", ""] {
            assert!(regex.is_match(null), "{null}");
        }
        assert!(!regex.is_match("x"));
    }
}

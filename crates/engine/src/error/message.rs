//! What is left of the messages of others, for the author of the SQL.

use datafusion::error::DataFusionError;

/// Where in the statement the planner found a mistake.
pub(super) fn place(error: &DataFusionError) -> String {
    match error.diagnostic().and_then(|diagnostic| diagnostic.span) {
        Some(span) => {
            let (line, column) = (span.start.line, span.start.column);
            format!(" (line {line}, column {column})")
        }
        None => String::new(),
    }
}

/// What is wrong with a regular expression. Its parser draws a picture of it first, and several
/// functions pass that on in errors of different sorts.
pub(super) fn regular_expression(message: &str) -> Option<String> {
    let (_, picture) = message.split_once("regex parse error:")?;
    let told = picture
        .lines()
        .find_map(|line| line.strip_prefix("error: "))?;
    Some(format!("the regular expression does not compile: {told}"))
}

/// The one line that says who asked for how much, without the list of who holds how much.
pub(super) fn out_of_memory(message: &str) -> String {
    let text = message.split("\nError: ").last().unwrap_or(message);
    let text = text.lines().next().unwrap_or_default();
    format!("the memory limit is reached: {text}")
}

/// DataFusion appends hints for its own developers after the first line.
pub(super) fn first_line(message: &str) -> String {
    let message = message.split("\n\nbacktrace: ").next().unwrap_or_default();
    let message = message.split("\nThis issue was likely caused by").next();
    let message = message.unwrap_or_default();
    without_far_guess(message.trim_end()).to_owned()
}

/// DataFusion always guesses at a function, however little its name resembles the one written.
fn without_far_guess(message: &str) -> &str {
    let Some((told, guess)) = message.split_once("\nDid you mean '") else {
        return message;
    };
    let written = told.split('\'').nth(1).unwrap_or_default();
    let guess = guess.split('\'').next().unwrap_or_default();
    match rat_pipeline::nearest(written, [guess]) {
        Some(_) => message,
        None => told,
    }
}

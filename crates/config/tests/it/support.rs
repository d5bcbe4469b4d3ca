//! What the tests share.

use std::collections::BTreeMap;

use rat_config::Settings;

/// The commented example at the root of the repository.
pub(crate) const EXAMPLE: &str = include_str!("../../../../rat.yaml");

/// An environment of these variables.
pub(crate) fn environment(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    variables
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

/// The settings of `text`, which has to be right.
pub(crate) fn load(text: &str) -> Settings {
    load_with(text, &[])
}

/// The settings of `text` under these variables, which have to be right.
pub(crate) fn load_with(text: &str, variables: &[(&str, &str)]) -> Settings {
    Settings::load(Some(("rat.yaml", text)), &environment(variables))
        .unwrap_or_else(|problems| panic!("refused:\n{problems}"))
}

/// What is said about `text`, which has to be wrong.
pub(crate) fn problems(text: &str) -> String {
    problems_with(text, &[])
}

/// What is said about `text` under these variables, which have to be wrong together.
pub(crate) fn problems_with(text: &str, variables: &[(&str, &str)]) -> String {
    match Settings::load(Some(("rat.yaml", text)), &environment(variables)) {
        Ok(settings) => panic!("accepted: {settings:?}"),
        Err(problems) => format!("{problems}\n"),
    }
}

/// The example with its commented-out settings taken in.
pub(crate) fn example_uncommented() -> String {
    let uncomment = |line: &'static str| {
        let rest = line.strip_prefix('#').filter(|rest| rest.starts_with("  "));
        format!("{}\n", rest.unwrap_or(line))
    };
    EXAMPLE.lines().map(uncomment).collect()
}

use std::collections::BTreeMap;
use std::io::Write;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::*;

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    name: String,
    size: Option<u16>,
    #[serde(default)]
    cache: Cache,
    #[serde(default)]
    keys: BTreeMap<String, Key>,
    #[serde(default)]
    list: Vec<String>,
}

#[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Cache {
    entries: u32,
    path: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Key {
    owner: String,
}

fn schema() -> Schema {
    Schema::of::<Config>()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn read(text: &str, variables: &[(&str, &str)]) -> Sources {
    let file = file(text);
    let variables = variables
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    Sources::read("my-plugin", Some(file.path()), variables, &schema())
}

fn check(sources: &Sources, ratd: &Value) -> Result<Checked<Config>, Invalid> {
    sources.check(&schema(), ratd)
}

fn complete(sources: &Sources, ratd: &Value) -> Config {
    match check(sources, ratd) {
        Ok(Checked::Complete(_, config)) => config,
        Ok(Checked::Incomplete(invalid)) | Err(invalid) => panic!("{invalid}"),
    }
}

fn refused(sources: &Sources, ratd: &Value) -> String {
    match check(sources, ratd) {
        Err(invalid) => invalid.to_string(),
        Ok(Checked::Complete(..)) => panic!("it is accepted"),
        Ok(Checked::Incomplete(invalid)) => panic!("only incomplete: {invalid}"),
    }
}

#[test]
fn each_source_is_over_the_one_before_key_by_key() {
    let sources = read(
        "size: 2\ncache: {entries: 20}\nkeys: {b: {owner: file}}\nlist: [file]",
        &[("MY_PLUGIN_CACHE__PATH", "/environment")],
    );
    let ratd = json!({
        "name": "ratd",
        "size": 1,
        "cache": {"entries": 10, "path": "/ratd"},
        "keys": {"a": {"owner": "ratd"}, "b": {"owner": "ratd"}},
        "list": ["ratd", "ratd"],
    });
    let config = complete(&sources, &ratd);
    assert_eq!(
        (config.name.as_str(), config.size, config.cache.entries),
        ("ratd", Some(2), 20)
    );
    assert_eq!(config.cache.path.as_deref(), Some("/environment"));
    assert_eq!(
        (&config.keys["a"].owner, &config.keys["b"].owner),
        (&"ratd".into(), &"file".into())
    );
    // A list is one value.
    assert_eq!(config.list, ["file"]);
}

#[test]
fn a_variable_is_read_as_what_its_key_wants() {
    let sources = read(
        "",
        &[
            // Strings stay as they are, whatever they look like.
            ("MY_PLUGIN_NAME", "12"),
            ("MY_PLUGIN_SIZE", "12"),
            ("MY_PLUGIN_LIST", "[a, b]"),
            ("MY_PLUGIN_KEYS__K__OWNER", "true"),
            ("MY_PLUGIN_CACHE__ENTRIES", "7"),
            // Empty is none, and others are none of ours.
            ("MY_PLUGIN_CACHE__PATH", ""),
            ("MY_PLUGIN_SERVICE_HOST", "10.0.0.1"),
            ("OTHER_NAME", "x"),
        ],
    );
    let config = complete(&sources, &json!({}));
    assert_eq!((config.name.as_str(), config.size), ("12", Some(12)));
    assert_eq!(config.list, ["a", "b"]);
    assert_eq!(config.keys["k"].owner, "true");
    assert_eq!((config.cache.entries, config.cache.path), (7, None));
}

#[test]
fn a_mistake_names_its_source() {
    let sources = read(
        "size: many\nlist: [1]",
        &[("MY_PLUGIN_CACHE__ENTRIES", "lots")],
    );
    let told = refused(&sources, &json!({"name": 1}));
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines.len(), 4, "{told}");
    let path = sources.path.as_ref().unwrap().display().to_string();
    for expected in [
        "ratd: name: must be a string".to_owned(),
        format!("{path}: size: must be a whole number"),
        format!("{path}: list[0]: must be a string"),
        "environment MY_PLUGIN_CACHE: cache.entries: must be a whole number".to_owned(),
    ] {
        assert!(lines.contains(&expected.as_str()), "{expected} in {told}");
    }
}

#[test]
fn what_ratd_may_still_send_is_no_mistake() {
    let sources = read("size: 3", &[]);
    let Ok(Checked::Incomplete(invalid)) = check(&sources, &json!({})) else {
        panic!("it lacks its name");
    };
    assert_eq!(invalid.to_string(), "name: is missing");
    // A key that is begun and not finished is a mistake.
    let sources = read("keys: {k: {}}", &[]);
    let told = refused(&sources, &json!({}));
    assert!(
        told.contains("name: is missing") && told.contains("owner: is missing"),
        "{told}"
    );
}

#[test]
fn no_message_holds_a_value_or_a_key_that_may_be_secret() {
    let secret = "s3cret-s3cret-s3cret";
    let sources = read(
        &format!("size: {secret}\nkeys: {{{secret}: {{owner: 1, {secret}: x}}, short: 9}}"),
        &[("MY_PLUGIN_LIST", secret)],
    );
    let told = refused(&sources, &json!({"name": [secret]}));
    // The beginning of a long key helps to find it; the name of an unknown key is a typing error.
    let known = told.replace(&format!(".{secret}: unknown key"), "");
    assert!(!known.contains(secret) && !told.contains("short"), "{told}");
    for text in [
        format!("{secret}: : x: ["),
        format!("- {secret}"),
        secret.to_owned(),
    ] {
        let told = refused(&read(&text, &[]), &json!({}));
        assert!(!told.contains(secret), "{told}");
    }
    let sources = read("", &[("MY_PLUGIN_LIST", &format!("[{secret}"))]);
    let told = refused(&sources, &json!({"name": "n"}));
    assert_eq!(told, "environment MY_PLUGIN_LIST: the value is not YAML");
}

#[test]
fn a_file_that_cannot_be_read_is_a_mistake() {
    let missing = Path::new("/nonexistent/plugin.yaml");
    let sources = Sources::read("my-plugin", Some(missing), [], &schema());
    let told = refused(&sources, &json!({"name": "n"}));
    assert!(
        told.starts_with("failed to read /nonexistent/plugin.yaml: "),
        "{told}"
    );
}

#[test]
fn the_file_is_read_again_and_the_environment_is_kept() {
    let file = file("size: 1");
    let variables = [("MY_PLUGIN_NAME".to_owned(), "n".to_owned())];
    let sources = Sources::read("my-plugin", Some(file.path()), variables, &schema());
    std::fs::write(file.path(), "size: 2").unwrap();
    assert_eq!(complete(&sources, &json!({})).size, Some(1));
    let again = complete(&sources.read_again(&schema()), &json!({}));
    assert_eq!((again.name.as_str(), again.size), ("n", Some(2)));
}

#[test]
fn only_keys_that_two_sources_give_differ() {
    let lower = json!({"same": 1, "other": 1, "deep": {"same": [1], "other": [1]}, "lower": 1});
    let upper = json!({"same": 1, "other": 2, "deep": {"same": [1], "other": [2]}, "upper": 1});
    let mut found = Vec::new();
    differences(&lower, &upper, &mut Vec::new(), &mut found);
    let key = |name: &str| Step::Key(name.to_owned());
    found.sort_by_key(Vec::len);
    assert_eq!(found, [vec![key("other")], vec![key("deep"), key("other")]]);
}

//! The reference names every check.

use rat_plugin_check::{CHECKS, Level};

/// The table of docs/reference/plugins.md.
fn table() -> String {
    let mut table = String::from("| Check | Slot | If it fails | Sentence |\n|---|---|---|---|\n");
    for check in CHECKS.iter() {
        let slot = check.slot.map_or("every", |slot| slot.as_str());
        let level = match check.level {
            Level::Required => "failure",
            Level::Advised => "warning",
        };
        table.push_str(&format!(
            "| `{}` | {slot} | {level} | {} |\n",
            check.id, check.sentence
        ));
    }
    table
}

#[test]
fn the_reference_has_the_table_of_checks() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/reference/plugins.md"
    );
    let page = std::fs::read_to_string(path).unwrap();
    let table = table();
    assert!(
        page.contains(&table),
        "docs/reference/plugins.md needs this table:\n{table}"
    );
}

#[test]
fn the_plugins_of_the_how_to_are_those_that_are_built_and_checked() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let read = |path: &str| std::fs::read_to_string(format!("{root}/{path}")).unwrap();
    let page = read("docs/how-to/write-a-plugin.md");
    let snippet = |language: &str| {
        let begin = page.split_once(&format!("```{language}\n")).unwrap().1;
        begin.split_once("```").unwrap().0
    };
    let rust = read("crates/plugin-sdk/examples/my-auth.rs");
    assert!(rust.ends_with(&format!("\n\n{}", snippet("rust"))));
    let python = read("examples/plugins/auth-static-python/auth_static.py");
    let indented: String = snippet("python")
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect();
    assert!(python.contains(&indented), "{indented}");
    let settings = snippet("yaml");
    rat_config::Settings::load(Some(("rat.yaml", settings)), &Default::default()).unwrap();
}

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

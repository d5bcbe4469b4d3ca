//! The examples that people start from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rat_pipeline::{Pipeline, RenderContext};
use rat_types::TableIdent;

#[test]
fn the_sql_of_the_examples_parses() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/tpch/tpch/pipelines");
    let context = RenderContext {
        run_started_at: "2026-03-01T10:00:00Z".parse().unwrap(),
    };
    let mut seen = 0;
    for layer in folders(&root) {
        for folder in folders(&layer) {
            let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
            let ident: TableIdent = format!("tpch.{}.{}", name(&layer), name(&folder))
                .parse()
                .unwrap();
            let pipeline = Pipeline::parse(&ident, &sources(&folder)).unwrap();
            let rendered = pipeline.render(&context).unwrap();
            assert_eq!(
                pipeline.check_sql("pipeline.sql", &rendered),
                None,
                "{ident}"
            );
            for test in &pipeline.tests {
                let rendered = pipeline.render_test(test, &context).unwrap();
                assert_eq!(pipeline.check_sql(&test.file, &rendered), None, "{ident}");
            }
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen} pipelines");
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.is_dir()).collect()
}

fn sources(folder: &Path) -> BTreeMap<String, String> {
    let mut sources = BTreeMap::new();
    for (prefix, folder) in [
        ("", folder.to_owned()),
        ("tests/quality/", folder.join("tests/quality")),
    ] {
        let Ok(entries) = std::fs::read_dir(folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path.file_name().unwrap().to_str().unwrap();
                let text = std::fs::read_to_string(&path).unwrap();
                sources.insert(format!("{prefix}{name}"), text);
            }
        }
    }
    sources
}

//! The example projects, as they lie in the repository.

use std::fs;
use std::path::{Path, PathBuf};

use rat_cli::apply::{Project, Remote, check};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_example_is_a_valid_project() {
    for name in ["shop", "tpch"] {
        let project = Project::read(&root().join("examples").join(name));
        let checked = check(&project, Some(&Remote::default()), false);
        assert_eq!(checked.problems, [], "{name}");
        assert_eq!(checked.warnings, [], "{name}");
    }
}

#[test]
fn the_shop_has_files_for_every_zone_that_it_reads() {
    let project = Project::read(&root().join("examples/shop"));
    let checked = check(&project, Some(&Remote::default()), false);
    assert!(!checked.zones.is_empty());
    for zone in &checked.zones {
        assert!(
            project.landing.get(zone).is_some_and(|f| !f.is_empty()),
            "{zone}"
        );
    }
}

#[test]
fn the_readme_shows_the_shop_word_for_word() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for path in [
        "shop/landing/orders/2026-11.csv",
        "shop/pipelines/bronze/orders/pipeline.sql",
        "shop/pipelines/silver/daily/pipeline.sql",
        "shop/pipelines/silver/daily/tests/quality/positive.sql",
    ] {
        let text = fs::read_to_string(root().join("examples/shop").join(path)).unwrap();
        assert!(
            readme.contains(&format!("`{path}`")) && readme.contains(&format!("\n{text}```\n")),
            "{path} is not in the README as it is in examples/shop"
        );
    }
}

//! Templates that try to exhaust the memory, or the stack, of the process that renders them.
//!
//! One test, so that the peak it measures is its own.

use std::collections::BTreeMap;
use std::{fs, thread};

use rat_pipeline::{MAX_TEST_BYTES, Pipeline, RenderContext};

use crate::bombs::{growing_names, limits, other_ways, too_much};

/// What the process may grow by, over all attempts.
const ALLOWED: usize = 64 * 1024 * 1024;
/// Half of what a worker thread of the daemon has.
const STACK: usize = 1024 * 1024;

/// Most memory that the process ever used, in bytes; `None`: this system does not tell.
fn peak() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: usize = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// Renders it as a quality test, which may be longer than `pipeline.sql`.
fn render(template: &str) -> Result<usize, String> {
    assert!(template.len() <= MAX_TEST_BYTES, "{}", template.len());
    let context = RenderContext {
        run_started_at: "2026-03-01T10:00:00Z".parse().expect("a time"),
    };
    let files = BTreeMap::from([
        ("pipeline.sql".to_owned(), "SELECT 1".to_owned()),
        ("tests/quality/bomb.sql".to_owned(), template.to_owned()),
    ]);
    let ident = "shop.silver.orders".parse().expect("a name");
    let pipeline = Pipeline::parse(&ident, &files).map_err(|problems| problems.to_string())?;
    let rendered = pipeline.render_test(&pipeline.tests[0], &context);
    rendered
        .map(|rendered| rendered.sql.len())
        .map_err(|error| error.to_string())
}

#[test]
fn no_template_exhausts_memory_or_stack() {
    let bombs = [growing_names(), other_ways(), too_much()].concat();
    let limits = limits();
    let Some(before) = peak() else {
        let reason = "/proc/self/status does not say";
        assert_ne!(
            std::env::var("RAT_REQUIRE_ALL").as_deref(),
            Ok("1"),
            "{reason}"
        );
        eprintln!("SKIPPED: peak memory of rendering: {reason}");
        return;
    };
    let attempt = || {
        for (reason, templates) in &bombs {
            for template in templates {
                let shown: String = template.chars().take(200).collect();
                let error = render(template).expect_err(&shown);
                assert!(error.contains(reason), "{shown}\n{error}\nnot {reason}");
                assert!(error.starts_with("tests/quality/bomb.sql:"), "{error}");
            }
        }
        for template in &limits {
            let shown: String = template.chars().take(200).collect();
            render(template).unwrap_or_else(|error| panic!("{shown}\n{error}"));
        }
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK);
        thread.spawn_scoped(scope, attempt).unwrap().join().unwrap();
    });
    let grown = peak().unwrap() - before;
    eprintln!("rendering took {grown} bytes");
    assert!(grown < ALLOWED, "grew by {grown} bytes");
}

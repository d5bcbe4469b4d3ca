//! A pipeline's source files, understood: settings, SQL template, quality tests, dependencies.
//!
//! Pure: text in, values out. ratd uses it to know what a run may read, the engine to execute
//! it, the command line to order a project. Of the SQL it knows the syntax and no more, and it
//! never reads a file: whatever a template could reach is handed to it as text.
//!
//! ```
//! use std::collections::BTreeMap;
//! use rat_pipeline::{Pipeline, RenderContext};
//!
//! let ident = "shop.silver.orders".parse().unwrap();
//! let sources = BTreeMap::from([(
//!     "pipeline.sql".to_owned(),
//!     "SELECT * FROM {{ ref('bronze.orders') }}".to_owned(),
//! )]);
//! let pipeline = Pipeline::parse(&ident, &sources).unwrap();
//! let context = RenderContext { run_started_at: "2026-01-01T00:00:00Z".parse().unwrap() };
//! let rendered = pipeline.render(&context).unwrap();
//! assert_eq!(rendered.sql, r#"SELECT * FROM "shop"."bronze"."orders""#);
//! ```

mod annotation;
mod hash;
mod order;
mod problem;
mod quality;
mod scan;
mod settings;
mod source;
mod sql;
mod suggest;
mod template;

pub use hash::source_hash;
pub use order::{Cycle, order};
pub use problem::{Problem, Problems, Topic};
pub use quality::{MAX_TEST_BYTES, QualityTest};
pub use settings::{MAX_DESCRIPTION_CHARS, Settings};
pub use source::{MAX_SQL_CHARS, Pipeline};
pub use sql::{MAX_SQL_NESTING, SqlDialect, TooComplex, check_sql_text, check_sql_tree};
pub use suggest::nearest;
pub use template::{
    MAX_RENDERED_BYTES, RenderContext, RenderError, Rendered, landing_uri, parse_landing_uri,
};

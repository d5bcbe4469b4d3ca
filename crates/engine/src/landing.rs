//! `read_csv`, `read_parquet` and `read_json` over the files of a landing zone.
//!
//! DataFusion plans table functions synchronously and without a session, so the calls are taken
//! out of the parsed statement first ([`Call`]), matched against the run's frozen list of files
//! ([`files`]), opened far enough to know their columns, and put back as ordinary tables.
//!
//! Only `landing://` locations that the pipeline declared with `landing_zone()` can be named; a
//! path or a URL of any other kind is refused before anything is opened.

mod call;
mod columns;
mod csv;
mod elements;
mod files;
mod json;
mod lines;
mod numbers;
mod parquet;
mod quotes;
mod source;
mod table;

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::execution::SessionState;
use rat_types::{LandingFile, ZoneIdent};

use crate::Error;

pub(crate) use call::Call;
use call::Format;

/// What a run may read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Landing<'a> {
    /// The frozen files.
    pub(crate) files: &'a [LandingFile],
    /// Zones that the template declared.
    pub(crate) zones: &'a BTreeSet<ZoneIdent>,
}

/// Opens the files that `call` names, as a table.
pub(crate) async fn open(
    call: &Call,
    landing: Landing<'_>,
    state: &SessionState,
) -> Result<Arc<dyn TableProvider>, Error> {
    let files = files::find(&call.patterns, landing)?;
    let options = call.options(state)?;
    // Reading headers and samples blocks; it is bounded by the sample size.
    let partitions = state.config().target_partitions();
    let open = move || -> Result<Arc<dyn TableProvider>, Error> {
        Ok(match options {
            Format::Csv(options) => Arc::new(csv::open(files, &options, partitions)?),
            Format::Json(options) => Arc::new(json::open(files, &options, partitions)?),
            Format::Parquet => Arc::new(parquet::open(files)?),
        })
    };
    match tokio::task::spawn_blocking(open).await {
        Ok(result) => result,
        Err(error) => Err(Error::internal(format!(
            "reading landing files ended badly: {error}"
        ))),
    }
}

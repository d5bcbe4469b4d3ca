//! From a rendered statement to a plan over pinned tables and frozen files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use rat_pipeline::Rendered;
use rat_types::{RunRequest, TableIdent};

use crate::Error;
use crate::landing::{self, Landing};
use crate::session::{Session, Sessions};
use crate::statement::{self, Parsed, Purpose};
use crate::tables::{Pinned, Tables, ident_of, pin};
use crate::threads::Hold;
use crate::workers::{self, Streams};

/// Plans the statements of one run.
#[derive(Clone, Copy)]
pub(crate) struct Planner<'a> {
    pub(crate) sessions: &'a Sessions,
    pub(crate) tables: &'a dyn Tables,
    pub(crate) request: &'a RunRequest,
    pub(crate) hold: &'a Hold,
}

/// A statement that is ready to be executed.
pub(crate) struct Planned {
    session: Session,
    plan: Arc<dyn ExecutionPlan>,
    hold: Hold,
}

impl Planner<'_> {
    /// Plans a statement. Tables that it names and `pinned` does not have are loaded into it.
    pub(crate) async fn plan(
        &self,
        rendered: &Rendered,
        pinned: &mut Pinned,
    ) -> Result<Planned, Error> {
        let namespace = &self.request.pipeline.namespace;
        let Parsed {
            statement,
            calls,
            tables,
        } = statement::parse(&rendered.sql, Purpose::Pipeline)?;
        let mut wanted = BTreeSet::new();
        for reference in &tables {
            let ident = ident_of(reference, namespace)?;
            if ident != self.request.pipeline && !rendered.refs.contains(&ident) {
                return Err(Error::TableNotReferenced { table: ident });
            }
            wanted.insert(ident);
        }
        pin(self.tables, namespace, &wanted, pinned)
            .await
            .map_err(|error| self.explain(error))?;
        let mut session = self.sessions.open(namespace);
        let named: BTreeMap<TableIdent, _> = pinned
            .iter()
            .filter(|(ident, _)| wanted.contains(*ident))
            .map(|(ident, table)| (ident.clone(), Arc::clone(table)))
            .collect();
        session.add_tables(named)?;
        let state = session.context().state();
        let landing = Landing {
            files: &self.request.landing_files,
            zones: &rendered.zones,
        };
        for (name, call) in &calls {
            session.add_call(name, landing::open(call, landing, &state).await?)?;
        }
        let plan = session.plan(statement, Purpose::Pipeline).await?;
        let plan = session.prepare(&plan).await?;
        let hold = Arc::clone(self.hold);
        Ok(Planned {
            session,
            plan,
            hold,
        })
    }

    /// A pipeline that reads its own table cannot be its first run.
    fn explain(&self, error: Error) -> Error {
        match error {
            Error::TableNotFound { table, .. } if table == self.request.pipeline.to_string() => {
                let hint = ": it is this pipeline's own table, and no run has been published yet";
                Error::TableNotFound {
                    table,
                    hint: hint.to_owned(),
                }
            }
            other => other,
        }
    }
}

impl Planned {
    /// Starts it on threads of its own.
    pub(crate) fn execute(self, streams: Streams) -> Result<Vec<SendableRecordBatchStream>, Error> {
        workers::execute(&self.session, self.plan, streams, self.hold)
    }
}

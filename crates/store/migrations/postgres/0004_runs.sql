-- Runs. The pipeline's name is repeated here: it never changes, and every list filters by it.
CREATE TABLE runs (
    id               TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    pipeline_id      TEXT COLLATE "C" NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
    namespace        TEXT COLLATE "C" NOT NULL,
    layer            TEXT COLLATE "C" NOT NULL,
    name             TEXT COLLATE "C" NOT NULL,
    status           TEXT COLLATE "C" NOT NULL
        CHECK (status IN ('pending', 'running', 'success', 'failed', 'cancelled')),
    run_trigger      TEXT COLLATE "C" NOT NULL,
    attempt          BIGINT NOT NULL,
    executor         TEXT,
    token_hash       TEXT COLLATE "C",
    created_by       TEXT NOT NULL,
    source_hash      TEXT,
    readable         TEXT,
    cancel_requested BOOLEAN NOT NULL,
    created_at       TIMESTAMPTZ NOT NULL,
    started_at       TIMESTAMPTZ,
    finished_at      TIMESTAMPTZ,
    duration_ms      BIGINT,
    rows_written     BIGINT,
    bytes_written    BIGINT,
    snapshot_id      BIGINT,
    error_code       TEXT,
    error_message    TEXT,
    phases           TEXT,
    outcome          TEXT,
    -- A token is good for a run that is with an executor, and for nothing else.
    CHECK (token_hash IS NULL OR (status = 'running' AND executor IS NOT NULL)),
    -- Who is asked to stop while it waits has stopped.
    CHECK (NOT (status = 'pending' AND cancel_requested))
);

-- One writer per table: the database itself refuses a second running run of a pipeline.
CREATE UNIQUE INDEX runs_one_running_per_pipeline ON runs (pipeline_id) WHERE status = 'running';
CREATE UNIQUE INDEX runs_token_hash ON runs (token_hash) WHERE token_hash IS NOT NULL;
CREATE INDEX runs_pending ON runs (pipeline_id, created_at, id) WHERE status = 'pending';
CREATE INDEX runs_pipeline_id ON runs (pipeline_id);
CREATE INDEX runs_name ON runs (namespace, layer, name, created_at);
CREATE INDEX runs_status ON runs (status, created_at);
CREATE INDEX runs_created_at ON runs (created_at, id);
CREATE INDEX runs_started_at ON runs (started_at);
CREATE INDEX runs_finished_at ON runs (finished_at);

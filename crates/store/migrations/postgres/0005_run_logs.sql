-- Log lines of runs, numbered by the run.
CREATE TABLE run_logs (
    run_id    TEXT COLLATE "C" NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq       BIGINT NOT NULL,
    logged_at TIMESTAMPTZ NOT NULL,
    level     TEXT COLLATE "C" NOT NULL CHECK (level IN ('debug', 'info', 'warn', 'error')),
    message   TEXT NOT NULL,
    PRIMARY KEY (run_id, seq)
);

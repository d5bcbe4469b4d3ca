-- Log lines of runs, numbered by the run.
CREATE TABLE run_logs (
    run_id    TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq       BIGINT NOT NULL,
    logged_at DATETIME NOT NULL,
    level     TEXT NOT NULL CHECK (level IN ('debug', 'info', 'warn', 'error')),
    message   TEXT NOT NULL,
    PRIMARY KEY (run_id, seq)
);

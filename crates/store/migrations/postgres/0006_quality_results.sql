-- Results of quality tests, in the order in which the run reported them.
CREATE TABLE quality_results (
    run_id      TEXT COLLATE "C" NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    position    BIGINT NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    severity    TEXT COLLATE "C" NOT NULL CHECK (severity IN ('warn', 'error')),
    status      TEXT COLLATE "C" NOT NULL CHECK (status IN ('pass', 'fail', 'error')),
    violations  BIGINT NOT NULL,
    duration_us BIGINT NOT NULL,
    message     TEXT NOT NULL,
    samples     TEXT NOT NULL,
    PRIMARY KEY (run_id, position)
);

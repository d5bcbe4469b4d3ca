-- Plugins: what is configured, and how each was when it was last asked.
CREATE TABLE plugins (
    name        TEXT NOT NULL PRIMARY KEY,
    slot        TEXT NOT NULL,
    image       TEXT NOT NULL,
    address     TEXT NOT NULL,
    status      TEXT NOT NULL CHECK (status IN ('healthy', 'degraded', 'down', 'unknown')),
    message     TEXT NOT NULL,
    version     TEXT NOT NULL,
    latency_us  BIGINT,
    last_health DATETIME,
    created_at  DATETIME NOT NULL,
    updated_at  DATETIME NOT NULL
);

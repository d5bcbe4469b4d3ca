-- Plugins: what is configured, and how each was when it was last asked.
CREATE TABLE plugins (
    name        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    slot        TEXT COLLATE "C" NOT NULL,
    image       TEXT NOT NULL,
    address     TEXT NOT NULL,
    status      TEXT COLLATE "C" NOT NULL CHECK (status IN ('healthy', 'degraded', 'down', 'unknown')),
    message     TEXT NOT NULL,
    version     TEXT NOT NULL,
    latency_us  BIGINT,
    last_health TIMESTAMPTZ,
    created_at  TIMESTAMPTZ NOT NULL,
    updated_at  TIMESTAMPTZ NOT NULL
);

-- Pipelines. A deleted one keeps its row for the sake of its runs; its name becomes free.
CREATE TABLE pipelines (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    namespace   TEXT COLLATE "C" NOT NULL REFERENCES namespaces (name),
    layer       TEXT COLLATE "C" NOT NULL CHECK (layer IN ('bronze', 'silver', 'gold')),
    name        TEXT COLLATE "C" NOT NULL,
    kind        TEXT COLLATE "C" NOT NULL,
    description TEXT NOT NULL,
    owner       TEXT NOT NULL,
    source_hash TEXT,
    created_at  TIMESTAMPTZ NOT NULL,
    updated_at  TIMESTAMPTZ NOT NULL,
    deleted_at  TIMESTAMPTZ
);

CREATE UNIQUE INDEX pipelines_live_name ON pipelines (namespace, layer, name)
    WHERE deleted_at IS NULL;
CREATE INDEX pipelines_created_at ON pipelines (created_at) WHERE deleted_at IS NULL;
CREATE INDEX pipelines_updated_at ON pipelines (updated_at) WHERE deleted_at IS NULL;

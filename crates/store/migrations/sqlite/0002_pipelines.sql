-- Pipelines. A deleted one keeps its row for the sake of its runs; its name becomes free.
CREATE TABLE pipelines (
    id          TEXT NOT NULL PRIMARY KEY,
    namespace   TEXT NOT NULL REFERENCES namespaces (name),
    layer       TEXT NOT NULL CHECK (layer IN ('bronze', 'silver', 'gold')),
    name        TEXT NOT NULL,
    kind        TEXT NOT NULL,
    description TEXT NOT NULL,
    owner       TEXT NOT NULL,
    source_hash TEXT,
    created_at  DATETIME NOT NULL,
    updated_at  DATETIME NOT NULL,
    deleted_at  DATETIME
);

CREATE UNIQUE INDEX pipelines_live_name ON pipelines (namespace, layer, name)
    WHERE deleted_at IS NULL;
CREATE INDEX pipelines_created_at ON pipelines (created_at) WHERE deleted_at IS NULL;
CREATE INDEX pipelines_updated_at ON pipelines (updated_at) WHERE deleted_at IS NULL;

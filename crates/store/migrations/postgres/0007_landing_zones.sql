-- Landing zones, and the files that arrived in them.
CREATE TABLE landing_zones (
    id                     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    namespace              TEXT COLLATE "C" NOT NULL REFERENCES namespaces (name),
    name                   TEXT COLLATE "C" NOT NULL,
    description            TEXT NOT NULL,
    owner                  TEXT NOT NULL,
    expected_schema        TEXT NOT NULL,
    processed_max_age_days BIGINT,
    auto_purge             BOOLEAN NOT NULL,
    created_at             TIMESTAMPTZ NOT NULL,
    updated_at             TIMESTAMPTZ NOT NULL,
    UNIQUE (namespace, name)
);

CREATE TABLE landing_files (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    zone_id      TEXT COLLATE "C" NOT NULL REFERENCES landing_zones (id) ON DELETE CASCADE,
    path         TEXT COLLATE "C" NOT NULL,
    size_bytes   BIGINT NOT NULL CHECK (size_bytes >= 0),
    content_type TEXT NOT NULL,
    uploaded_by  TEXT NOT NULL,
    uploaded_at  TIMESTAMPTZ NOT NULL,
    UNIQUE (zone_id, path)
);

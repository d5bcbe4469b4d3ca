-- Landing zones, and the files that arrived in them.
CREATE TABLE landing_zones (
    id                     TEXT NOT NULL PRIMARY KEY,
    namespace              TEXT NOT NULL REFERENCES namespaces (name),
    name                   TEXT NOT NULL,
    description            TEXT NOT NULL,
    owner                  TEXT NOT NULL,
    expected_schema        TEXT NOT NULL,
    processed_max_age_days BIGINT,
    auto_purge             BOOLEAN NOT NULL,
    created_at             DATETIME NOT NULL,
    updated_at             DATETIME NOT NULL,
    UNIQUE (namespace, name)
);

CREATE TABLE landing_files (
    id           TEXT NOT NULL PRIMARY KEY,
    zone_id      TEXT NOT NULL REFERENCES landing_zones (id) ON DELETE CASCADE,
    path         TEXT NOT NULL,
    size_bytes   BIGINT NOT NULL CHECK (size_bytes >= 0),
    content_type TEXT NOT NULL,
    uploaded_by  TEXT NOT NULL,
    uploaded_at  DATETIME NOT NULL,
    UNIQUE (zone_id, path)
);

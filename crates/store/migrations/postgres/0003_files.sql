-- Source files: content by its SHA-256, and the paths that name it.
CREATE TABLE blobs (
    hash    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    content BYTEA NOT NULL
);

CREATE TABLE files (
    path        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    hash        TEXT COLLATE "C" NOT NULL REFERENCES blobs (hash),
    size_bytes  BIGINT NOT NULL CHECK (size_bytes >= 0),
    modified_at TIMESTAMPTZ NOT NULL,
    modified_by TEXT NOT NULL
);

CREATE INDEX files_hash ON files (hash);

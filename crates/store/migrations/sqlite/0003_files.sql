-- Source files: content by its SHA-256, and the paths that name it.
CREATE TABLE blobs (
    hash    TEXT NOT NULL PRIMARY KEY,
    content BLOB NOT NULL
);

CREATE TABLE files (
    path        TEXT NOT NULL PRIMARY KEY,
    hash        TEXT NOT NULL REFERENCES blobs (hash),
    size_bytes  BIGINT NOT NULL CHECK (size_bytes >= 0),
    modified_at DATETIME NOT NULL,
    modified_by TEXT NOT NULL
);

CREATE INDEX files_hash ON files (hash);

-- Namespaces, and the one that every installation has.
CREATE TABLE namespaces (
    name        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    description TEXT NOT NULL,
    owner       TEXT NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL
);

INSERT INTO namespaces (name, description, owner, created_at)
VALUES ('default', '', 'anonymous', CURRENT_TIMESTAMP);

-- Namespaces, and the one that every installation has.
CREATE TABLE namespaces (
    name        TEXT NOT NULL PRIMARY KEY,
    description TEXT NOT NULL,
    owner       TEXT NOT NULL,
    created_at  DATETIME NOT NULL
);

INSERT INTO namespaces (name, description, owner, created_at)
VALUES ('default', '', 'anonymous', strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'));

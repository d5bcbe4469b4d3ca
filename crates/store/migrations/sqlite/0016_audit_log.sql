-- Who did what, when, from where, and what became of it. Ids are UUIDv7, so that they sort by time.
CREATE TABLE audit_log (
    id         TEXT NOT NULL PRIMARY KEY,
    at         DATETIME NOT NULL,
    user_id    TEXT NOT NULL,
    action     TEXT NOT NULL,
    resource   TEXT NOT NULL,
    detail     TEXT NOT NULL,
    ip         TEXT NOT NULL,
    request_id TEXT NOT NULL,
    status     BIGINT NOT NULL,
    outcome    TEXT NOT NULL
);

CREATE INDEX audit_log_at ON audit_log (at, id);
CREATE INDEX audit_log_user_id ON audit_log (user_id, at);
CREATE INDEX audit_log_action ON audit_log (action, at);
CREATE INDEX audit_log_resource ON audit_log (resource, at);

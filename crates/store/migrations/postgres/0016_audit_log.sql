-- Who did what, when, from where, and what became of it. Ids are UUIDv7, so that they sort by time.
CREATE TABLE audit_log (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    at         TIMESTAMPTZ NOT NULL,
    user_id    TEXT COLLATE "C" NOT NULL,
    action     TEXT COLLATE "C" NOT NULL,
    resource   TEXT COLLATE "C" NOT NULL,
    detail     TEXT NOT NULL,
    ip         TEXT COLLATE "C" NOT NULL,
    request_id TEXT COLLATE "C" NOT NULL,
    status     BIGINT NOT NULL,
    outcome    TEXT COLLATE "C" NOT NULL
);

CREATE INDEX audit_log_at ON audit_log (at, id);
CREATE INDEX audit_log_user_id ON audit_log (user_id, at);
CREATE INDEX audit_log_action ON audit_log (action, at);
CREATE INDEX audit_log_resource ON audit_log (resource, at);

-- Tables that a run created and that are not published. No reference to the run: a row says that
-- files lie in the lake, and has to outlive everything but the removal of those files.
CREATE TABLE staged_tables (
    run_id            TEXT NOT NULL,
    namespace         TEXT NOT NULL,
    layer             TEXT NOT NULL CHECK (layer IN ('bronze', 'silver', 'gold')),
    name              TEXT NOT NULL,
    metadata_location TEXT NOT NULL,
    created_at        DATETIME NOT NULL,
    PRIMARY KEY (run_id, namespace, layer, name)
);

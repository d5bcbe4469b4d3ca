-- What people say about tables.
CREATE TABLE table_metadata (
    namespace           TEXT COLLATE "C" NOT NULL,
    layer               TEXT COLLATE "C" NOT NULL CHECK (layer IN ('bronze', 'silver', 'gold')),
    name                TEXT COLLATE "C" NOT NULL,
    description         TEXT NOT NULL,
    owner               TEXT NOT NULL,
    column_descriptions TEXT NOT NULL,
    updated_at          TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (namespace, layer, name)
);

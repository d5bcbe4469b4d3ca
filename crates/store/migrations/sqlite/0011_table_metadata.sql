-- What people say about tables.
CREATE TABLE table_metadata (
    namespace           TEXT NOT NULL,
    layer               TEXT NOT NULL CHECK (layer IN ('bronze', 'silver', 'gold')),
    name                TEXT NOT NULL,
    description         TEXT NOT NULL,
    owner               TEXT NOT NULL,
    column_descriptions TEXT NOT NULL,
    updated_at          DATETIME NOT NULL,
    PRIMARY KEY (namespace, layer, name)
);

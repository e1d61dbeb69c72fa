-- Who does what only one node needs to do, and which nodes are there. Both may be deleted at any time.

CREATE TABLE lease (
    name       TEXT    PRIMARY KEY,
    holder     BLOB    NOT NULL,
    epoch      INTEGER NOT NULL,
    expires_at REAL    NOT NULL -- seconds since 1970
) STRICT, WITHOUT ROWID;

CREATE TABLE node (
    id             BLOB PRIMARY KEY,
    index_position TEXT NOT NULL, -- JSON array by partition
    seen_at        REAL NOT NULL  -- seconds since 1970
) STRICT, WITHOUT ROWID;

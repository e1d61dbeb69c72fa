-- The log: events, with what an append decides by and what is kept beside them.

-- One row per event. `place` is partition * 2^48 + position and is the row's key: an ordinary (rowid) table, because
-- rows of a kilobyte fill the inner pages of a WITHOUT ROWID tree. So a partition's events stand together in order,
-- (partition, position) needs no index of its own, and every index ends with it for nothing.
CREATE TABLE event (
    place              INTEGER PRIMARY KEY,
    partition          INTEGER NOT NULL GENERATED ALWAYS AS (place >> 48) VIRTUAL,
    position           INTEGER NOT NULL GENERATED ALWAYS AS (place & 281474976710655) VIRTUAL,
    recorded_at        INTEGER NOT NULL, -- µs since 1970, as all times here
    tenant             TEXT    NOT NULL,
    stream_kind        INTEGER NOT NULL,
    stream_id          BLOB    NOT NULL,
    event_id           BLOB    NOT NULL,
    command_id         BLOB    NOT NULL,
    request_mac        BLOB,
    event_type         TEXT    NOT NULL,
    schema_version     INTEGER NOT NULL,
    public             INTEGER NOT NULL,
    principal          TEXT    NOT NULL,
    role               TEXT    NOT NULL,
    device             TEXT    NOT NULL,
    policy             INTEGER NOT NULL,
    observed           TEXT    NOT NULL,
    slots              TEXT, -- JSON; null for none
    external_id        TEXT,
    occurred_at        INTEGER NOT NULL,
    correlation_id     BLOB,
    causation_id       BLOB,
    origin_region      TEXT    NOT NULL,
    origin_partition   INTEGER, -- null where it is the row's own, as the two below
    origin_position    INTEGER,
    origin_recorded_at INTEGER,
    actor              BLOB, -- null where the event has no change, as the five below
    seq                INTEGER,
    max_op             INTEGER,
    hash               BLOB,
    deps               BLOB, -- 32 bytes each
    change             BLOB,
    key_id             BLOB, -- null where nothing is sealed
    sealed             BLOB,
    data               TEXT    NOT NULL
) STRICT;

-- Deduplication: local writes by command alone, a peer's event by command and origin.
CREATE UNIQUE INDEX event_command ON event (command_id, partition, origin_region);
-- A dot is used once. No append reaches this: it is the floor under all checks.
CREATE UNIQUE INDEX event_dot ON event (stream_id, actor, seq, tenant) WHERE actor IS NOT NULL;
-- One stream, by place.
CREATE INDEX event_stream ON event (stream_id, tenant, stream_kind);
-- One tenant, by place; the time is what its pages are merged by.
CREATE INDEX event_tenant ON event (tenant, place, recorded_at);
CREATE INDEX event_external_id ON event (tenant, external_id) WHERE external_id IS NOT NULL;

CREATE TABLE partition_head (
    partition   INTEGER PRIMARY KEY,
    position    INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL
) STRICT;
INSERT INTO partition_head (partition, position, recorded_at)
VALUES (0, 0, 0), (1, 0, 0), (2, 0, 0), (3, 0, 0), (4, 0, 0), (5, 0, 0), (6, 0, 0), (7, 0, 0),
       (8, 0, 0), (9, 0, 0), (10, 0, 0), (11, 0, 0), (12, 0, 0), (13, 0, 0), (14, 0, 0), (15, 0, 0);

CREATE TABLE slot (
    tenant TEXT NOT NULL,
    key    TEXT NOT NULL,
    holder BLOB NOT NULL, -- the event that took it
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshot (
    ticket_id BLOB    NOT NULL,
    tenant    TEXT    NOT NULL,
    position  INTEGER NOT NULL,
    bytes     BLOB    NOT NULL,
    PRIMARY KEY (ticket_id, tenant)
) STRICT;

CREATE TABLE incarnation (
    ordinal INTEGER PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    heads   TEXT NOT NULL -- JSON: the positions at which it began, by partition
) STRICT;

CREATE TABLE meta (
    only          INTEGER PRIMARY KEY CHECK (only = 1),
    key_store     BLOB,
    erasure_epoch INTEGER NOT NULL,
    probes        INTEGER NOT NULL
) STRICT;
INSERT INTO meta VALUES (1, NULL, 0, 0);

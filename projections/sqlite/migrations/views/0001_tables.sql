-- The tickets view: at most two versions at a time, each in a slot of tables of its own.

CREATE TABLE version (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    slot        TEXT    NOT NULL UNIQUE CHECK (slot IN ('a', 'b')),
    filled      INTEGER NOT NULL,
    format      INTEGER NOT NULL,
    incarnation TEXT,            -- whose positions the checkpoints are
    since       INTEGER NOT NULL -- µs since 1970, as all times here
) STRICT;

-- One row: which version answers. A switch changes it and nothing else.
CREATE TABLE active (
    only    INTEGER PRIMARY KEY CHECK (only = 1),
    version INTEGER NOT NULL REFERENCES version
) STRICT;

CREATE TABLE checkpoint (
    version     INTEGER NOT NULL REFERENCES version ON DELETE CASCADE,
    partition   INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    PRIMARY KEY (version, partition)
) STRICT, WITHOUT ROWID;

CREATE TABLE parked (
    version   INTEGER NOT NULL REFERENCES version ON DELETE CASCADE,
    partition INTEGER NOT NULL,
    tenant    TEXT    NOT NULL, -- empty where the event itself cannot be read
    ticket_id BLOB    NOT NULL,
    place     INTEGER NOT NULL, -- 0, or the position of an event that cannot be read
    position  INTEGER NOT NULL, -- the first event that was not taken
    reason    TEXT    NOT NULL,
    PRIMARY KEY (version, partition, tenant, ticket_id, place)
) STRICT;

-- Rebuilds that a command asked the nodes for.
CREATE TABLE rebuild_request (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    asked_at INTEGER NOT NULL,
    ended_at INTEGER,
    failure  TEXT
) STRICT;

CREATE TABLE ticket_a (
    tenant            TEXT    NOT NULL,
    ticket_id         BLOB    NOT NULL,
    partition         INTEGER NOT NULL,
    priority          INTEGER NOT NULL,
    position          INTEGER NOT NULL, -- the event that the row was folded to
    public_position   INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    public_updated_at INTEGER NOT NULL,
    requester_id      BLOB    NOT NULL,
    assignee_id       BLOB,
    status            TEXT    NOT NULL,
    public_status     TEXT    NOT NULL,
    type              TEXT,
    group_id          TEXT,
    tags              TEXT    NOT NULL, -- JSON, sorted
    readers           TEXT    NOT NULL, -- JSON of hexadecimal ids, sorted
    state             TEXT    NOT NULL, -- JSON; the subject in it as sealed as in the log
    PRIMARY KEY (tenant, ticket_id)
) STRICT;

-- Which customers see which tickets: requester and followers.
CREATE TABLE reader_a (
    tenant    TEXT NOT NULL,
    person    BLOB NOT NULL,
    ticket_id BLOB NOT NULL,
    PRIMARY KEY (tenant, person, ticket_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE tag_a (
    tenant    TEXT NOT NULL,
    tag       TEXT NOT NULL,
    ticket_id BLOB NOT NULL,
    PRIMARY KEY (tenant, tag, ticket_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE counter_a (
    tenant    TEXT    NOT NULL,
    field     INTEGER NOT NULL,
    value     TEXT    NOT NULL,
    partition INTEGER NOT NULL,
    count     INTEGER NOT NULL,
    PRIMARY KEY (tenant, field, value, partition)
) STRICT, WITHOUT ROWID;

CREATE TABLE ticket_b (
    tenant            TEXT    NOT NULL,
    ticket_id         BLOB    NOT NULL,
    partition         INTEGER NOT NULL,
    priority          INTEGER NOT NULL,
    position          INTEGER NOT NULL, -- the event that the row was folded to
    public_position   INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    public_updated_at INTEGER NOT NULL,
    requester_id      BLOB    NOT NULL,
    assignee_id       BLOB,
    status            TEXT    NOT NULL,
    public_status     TEXT    NOT NULL,
    type              TEXT,
    group_id          TEXT,
    tags              TEXT    NOT NULL, -- JSON, sorted
    readers           TEXT    NOT NULL, -- JSON of hexadecimal ids, sorted
    state             TEXT    NOT NULL, -- JSON; the subject in it as sealed as in the log
    PRIMARY KEY (tenant, ticket_id)
) STRICT;

-- Which customers see which tickets: requester and followers.
CREATE TABLE reader_b (
    tenant    TEXT NOT NULL,
    person    BLOB NOT NULL,
    ticket_id BLOB NOT NULL,
    PRIMARY KEY (tenant, person, ticket_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE tag_b (
    tenant    TEXT NOT NULL,
    tag       TEXT NOT NULL,
    ticket_id BLOB NOT NULL,
    PRIMARY KEY (tenant, tag, ticket_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE counter_b (
    tenant    TEXT    NOT NULL,
    field     INTEGER NOT NULL,
    value     TEXT    NOT NULL,
    partition INTEGER NOT NULL,
    count     INTEGER NOT NULL,
    PRIMARY KEY (tenant, field, value, partition)
) STRICT, WITHOUT ROWID;

-- The first version is active and empty, with its indexes; those of later ones are made once they are filled.
CREATE INDEX ticket_a_by_created_at ON ticket_a (tenant, created_at, ticket_id);
CREATE INDEX ticket_a_by_updated_at ON ticket_a (tenant, updated_at, ticket_id);
CREATE INDEX ticket_a_by_priority ON ticket_a (tenant, priority, ticket_id);
CREATE INDEX ticket_a_by_status_updated_at ON ticket_a (tenant, status, updated_at, ticket_id);
CREATE INDEX ticket_a_by_assignee_id_updated_at ON ticket_a (tenant, assignee_id, updated_at, ticket_id);
CREATE INDEX ticket_a_by_group_id_updated_at ON ticket_a (tenant, group_id, updated_at, ticket_id);
CREATE INDEX ticket_a_by_requester_id_updated_at ON ticket_a (tenant, requester_id, updated_at, ticket_id);
CREATE INDEX ticket_a_by_type_updated_at ON ticket_a (tenant, type, updated_at, ticket_id);
INSERT INTO version (slot, filled, format, since) VALUES ('a', 1, 1, 0);
INSERT INTO active (only, version) SELECT 1, number FROM version;
INSERT INTO checkpoint (version, partition, position, recorded_at)
SELECT version.number, json_each.value, 0, 0
FROM version, json_each('[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]');

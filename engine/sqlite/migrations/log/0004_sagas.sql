-- Sagas: what is under way, derived from their streams, and how far that was derived in each partition. Both may be
-- emptied together (`saga` deleted, every `position` set to 0): they fill again from the log.

-- Sagas' events alone, for those who follow no tickets.
CREATE INDEX event_of_saga ON event (place) WHERE stream_kind = 3;

CREATE TABLE saga (
    partition    INTEGER NOT NULL,
    id           BLOB    NOT NULL,
    tenant       TEXT    NOT NULL,
    position     INTEGER NOT NULL,
    definition   TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    standing     TEXT    NOT NULL,
    subject      TEXT    NOT NULL,
    started_by   TEXT    NOT NULL,
    role         TEXT    NOT NULL,
    started_at   INTEGER NOT NULL,
    ended_at     INTEGER,
    next_at      INTEGER,
    failing_step TEXT,
    error        TEXT,
    PRIMARY KEY (partition, id, tenant)
) STRICT;
CREATE INDEX saga_of_tenant ON saga (tenant, started_at, id);
CREATE INDEX saga_unended ON saga (partition) WHERE ended_at IS NULL;

CREATE TABLE saga_reached (
    partition INTEGER PRIMARY KEY,
    position  INTEGER NOT NULL
) STRICT;
INSERT INTO saga_reached (partition, position)
VALUES (0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0),
       (8, 0), (9, 0), (10, 0), (11, 0), (12, 0), (13, 0), (14, 0), (15, 0);

CREATE TABLE saga_pause (
    tenant     TEXT    NOT NULL,
    definition TEXT    NOT NULL,
    paused     INTEGER NOT NULL,
    PRIMARY KEY (tenant, definition)
) STRICT, WITHOUT ROWID;

-- Calls that the other side of a remote step has let through, and by which call each was: an undo that comes first shuts
-- out the step itself.
CREATE TABLE saga_barrier (
    saga      BLOB NOT NULL,
    tenant    TEXT NOT NULL,
    step      TEXT NOT NULL,
    direction TEXT NOT NULL,
    passed_by TEXT NOT NULL,
    PRIMARY KEY (saga, tenant, step, direction)
) STRICT, WITHOUT ROWID;

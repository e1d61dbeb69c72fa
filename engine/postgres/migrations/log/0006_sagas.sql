-- Sagas: what is under way, derived from their streams, and how far that was derived in each partition. Both may be
-- emptied together (`saga` deleted, every `position` set to 0): they fill again from the log.

-- Sagas' events alone, for those who follow no tickets.
CREATE INDEX event_of_saga ON docket.event (partition, position) WHERE stream_kind = 3;

CREATE TABLE docket.saga (
    position bigint NOT NULL,
    started_at bigint NOT NULL,
    ended_at bigint,
    next_at bigint,
    version integer NOT NULL,
    partition smallint NOT NULL,
    role smallint NOT NULL,
    id uuid NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    definition text COLLATE "C" NOT NULL,
    standing text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    started_by text COLLATE "C" NOT NULL,
    failing_step text,
    error text,
    PRIMARY KEY (partition, id, tenant)
) WITH (fillfactor = 80);

CREATE INDEX saga_of_tenant ON docket.saga (tenant, started_at, id);
CREATE INDEX saga_unended ON docket.saga (partition) WHERE ended_at IS NULL;

CREATE TABLE docket.saga_reached (
    partition smallint PRIMARY KEY CHECK (partition BETWEEN 0 AND 15),
    position bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10);

INSERT INTO docket.saga_reached (partition) SELECT generate_series(0, 15);

CREATE TABLE docket.saga_pause (
    tenant text COLLATE "C" NOT NULL,
    definition text COLLATE "C" NOT NULL,
    paused boolean NOT NULL,
    PRIMARY KEY (tenant, definition)
);

-- Calls that the other side of a remote step has let through, and by which call each was: an undo that comes first shuts
-- out the step itself.
CREATE TABLE docket.saga_barrier (
    partition smallint NOT NULL,
    saga uuid NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    step text COLLATE "C" NOT NULL,
    direction text COLLATE "C" NOT NULL,
    passed_by text COLLATE "C" NOT NULL,
    PRIMARY KEY (partition, saga, tenant, step, direction)
);

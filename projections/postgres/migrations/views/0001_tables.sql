-- The tickets view: at most two versions at a time, each in a slot of tables of its own.

CREATE TABLE docket_views.version (
    number      bigint   GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slot        text     NOT NULL UNIQUE CHECK (slot IN ('a', 'b')),
    filled      boolean  NOT NULL,
    format      smallint NOT NULL,
    incarnation text,             -- whose positions the checkpoints are
    since       bigint   NOT NULL -- µs since 1970, as all times here
);

-- One row: which version answers. A switch changes it and nothing else.
CREATE TABLE docket_views.active (
    the_one boolean PRIMARY KEY CHECK (the_one),
    version bigint  NOT NULL REFERENCES docket_views.version
);

CREATE TABLE docket_views.checkpoint (
    version     bigint   NOT NULL REFERENCES docket_views.version ON DELETE CASCADE,
    partition   smallint NOT NULL,
    position    bigint   NOT NULL,
    recorded_at bigint   NOT NULL,
    PRIMARY KEY (version, partition)
) WITH (fillfactor = 50);

CREATE TABLE docket_views.parked (
    version   bigint   NOT NULL REFERENCES docket_views.version ON DELETE CASCADE,
    partition smallint NOT NULL,
    tenant    text     NOT NULL, -- empty where the event itself cannot be read
    ticket_id uuid     NOT NULL,
    place     bigint   NOT NULL, -- 0, or the position of an event that cannot be read
    position  bigint   NOT NULL, -- the first event that was not taken
    reason    text     NOT NULL,
    PRIMARY KEY (version, partition, tenant, ticket_id, place)
);

-- Rebuilds that a command asked the nodes for.
CREATE TABLE docket_views.rebuild_request (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asked_at bigint NOT NULL,
    ended_at bigint,
    failure  text
);

CREATE TABLE docket_views.ticket_a (
    tenant            text     COLLATE "C" NOT NULL,
    ticket_id         uuid     NOT NULL,
    partition         smallint NOT NULL,
    priority          smallint NOT NULL,
    position          bigint   NOT NULL, -- the event that the row was folded to
    public_position   bigint   NOT NULL,
    created_at        bigint   NOT NULL,
    updated_at        bigint   NOT NULL,
    public_updated_at bigint   NOT NULL,
    requester_id      uuid     NOT NULL,
    assignee_id       uuid,
    status            text     COLLATE "C" NOT NULL,
    public_status     text     COLLATE "C" NOT NULL,
    type              text     COLLATE "C",
    group_id          text     COLLATE "C",
    tags              text[]   COLLATE "C" NOT NULL,
    readers           uuid[]   NOT NULL,
    state             text     COLLATE "C" NOT NULL, -- JSON; the subject in it as sealed as in the log
    PRIMARY KEY (tenant, ticket_id)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02);

-- Which customers see which tickets: requester and followers.
CREATE TABLE docket_views.reader_a (
    tenant    text COLLATE "C" NOT NULL,
    person    uuid NOT NULL,
    ticket_id uuid NOT NULL,
    PRIMARY KEY (tenant, person, ticket_id)
);

CREATE TABLE docket_views.tag_a (
    tenant    text COLLATE "C" NOT NULL,
    tag       text COLLATE "C" NOT NULL,
    ticket_id uuid NOT NULL,
    PRIMARY KEY (tenant, tag, ticket_id)
);

CREATE TABLE docket_views.counter_a (
    tenant    text     COLLATE "C" NOT NULL,
    field     smallint NOT NULL,
    value     text     COLLATE "C" NOT NULL,
    partition smallint NOT NULL, -- nodes that project different ones never wait for each other
    count     bigint   NOT NULL,
    PRIMARY KEY (tenant, field, value, partition)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE docket_views.ticket_b (LIKE docket_views.ticket_a INCLUDING ALL)
    WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02);
CREATE TABLE docket_views.reader_b (LIKE docket_views.reader_a INCLUDING ALL);
CREATE TABLE docket_views.tag_b (LIKE docket_views.tag_a INCLUDING ALL);
CREATE TABLE docket_views.counter_b (LIKE docket_views.counter_a INCLUDING ALL)
    WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

-- What lists filter by, in the order in which most of them are asked for.
CREATE FUNCTION docket_views.make_indexes(slot text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    columns text;
BEGIN
    FOREACH columns IN ARRAY ARRAY['created_at', 'updated_at', 'priority', 'status, updated_at',
        'assignee_id, updated_at', 'group_id, updated_at', 'requester_id, updated_at', 'type, updated_at']
    LOOP
        EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON docket_views.%I (tenant, %s, ticket_id)',
            'ticket_' || slot || '_by_' || replace(columns, ', ', '_'), 'ticket_' || slot, columns);
    END LOOP;
END
$$;

CREATE FUNCTION docket_views.drop_indexes(slot text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT i.indexrelid::regclass::text FROM pg_index i
        WHERE i.indrelid = ('docket_views.ticket_' || slot)::regclass AND NOT i.indisprimary
    LOOP
        EXECUTE 'DROP INDEX ' || name;
    END LOOP;
END
$$;

-- The first version is active and empty, with its indexes.
SELECT docket_views.make_indexes('a');
INSERT INTO docket_views.version (slot, filled, format, since) VALUES ('a', true, 1, 0);
INSERT INTO docket_views.active (the_one, version) SELECT true, number FROM docket_views.version;
INSERT INTO docket_views.checkpoint (version, partition, position, recorded_at)
SELECT v.number, p, 0, 0 FROM docket_views.version v, generate_series(0, 15) AS p;

-- The log's tables. All of them but `meta` and `incarnation` can be distributed by `partition`; those two are
-- small and become reference tables.
--
-- Times are microseconds since 1970 as bigint: the log's own unit, exact over its whole range of years, compared
-- and hashed as they stand; timestamptz has the same 8 bytes and would be converted on every read and write.

-- How far each partition has come. Its row lock orders the partition's writers.
-- Every append updates it: free space on the page keeps the updates off the index.
CREATE TABLE docket.partition_head (
    partition smallint PRIMARY KEY CHECK (partition BETWEEN 0 AND 15),
    position bigint NOT NULL DEFAULT 0,
    recorded_at bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_cost_delay = 0);

INSERT INTO docket.partition_head (partition) SELECT generate_series(0, 15);

-- One event a row. Fixed-width columns stand first, the widest first, so that no padding is stored.
CREATE TABLE docket.event (
    position bigint NOT NULL,
    recorded_at bigint NOT NULL,
    occurred_at bigint NOT NULL,
    policy integer NOT NULL,
    partition smallint NOT NULL,
    stream_kind smallint NOT NULL,
    schema smallint NOT NULL,
    role smallint NOT NULL,
    public boolean NOT NULL,
    observed_given boolean NOT NULL,
    stream_id uuid NOT NULL,
    event_id uuid NOT NULL,
    command_id uuid NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    origin_region text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    device text COLLATE "C" NOT NULL,
    data text NOT NULL,
    -- Who: a person, or else one of Docket's own principals by name.
    person uuid,
    principal text COLLATE "C",
    -- The change; all or none. `deps` are hashes of 32 bytes, one after the other.
    seq bigint,
    max_op bigint,
    actor uuid,
    hash bytea,
    deps bytea,
    change bytea,
    request_mac bytea,
    key_id uuid,
    sealed bytea,
    -- Slot operations as JSON; null where there are none.
    slots text,
    external_id text COLLATE "C",
    correlation_id uuid,
    causation_id uuid,
    -- Null where they are the row's own: the event was first accepted here.
    origin_position bigint,
    origin_recorded_at bigint,
    origin_partition smallint,

    PRIMARY KEY (partition, position),
    UNIQUE (command_id, partition, origin_region),
    CHECK ((person IS NULL) <> (principal IS NULL))
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02);

-- Ciphertext and hashes do not compress.
ALTER TABLE docket.event ALTER COLUMN sealed SET STORAGE EXTERNAL;

-- Only the primary key begins with the partition: before the first ANALYZE the planner cannot tell such indexes apart
-- and may walk a whole partition for one row. `partition + 0` in a query leaves it only the index that is meant.
-- A dot is used once.
CREATE UNIQUE INDEX event_dot ON docket.event (stream_id, actor, seq, partition) WHERE actor IS NOT NULL;
CREATE INDEX event_of_stream ON docket.event (stream_id, position);
CREATE INDEX event_of_tenant ON docket.event (tenant, partition, position);
CREATE INDEX event_by_external_id ON docket.event (external_id, tenant) WHERE external_id IS NOT NULL;

-- Who holds what only one may hold. A slot's partition is a hash of its own name, not the holder's.
CREATE TABLE docket.slot (
    partition smallint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    event_id uuid NOT NULL,
    PRIMARY KEY (partition, tenant, key)
) WITH (fillfactor = 80);

CREATE TABLE docket.snapshot (
    partition smallint NOT NULL,
    ticket_id uuid NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (partition, ticket_id, tenant)
) WITH (fillfactor = 80);

ALTER TABLE docket.snapshot ALTER COLUMN bytes SET STORAGE EXTERNAL;

-- The incarnations of this region, each with the sixteen heads at which it began.
CREATE TABLE docket.incarnation (
    number bigint PRIMARY KEY,
    name text NOT NULL UNIQUE,
    began bigint[] NOT NULL CHECK (cardinality(began) = 16)
);

-- The one row of what the log knows about itself.
CREATE TABLE docket.meta (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    key_store uuid,
    erasure_epoch bigint NOT NULL DEFAULT 0,
    probed_at bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

INSERT INTO docket.meta DEFAULT VALUES;

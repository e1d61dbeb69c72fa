-- Deduplication is a tenant's own: one command id under two tenants is two commands, and so are their dots.
-- The tenant stands last in both indexes, which are still probed by their first columns alone: `tenant || ''` in a query,
-- like `partition + 0`, leaves the planner no other index, such as the tenant's own.
-- An append that runs meanwhile meets the old or the new function, and either index refuses what both would.

ALTER TABLE docket.event ADD CONSTRAINT event_command UNIQUE (command_id, partition, origin_region, tenant);
ALTER TABLE docket.event DROP CONSTRAINT event_command_id_partition_origin_region_key;

CREATE UNIQUE INDEX event_dot_of_tenant ON docket.event (stream_id, actor, seq, partition, tenant)
WHERE actor IS NOT NULL;
DROP INDEX docket.event_dot;
ALTER INDEX docket.event_dot_of_tenant RENAME TO event_dot;

-- `docket.append` of 0003, with the tenant in both look-ups by command.
-- Appends a batch. `settled` says that no unit can refuse another: no slots, no command twice, nothing expected
-- of a stream that the batch itself writes but `Chained`. Then nothing loops unless something is stored or behind.
--   verdict   0: see `refused`, every other unit is written; 1: the incarnation is old; 2: the epoch is old;
--             3: no incarnation has begun
--   heads     by partition, before this batch; a unit's rows stand behind them in order
--   base      the time of unit 0; unit n has base + n microseconds
CREATE OR REPLACE FUNCTION docket.append(
    incarnation text, epoch bigint, settled boolean, locks smallint[],
    -- by row: bookkeeping
    units int[], streams int[], commands int[], offsets int[], expected bigint[], probes int[],
    -- by slot operation, then by slot in the order of `slot_locks`
    op_rows int[], op_slots int[], op_takes boolean[],
    slot_locks bigint[], slot_tenants text[], slot_keys text[],
    -- by row: the event
    partitions smallint[], occurred_ats bigint[], policies int[], stream_kinds smallint[], schemas smallint[],
    roles smallint[], publics boolean[], observeds boolean[], stream_ids uuid[], event_ids uuid[],
    command_ids uuid[], tenants text[], types text[], devices text[], datas text[], persons uuid[],
    principals text[], seqs bigint[], max_ops bigint[], actors uuid[], hashes bytea[], depss bytea[],
    changes bytea[], request_macs bytea[], key_ids uuid[], sealeds bytea[], slotss text[],
    external_ids text[], correlation_ids uuid[], causation_ids uuid[],
    OUT verdict smallint, OUT newest text, OUT newest_epoch bigint, OUT heads bigint[], OUT base bigint,
    OUT refused int[], OUT outcomes smallint[], OUT refused_rows int[], OUT refused_slots int[],
    OUT refused_holders uuid[]
) LANGUAGE plpgsql VOLATILE
-- The plans are made once a connection, perhaps on an empty log, and must be right for one of any size: by index, row by
-- row.
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET jit = off AS $$
DECLARE
    head record;
    last bigint := 0;
    rows_count int := cardinality(units);
    kept int[];
    stored boolean[];
    tails bigint[];
    before uuid[];
    holders uuid[];
BEGIN
    -- 1. Lock the heads, ascending; whoever shuts writers out holds them all.
    heads := array_fill(0::bigint, ARRAY[16]);
    FOR head IN
        SELECT h.partition, h.position, h.recorded_at FROM docket.partition_head h
        WHERE h.partition = ANY (locks) ORDER BY h.partition FOR UPDATE
    LOOP
        heads[head.partition + 1] := head.position;
        last := greatest(last, head.recorded_at);
    END LOOP;
    SELECT m.erasure_epoch, (SELECT i.name FROM docket.incarnation i ORDER BY i.number DESC LIMIT 1)
    INTO newest_epoch, newest FROM docket.meta m WHERE m.one;
    verdict := CASE WHEN newest IS NULL THEN 3 WHEN newest <> incarnation THEN 1
                    WHEN epoch < newest_epoch THEN 2 ELSE 0 END;
    IF verdict <> 0 THEN
        RETURN;
    END IF;

    -- 2. What is stored, what is behind: usually nothing.
    settled := settled AND NOT EXISTS (
        SELECT FROM unnest(partitions, command_ids, tenants) AS r (partition, command_id, tenant)
        CROSS JOIN LATERAL (
            SELECT FROM docket.event e
            WHERE e.command_id = r.command_id AND e.partition + 0 = r.partition
                AND e.tenant || '' = r.tenant LIMIT 1) AS e);
    IF settled AND cardinality(probes) > 0 THEN
        settled := NOT EXISTS (
            SELECT FROM unnest(probes) AS i
            WHERE expected[i] <> coalesce((
                SELECT e.position FROM docket.event e
                WHERE e.stream_id = stream_ids[i] AND e.partition + 0 = partitions[i]
                    AND e.tenant = tenants[i] AND e.stream_kind = stream_kinds[i]
                ORDER BY e.position DESC LIMIT 1), 0));
    END IF;

    IF settled THEN
        kept := ARRAY(SELECT generate_series(1, rows_count));
    ELSE
        stored := ARRAY(
            -- Not EXISTS: the planner could answer that from a hash of the whole table.
            SELECT coalesce((
                SELECT true FROM docket.event e
                WHERE e.command_id = command_ids[i] AND e.partition + 0 = partitions[i]
                    AND e.tenant || '' = tenants[i] LIMIT 1), false)
            FROM generate_series(1, rows_count) AS i ORDER BY i);
        tails := ARRAY(
            SELECT CASE WHEN expected[i] >= 0 THEN
                coalesce((
                SELECT e.position FROM docket.event e
                WHERE e.stream_id = stream_ids[i] AND e.partition + 0 = partitions[i]
                    AND e.tenant = tenants[i] AND e.stream_kind = stream_kinds[i]
                ORDER BY e.position DESC LIMIT 1), 0) END
            FROM generate_series(1, rows_count) AS i ORDER BY i);
        -- 3. Slots: locked by the hash of their names, ascending, then read.
        PERFORM pg_advisory_xact_lock(slot_lock) FROM unnest(slot_locks) AS slot_lock;
        before := ARRAY(
            SELECT (SELECT s.event_id FROM docket.slot s
                    WHERE s.partition = slot_locks[i] & 15 AND s.tenant = slot_tenants[i] AND s.key = slot_keys[i])
            FROM generate_subscripts(slot_locks, 1) AS i ORDER BY i);
        SELECT s.kept, s.offsets, s.holders, s.refused, s.outcomes, s.refused_rows, s.refused_slots, s.refused_holders
        INTO kept, offsets, holders, refused, outcomes, refused_rows, refused_slots, refused_holders
        FROM docket.sift(units, partitions, streams, commands, expected, stored, tails, heads,
                         op_rows, op_slots, op_takes, event_ids, before) AS s;
        DELETE FROM docket.slot s USING generate_subscripts(slot_locks, 1) AS i
        WHERE before[i] IS NOT NULL AND holders[i] IS NULL
            AND s.partition = slot_locks[i] & 15 AND s.tenant = slot_tenants[i] AND s.key = slot_keys[i];
        INSERT INTO docket.slot AS s (partition, tenant, key, event_id)
        SELECT slot_locks[i] & 15, slot_tenants[i], slot_keys[i], holders[i]
        FROM generate_subscripts(slot_locks, 1) AS i
        WHERE holders[i] IS NOT NULL AND holders[i] IS DISTINCT FROM before[i]
        ON CONFLICT (partition, tenant, key) DO UPDATE SET event_id = excluded.event_id;
    END IF;

    -- 4. Only now number, and insert. Subscripts of arrays cost a third of what unnesting as many columns does.
    base := greatest((extract(epoch FROM clock_timestamp()) * 1000000)::bigint, last + 1);
    INSERT INTO docket.event (
        position, recorded_at, occurred_at, policy, partition, stream_kind, schema, role, public, observed_given,
        stream_id, event_id, command_id, tenant, origin_region, type, device, data, person, principal,
        seq, max_op, actor, hash, deps, change, request_mac, key_id, sealed, slots, external_id,
        correlation_id, causation_id)
    SELECT
        heads[partitions[i] + 1] + offsets[i], base + units[i], occurred_ats[i], policies[i], partitions[i],
        stream_kinds[i], schemas[i], roles[i], publics[i], observeds[i], stream_ids[i], event_ids[i],
        command_ids[i], tenants[i], incarnation, types[i], devices[i], datas[i], persons[i], principals[i],
        seqs[i], max_ops[i], actors[i], hashes[i], depss[i], changes[i], request_macs[i], key_ids[i], sealeds[i],
        slotss[i], external_ids[i], correlation_ids[i], causation_ids[i]
    FROM unnest(kept) AS i;
    UPDATE docket.partition_head h SET position = h.position + grown.count, recorded_at = base + grown.unit
    FROM (
        SELECT partitions[i] AS partition, count(*) AS count, max(units[i]) AS unit
        FROM unnest(kept) AS i GROUP BY 1
    ) AS grown
    WHERE h.partition = grown.partition;
END
$$;

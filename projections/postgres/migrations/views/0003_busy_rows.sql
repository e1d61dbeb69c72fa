-- A row that changes again and again within moments is busy: it stands in one small index instead of eight large ones, until it has
-- come to rest. Lists look at both kinds.

ALTER TABLE docket_views.ticket_a ADD COLUMN busy boolean NOT NULL DEFAULT false;
ALTER TABLE docket_views.ticket_b ADD COLUMN busy boolean NOT NULL DEFAULT false;

CREATE OR REPLACE FUNCTION docket_views.make_indexes(slot text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    filters constant text[] :=
        ARRAY['status', 'priority', 'type', 'assignee_id', 'group_id', 'created_at', 'updated_at'];
    columns text;
    others  text;
BEGIN
    FOREACH columns IN ARRAY ARRAY['created_at', 'updated_at', 'priority', 'status, updated_at',
        'assignee_id, updated_at', 'group_id, updated_at', 'requester_id, updated_at', 'type, updated_at']
    LOOP
        SELECT string_agg(f, ', ') INTO others FROM unnest(filters) AS f
        WHERE f <> ALL (string_to_array(columns, ', '));
        EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON docket_views.%I (tenant, %s, ticket_id) INCLUDE (%s) WHERE NOT busy',
            'ticket_' || slot || '_by_' || replace(columns, ', ', '_'), 'ticket_' || slot, columns, others);
    END LOOP;
    EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON docket_views.%I (partition, position, tenant) WHERE busy',
        'ticket_' || slot || '_busy', 'ticket_' || slot);
END
$$;

-- The slot that is filled gets them now: twenty seconds for a million tickets. One that is being filled has none yet.
DO $$
DECLARE
    slot text;
BEGIN
    FOR slot IN SELECT v.slot FROM docket_views.version v WHERE v.filled
    LOOP
        PERFORM docket_views.drop_indexes(slot);
        PERFORM docket_views.make_indexes(slot);
        -- Without it half of all rows are taken to be busy.
        EXECUTE format('ANALYZE docket_views.%I', 'ticket_' || slot);
    END LOOP;
END
$$;

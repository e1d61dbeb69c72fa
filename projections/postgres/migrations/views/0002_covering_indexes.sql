-- Indexes that hold what lists filter and sort by beside what they find by: entries that do not fit are passed over without a look
-- at their rows, which are wide. A version that has rows already keeps its indexes until the next rebuild.

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
        EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON docket_views.%I (tenant, %s, ticket_id) INCLUDE (%s)',
            'ticket_' || slot || '_by_' || replace(columns, ', ', '_'), 'ticket_' || slot, columns, others);
    END LOOP;
END
$$;

DO $$
DECLARE
    active text;
    empty  boolean;
BEGIN
    SELECT v.slot INTO active FROM docket_views.active a JOIN docket_views.version v ON v.number = a.version;
    EXECUTE format('SELECT NOT EXISTS (SELECT FROM docket_views.%I)', 'ticket_' || active) INTO empty;
    IF empty THEN
        PERFORM docket_views.drop_indexes(active);
        PERFORM docket_views.make_indexes(active);
    END IF;
END
$$;

-- The tickets of a tag stand by their status: whoever looks for a tag looks for the open ones, which are few of them.

DO $$
DECLARE
    slot text;
BEGIN
    FOREACH slot IN ARRAY ARRAY['a', 'b']
    LOOP
        EXECUTE format('ALTER TABLE docket_views.%1$I ADD COLUMN status text COLLATE "C"', 'tag_' || slot);
        EXECUTE format('UPDATE docket_views.%1$I l SET status = t.status FROM docket_views.%2$I t
            WHERE t.tenant = l.tenant AND t.ticket_id = l.ticket_id', 'tag_' || slot, 'ticket_' || slot);
        -- Of a ticket that is not there: `docket projection diff` names it.
        EXECUTE format('UPDATE docket_views.%1$I SET status = '''' WHERE status IS NULL', 'tag_' || slot);
        EXECUTE format('ALTER TABLE docket_views.%1$I ALTER COLUMN status SET NOT NULL,
            DROP CONSTRAINT %2$I, ADD PRIMARY KEY (tenant, tag, status, ticket_id)',
            'tag_' || slot, 'tag_' || slot || '_pkey');
    END LOOP;
END
$$;

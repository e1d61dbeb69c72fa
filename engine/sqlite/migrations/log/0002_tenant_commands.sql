-- Deduplication is a tenant's own: one command id under two tenants is two commands. The tenant stands last: a probe is
-- still by command.
CREATE UNIQUE INDEX event_command_of_tenant ON event (command_id, partition, origin_region, tenant);
DROP INDEX event_command;

-- Indexes that hold what lists filter and sort by beside what they find by: entries that do not fit are passed over
-- without a look at their rows, which are wide. The slot of a new file is empty; rows that are there are indexed anew.

DROP INDEX IF EXISTS ticket_a_by_created_at;
DROP INDEX IF EXISTS ticket_b_by_created_at;
DROP INDEX IF EXISTS ticket_a_by_updated_at;
DROP INDEX IF EXISTS ticket_b_by_updated_at;
DROP INDEX IF EXISTS ticket_a_by_priority;
DROP INDEX IF EXISTS ticket_b_by_priority;
DROP INDEX IF EXISTS ticket_a_by_status_updated_at;
DROP INDEX IF EXISTS ticket_b_by_status_updated_at;
DROP INDEX IF EXISTS ticket_a_by_assignee_id_updated_at;
DROP INDEX IF EXISTS ticket_b_by_assignee_id_updated_at;
DROP INDEX IF EXISTS ticket_a_by_group_id_updated_at;
DROP INDEX IF EXISTS ticket_b_by_group_id_updated_at;
DROP INDEX IF EXISTS ticket_a_by_requester_id_updated_at;
DROP INDEX IF EXISTS ticket_b_by_requester_id_updated_at;
DROP INDEX IF EXISTS ticket_a_by_type_updated_at;
DROP INDEX IF EXISTS ticket_b_by_type_updated_at;

CREATE INDEX ticket_a_by_created_at
    ON ticket_a (tenant, created_at, ticket_id, status, priority, type, assignee_id, group_id, updated_at);
CREATE INDEX ticket_b_by_created_at
    ON ticket_b (tenant, created_at, ticket_id, status, priority, type, assignee_id, group_id, updated_at);
CREATE INDEX ticket_a_by_updated_at
    ON ticket_a (tenant, updated_at, ticket_id, status, priority, type, assignee_id, group_id, created_at);
CREATE INDEX ticket_b_by_updated_at
    ON ticket_b (tenant, updated_at, ticket_id, status, priority, type, assignee_id, group_id, created_at);
CREATE INDEX ticket_a_by_priority
    ON ticket_a (tenant, priority, ticket_id, status, type, assignee_id, group_id, created_at, updated_at);
CREATE INDEX ticket_b_by_priority
    ON ticket_b (tenant, priority, ticket_id, status, type, assignee_id, group_id, created_at, updated_at);
CREATE INDEX ticket_a_by_status_updated_at
    ON ticket_a (tenant, status, updated_at, ticket_id, priority, type, assignee_id, group_id, created_at);
CREATE INDEX ticket_b_by_status_updated_at
    ON ticket_b (tenant, status, updated_at, ticket_id, priority, type, assignee_id, group_id, created_at);
CREATE INDEX ticket_a_by_assignee_id_updated_at
    ON ticket_a (tenant, assignee_id, updated_at, ticket_id, status, priority, type, group_id, created_at);
CREATE INDEX ticket_b_by_assignee_id_updated_at
    ON ticket_b (tenant, assignee_id, updated_at, ticket_id, status, priority, type, group_id, created_at);
CREATE INDEX ticket_a_by_group_id_updated_at
    ON ticket_a (tenant, group_id, updated_at, ticket_id, status, priority, type, assignee_id, created_at);
CREATE INDEX ticket_b_by_group_id_updated_at
    ON ticket_b (tenant, group_id, updated_at, ticket_id, status, priority, type, assignee_id, created_at);
CREATE INDEX ticket_a_by_requester_id_updated_at
    ON ticket_a (tenant, requester_id, updated_at, ticket_id, status, priority, type, assignee_id, group_id, created_at);
CREATE INDEX ticket_b_by_requester_id_updated_at
    ON ticket_b (tenant, requester_id, updated_at, ticket_id, status, priority, type, assignee_id, group_id, created_at);
CREATE INDEX ticket_a_by_type_updated_at
    ON ticket_a (tenant, type, updated_at, ticket_id, status, priority, assignee_id, group_id, created_at);
CREATE INDEX ticket_b_by_type_updated_at
    ON ticket_b (tenant, type, updated_at, ticket_id, status, priority, assignee_id, group_id, created_at);

-- Who does what only one node needs to do, and which nodes are there. Both may be deleted at any time.

CREATE TABLE docket.lease (
    name       text        PRIMARY KEY,
    holder     uuid        NOT NULL,
    epoch      bigint      NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE TABLE docket.node (
    id             uuid        PRIMARY KEY,
    index_position bigint[]    NOT NULL,
    seen_at        timestamptz NOT NULL
);

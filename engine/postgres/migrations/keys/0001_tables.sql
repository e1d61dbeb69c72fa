-- The key store's tables: a database or schema of their own, backed up apart from the log.

CREATE TABLE docket_keys.secrets (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    store_id uuid NOT NULL,
    person_key bytea NOT NULL,
    request_key bytea NOT NULL
);

CREATE TABLE docket_keys.person (
    tenant text COLLATE "C" NOT NULL,
    person uuid NOT NULL,
    generation bigint NOT NULL,
    key_id uuid NOT NULL,
    lookup bytea NOT NULL,
    outside_id bytea NOT NULL,
    -- Null once it was destroyed: the generation has ended.
    wrapped_key bytea,
    PRIMARY KEY (person, tenant)
);

CREATE UNIQUE INDEX person_living ON docket_keys.person (lookup, tenant) WHERE wrapped_key IS NOT NULL;
CREATE INDEX person_by_key ON docket_keys.person (key_id);

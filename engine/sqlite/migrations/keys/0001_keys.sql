-- The key store: wrapped keys and mapped persons. Nothing here is in clear but ids.

CREATE TABLE secrets (
    only        INTEGER PRIMARY KEY CHECK (only = 1),
    store_id    BLOB NOT NULL,
    person_key  BLOB NOT NULL,
    request_key BLOB NOT NULL
) STRICT;

CREATE TABLE person (
    number      INTEGER PRIMARY KEY,
    tenant      TEXT    NOT NULL,
    lookup      BLOB    NOT NULL,
    person      BLOB    NOT NULL,
    generation  INTEGER NOT NULL,
    outside_id  BLOB    NOT NULL,
    key_id      BLOB    NOT NULL,
    wrapped_key BLOB -- null once it was destroyed
) STRICT;

CREATE UNIQUE INDEX person_id ON person (person, tenant);
CREATE UNIQUE INDEX person_living ON person (lookup, tenant) WHERE wrapped_key IS NOT NULL;
CREATE INDEX person_key ON person (key_id);

-- What shuts writers out for a moment: both wait for every append under way, and every later one sees the result.

-- Begins `following` at the present heads if `newest` is still the newest; answers the newest, null where there is none.
CREATE FUNCTION docket.begin_incarnation(newest text, following text) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    standing text;
BEGIN
    PERFORM FROM docket.partition_head ORDER BY partition FOR UPDATE;
    SELECT i.name INTO standing FROM docket.incarnation i ORDER BY i.number DESC LIMIT 1;
    IF standing IS DISTINCT FROM newest THEN
        RETURN standing;
    END IF;
    INSERT INTO docket.incarnation (number, name, began)
    SELECT split_part(following, '.', 2)::bigint, following, array_agg(h.position ORDER BY h.partition)
    FROM docket.partition_head h;
    RETURN following;
END
$$;

-- Raises the erasure epoch by one and answers it.
CREATE FUNCTION docket.raise_erasure_epoch() RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    raised bigint;
BEGIN
    PERFORM FROM docket.partition_head ORDER BY partition FOR UPDATE;
    UPDATE docket.meta m SET erasure_epoch = m.erasure_epoch + 1 RETURNING m.erasure_epoch INTO raised;
    RETURN raised;
END
$$;

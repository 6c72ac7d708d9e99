-- What the server writes every few seconds, to see whether a change could be stored.

CREATE TABLE write_check (
    id         boolean     PRIMARY KEY DEFAULT true CHECK (id),  -- one row
    written_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO write_check DEFAULT VALUES;

-- An update alone succeeds on a full disk: it reuses the space of the row's former version, and
-- the log of the database is preallocated. So the check also needs some space that no table has
-- yet, and returns it when it commits.
CREATE FUNCTION lineup_write_check() RETURNS void LANGUAGE plpgsql
    SET temp_tablespaces = '' AS $$
BEGIN
    UPDATE write_check SET written_at = now();
    IF has_database_privilege(current_database(), 'TEMPORARY') THEN
        CREATE TEMPORARY TABLE write_check_space (filler bigint) ON COMMIT DROP;
        INSERT INTO pg_temp.write_check_space SELECT generate_series(1, 2000);  -- 9 pages
    END IF;
END
$$;

-- A session may be resumed on another server. Whoever resumes it raises its generation; what is
-- still written for a lower one is dropped.

ALTER TABLE session_place
    ADD COLUMN generation bigint NOT NULL DEFAULT 0,
    -- Without a room, a session that was resumed keeps its generation until it is pruned.
    ALTER COLUMN slug     DROP NOT NULL,
    ALTER COLUMN epoch    DROP NOT NULL,
    ALTER COLUMN joined   DROP NOT NULL,
    ALTER COLUMN doubtful DROP NOT NULL,
    ADD CHECK (num_nonnulls(slug, epoch, joined, doubtful) IN (0, 4));

DROP FUNCTION session_place_update(bytea[], text[], text[], bigint[], bigint[]);

-- Returns the sessions that have a higher generation: nothing was stored of them. Elements without
-- a slug are in no room. A location may be lost in a crash of the database, since its loss means
-- no more than a reload; that a room was left must not be.
CREATE FUNCTION session_location_update(
    p_session    bytea[],
    p_generation bigint[],
    p_slug       text[],
    p_epoch      text[],
    p_joined     bigint[],
    p_doubtful   bigint[]
) RETURNS SETOF bytea LANGUAGE plpgsql AS $$
DECLARE
    stored bigint;
BEGIN
    IF array_position(p_slug, NULL) IS NULL THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    ELSE
        -- Nobody else has written for a session that was never resumed elsewhere.
        DELETE FROM session_place AS place
            USING unnest(p_session, p_generation, p_slug) AS w (session, generation, slug)
            WHERE place.session = w.session AND place.generation = 0
                AND w.generation = 0 AND w.slug IS NULL;
    END IF;
    INSERT INTO session_place AS place (session, generation, slug, epoch, joined, doubtful)
        SELECT w.*
            FROM unnest(p_session, p_generation, p_slug, p_epoch, p_joined, p_doubtful)
                AS w (session, generation, slug, epoch, joined, doubtful)
            WHERE w.slug IS NOT NULL OR w.generation > 0
        ON CONFLICT (session) DO UPDATE SET
            generation = excluded.generation, slug = excluded.slug, epoch = excluded.epoch,
            joined = excluded.joined, doubtful = excluded.doubtful, noted_at = excluded.noted_at
            WHERE place.generation <= excluded.generation;
    GET DIAGNOSTICS stored = ROW_COUNT;
    IF stored < cardinality(p_session) THEN
        RETURN QUERY
            SELECT w.session
                FROM unnest(p_session, p_generation) AS w (session, generation)
                JOIN session_place AS place ON place.session = w.session
                WHERE place.generation > w.generation;
    END IF;
END
$$;

-- Raises a session's generation, also of one that has no location yet: a write of it may be late.
CREATE FUNCTION session_take_over(p_session bytea) RETURNS session_place LANGUAGE plpgsql AS $$
DECLARE
    taken session_place;
BEGIN
    -- Whatever is written later, and durably, is behind it.
    PERFORM set_config('synchronous_commit', 'off', true);
    INSERT INTO session_place AS place (session, generation) VALUES (p_session, 1)
        ON CONFLICT (session) DO UPDATE SET generation = place.generation + 1
        RETURNING * INTO taken;
    RETURN taken;
END
$$;

-- Where the sessions are that a client may come back to (Socket.IO's connection state
-- recovery), so that they outlast the server's process.

CREATE TABLE session_place (
    -- SHA-256 of the session's id: who reads the table learns no ids.
    session  bytea  PRIMARY KEY CHECK (octet_length(session) = 32),
    slug     text   NOT NULL,  -- no reference: the place may outlive its retreat
    epoch    text   NOT NULL,
    joined   bigint NOT NULL,
    doubtful bigint NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);

-- Elements without a slug are forgotten. What is only noted may be lost in a crash of the
-- database, since its loss means no more than a reload; what is forgotten must stay so.
CREATE FUNCTION session_place_update(
    p_session  bytea[],
    p_slug     text[],
    p_epoch    text[],
    p_joined   bigint[],
    p_doubtful bigint[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF array_position(p_slug, NULL) IS NULL THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    ELSE
        DELETE FROM session_place
            WHERE session IN (
                SELECT w.session FROM unnest(p_session, p_slug) AS w (session, slug)
                    WHERE w.slug IS NULL
            );
    END IF;
    INSERT INTO session_place (session, slug, epoch, joined, doubtful)
        SELECT w.*
            FROM unnest(p_session, p_slug, p_epoch, p_joined, p_doubtful)
                AS w (session, slug, epoch, joined, doubtful)
            WHERE w.slug IS NOT NULL
        ON CONFLICT (session) DO UPDATE SET
            slug = excluded.slug, epoch = excluded.epoch, joined = excluded.joined,
            doubtful = excluded.doubtful, noted_at = excluded.noted_at;
END
$$;

-- One batch of line-up changes, committed in one round trip.
--
-- Arrays of one prefix are columns of one table: groups, registrations, memos, log. Errors:
--   GB001  the retreat is at another revision, or a row is not as the batch takes it to be
--   GB002  one of the repeatable commands is in the log

CREATE FUNCTION lineup_commit(
    p_retreat_id bigint,
    p_expected   bigint,
    p_repeatable uuid[],

    g_number   integer[],
    g_memo     text[],
    g_revision bigint[],

    r_id               bigint[],
    r_number           integer[],
    r_gbs_revision     bigint[],
    r_gbs_author_id    bigint[],
    r_gbs_author_name  text[],
    r_gbs_changed_at   timestamptz[],
    r_memo_revision    bigint[],
    r_memo_author_id   bigint[],
    r_memo_author_name text[],
    r_memo_changed_at  timestamptz[],
    r_row_revision     bigint[],
    r_updated_at       timestamptz[],

    m_id              bigint[],
    m_registration_id bigint[],
    m_text            text[],
    m_color           text[],
    m_created         boolean[],
    m_deleted         boolean[],
    m_author_id       bigint[],
    m_at              timestamptz[],

    l_command_id      uuid[],
    l_author_id       bigint[],
    l_author_name     text[],
    l_kind            text[],
    l_registration_id bigint[],
    l_request         bytea[],
    l_before          jsonb[],
    l_after           jsonb[],
    l_at              timestamptz[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    touched bigint;
BEGIN
    -- First, since it takes the row's lock: whoever comes later sees this revision or fails.
    UPDATE retreat SET revision = p_expected + cardinality(l_command_id)
        WHERE id = p_retreat_id AND revision = p_expected;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'retreat % is not at revision %', p_retreat_id, p_expected
            USING ERRCODE = 'GB001';
    END IF;

    IF cardinality(p_repeatable) > 0 AND EXISTS (
        SELECT FROM lineup_change
            WHERE retreat_id = p_retreat_id AND command_id = ANY (p_repeatable)
    ) THEN
        RAISE EXCEPTION 'commands are in the log already' USING ERRCODE = 'GB002';
    END IF;

    IF cardinality(g_number) > 0 THEN
        INSERT INTO gbs (retreat_id, number, memo, revision)
            SELECT p_retreat_id, w.* FROM unnest(g_number, g_memo, g_revision) AS w
            ON CONFLICT (retreat_id, number)
            DO UPDATE SET memo = excluded.memo, revision = excluded.revision;
    END IF;

    IF cardinality(r_id) > 0 THEN
        UPDATE user_retreat_registration AS registration SET
                gbs_id           = gbs.id,
                gbs_revision     = w.gbs_revision,
                gbs_author_id    = w.gbs_author_id,
                gbs_author_name  = w.gbs_author_name,
                gbs_changed_at   = w.gbs_changed_at,
                memo_revision    = w.memo_revision,
                memo_author_id   = w.memo_author_id,
                memo_author_name = w.memo_author_name,
                memo_changed_at  = w.memo_changed_at,
                row_revision     = w.row_revision,
                updated_at       = w.updated_at
            FROM unnest(
                r_id, r_number, r_gbs_revision, r_gbs_author_id, r_gbs_author_name,
                r_gbs_changed_at, r_memo_revision, r_memo_author_id, r_memo_author_name,
                r_memo_changed_at, r_row_revision, r_updated_at
            ) AS w (
                id, number, gbs_revision, gbs_author_id, gbs_author_name,
                gbs_changed_at, memo_revision, memo_author_id, memo_author_name,
                memo_changed_at, row_revision, updated_at
            )
            LEFT JOIN gbs ON gbs.retreat_id = p_retreat_id AND gbs.number = w.number
            WHERE registration.id = w.id AND registration.retreat_id = p_retreat_id
                AND (w.number IS NULL) = (gbs.id IS NULL);
        GET DIAGNOSTICS touched = ROW_COUNT;
        IF touched <> cardinality(r_id) THEN
            RAISE EXCEPTION '% of % registrations are there', touched, cardinality(r_id)
                USING ERRCODE = 'GB001';
        END IF;
    END IF;

    IF cardinality(m_id) > 0 THEN
        -- Deletions before creations: a person has one live memo at most.
        UPDATE user_retreat_registration_memo AS memo SET
                text = w.text, color = w.color, author_id = w.author_id, updated_at = w.at,
                deleted_at = w.at
            FROM unnest(m_id, m_registration_id, m_text, m_color, m_created, m_deleted,
                        m_author_id, m_at)
                AS w (id, registration_id, text, color, created, deleted, author_id, at)
            WHERE w.deleted AND NOT w.created
                AND memo.id = w.id AND memo.registration_id = w.registration_id
                AND memo.kind = 'LINEUP_STAFF' AND memo.deleted_at IS NULL;
        GET DIAGNOSTICS touched = ROW_COUNT;
        IF touched <> (
            SELECT count(*) FROM unnest(m_created, m_deleted) AS w (created, deleted)
                WHERE w.deleted AND NOT w.created
        ) THEN
            RAISE EXCEPTION 'a memo to be deleted is not there' USING ERRCODE = 'GB001';
        END IF;

        UPDATE user_retreat_registration_memo AS memo SET
                text = w.text, color = w.color, author_id = w.author_id, updated_at = w.at
            FROM unnest(m_id, m_registration_id, m_text, m_color, m_created, m_deleted,
                        m_author_id, m_at)
                AS w (id, registration_id, text, color, created, deleted, author_id, at)
            WHERE NOT w.deleted AND NOT w.created
                AND memo.id = w.id AND memo.registration_id = w.registration_id
                AND memo.kind = 'LINEUP_STAFF' AND memo.deleted_at IS NULL;
        GET DIAGNOSTICS touched = ROW_COUNT;
        IF touched <> (
            SELECT count(*) FROM unnest(m_created, m_deleted) AS w (created, deleted)
                WHERE NOT w.deleted AND NOT w.created
        ) THEN
            RAISE EXCEPTION 'a memo to be updated is not there' USING ERRCODE = 'GB001';
        END IF;

        INSERT INTO user_retreat_registration_memo
                (id, registration_id, kind, text, color, author_id,
                 created_at, updated_at, deleted_at)
            SELECT w.id, w.registration_id, 'LINEUP_STAFF', w.text, w.color, w.author_id,
                   w.at, w.at, CASE WHEN w.deleted THEN w.at END
                FROM unnest(m_id, m_registration_id, m_text, m_color, m_created, m_deleted,
                            m_author_id, m_at)
                    AS w (id, registration_id, text, color, created, deleted, author_id, at)
                WHERE w.created;
    END IF;

    INSERT INTO lineup_change
            (retreat_id, revision, command_id, author_id, author_name, kind,
             registration_id, request, before, after, at)
        SELECT p_retreat_id, p_expected + w.position, w.command_id, w.author_id,
               w.author_name, w.kind, w.registration_id, w.request, w.before, w.after, w.at
            FROM unnest(l_command_id, l_author_id, l_author_name, l_kind, l_registration_id,
                        l_request, l_before, l_after, l_at)
                WITH ORDINALITY
                AS w (command_id, author_id, author_name, kind, registration_id,
                      request, before, after, at, position);
END
$$;

-- Memo ids without gaps between them, for rooms that need ids before they commit. Another
-- program may take an id at any moment: then the block is taken anew, its ids are lost.
CREATE FUNCTION lineup_reserve_memo_ids(p_count integer) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    memo_ids constant regclass :=
        pg_get_serial_sequence('user_retreat_registration_memo', 'id');
    lowest  bigint;
    highest bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(x'6762735f6d656d6f'::bigint);  -- "gbs_memo" in ASCII
    LOOP
        SELECT min(id), max(id) INTO lowest, highest
            FROM (SELECT nextval(memo_ids) AS id FROM generate_series(1, p_count)) AS taken;
        EXIT WHEN highest - lowest = p_count - 1;
    END LOOP;
    RETURN lowest;
END
$$;

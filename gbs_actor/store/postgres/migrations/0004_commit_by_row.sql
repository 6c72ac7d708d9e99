-- A batch of line-up changes as one array of rows for each table it writes, instead of one
-- array for each column: a column more is one attribute more, under the same signature.
-- Types are changed by migrations only: connections keep what they know of a type.

CREATE TYPE lineup_group_write AS (
    number   integer,
    memo     text,
    revision bigint
);

CREATE TYPE lineup_registration_write AS (
    id               bigint,
    number           integer,  -- of the group; NULL: in none
    gbs_revision     bigint,
    gbs_author_id    bigint,
    gbs_author_name  text,
    gbs_changed_at   timestamptz,
    memo_revision    bigint,
    memo_author_id   bigint,
    memo_author_name text,
    memo_changed_at  timestamptz,
    row_revision     bigint,
    updated_at       timestamptz
);

CREATE TYPE lineup_memo_write AS (
    id              bigint,
    registration_id bigint,
    text            text,
    color           text,
    created         boolean,  -- it must not be there yet; otherwise it must be live
    deleted         boolean,
    author_id       bigint,
    at              timestamptz
);

CREATE TYPE lineup_log_write AS (
    command_id      uuid,
    author_id       bigint,
    author_name     text,
    kind            text,
    registration_id bigint,
    request         bytea,
    before          jsonb,
    after           jsonb,
    at              timestamptz
);

DROP FUNCTION lineup_commit;

-- One batch of line-up changes, committed in one round trip. Errors:
--   GB001  the retreat is at another revision, or a row is not as the batch takes it to be
--   GB002  one of the repeatable commands is in the log
CREATE FUNCTION lineup_commit(
    p_retreat_id    bigint,
    p_expected      bigint,
    p_repeatable    uuid[],
    p_groups        lineup_group_write[],
    p_registrations lineup_registration_write[],
    p_memos         lineup_memo_write[],
    p_log           lineup_log_write[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    touched bigint;
BEGIN
    -- First, since it takes the row's lock: whoever comes later sees this revision or fails.
    UPDATE retreat SET revision = p_expected + cardinality(p_log)
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

    IF cardinality(p_groups) > 0 THEN
        INSERT INTO gbs (retreat_id, number, memo, revision)
            SELECT p_retreat_id, w.number, w.memo, w.revision FROM unnest(p_groups) AS w
            ON CONFLICT (retreat_id, number)
            DO UPDATE SET memo = excluded.memo, revision = excluded.revision;
    END IF;

    IF cardinality(p_registrations) > 0 THEN
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
            FROM unnest(p_registrations) AS w
            LEFT JOIN gbs ON gbs.retreat_id = p_retreat_id AND gbs.number = w.number
            WHERE registration.id = w.id AND registration.retreat_id = p_retreat_id
                AND (w.number IS NULL) = (gbs.id IS NULL);
        GET DIAGNOSTICS touched = ROW_COUNT;
        IF touched <> cardinality(p_registrations) THEN
            RAISE EXCEPTION '% of % registrations are there',
                touched, cardinality(p_registrations) USING ERRCODE = 'GB001';
        END IF;
    END IF;

    IF cardinality(p_memos) > 0 THEN
        -- Deletions before creations: a person has one live memo at most.
        UPDATE user_retreat_registration_memo AS memo SET
                text = w.text, color = w.color, author_id = w.author_id, updated_at = w.at,
                deleted_at = w.at
            FROM unnest(p_memos) AS w
            WHERE w.deleted AND NOT w.created
                AND memo.id = w.id AND memo.registration_id = w.registration_id
                AND memo.kind = 'LINEUP_STAFF' AND memo.deleted_at IS NULL;
        GET DIAGNOSTICS touched = ROW_COUNT;
        IF touched <> (
            SELECT count(*) FROM unnest(p_memos) AS w WHERE w.deleted AND NOT w.created
        ) THEN
            RAISE EXCEPTION 'a memo to be deleted is not there' USING ERRCODE = 'GB001';
        END IF;

        UPDATE user_retreat_registration_memo AS memo SET
                text = w.text, color = w.color, author_id = w.author_id, updated_at = w.at
            FROM unnest(p_memos) AS w
            WHERE NOT w.deleted AND NOT w.created
                AND memo.id = w.id AND memo.registration_id = w.registration_id
                AND memo.kind = 'LINEUP_STAFF' AND memo.deleted_at IS NULL;
        GET DIAGNOSTICS touched = ROW_COUNT;
        IF touched <> (
            SELECT count(*) FROM unnest(p_memos) AS w WHERE NOT w.deleted AND NOT w.created
        ) THEN
            RAISE EXCEPTION 'a memo to be updated is not there' USING ERRCODE = 'GB001';
        END IF;

        INSERT INTO user_retreat_registration_memo
                (id, registration_id, kind, text, color, author_id,
                 created_at, updated_at, deleted_at)
            SELECT w.id, w.registration_id, 'LINEUP_STAFF', w.text, w.color, w.author_id,
                   w.at, w.at, CASE WHEN w.deleted THEN w.at END
                FROM unnest(p_memos) AS w
                WHERE w.created;
    END IF;

    INSERT INTO lineup_change
            (retreat_id, revision, command_id, author_id, author_name, kind,
             registration_id, request, before, after, at)
        SELECT p_retreat_id, p_expected + w.ordinality, w.command_id, w.author_id,
               w.author_name, w.kind, w.registration_id, w.request, w.before, w.after, w.at
            FROM unnest(p_log) WITH ORDINALITY AS w;
END
$$;

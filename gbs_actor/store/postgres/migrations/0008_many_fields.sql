-- One change of many fields: leaders, line-up numbers and group memos with stamps of their own,
-- groups that are created and deleted, and a log of every field before and after.

-- Of each field beside its stamp: the origin that an undo has brought back with the value.
-- NULL: the last change gave the value, its revision is the origin.
ALTER TABLE user_retreat_registration
    ADD COLUMN gbs_origin     bigint,
    ADD COLUMN memo_origin    bigint,
    ADD COLUMN leader_revision    bigint NOT NULL DEFAULT 0,
    ADD COLUMN leader_origin      bigint,
    ADD COLUMN leader_author_id   bigint,
    ADD COLUMN leader_author_name text   NOT NULL DEFAULT '',
    ADD COLUMN leader_changed_at  timestamptz,
    ADD COLUMN current_leader_revision    bigint NOT NULL DEFAULT 0,
    ADD COLUMN current_leader_origin      bigint,
    ADD COLUMN current_leader_author_id   bigint,
    ADD COLUMN current_leader_author_name text   NOT NULL DEFAULT '',
    ADD COLUMN current_leader_changed_at  timestamptz,
    ADD COLUMN lineup_number integer CHECK (lineup_number BETWEEN 1 AND 99999),
    ADD COLUMN lineup_number_revision    bigint NOT NULL DEFAULT 0,
    ADD COLUMN lineup_number_origin      bigint,
    ADD COLUMN lineup_number_author_id   bigint,
    ADD COLUMN lineup_number_author_name text   NOT NULL DEFAULT '',
    ADD COLUMN lineup_number_changed_at  timestamptz;

-- A group that is deleted stays: an undo brings it back with its id.
ALTER TABLE gbs
    ADD COLUMN created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN deleted    boolean     NOT NULL DEFAULT false,
    ADD COLUMN memo_revision    bigint NOT NULL DEFAULT 0,
    ADD COLUMN memo_origin      bigint,
    ADD COLUMN memo_author_id   bigint,
    ADD COLUMN memo_author_name text   NOT NULL DEFAULT '',
    ADD COLUMN memo_changed_at  timestamptz,
    -- Of its creation or deletion.
    ADD COLUMN exists_revision    bigint NOT NULL DEFAULT 0,
    ADD COLUMN exists_origin      bigint,
    ADD COLUMN exists_author_id   bigint,
    ADD COLUMN exists_author_name text   NOT NULL DEFAULT '',
    ADD COLUMN exists_changed_at  timestamptz,
    ADD CHECK (NOT deleted OR memo = '');
UPDATE gbs SET created_at = retreat.created_at FROM retreat WHERE retreat.id = gbs.retreat_id;

-- Of the log: an array of field values in place of one, what was skipped, and what was undone.
ALTER TABLE lineup_change
    ADD COLUMN skipped jsonb,   -- NULL: nothing
    ADD COLUMN undoes  bigint;  -- the revision

UPDATE lineup_change SET
    before = CASE WHEN before IS NULL THEN '[]' ELSE jsonb_build_array(jsonb_build_object(
        'field', before -> 'field', 'origin', 0, 'registrationId', registration_id,
        'value', CASE before ->> 'field'
            WHEN 'gbsNumber' THEN before -> 'gbsNumber'
            ELSE CASE WHEN before ->> 'memoId' IS NULL THEN 'null' ELSE jsonb_build_object(
                'memoId', before -> 'memoId', 'memo', before -> 'text', 'color', before -> 'color'
            ) END
        END
    )) END,
    after = CASE WHEN after IS NULL THEN '[]' ELSE jsonb_build_array(jsonb_build_object(
        'field', after -> 'field', 'origin', CASE WHEN before = after THEN 0 ELSE revision END,
        'registrationId', registration_id,
        'value', CASE after ->> 'field'
            WHEN 'gbsNumber' THEN after -> 'gbsNumber'
            ELSE CASE WHEN after ->> 'memoId' IS NULL THEN 'null' ELSE jsonb_build_object(
                'memoId', after -> 'memoId', 'memo', after -> 'text', 'color', after -> 'color'
            ) END
        END
    )) END;

ALTER TABLE lineup_change
    ALTER COLUMN before SET NOT NULL,
    ALTER COLUMN after SET NOT NULL;

-- Finds changes of several people in the history of one. Changes of one person are found by reading
-- the log, as long as history is asked for far less often than something is changed.
CREATE TABLE lineup_change_registration (
    retreat_id      bigint NOT NULL,
    revision        bigint NOT NULL,
    registration_id bigint NOT NULL,
    PRIMARY KEY (retreat_id, revision, registration_id),
    FOREIGN KEY (retreat_id, revision) REFERENCES lineup_change ON DELETE CASCADE
);
CREATE INDEX lineup_change_registration_person
    ON lineup_change_registration (retreat_id, registration_id, revision);

DROP FUNCTION lineup_commit;
DROP TYPE lineup_group_write, lineup_registration_write, lineup_memo_write, lineup_log_write;

CREATE TYPE lineup_stamp AS (
    revision    bigint,
    author_id   bigint,
    author_name text,
    changed_at  timestamptz,
    origin      bigint
);

-- A group that is created or deleted, or gets another memo.
CREATE TYPE lineup_group_write AS (
    number       integer,
    memo         text,
    revision     bigint,
    memo_stamp   lineup_stamp,
    exists_stamp lineup_stamp,
    deleted      boolean
);

-- A group of which only the members change.
CREATE TYPE lineup_group_revision AS (
    number   integer,
    revision bigint
);

-- Of a registration only what a batch changes. What single edits change is flat: a row within
-- a row takes longer to send and to read.
CREATE TYPE lineup_number_write AS (
    id          bigint,
    number      integer,  -- of the group; NULL: in none
    revision    bigint,
    author_id   bigint,
    author_name text,
    changed_at  timestamptz,
    origin      bigint,
    updated_at  timestamptz
);

CREATE TYPE lineup_leader_write AS (
    id             bigint,
    is_leader      boolean,
    current_leader text,
    lineup_number  integer,
    leader         lineup_stamp,
    current        lineup_stamp,
    lineup         lineup_stamp,
    updated_at     timestamptz
);

CREATE TYPE lineup_memo_stamp AS (
    id          bigint,  -- of the registration
    revision    bigint,
    author_id   bigint,
    author_name text,
    changed_at  timestamptz,
    origin      bigint,
    updated_at  timestamptz
);

CREATE TYPE lineup_memo_write AS (
    id              bigint,
    registration_id bigint,
    text            text,
    color           text,
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
    at              timestamptz,
    skipped         jsonb,
    undoes          bigint
);

-- One batch of line-up changes, committed in one round trip; an array is NULL if it would be
-- empty. Errors:
--   GB001  the retreat is at another revision, or a row is not as the batch takes it to be
--   GB002  one of the repeatable commands is in the log
CREATE FUNCTION lineup_commit(
    p_retreat_id    bigint,
    p_expected      bigint,
    p_repeatable    uuid[],
    p_groups        lineup_group_write[],
    p_revisions     lineup_group_revision[],
    p_numbers       lineup_number_write[],
    p_leaders       lineup_leader_write[],
    p_memo_stamps   lineup_memo_stamp[],
    p_memos         lineup_memo_write[],  -- they are there and live
    p_new_memos     lineup_memo_write[],
    p_log           lineup_log_write[],
    p_people        lineup_change_registration[]
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
        INSERT INTO gbs (retreat_id, number, memo, revision, deleted, created_at,
                memo_revision, memo_author_id, memo_author_name, memo_changed_at, memo_origin,
                exists_revision, exists_author_id, exists_author_name, exists_changed_at,
                exists_origin)
            SELECT p_retreat_id, w.number, w.memo, w.revision, w.deleted,
                   coalesce((w.exists_stamp).changed_at, now()), (w.memo_stamp).*, (w.exists_stamp).*
                FROM unnest(p_groups) AS w
            ON CONFLICT (retreat_id, number) DO UPDATE SET
                memo               = excluded.memo,
                revision           = excluded.revision,
                deleted            = excluded.deleted,
                memo_revision      = excluded.memo_revision,
                memo_author_id     = excluded.memo_author_id,
                memo_author_name   = excluded.memo_author_name,
                memo_changed_at    = excluded.memo_changed_at,
                memo_origin        = excluded.memo_origin,
                exists_revision    = excluded.exists_revision,
                exists_author_id   = excluded.exists_author_id,
                exists_author_name = excluded.exists_author_name,
                exists_changed_at  = excluded.exists_changed_at,
                exists_origin      = excluded.exists_origin;
    END IF;

    IF cardinality(p_revisions) > 0 THEN
        UPDATE gbs SET revision = w.revision
            FROM unnest(p_revisions) AS w
            WHERE gbs.retreat_id = p_retreat_id AND gbs.number = w.number;
        GET DIAGNOSTICS touched = ROW_COUNT;
        IF touched <> cardinality(p_revisions) THEN
            RAISE EXCEPTION 'a group is not there' USING ERRCODE = 'GB001';
        END IF;
    END IF;

    IF cardinality(p_numbers) > 0 THEN
        UPDATE user_retreat_registration AS registration SET
                gbs_id          = gbs.id,
                gbs_revision    = w.revision,
                gbs_author_id   = w.author_id,
                gbs_author_name = w.author_name,
                gbs_changed_at  = w.changed_at,
                gbs_origin      = w.origin,
                updated_at      = w.updated_at
            FROM unnest(p_numbers) AS w
            LEFT JOIN gbs ON gbs.retreat_id = p_retreat_id AND gbs.number = w.number
            WHERE registration.id = w.id AND registration.retreat_id = p_retreat_id
                AND (w.number IS NULL) = (gbs.id IS NULL);
        GET DIAGNOSTICS touched = ROW_COUNT;
        IF touched <> cardinality(p_numbers) THEN
            RAISE EXCEPTION 'a registration or its group is not there' USING ERRCODE = 'GB001';
        END IF;
    END IF;

    IF cardinality(p_leaders) > 0 THEN
        UPDATE user_retreat_registration AS registration SET
                is_leader = w.is_leader,
                current_leader = w.current_leader,
                lineup_number = w.lineup_number,
                leader_revision = (w.leader).revision,
                leader_author_id = (w.leader).author_id,
                leader_author_name = (w.leader).author_name,
                leader_changed_at = (w.leader).changed_at,
                leader_origin = (w.leader).origin,
                current_leader_revision = (w.current).revision,
                current_leader_author_id = (w.current).author_id,
                current_leader_author_name = (w.current).author_name,
                current_leader_changed_at = (w.current).changed_at,
                current_leader_origin = (w.current).origin,
                lineup_number_revision = (w.lineup).revision,
                lineup_number_author_id = (w.lineup).author_id,
                lineup_number_author_name = (w.lineup).author_name,
                lineup_number_changed_at = (w.lineup).changed_at,
                lineup_number_origin = (w.lineup).origin,
                updated_at = w.updated_at
            FROM unnest(p_leaders) AS w
            WHERE registration.id = w.id AND registration.retreat_id = p_retreat_id;
        GET DIAGNOSTICS touched = ROW_COUNT;
        IF touched <> cardinality(p_leaders) THEN
            RAISE EXCEPTION 'a registration is not there' USING ERRCODE = 'GB001';
        END IF;
    END IF;

    IF cardinality(p_memo_stamps) > 0 THEN
        UPDATE user_retreat_registration AS registration SET
                memo_revision    = w.revision,
                memo_author_id   = w.author_id,
                memo_author_name = w.author_name,
                memo_changed_at  = w.changed_at,
                memo_origin      = w.origin,
                updated_at       = w.updated_at
            FROM unnest(p_memo_stamps) AS w
            WHERE registration.id = w.id AND registration.retreat_id = p_retreat_id;
        GET DIAGNOSTICS touched = ROW_COUNT;
        IF touched <> cardinality(p_memo_stamps) THEN
            RAISE EXCEPTION 'a registration is not there' USING ERRCODE = 'GB001';
        END IF;
    END IF;

    IF cardinality(p_memos) > 0 THEN
        UPDATE user_retreat_registration_memo AS memo SET
                text = w.text, color = w.color, author_id = w.author_id, updated_at = w.at,
                deleted_at = CASE WHEN w.deleted THEN w.at END
            FROM unnest(p_memos) AS w
            WHERE memo.id = w.id AND memo.registration_id = w.registration_id
                AND memo.kind = 'LINEUP_STAFF' AND memo.deleted_at IS NULL;
        GET DIAGNOSTICS touched = ROW_COUNT;
        IF touched <> cardinality(p_memos) THEN
            RAISE EXCEPTION 'a memo is not there' USING ERRCODE = 'GB001';
        END IF;
    END IF;

    -- Behind those that are deleted: a person has one live memo at most.
    IF cardinality(p_new_memos) > 0 THEN
        INSERT INTO user_retreat_registration_memo
                (id, registration_id, kind, text, color, author_id,
                 created_at, updated_at, deleted_at)
            SELECT w.id, w.registration_id, 'LINEUP_STAFF', w.text, w.color, w.author_id,
                   w.at, w.at, CASE WHEN w.deleted THEN w.at END
                FROM unnest(p_new_memos) AS w;
    END IF;

    INSERT INTO lineup_change
            (retreat_id, revision, command_id, author_id, author_name, kind,
             registration_id, request, before, after, at, skipped, undoes)
        SELECT p_retreat_id, p_expected + w.ordinality, w.command_id, w.author_id,
               w.author_name, w.kind, w.registration_id, w.request, w.before, w.after, w.at,
               w.skipped, w.undoes
            FROM unnest(p_log) WITH ORDINALITY AS w;

    IF cardinality(p_people) > 0 THEN
        INSERT INTO lineup_change_registration SELECT * FROM unnest(p_people);
    END IF;
END
$$;

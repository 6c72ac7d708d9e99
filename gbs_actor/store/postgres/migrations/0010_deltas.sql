-- Several servers on one database: a commit that finds the retreat at another revision returns what
-- it has beyond the expected one, and is known in the log by its attempt.

-- NULL: of an earlier version. Not indexed: it is looked up only where the outcome of a commit
-- is unknown, and then found near the end of the log.
ALTER TABLE lineup_change ADD COLUMN attempt_id uuid;

-- What is known of a registered person, apart from what other tables have many of.
CREATE VIEW lineup_person AS
SELECT registration.*,
       profile.gender, profile.name, profile.phone_number,
       grade.id AS grade_id, grade.number AS grade_number,
       univ_group.id AS univ_group_id, univ_group.number AS univ_group_number,
       gbs.number AS gbs_number,
       memo.id AS memo_id, memo.text AS memo_text, memo.color AS memo_color
    FROM user_retreat_registration AS registration
    JOIN user_profile AS profile ON profile.id = registration.user_id
    JOIN grade ON grade.id = profile.grade_id
    JOIN univ_group ON univ_group.id = grade.univ_group_id
    LEFT JOIN gbs ON gbs.id = registration.gbs_id
    LEFT JOIN user_retreat_registration_memo AS memo
        ON memo.registration_id = registration.id
        AND memo.kind = 'LINEUP_STAFF' AND memo.deleted_at IS NULL;

-- The whole, to be read by id: the rest is looked up person by person. A load reads it for all
-- people at once, in half of the time.
CREATE VIEW lineup_registration AS
SELECT person.*,
       ARRAY(
           SELECT link.schedule_id
               FROM user_retreat_registration_schedule AS link
               JOIN retreat_registration_schedule AS schedule ON schedule.id = link.schedule_id
               WHERE link.registration_id = person.id AND schedule.retreat_id = person.retreat_id
               ORDER BY link.schedule_id
       ) AS schedule_ids,
       (
           SELECT memo.text FROM user_retreat_registration_memo AS memo
               WHERE memo.registration_id = person.id
                   AND memo.kind = 'LINEUP_HISTORY' AND memo.deleted_at IS NULL
               ORDER BY memo.created_at DESC, memo.id DESC LIMIT 1
       ) AS history,
       (
           SELECT memo.text FROM user_retreat_registration_memo AS memo
               WHERE memo.registration_id = person.id
                   AND memo.kind = 'ADMIN' AND memo.deleted_at IS NULL
               ORDER BY memo.created_at DESC, memo.id DESC LIMIT 1
       ) AS admin,
       (
           SELECT count(*) FROM retreat_registration_schedule AS schedule
               WHERE schedule.retreat_id = person.retreat_id
       ) AS schedules
    FROM lineup_person AS person;

CREATE TYPE lineup_delta_entry AS (
    revision         bigint,
    command_id       uuid,
    author_id        bigint,
    author_name      text,
    kind             text,
    request          bytea,
    registration_ids bigint[],
    at               timestamptz
);

-- One row of a delta. The first has what is of the retreat; each other one has a registration, a
-- group or an entry of the log. Arrays would be shorter, but an array of rows is sent from one piece
-- of memory, of 1 kB for each column of each row.
CREATE TYPE lineup_delta AS (
    epoch            uuid,     -- NULL: there is no such retreat
    revision         bigint,
    removal_revision bigint,
    complete         boolean,  -- otherwise there are no other rows, and it is to be loaded
    registration     lineup_registration,
    gbs              gbs,
    entry            lineup_delta_entry
);

-- What a retreat has beyond a revision. Stable: all of it is read in the caller's snapshot.
CREATE FUNCTION lineup_delta(p_retreat_id bigint, p_epoch uuid, p_revision bigint)
    RETURNS SETOF lineup_delta LANGUAGE plpgsql STABLE
    -- Planning takes longer than reading a few people; and few are what the plans are for.
    SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    most CONSTANT bigint := 2000;
    head    lineup_delta;
    pruned  bigint;
    ids     bigint[];
    numbers integer[];
BEGIN
    SELECT epoch, revision, removal_revision, pruned_revision
        INTO head.epoch, head.revision, head.removal_revision, pruned
        FROM retreat WHERE id = p_retreat_id;
    head.complete := coalesce(
        head.epoch = p_epoch
            AND p_revision BETWEEN greatest(head.removal_revision, pruned) AND head.revision
            AND head.revision - p_revision <= most,
        false
    );
    IF NOT head.complete OR head.revision = p_revision THEN
        RETURN NEXT head;
        RETURN;
    END IF;

    ids := ARRAY(
        SELECT id FROM user_retreat_registration
            WHERE retreat_id = p_retreat_id
                AND greatest(gbs_revision, memo_revision, row_revision, leader_revision,
                        current_leader_revision, lineup_number_revision) > p_revision
    );
    numbers := ARRAY(
        SELECT number FROM gbs WHERE retreat_id = p_retreat_id AND revision > p_revision
    );
    head.complete := cardinality(ids) + cardinality(numbers) <= most;
    RETURN NEXT head;
    IF NOT head.complete THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT NULL::uuid, NULL::bigint, NULL::bigint, NULL::boolean,
               registration, NULL::gbs, NULL::lineup_delta_entry
            FROM lineup_registration AS registration
            WHERE registration.id = ANY (ids) ORDER BY registration.id;
    RETURN QUERY
        SELECT NULL::uuid, NULL::bigint, NULL::bigint, NULL::boolean,
               NULL::lineup_registration, gbs, NULL::lineup_delta_entry
            FROM gbs
            WHERE gbs.retreat_id = p_retreat_id AND gbs.number = ANY (numbers) ORDER BY gbs.number;
    RETURN QUERY
        SELECT NULL::uuid, NULL::bigint, NULL::bigint, NULL::boolean,
               NULL::lineup_registration, NULL::gbs,
               (entry.revision, entry.command_id, entry.author_id, entry.author_name, entry.kind,
                entry.request,
                CASE WHEN entry.registration_id IS NOT NULL THEN ARRAY[entry.registration_id]
                ELSE ARRAY(
                    SELECT addressed.registration_id FROM lineup_change_registration AS addressed
                        WHERE addressed.retreat_id = entry.retreat_id
                            AND addressed.revision = entry.revision
                        ORDER BY addressed.registration_id
                ) END,
                entry.at)::lineup_delta_entry
            FROM lineup_change AS entry
            WHERE entry.retreat_id = p_retreat_id AND entry.revision > p_revision
            ORDER BY entry.revision;
END
$$;

-- Keeps the retreat as it is until the transaction ends, or its session is idle for too long.
CREATE FUNCTION lineup_lock(p_retreat_id bigint, p_epoch uuid, p_revision bigint)
    RETURNS SETOF lineup_delta LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('idle_in_transaction_session_timeout', '250ms', true);
    -- Foreign keys to it, as of a new registration, do not wait for this kind of lock.
    PERFORM FROM retreat WHERE id = p_retreat_id FOR NO KEY UPDATE;
    -- In a snapshot behind the lock.
    RETURN QUERY SELECT * FROM lineup_delta(p_retreat_id, p_epoch, p_revision);
END
$$;

DROP FUNCTION lineup_commit;

-- One batch of line-up changes, committed in one round trip; an array is NULL if it would be
-- empty. Returns no row, or where the retreat is in another epoch or at another revision, what it
-- has beyond the expected one. Errors:
--   GB001  a row is not as the batch takes it to be
--   GB002  one of the repeatable commands is in the log
--   55P03  another program's transaction holds rows
CREATE FUNCTION lineup_commit_2(
    p_retreat_id    bigint,
    p_epoch         uuid,
    p_expected      bigint,
    p_attempt_id    uuid,
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
) RETURNS SETOF lineup_delta LANGUAGE plpgsql AS $$
DECLARE
    touched bigint;
BEGIN
    -- First, since it takes the row's lock: whoever comes later sees this revision.
    UPDATE retreat SET revision = p_expected + cardinality(p_log)
        WHERE id = p_retreat_id AND revision = p_expected AND epoch = p_epoch;
    IF NOT FOUND THEN
        RETURN QUERY SELECT * FROM lineup_delta(p_retreat_id, p_epoch, p_expected);
        RETURN;
    END IF;

    -- Whoever waits for other rows makes all others of the retreat wait. Below deadlock_timeout, so
    -- that in a deadlock it is never the other program whose transaction fails.
    PERFORM set_config('lock_timeout', '200ms', true);

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
             registration_id, request, before, after, at, skipped, undoes, attempt_id)
        SELECT p_retreat_id, p_expected + w.ordinality, w.command_id, w.author_id,
               w.author_name, w.kind, w.registration_id, w.request, w.before, w.after, w.at,
               w.skipped, w.undoes, p_attempt_id
            FROM unnest(p_log) WITH ORDINALITY AS w;

    IF cardinality(p_people) > 0 THEN
        INSERT INTO lineup_change_registration SELECT * FROM unnest(p_people);
    END IF;
END
$$;

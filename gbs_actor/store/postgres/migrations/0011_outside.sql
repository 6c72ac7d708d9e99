-- Other programs that write the same tables. Triggers note what they change, in a table of its own:
-- they touch no row that commits need, take no locks and notify nobody, so that a transaction of
-- another program never keeps the line-up waiting. Servers then give what is noted a revision
-- and an entry in the log ("absorb" it).
--
-- gbs.own is 'on' in what servers do: their sessions begin with it, and their functions carry it.

ALTER TABLE retreat
    -- Of the last change that is not known row by row: what is older has to load all of it.
    ADD COLUMN full_revision bigint NOT NULL DEFAULT 0;
UPDATE retreat SET full_revision = removal_revision;

ALTER TABLE lineup_change
    -- Of other programs' changes: registrations that are gone, and whether more has changed than
    -- the entry says.
    ADD COLUMN removed bigint[],
    ADD COLUMN whole   boolean NOT NULL DEFAULT false;

CREATE TABLE lineup_outside (
    id              bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    retreat_id      bigint  NOT NULL,  -- no reference: that would lock the retreat
    registration_id bigint,            -- NULL: a group, or the whole retreat
    -- Of a registration those that it was in and is in, if their totals may have changed.
    group_ids       bigint[] NOT NULL DEFAULT '{}',
    -- The line-up's fields that were changed, and their former values; of a whole retreat only
    -- which fields.
    before          jsonb   NOT NULL DEFAULT '{}',
    whole           boolean NOT NULL DEFAULT false,
    at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    program         text    NOT NULL DEFAULT current_setting('application_name')
);
CREATE INDEX lineup_outside_registration ON lineup_outside (retreat_id, registration_id);

-- Notes what a statement has changed: a row for each registration or group; for a retreat of which
-- it has changed more than 500, one row.
CREATE FUNCTION lineup_note_outside() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    versions text;  -- query: the rows that have changed, as they were (old) and as they are
    meaning  text;  -- query: what that is for retreats
BEGIN
    versions := CASE TG_OP
        WHEN 'INSERT' THEN 'SELECT false AS old, * FROM new_rows'
        WHEN 'DELETE' THEN 'SELECT true AS old, * FROM old_rows'
        -- As texts: a column of another program may be of a type that has no equality.
        ELSE 'SELECT true AS old, * FROM old_rows AS former
                  WHERE former::text NOT IN (SELECT latter::text FROM new_rows AS latter)
              UNION ALL
              SELECT false, * FROM new_rows AS latter
                  WHERE latter::text NOT IN (SELECT former::text FROM old_rows AS former)'
    END;
    meaning := CASE TG_TABLE_NAME
        WHEN 'user_retreat_registration' THEN $meaning$
            SELECT retreat_id, id AS registration_id,
                   array_remove(ARRAY[former.gbs_id, latter.gbs_id], NULL) AS group_ids,
                   CASE WHEN latter.user_id IS NULL THEN '{}' ELSE
                       CASE WHEN former.gbs_id IS DISTINCT FROM latter.gbs_id
                           THEN jsonb_build_object('gbsNumber', gbs.number) ELSE '{}' END
                       || CASE WHEN coalesce(former.is_leader, false) <> latter.is_leader
                           THEN jsonb_build_object('isLeader', NOT latter.is_leader) ELSE '{}' END
                       || CASE WHEN coalesce(former.current_leader, '') <> latter.current_leader
                           THEN jsonb_build_object(
                               'currentLeader', coalesce(former.current_leader, ''))
                           ELSE '{}' END
                       || CASE WHEN former.lineup_number IS DISTINCT FROM latter.lineup_number
                           THEN jsonb_build_object('lineupNumber', former.lineup_number)
                           ELSE '{}' END
                   END AS before,
                   false AS whole
                FROM (SELECT * FROM versions WHERE old) AS former
                FULL JOIN (SELECT * FROM versions WHERE NOT old) AS latter USING (retreat_id, id)
                LEFT JOIN (SELECT id AS gbs_id, number FROM gbs) AS gbs
                    ON gbs.gbs_id = former.gbs_id
        $meaning$
        WHEN 'user_retreat_registration_memo' THEN $meaning$
            SELECT registration.retreat_id, registration.id AS registration_id,
                   '{}'::bigint[] AS group_ids,
                   CASE WHEN memos.former IS DISTINCT FROM memos.latter
                       THEN jsonb_build_object('lineupMemo', memos.former) ELSE '{}' END AS before,
                   false AS whole
                FROM (
                    SELECT registration_id,
                           jsonb_agg(memo) FILTER (WHERE live AND old) -> 0 AS former,
                           jsonb_agg(memo) FILTER (WHERE live AND NOT old) -> 0 AS latter
                        FROM (
                            SELECT registration_id, old,
                                   kind = 'LINEUP_STAFF' AND deleted_at IS NULL AS live,
                                   jsonb_build_object('memoId', id, 'memo', text, 'color', color)
                                       AS memo
                                FROM versions
                        ) AS each
                        GROUP BY registration_id
                ) AS memos
                JOIN user_retreat_registration AS registration
                    ON registration.id = memos.registration_id
        $meaning$
        WHEN 'user_retreat_registration_schedule' THEN $meaning$
            SELECT registration.retreat_id, registration.id AS registration_id,
                   array_remove(ARRAY[registration.gbs_id], NULL) AS group_ids,
                   '{}'::jsonb AS before, false AS whole
                FROM user_retreat_registration AS registration
                WHERE id IN (SELECT registration_id FROM versions)
        $meaning$
        WHEN 'user_profile' THEN $meaning$
            SELECT registration.retreat_id, registration.id AS registration_id,
                   array_remove(ARRAY[registration.gbs_id], NULL) AS group_ids,
                   '{}'::jsonb AS before, false AS whole
                FROM user_retreat_registration AS registration
                WHERE user_id IN (SELECT id FROM versions)
        $meaning$
        WHEN 'gbs' THEN $meaning$
            SELECT retreat_id, NULL::bigint AS registration_id, ARRAY[id] AS group_ids,
                   CASE WHEN latter.number IS NULL OR former.number <> latter.number
                       THEN jsonb_build_object('gbsNumber', true) ELSE '{}' END
                   || CASE WHEN coalesce(former.memo, '') IS DISTINCT FROM latter.memo
                       THEN jsonb_build_object('gbsMemo', coalesce(former.memo, ''))
                       ELSE '{}' END
                   || CASE WHEN coalesce(NOT former.deleted, false) <> NOT latter.deleted
                       THEN jsonb_build_object('exists', coalesce(NOT former.deleted, false))
                       ELSE '{}' END
                   AS before,
                   latter.number IS NULL OR coalesce(former.number <> latter.number, false)
                       AS whole
                FROM (SELECT * FROM versions WHERE old) AS former
                FULL JOIN (SELECT * FROM versions WHERE NOT old) AS latter USING (retreat_id, id)
        $meaning$
        WHEN 'retreat_registration_schedule' THEN $meaning$
            SELECT DISTINCT retreat_id, NULL::bigint AS registration_id,
                   '{}'::bigint[] AS group_ids, '{}'::jsonb AS before, true AS whole
                FROM versions
        $meaning$
        WHEN 'grade' THEN $meaning$
            SELECT DISTINCT registration.retreat_id, NULL::bigint AS registration_id,
                   '{}'::bigint[] AS group_ids, '{}'::jsonb AS before, true AS whole
                FROM user_retreat_registration AS registration
                JOIN user_profile AS profile ON profile.id = registration.user_id
                WHERE profile.grade_id IN (SELECT id FROM versions)
        $meaning$
        WHEN 'univ_group' THEN $meaning$
            SELECT DISTINCT registration.retreat_id, NULL::bigint AS registration_id,
                   '{}'::bigint[] AS group_ids, '{}'::jsonb AS before, true AS whole
                FROM user_retreat_registration AS registration
                JOIN user_profile AS profile ON profile.id = registration.user_id
                JOIN grade ON grade.id = profile.grade_id
                WHERE grade.univ_group_id IN (SELECT id FROM versions)
        $meaning$
    END;
    EXECUTE format($note$
        WITH versions AS (%s), found AS (%s), many AS (
            SELECT retreat_id FROM found GROUP BY retreat_id
                HAVING count(*) > 500 OR bool_or(whole)
        )
        INSERT INTO lineup_outside (retreat_id, registration_id, group_ids, before, whole)
            SELECT retreat_id, registration_id, group_ids, before, false FROM found
                WHERE retreat_id NOT IN (TABLE many)
            UNION ALL
            SELECT retreat_id, NULL, '{}',
                   coalesce(
                       jsonb_object_agg(field, true) FILTER (WHERE field IS NOT NULL), '{}'
                   ),
                   true
                FROM found LEFT JOIN LATERAL jsonb_object_keys(before) AS field ON true
                WHERE retreat_id IN (TABLE many) GROUP BY retreat_id
    $note$, versions, meaning);
    RETURN NULL;
END
$$;

CREATE FUNCTION lineup_note_truncate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO lineup_outside (retreat_id, before, whole)
        SELECT id, TG_ARGV[0]::jsonb, true FROM retreat;
    RETURN NULL;
END
$$;

DO $$
DECLARE
    watched record;
    event   text;
    name    text;
BEGIN
    FOR name IN VALUES ('lineup_note_outside'), ('lineup_note_truncate') LOOP
        -- That of the tables, whatever the other program has set.
        EXECUTE format('ALTER FUNCTION %I() SET search_path = %I, pg_temp', name, current_schema());
        -- Nobody else may make it the trigger of another table. That it is called is not checked.
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %I() FROM PUBLIC', name);
    END LOOP;
    FOR watched IN
        SELECT * FROM (VALUES
            ('user_retreat_registration', ARRAY['INSERT', 'UPDATE', 'DELETE'], '{}'),
            ('user_retreat_registration_memo', ARRAY['INSERT', 'UPDATE', 'DELETE'],
                '{"lineupMemo": true}'),
            ('user_retreat_registration_schedule', ARRAY['INSERT', 'UPDATE', 'DELETE'], '{}'),
            ('gbs', ARRAY['INSERT', 'UPDATE', 'DELETE'],
                '{"gbsNumber": true, "gbsMemo": true, "exists": true}'),
            ('retreat_registration_schedule', ARRAY['INSERT', 'UPDATE', 'DELETE'], '{}'),
            -- What is added here, nobody has yet; what somebody has, cannot be deleted.
            ('user_profile', ARRAY['UPDATE'], NULL),
            ('grade', ARRAY['UPDATE'], NULL),
            ('univ_group', ARRAY['UPDATE'], NULL)
        ) AS each (name, events, truncated)
    LOOP
        FOREACH event IN ARRAY watched.events LOOP
            EXECUTE format(
                $trigger$
                    CREATE TRIGGER %I AFTER %s ON %I REFERENCING %s FOR EACH STATEMENT
                        WHEN (current_setting('gbs.own', true) IS DISTINCT FROM 'on')
                        EXECUTE FUNCTION lineup_note_outside()
                $trigger$,
                'lineup_outside_' || lower(event), event, watched.name,
                CASE event
                    WHEN 'INSERT' THEN 'NEW TABLE AS new_rows'
                    WHEN 'DELETE' THEN 'OLD TABLE AS old_rows'
                    ELSE 'OLD TABLE AS old_rows NEW TABLE AS new_rows'
                END
            );
        END LOOP;
        IF watched.truncated IS NOT NULL THEN
            EXECUTE format(
                $trigger$
                    CREATE TRIGGER lineup_outside_truncate AFTER TRUNCATE ON %I FOR EACH STATEMENT
                        EXECUTE FUNCTION lineup_note_truncate(%L)
                $trigger$,
                watched.name, watched.truncated
            );
        END IF;
    END LOOP;
END
$$;

-- Gives what other programs have changed in a retreat one revision and one entry in the log.
-- Returns the revision; NULL: there is nothing, or open transactions hold all of it.
CREATE FUNCTION lineup_absorb(p_retreat_id bigint) RETURNS bigint LANGUAGE plpgsql
    SET gbs.own = 'on'
AS $$
DECLARE
    next_revision bigint;
    moment    timestamptz := clock_timestamp();
    people    bigint[];  -- registrations that no other transaction holds
    concerned bigint[];  -- groups
    free      bigint[];  -- those that no other transaction holds
    busy      bigint[];  -- the others
    waiting   bigint[];  -- registrations of these
    outcome   record;
    target    record;
    ids       bigint[];
BEGIN
    IF NOT EXISTS (SELECT FROM lineup_outside WHERE retreat_id = p_retreat_id) THEN
        RETURN NULL;
    END IF;
    -- As in a commit. Reads of other retreats may wait for this one to be absorbed.
    PERFORM set_config('lock_timeout', '200ms', true);
    SELECT revision + 1 INTO next_revision FROM retreat WHERE id = p_retreat_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        DELETE FROM lineup_outside WHERE retreat_id = p_retreat_id;
        RETURN NULL;
    END IF;

    SELECT coalesce(array_agg(id), '{}') INTO people FROM (
        SELECT id FROM user_retreat_registration
            WHERE retreat_id = p_retreat_id AND id IN (
                SELECT registration_id FROM lineup_outside WHERE retreat_id = p_retreat_id
            )
            ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    ) AS locked;
    concerned := ARRAY(
        SELECT unnest(group_ids) FROM lineup_outside WHERE retreat_id = p_retreat_id
        UNION SELECT gbs_id FROM user_retreat_registration
            WHERE id = ANY (people) AND gbs_id IS NOT NULL
    );
    SELECT coalesce(array_agg(id), '{}') INTO free FROM (
        SELECT id FROM gbs WHERE id = ANY (concerned) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    ) AS locked;
    busy := ARRAY(SELECT id FROM gbs WHERE id = ANY (concerned) AND id <> ALL (free));
    waiting := ARRAY(
        SELECT registration_id FROM lineup_outside
            WHERE retreat_id = p_retreat_id AND registration_id IS NOT NULL AND group_ids && busy
        UNION SELECT id FROM user_retreat_registration
            WHERE id = ANY (people) AND gbs_id = ANY (busy)
    );

    -- A deleted group that somebody was put into is there again.
    INSERT INTO lineup_outside (retreat_id, group_ids, before)
        SELECT p_retreat_id, ARRAY[gbs.id], '{"exists": false}' FROM gbs
            WHERE gbs.id = ANY (free) AND gbs.deleted AND EXISTS (
                SELECT FROM user_retreat_registration AS member
                    WHERE member.retreat_id = p_retreat_id AND member.gbs_id = gbs.id
            );
    IF FOUND THEN
        UPDATE gbs SET deleted = false
            WHERE gbs.id = ANY (free) AND gbs.deleted AND EXISTS (
                SELECT FROM user_retreat_registration AS member
                    WHERE member.retreat_id = p_retreat_id AND member.gbs_id = gbs.id
            );
    END IF;

    -- One statement: what is taken and how the rows are now belong to one snapshot. A memo is not
    -- locked; a change of it that comes later leaves a former value that is the one read here.
    WITH taken AS (
        DELETE FROM lineup_outside AS noted
            WHERE retreat_id = p_retreat_id AND NOT group_ids && busy
                -- A group that was noted since is neither locked nor stamped: it is left.
                AND group_ids <@ concerned AND (
                registration_id IS NULL
                OR registration_id <> ALL (waiting) AND (
                    registration_id = ANY (people)
                    OR NOT EXISTS (
                        SELECT FROM user_retreat_registration AS registration
                            WHERE registration.id = noted.registration_id
                                AND registration.retreat_id = p_retreat_id
                    )
                )
            )
            RETURNING *
    ), former AS (
        SELECT DISTINCT ON (registration_id, gbs_id, field) registration_id, gbs_id, field, value
            FROM (
                SELECT taken.id, registration_id, field, value,
                       CASE WHEN registration_id IS NULL THEN group_ids[1] END AS gbs_id
                    FROM taken, jsonb_each(taken.before) AS fields (field, value)
                    WHERE NOT whole
            ) AS each
            ORDER BY registration_id, gbs_id, field, id
    ), compared AS (
        SELECT field, value AS before,
               coalesce(CASE field
                   WHEN 'gbsNumber' THEN to_jsonb(person.gbs_number)
                   WHEN 'isLeader' THEN to_jsonb(person.is_leader)
                   WHEN 'currentLeader' THEN to_jsonb(person.current_leader)
                   WHEN 'lineupNumber' THEN to_jsonb(person.lineup_number)
                   WHEN 'lineupMemo' THEN CASE WHEN person.memo_id IS NOT NULL
                       THEN jsonb_build_object('memoId', person.memo_id,
                           'memo', person.memo_text, 'color', person.memo_color)
                       END
                   WHEN 'gbsMemo' THEN to_jsonb(gbs.memo)
                   WHEN 'exists' THEN to_jsonb(NOT gbs.deleted)
               END, 'null') AS after,
               coalesce(CASE field
                   WHEN 'gbsNumber' THEN coalesce(person.gbs_origin, person.gbs_revision)
                   WHEN 'isLeader' THEN coalesce(person.leader_origin, person.leader_revision)
                   WHEN 'currentLeader'
                       THEN coalesce(person.current_leader_origin, person.current_leader_revision)
                   WHEN 'lineupNumber'
                       THEN coalesce(person.lineup_number_origin, person.lineup_number_revision)
                   WHEN 'lineupMemo' THEN coalesce(person.memo_origin, person.memo_revision)
                   WHEN 'gbsMemo' THEN coalesce(gbs.memo_origin, gbs.memo_revision)
                   WHEN 'exists' THEN coalesce(gbs.exists_origin, gbs.exists_revision)
               END, 0) AS origin,
               CASE WHEN person.id IS NULL THEN jsonb_build_object('gbsNumber', gbs.number)
                   ELSE jsonb_build_object('registrationId', person.id) END AS subject,
               person.id AS registration_id, gbs.id AS gbs_id
            FROM former
            LEFT JOIN lineup_person AS person
                ON person.id = former.registration_id AND person.retreat_id = p_retreat_id
            LEFT JOIN gbs ON gbs.id = former.gbs_id
            WHERE person.id IS NOT NULL OR gbs.id IS NOT NULL
    ), changed AS (
        SELECT *, row_number() OVER (ORDER BY registration_id, gbs_id, field) AS position
            FROM compared WHERE before <> after
    )
    SELECT EXISTS (SELECT FROM taken) AS anything,
           EXISTS (SELECT FROM taken WHERE whole) AS whole,
           ARRAY(SELECT DISTINCT jsonb_object_keys(before) FROM taken WHERE whole) AS all_of,
           ARRAY(
               SELECT DISTINCT registration_id FROM taken WHERE registration_id = ANY (people)
               ORDER BY registration_id
           ) AS people,
           ARRAY(
               SELECT DISTINCT registration_id FROM taken
                   WHERE registration_id IS NOT NULL AND registration_id <> ALL (people)
               ORDER BY registration_id
           ) AS removed,
           ARRAY(SELECT DISTINCT unnest(group_ids) FROM taken) AS group_ids,
           ARRAY(SELECT DISTINCT program FROM taken ORDER BY program) AS programs,
           coalesce((SELECT jsonb_agg(jsonb_build_object('field', field, 'value', before,
               'origin', origin) || subject ORDER BY position) FROM changed), '[]') AS before,
           coalesce((SELECT jsonb_agg(jsonb_build_object('field', field, 'value', after,
               'origin', next_revision) || subject ORDER BY position) FROM changed), '[]') AS after,
           coalesce((SELECT jsonb_agg(jsonb_build_array(field, registration_id, gbs_id))
               FROM changed), '[]') AS fields
        INTO outcome;
    IF NOT outcome.anything THEN
        RETURN NULL;
    END IF;

    UPDATE user_retreat_registration SET row_revision = next_revision, updated_at = moment
        WHERE id = ANY (outcome.people);
    UPDATE gbs SET revision = next_revision
        WHERE id = ANY (free) AND (
            id = ANY (outcome.group_ids) OR EXISTS (
                SELECT FROM user_retreat_registration AS member
                    WHERE member.id = ANY (outcome.people) AND member.gbs_id = gbs.id
            )
        );
    FOR target IN
        SELECT * FROM (VALUES
            ('gbsNumber', 'user_retreat_registration', 'gbs', 1),
            ('isLeader', 'user_retreat_registration', 'leader', 1),
            ('currentLeader', 'user_retreat_registration', 'current_leader', 1),
            ('lineupNumber', 'user_retreat_registration', 'lineup_number', 1),
            ('lineupMemo', 'user_retreat_registration', 'memo', 1),
            ('gbsMemo', 'gbs', 'memo', 2),
            ('exists', 'gbs', 'exists', 2)
        ) AS each (field, of_table, prefix, member)
    LOOP
        ids := ARRAY(
            SELECT (each ->> target.member)::bigint FROM jsonb_array_elements(outcome.fields) AS each
                WHERE each ->> 0 = target.field
        );
        IF target.field = ANY (outcome.all_of) THEN
            -- But for what others hold: that is written by nobody now.
            EXECUTE format(
                'SELECT array_agg(id) FROM (SELECT id FROM %I WHERE retreat_id = $1 ORDER BY id'
                ' FOR NO KEY UPDATE SKIP LOCKED) AS locked', target.of_table
            ) INTO ids USING p_retreat_id;
        END IF;
        CONTINUE WHEN coalesce(cardinality(ids), 0) = 0;
        EXECUTE format(
            'UPDATE %1$I SET %2$s_revision = $1, %2$s_author_id = NULL,'
            ' %2$s_author_name = ''external'', %2$s_changed_at = $2, %2$s_origin = NULL'
            ' WHERE id = ANY ($3)', target.of_table, target.prefix
        ) USING next_revision, moment, ids;
    END LOOP;
    INSERT INTO lineup_change (retreat_id, revision, command_id, author_name, kind, request,
            before, after, at, removed, whole)
        VALUES (p_retreat_id, next_revision, gen_random_uuid(), 'external', 'external',
            convert_to(jsonb_build_object('action', 'external',
                'programs', outcome.programs)::text, 'UTF8'),
            outcome.before, outcome.after, moment, nullif(outcome.removed, '{}'), outcome.whole);
    INSERT INTO lineup_change_registration
        SELECT p_retreat_id, next_revision, unnest(outcome.people || outcome.removed);
    UPDATE retreat SET
            revision = next_revision,
            removal_revision = CASE WHEN outcome.whole OR outcome.removed <> '{}'
                THEN next_revision ELSE removal_revision END,
            full_revision = CASE WHEN outcome.whole THEN next_revision ELSE full_revision END
        WHERE id = p_retreat_id;
    RETURN next_revision;
END
$$;

-- Lets everybody load a retreat anew: it was changed by what no trigger sees, such as replication.
-- Servers absorb that like any note; without one, the next load does. Returns the retreat.
CREATE FUNCTION lineup_reload(p_slug text) RETURNS bigint LANGUAGE sql AS $$
    INSERT INTO lineup_outside (retreat_id, whole)
        SELECT id, true FROM retreat WHERE slug = p_slug
        RETURNING retreat_id
$$;

ALTER TYPE lineup_delta_entry ADD ATTRIBUTE removed bigint[];

-- As before, but for registrations that are gone: those do not make it incomplete.
CREATE OR REPLACE FUNCTION lineup_delta(p_retreat_id bigint, p_epoch uuid, p_revision bigint)
    RETURNS SETOF lineup_delta LANGUAGE plpgsql STABLE
    -- Planning takes longer than reading a few people; and few are what the plans are for.
    SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    most CONSTANT bigint := 2000;
    head    lineup_delta;
    pruned  bigint;
    reset   bigint;
    ids     bigint[];
    numbers integer[];
BEGIN
    SELECT epoch, revision, removal_revision, pruned_revision, full_revision
        INTO head.epoch, head.revision, head.removal_revision, pruned, reset
        FROM retreat WHERE id = p_retreat_id;
    head.complete := coalesce(
        head.epoch = p_epoch
            AND p_revision BETWEEN greatest(reset, pruned) AND head.revision
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
                entry.at, entry.removed)::lineup_delta_entry
            FROM lineup_change AS entry
            WHERE entry.retreat_id = p_retreat_id AND entry.revision > p_revision
            ORDER BY entry.revision;
END
$$;

-- What a retreat has beyond a revision once other programs' changes are absorbed.
CREATE FUNCTION lineup_absorb_delta(p_retreat_id bigint, p_epoch uuid, p_revision bigint)
    RETURNS SETOF lineup_delta LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lineup_absorb(p_retreat_id);
    RETURN QUERY SELECT * FROM lineup_delta(p_retreat_id, p_epoch, p_revision);
END
$$;

-- As lineup_commit_2, which does the work; then it looks for what other programs have changed of the
-- rows, also while it waited for them. One more error:
--   GB004  there is something, to be absorbed first
CREATE FUNCTION lineup_commit_3(
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
    p_memos         lineup_memo_write[],
    p_new_memos     lineup_memo_write[],
    p_log           lineup_log_write[],
    p_people        lineup_change_registration[]
) RETURNS SETOF lineup_delta LANGUAGE plpgsql
    SET gbs.own = 'on'
AS $$
BEGIN
    RETURN QUERY SELECT * FROM lineup_commit_2(p_retreat_id, p_epoch, p_expected, p_attempt_id,
        p_repeatable, p_groups, p_revisions, p_numbers, p_leaders, p_memo_stamps, p_memos,
        p_new_memos, p_log, p_people);
    IF NOT FOUND
        AND EXISTS (SELECT FROM lineup_outside WHERE retreat_id = p_retreat_id)
        AND EXISTS (
            SELECT FROM lineup_outside
                WHERE retreat_id = p_retreat_id AND (
                    whole
                    OR registration_id IN (SELECT id FROM unnest(p_numbers))
                    OR registration_id IN (SELECT id FROM unnest(p_leaders))
                    OR registration_id IN (SELECT id FROM unnest(p_memo_stamps))
                    OR registration_id IS NULL AND group_ids && ARRAY(
                        SELECT gbs.id FROM unnest(p_groups) AS w JOIN gbs USING (number)
                            WHERE gbs.retreat_id = p_retreat_id
                    )
                )
        )
    THEN
        RAISE EXCEPTION 'other programs have changed rows' USING ERRCODE = 'GB004';
    END IF;
END
$$;

-- What other programs have changed is absorbed in parts, each of so many registrations, so that
-- thousands of statements of one transaction do not keep a retreat locked for seconds. Each row is
-- written once, whatever has changed of it. Profiles are noted by themselves.
--
-- lineup_absorb stays, for servers of earlier versions.

-- Profiles that were changed, by statement. Whose registrations they are is looked up when that is
-- absorbed: another transaction may be about to register somebody.
CREATE TABLE lineup_outside_profile (
    id       bigint   GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_ids bigint[] NOT NULL,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    program  text     NOT NULL DEFAULT current_setting('application_name')
);

-- As before, but for profiles; and whatever the columns of other programs are called, and whoever
-- may create functions beside the tables: those would be called with the rights of this one's owner.
CREATE OR REPLACE FUNCTION lineup_note_outside() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    formers text;  -- query: the rows that have changed, as they were
    latters text;  -- query: and as they are
    meaning text;  -- query: what that is for retreats
BEGIN
    CASE TG_OP
        WHEN 'INSERT' THEN
            formers := 'SELECT * FROM new_rows WHERE false';
            latters := 'SELECT * FROM new_rows';
        WHEN 'DELETE' THEN
            formers := 'SELECT * FROM old_rows';
            latters := 'SELECT * FROM old_rows WHERE false';
        ELSE
            -- As texts: a column of another program may be of a type that has no equality.
            formers := 'SELECT * FROM old_rows AS former
                WHERE (former.*)::text NOT IN (SELECT (latter.*)::text FROM new_rows AS latter)';
            latters := 'SELECT * FROM new_rows AS latter
                WHERE (latter.*)::text NOT IN (SELECT (former.*)::text FROM old_rows AS former)';
    END CASE;
    IF TG_TABLE_NAME = 'user_profile' THEN
        EXECUTE format($note$
            INSERT INTO %I.lineup_outside_profile (user_ids)
                SELECT array_agg(id)
                    FROM (SELECT id FROM (%s) AS each UNION SELECT id FROM (%s) AS each) AS changed
                    HAVING count(*) > 0
        $note$, TG_TABLE_SCHEMA, formers, latters);
        RETURN NULL;
    END IF;
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
                FROM formers AS former
                FULL JOIN latters AS latter USING (retreat_id, id)
                LEFT JOIN (SELECT id AS gbs_id, number FROM %1$I.gbs) AS gbs
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
                           jsonb_agg(memo) FILTER (WHERE live AND former) -> 0 AS former,
                           jsonb_agg(memo) FILTER (WHERE live AND NOT former) -> 0 AS latter
                        FROM (
                            SELECT registration_id, former,
                                   kind = 'LINEUP_STAFF' AND deleted_at IS NULL AS live,
                                   jsonb_build_object('memoId', id, 'memo', text, 'color', color)
                                       AS memo
                                FROM (
                                    SELECT true AS former, registration_id, kind, deleted_at,
                                           id, text, color FROM formers
                                    UNION ALL
                                    SELECT false, registration_id, kind, deleted_at,
                                           id, text, color FROM latters
                                ) AS version
                        ) AS each
                        GROUP BY registration_id
                ) AS memos
                JOIN %1$I.user_retreat_registration AS registration
                    ON registration.id = memos.registration_id
        $meaning$
        WHEN 'user_retreat_registration_schedule' THEN $meaning$
            SELECT registration.retreat_id, registration.id AS registration_id,
                   array_remove(ARRAY[registration.gbs_id], NULL) AS group_ids,
                   '{}'::jsonb AS before, false AS whole
                FROM %1$I.user_retreat_registration AS registration
                WHERE registration.id IN (
                    SELECT registration_id FROM formers
                    UNION ALL SELECT registration_id FROM latters
                )
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
                FROM formers AS former FULL JOIN latters AS latter USING (retreat_id, id)
        $meaning$
        WHEN 'retreat_registration_schedule' THEN $meaning$
            SELECT DISTINCT retreat_id, NULL::bigint AS registration_id,
                   '{}'::bigint[] AS group_ids, '{}'::jsonb AS before, true AS whole
                FROM (
                    SELECT retreat_id FROM formers UNION ALL SELECT retreat_id FROM latters
                ) AS changed
        $meaning$
        WHEN 'grade' THEN $meaning$
            SELECT DISTINCT registration.retreat_id, NULL::bigint AS registration_id,
                   '{}'::bigint[] AS group_ids, '{}'::jsonb AS before, true AS whole
                FROM %1$I.user_retreat_registration AS registration
                JOIN %1$I.user_profile AS profile ON profile.id = registration.user_id
                WHERE profile.grade_id IN (
                    SELECT id FROM formers UNION ALL SELECT id FROM latters
                )
        $meaning$
        WHEN 'univ_group' THEN $meaning$
            SELECT DISTINCT registration.retreat_id, NULL::bigint AS registration_id,
                   '{}'::bigint[] AS group_ids, '{}'::jsonb AS before, true AS whole
                FROM %1$I.user_retreat_registration AS registration
                JOIN %1$I.user_profile AS profile ON profile.id = registration.user_id
                JOIN %1$I.grade AS grade ON grade.id = profile.grade_id
                WHERE grade.univ_group_id IN (
                    SELECT id FROM formers UNION ALL SELECT id FROM latters
                )
        $meaning$
    END;
    EXECUTE format($note$
        WITH formers AS (%2$s), latters AS (%3$s), found AS (%4$s), many AS (
            SELECT retreat_id FROM found GROUP BY retreat_id
                HAVING count(*) > 500 OR bool_or(whole)
        )
        INSERT INTO %1$I.lineup_outside (retreat_id, registration_id, group_ids, before, whole)
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
    $note$, TG_TABLE_SCHEMA, formers, latters, format(meaning, TG_TABLE_SCHEMA));
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION lineup_note_truncate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format(
        'INSERT INTO %1$I.lineup_outside (retreat_id, before, whole)'
        ' SELECT id, $1, true FROM %1$I.retreat', TG_TABLE_SCHEMA
    ) USING TG_ARGV[0]::jsonb;
    RETURN NULL;
END
$$;

-- The function keeps its owner, who may be another than who migrates now.
DO $$
BEGIN
    EXECUTE format('GRANT INSERT ON lineup_outside_profile TO %s', (
        SELECT proowner::regrole FROM pg_proc WHERE oid = 'lineup_note_outside'::regproc
    ));
END
$$;

-- Returns the retreats of which changes are noted, and of which registrations, ascending; NULL: of
-- any retreat. What was noted of profiles, is then noted of registrations.
CREATE FUNCTION lineup_noted(p_retreat_ids bigint[])
    RETURNS TABLE (retreat_id bigint, registration_ids bigint[]) LANGUAGE plpgsql
AS $$
#variable_conflict use_column
BEGIN
    IF EXISTS (SELECT FROM lineup_outside_profile) THEN
        WITH taken AS (
            DELETE FROM lineup_outside_profile
                WHERE id IN (
                    -- Others may be doing the same. The rest is for the next time.
                    SELECT id FROM lineup_outside_profile ORDER BY id LIMIT 5000
                        FOR UPDATE SKIP LOCKED
                )
                RETURNING *
        ), found AS (
            SELECT taken.id, taken.at, taken.program, registration.retreat_id,
                   registration.id AS registration_id, registration.gbs_id
                FROM taken CROSS JOIN unnest(taken.user_ids) AS changed (user_id)
                JOIN user_retreat_registration AS registration
                    ON registration.user_id = changed.user_id
        ), many AS (  -- as triggers note it
            SELECT id, retreat_id FROM found GROUP BY id, retreat_id HAVING count(*) > 500
        )
        INSERT INTO lineup_outside (retreat_id, registration_id, group_ids, whole, at, program)
            SELECT retreat_id, registration_id, array_remove(ARRAY[gbs_id], NULL), false,
                   at, program
                FROM found WHERE (id, retreat_id) NOT IN (TABLE many)
            UNION ALL
            SELECT retreat_id, NULL, '{}', true, min(at), min(program)
                FROM found WHERE (id, retreat_id) IN (TABLE many) GROUP BY id, retreat_id;
    END IF;
    RETURN QUERY
        SELECT retreat_id,
               coalesce(
                   array_agg(DISTINCT registration_id) FILTER (WHERE registration_id IS NOT NULL),
                   '{}'
               )
            FROM lineup_outside
            WHERE p_retreat_ids IS NULL OR retreat_id = ANY (p_retreat_ids)
            GROUP BY retreat_id ORDER BY retreat_id;
END
$$;

-- Gives what other programs have changed of some registrations, and of groups and all of a retreat,
-- one revision and one entry in the log. Returns the revision; NULL: there is nothing, or open
-- transactions hold all of it.
CREATE FUNCTION lineup_absorb_2(p_retreat_id bigint, p_registrations bigint[])
    RETURNS bigint LANGUAGE plpgsql
    SET gbs.own = 'on'
AS $$
DECLARE
    next_revision bigint;
    moment    timestamptz := clock_timestamp();
    people    bigint[];  -- registrations that no other transaction holds
    concerned bigint[];  -- groups
    free      bigint[];  -- those that no other transaction holds
    busy      bigint[];  -- the others
    waiting   bigint[];  -- registrations of what is held
    revived   bigint[];  -- what is noted here of deleted groups
    all_people bigint[] := '{}';  -- of the whole retreat, where a field of all of them has changed
    all_groups bigint[] := '{}';
    outcome   record;
    target    record;
    stamps    text;
BEGIN
    IF NOT EXISTS (
        SELECT FROM lineup_outside WHERE retreat_id = p_retreat_id
            AND (registration_id IS NULL OR registration_id = ANY (p_registrations))
    ) THEN
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
                SELECT registration_id FROM lineup_outside
                    WHERE retreat_id = p_retreat_id AND registration_id = ANY (p_registrations)
            )
            ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    ) AS locked;
    concerned := ARRAY(
        SELECT unnest(group_ids) FROM lineup_outside
            WHERE retreat_id = p_retreat_id
                AND (registration_id IS NULL OR registration_id = ANY (p_registrations))
        UNION SELECT gbs_id FROM user_retreat_registration
            WHERE id = ANY (people) AND gbs_id IS NOT NULL
    );
    SELECT coalesce(array_agg(id), '{}') INTO free FROM (
        SELECT id FROM gbs WHERE id = ANY (concerned) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    ) AS locked;
    busy := ARRAY(SELECT id FROM gbs WHERE id = ANY (concerned) AND id <> ALL (free));
    waiting := ARRAY(
        SELECT registration_id FROM lineup_outside
            WHERE retreat_id = p_retreat_id AND registration_id = ANY (p_registrations)
                AND group_ids && busy
        UNION SELECT id FROM user_retreat_registration
            WHERE id = ANY (people) AND gbs_id = ANY (busy)
    );

    -- A deleted group that somebody was put into is there again.
    WITH added AS (
        INSERT INTO lineup_outside (retreat_id, group_ids, before)
            SELECT p_retreat_id, ARRAY[gbs.id], '{"exists": false}' FROM gbs
                WHERE gbs.id = ANY (free) AND gbs.deleted AND EXISTS (
                    SELECT FROM user_retreat_registration AS member
                        WHERE member.retreat_id = p_retreat_id AND member.gbs_id = gbs.id
                )
            RETURNING id
    )
    SELECT coalesce(array_agg(id), '{}') INTO revived FROM added;
    IF revived <> '{}' THEN
        UPDATE gbs SET deleted = false
            WHERE gbs.id = ANY (free) AND gbs.deleted AND EXISTS (
                SELECT FROM user_retreat_registration AS member
                    WHERE member.retreat_id = p_retreat_id AND member.gbs_id = gbs.id
            );
    END IF;

    -- One statement: what is taken and how the rows are now belong to one snapshot. A memo is not
    -- locked; a change of it that comes later leaves a former value that is the one read here.
    WITH noted AS MATERIALIZED (  -- few of many: the rest is not worth comparing their groups
        SELECT id, registration_id, group_ids FROM lineup_outside
            WHERE retreat_id = p_retreat_id
                AND (registration_id IS NULL OR registration_id = ANY (p_registrations))
    ), ready AS MATERIALIZED (
        SELECT id FROM noted
            WHERE NOT group_ids && busy
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
    ), taken AS (
        DELETE FROM lineup_outside WHERE id IN (TABLE ready)
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
                AND person.id = ANY (people)
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
           ARRAY(
               SELECT DISTINCT program FROM taken WHERE id <> ALL (revived) ORDER BY program
           ) AS programs,
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

    -- But for what others hold: that is written by nobody now.
    IF outcome.all_of && '{gbsNumber,isLeader,currentLeader,lineupNumber,lineupMemo}' THEN
        all_people := ARRAY(
            SELECT id FROM user_retreat_registration WHERE retreat_id = p_retreat_id ORDER BY id
                FOR NO KEY UPDATE SKIP LOCKED
        );
    END IF;
    IF outcome.all_of && '{gbsMemo,exists}' THEN
        all_groups := ARRAY(
            SELECT id FROM gbs WHERE retreat_id = p_retreat_id ORDER BY id
                FOR NO KEY UPDATE SKIP LOCKED
        );
    END IF;
    FOR target IN
        WITH written AS (
            SELECT 'registration' AS kind, unnest(outcome.people || all_people) AS id
            UNION SELECT 'gbs', id FROM gbs WHERE id = ANY (free) AND (
                id = ANY (outcome.group_ids) OR id IN (
                    SELECT gbs_id FROM user_retreat_registration WHERE id = ANY (outcome.people)
                )
            )
            UNION SELECT 'gbs', unnest(all_groups)
        ), changed AS (
            SELECT CASE WHEN each ->> 1 IS NULL THEN 'gbs' ELSE 'registration' END AS kind,
                   coalesce(each ->> 1, each ->> 2)::bigint AS id,
                   array_agg(each ->> 0 ORDER BY each ->> 0) AS fields
                FROM jsonb_array_elements(outcome.fields) AS each GROUP BY 1, 2
        )
        SELECT kind, fields, array_agg(id) AS ids
            FROM written LEFT JOIN changed USING (kind, id) GROUP BY kind, fields
    LOOP
        SELECT string_agg(format(
                ', %1$s_revision = $1, %1$s_author_id = NULL, %1$s_author_name = ''external'','
                ' %1$s_changed_at = $2, %1$s_origin = NULL', prefix), '')
            INTO stamps
            FROM (VALUES
                ('registration', 'gbsNumber', 'gbs'),
                ('registration', 'isLeader', 'leader'),
                ('registration', 'currentLeader', 'current_leader'),
                ('registration', 'lineupNumber', 'lineup_number'),
                ('registration', 'lineupMemo', 'memo'),
                ('gbs', 'gbsMemo', 'memo'),
                ('gbs', 'exists', 'exists')
            ) AS stamped (kind, field, prefix)
            WHERE kind = target.kind AND field = ANY (target.fields || outcome.all_of);
        EXECUTE CASE target.kind
            WHEN 'gbs' THEN 'UPDATE gbs SET revision = $1'
            ELSE 'UPDATE user_retreat_registration SET row_revision = $1, updated_at = $2'
        END || coalesce(stamps, '') || ' WHERE id = ANY ($3)'
            USING next_revision, moment, target.ids;
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

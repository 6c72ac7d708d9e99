-- What other programs have changed is absorbed in parts, each of so many registrations, so that
-- thousands of statements of one transaction do not keep a retreat locked for seconds. Each row is
-- written once, whatever has changed of it.
--
-- lineup_absorb stays, for servers of earlier versions.

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
    settled   bigint[];  -- profiles of new registrations, unless another transaction holds them
    waiting   bigint[];  -- registrations of what is held
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
    -- Who changes a profile notes the registrations that there are then: not one that another
    -- transaction is about to commit. So a new one waits until nobody changes its profile. Only one
    -- whose snapshot is older, above READ COMMITTED, is not seen before the next load.
    SELECT coalesce(array_agg(id), '{}') INTO settled FROM (
        SELECT id FROM user_profile
            WHERE id IN (
                SELECT user_id FROM user_retreat_registration
                    WHERE id = ANY (people) AND row_revision = 0
            )
            ORDER BY id FOR SHARE SKIP LOCKED
    ) AS locked;
    waiting := ARRAY(
        SELECT registration_id FROM lineup_outside
            WHERE retreat_id = p_retreat_id AND registration_id = ANY (p_registrations)
                AND group_ids && busy
        UNION SELECT id FROM user_retreat_registration
            WHERE id = ANY (people)
                AND (gbs_id = ANY (busy) OR row_revision = 0 AND user_id <> ALL (settled))
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

-- What each schedule is: sheets name their columns by it.

ALTER TABLE retreat_registration_schedule ADD COLUMN kind text;

-- By the name where it says so, else by the hour in Korea.
UPDATE retreat_registration_schedule SET kind = CASE
    WHEN name ~ '아침|조식' THEN 'BREAKFAST'
    WHEN name ~ '점심|중식' THEN 'LUNCH'
    WHEN name ~ '저녁|석식' THEN 'DINNER'
    WHEN name ~ '숙박|취침' THEN 'SLEEP'
    WHEN hour BETWEEN 5 AND 9 THEN 'BREAKFAST'
    WHEN hour BETWEEN 10 AND 14 THEN 'LUNCH'
    WHEN hour BETWEEN 15 AND 20 THEN 'DINNER'
    ELSE 'SLEEP'
END FROM (
    SELECT id AS schedule_id, extract(hour FROM starts_at AT TIME ZONE 'Asia/Seoul') AS hour
        FROM retreat_registration_schedule
) AS korean WHERE id = schedule_id;

ALTER TABLE retreat_registration_schedule
    ALTER COLUMN kind SET NOT NULL,
    ADD CHECK (kind IN ('BREAKFAST', 'LUNCH', 'DINNER', 'SLEEP'));

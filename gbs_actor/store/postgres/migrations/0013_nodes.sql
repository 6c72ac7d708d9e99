-- What several servers on one database know of each other, and ask of each other for operators.
-- Unlogged: a crash of the database empties both, and they are filled again within a second.

CREATE UNLOGGED TABLE lineup_node (
    name        text        PRIMARY KEY CHECK (length(name) <= 64),
    run_id      uuid        NOT NULL,  -- another one at each start
    reported_at timestamptz NOT NULL,
    status      bytea       NOT NULL CHECK (octet_length(status) <= 65536),
    rooms       bytea       NOT NULL CHECK (octet_length(rooms) <= 4194304)
) WITH (fillfactor = 50);
-- It is compressed already.
ALTER TABLE lineup_node ALTER COLUMN rooms SET STORAGE EXTERNAL;

CREATE UNLOGGED TABLE lineup_node_action (
    id       uuid        PRIMARY KEY,
    run_id   uuid        NOT NULL,  -- of the node that is asked: none that starts later does it
    request  bytea       NOT NULL CHECK (octet_length(request) <= 131072),
    asked_at timestamptz NOT NULL,
    deadline timestamptz NOT NULL,
    taken_at timestamptz,           -- null: the node has not begun
    answer   bytea       CHECK (octet_length(answer) <= 4194304)
);
CREATE INDEX lineup_node_action_asked ON lineup_node_action (run_id, asked_at)
    WHERE taken_at IS NULL;

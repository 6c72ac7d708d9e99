-- What operators did, which personal data they looked at, and what was refused to whom. Pruned by
-- the server after some time.

CREATE TABLE admin_audit (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key           uuid        NOT NULL UNIQUE,  -- so that an append may be repeated
    at            timestamptz NOT NULL,
    operator_id   bigint,      -- null: the operator token, or nobody known
    operator_name text        NOT NULL,
    action        text        NOT NULL,
    target        text        NOT NULL,
    reason        text        NOT NULL,
    address       text,
    outcome       text        NOT NULL
                  CHECK (outcome IN ('done', 'unchanged', 'dry_run', 'refused')),
    details       text        NOT NULL
);
CREATE INDEX admin_audit_at ON admin_audit (at);

-- The log keeps the changes of some time only; what is older is pruned.

-- Up to this revision the log was pruned; 0: never. So a log that lacks entries for another
-- reason, as after a partial restore, is noticed.
ALTER TABLE retreat
    ADD COLUMN pruned_revision bigint NOT NULL DEFAULT 0
        CHECK (pruned_revision BETWEEN 0 AND revision);

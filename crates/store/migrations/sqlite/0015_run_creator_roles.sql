-- Roles of who started a run, as JSON: with the user id, that is who the run reads for. NULL of runs
-- that were created before this column was.
ALTER TABLE runs ADD COLUMN created_by_roles TEXT;

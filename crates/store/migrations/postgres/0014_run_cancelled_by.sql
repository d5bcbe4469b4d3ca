-- Who asked to cancel a run. NULL where nobody did, or its pipeline was deleted.
ALTER TABLE runs ADD COLUMN cancelled_by TEXT;

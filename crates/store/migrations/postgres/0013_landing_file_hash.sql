-- What is in a landing file, so that it can be compared without being read again: lower-case hex of
-- its SHA-256. Unknown of files that arrived before this column did.
ALTER TABLE landing_files ADD COLUMN hash TEXT;

-- Only a version that was compared with the log is switched to, or gone back to. Those with their indexes were, so far.

ALTER TABLE version ADD COLUMN compared INTEGER NOT NULL DEFAULT 0;
UPDATE version SET compared = filled;

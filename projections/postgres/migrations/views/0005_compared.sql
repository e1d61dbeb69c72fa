-- Only a version that was compared with the log is switched to, or gone back to. Those with their indexes were, so far.

ALTER TABLE docket_views.version ADD COLUMN compared boolean NOT NULL DEFAULT false;
UPDATE docket_views.version SET compared = filled;

-- Whether the instance's current run was ready: an adopted one need not become so again.
ALTER TABLE instances ADD COLUMN ready INTEGER NOT NULL DEFAULT 0;

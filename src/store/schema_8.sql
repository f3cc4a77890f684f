-- How often a delivery that is kept up has been taken: it stays pending and is sent again until another one of its
-- incident takes its place, or it has been said often enough.
ALTER TABLE deliveries ADD COLUMN confirmed INTEGER NOT NULL DEFAULT 0;

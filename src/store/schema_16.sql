-- Version 16: what a target could not be told goes to its fallback, once.

ALTER TABLE targets ADD COLUMN fallback TEXT; -- as configured
ALTER TABLE deliveries ADD COLUMN instead_of TEXT; -- the target that could not be told
ALTER TABLE deliveries ADD COLUMN passed INTEGER NOT NULL DEFAULT 0; -- it went to the fallback
CREATE INDEX deliveries_instead ON deliveries (instead_of, incident) WHERE instead_of IS NOT NULL;
CREATE INDEX deliveries_apart ON deliveries (event) WHERE incident IS NULL;

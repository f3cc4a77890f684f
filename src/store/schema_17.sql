-- Version 17: how many deliveries may wait for a target, and how many have been dropped for that.

ALTER TABLE targets ADD COLUMN queue INTEGER; -- none: as many as there are
ALTER TABLE targets ADD COLUMN merges INTEGER NOT NULL DEFAULT 0; -- of an incident the newest is enough
ALTER TABLE targets ADD COLUMN dropped INTEGER NOT NULL DEFAULT 0;
ALTER TABLE targets ADD COLUMN unsaid INTEGER NOT NULL DEFAULT 0; -- of these it has not been told

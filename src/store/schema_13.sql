-- Version 13: what an attempt did with the message of its incident and what it fell back to, and the events of an
-- incident by an index.

ALTER TABLE attempts ADD COLUMN did TEXT;
ALTER TABLE attempts ADD COLUMN fallback TEXT;
CREATE INDEX events_by_incident ON events (incident) WHERE incident IS NOT NULL;

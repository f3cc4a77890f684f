-- Version 10: silences, with what happened in each, as JSON.
CREATE TABLE silences (
  id TEXT PRIMARY KEY,
  ended_at INTEGER,
  silence TEXT NOT NULL
) STRICT;

CREATE INDEX silences_active ON silences (id) WHERE ended_at IS NULL;
CREATE INDEX silences_ended ON silences (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX deliveries_held ON deliveries (held) WHERE held IS NOT NULL AND state = 'pending';

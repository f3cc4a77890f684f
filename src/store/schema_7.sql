-- Version 7: incidents of other conditions than a crash, also about no program; how many came one soon after the
-- other; deliveries that are held back on purpose, and withdrawn when there is nothing left to tell.

CREATE TABLE incidents_next (
  id TEXT PRIMARY KEY,
  program TEXT,
  slot INTEGER,
  condition TEXT NOT NULL,
  subject TEXT, -- the rule or the target
  severity TEXT NOT NULL,
  state TEXT NOT NULL,
  opened_at INTEGER NOT NULL,
  resolved_at INTEGER,
  events INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  cycle INTEGER NOT NULL DEFAULT 1,
  cause TEXT
) STRICT;

INSERT INTO incidents_next (id, program, slot, condition, severity, state, opened_at, resolved_at, events, seq,
    failures, cause)
  SELECT id, program, slot, condition, severity, state, opened_at, resolved_at, events, seq, failures, cause
  FROM incidents;
DROP TABLE incidents;
ALTER TABLE incidents_next RENAME TO incidents;
CREATE INDEX incidents_open ON incidents (id) WHERE state = 'open';
CREATE INDEX incidents_resolved ON incidents (resolved_at) WHERE state = 'resolved';
CREATE INDEX incidents_by_program ON incidents (program, id);

ALTER TABLE deliveries ADD COLUMN held TEXT; -- why it waits; none when it waits for its time alone

CREATE TRIGGER deliveries_withdrawn AFTER DELETE ON deliveries WHEN old.state IN ('pending', 'leased') BEGIN
  UPDATE targets SET pending = pending - 1 WHERE name = old.target;
END;

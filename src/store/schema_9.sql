-- Version 9: the message that each target has of each incident, found from either side, and the topic or thread it has
-- for each program. `settings` is the fingerprint of the provider's settings: what was told under other ones is not
-- found any more.

CREATE TABLE messages (
  target TEXT NOT NULL,
  incident TEXT NOT NULL,
  message TEXT, -- none when the target gave no id, or it was taken away
  place TEXT, -- the chat, channel or thread it is in
  seq INTEGER NOT NULL, -- the last change of the incident that was told
  severity TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  told_at INTEGER NOT NULL,
  digest TEXT NOT NULL,
  settings TEXT NOT NULL,
  PRIMARY KEY (target, incident)
) STRICT, WITHOUT ROWID;
CREATE INDEX messages_by_id ON messages (target, message) WHERE message IS NOT NULL;
CREATE INDEX messages_by_time ON messages (told_at);

CREATE TABLE places (
  target TEXT NOT NULL,
  program TEXT NOT NULL, -- empty for what is about none
  place TEXT NOT NULL,
  settings TEXT NOT NULL,
  PRIMARY KEY (target, program)
) STRICT, WITHOUT ROWID;

-- An attempt ended in the dark: the target may have been told.
ALTER TABLE deliveries ADD COLUMN doubtful INTEGER NOT NULL DEFAULT 0;

-- What was told before messages were kept: that it was told is known, which message it is is not.
INSERT INTO messages (target, incident, seq, severity, created_at, told_at, digest, settings)
  SELECT d.target, d.incident, 0, i.severity, min(d.settled_at), max(d.settled_at), '', ''
  FROM deliveries AS d JOIN incidents AS i ON i.id = d.incident
  WHERE i.state = 'open' AND d.state = 'delivered' AND d.settled_at IS NOT NULL GROUP BY d.target, d.incident;

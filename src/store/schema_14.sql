-- Version 14: what is told together. Incidents that share a message at a target, under the first of them; and the
-- events that a machine is told of by one delivery beside its own.

CREATE TABLE group_members (
  target TEXT NOT NULL,
  incident TEXT NOT NULL,
  lead TEXT NOT NULL,
  event TEXT NOT NULL, -- what began it
  needs TEXT NOT NULL, -- the programs its own one depends on, as JSON
  PRIMARY KEY (target, incident)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_members_by_lead ON group_members (target, lead, incident);
CREATE INDEX group_members_by_event ON group_members (event);

CREATE TABLE grouped_events (
  delivery TEXT NOT NULL,
  event TEXT NOT NULL,
  PRIMARY KEY (delivery, event)
) STRICT, WITHOUT ROWID;
CREATE INDEX grouped_events_by_event ON grouped_events (event);

-- Version 5: the supervisor's own events are few among those of its programs, and found by an index of their own.

CREATE INDEX events_of_supervisor ON events (kind) WHERE program IS NULL;

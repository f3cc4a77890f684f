-- Version 3: the events of one instance are found by an index of their own. It serves those of a program, too.

DROP INDEX events_by_program;
CREATE INDEX events_by_instance ON events (program, slot) WHERE program IS NOT NULL;

-- Version 2: an index for every frequent query, and what is known of each target, its counts kept by
-- triggers: they cannot be forgotten, and outlive the deliveries that retention removes.

CREATE INDEX events_by_time ON events (at);
CREATE INDEX events_by_program ON events (program) WHERE program IS NOT NULL;
CREATE INDEX runs_by_instance ON runs (program, slot, id);
CREATE INDEX runs_open ON runs (id) WHERE ended_at IS NULL;
CREATE INDEX runs_ended ON runs (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX incidents_open ON incidents (id) WHERE state = 'open';
CREATE INDEX incidents_resolved ON incidents (resolved_at) WHERE state = 'resolved';
CREATE INDEX incidents_by_program ON incidents (program, id);
CREATE INDEX series_by_instance ON series (program, slot);
CREATE INDEX log_records_by_instance ON log_records (program, slot, at);
CREATE INDEX log_records_by_time ON log_records (at);
CREATE INDEX deliveries_pending ON deliveries (target, id, due) WHERE state = 'pending';
CREATE INDEX deliveries_due ON deliveries (target, due, id) WHERE state = 'pending';
CREATE INDEX deliveries_expiring ON deliveries (expires_at) WHERE state = 'pending';
CREATE INDEX deliveries_open ON deliveries (target, incident, id) WHERE state IN ('pending', 'leased');
CREATE INDEX deliveries_by_state ON deliveries (state, id);
CREATE INDEX deliveries_by_incident ON deliveries (incident, id) WHERE incident IS NOT NULL;
CREATE INDEX deliveries_settled ON deliveries (settled_at) WHERE settled_at IS NOT NULL;
CREATE INDEX attempts_by_delivery ON attempts (delivery, id);
CREATE INDEX attempts_by_time ON attempts (started_at);

CREATE TABLE targets (
  name TEXT PRIMARY KEY,
  pending INTEGER NOT NULL DEFAULT 0, -- pending or leased
  delivered INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0, -- dead or expired
  memory TEXT -- what its provider must know after a restart
) STRICT, WITHOUT ROWID;

INSERT INTO targets (name, pending, delivered, failed)
  SELECT target,
    sum(state IN ('pending', 'leased')), sum(state = 'delivered'), sum(state IN ('dead', 'expired'))
  FROM deliveries GROUP BY target;

CREATE TRIGGER deliveries_counted AFTER INSERT ON deliveries BEGIN
  INSERT INTO targets (name, pending, delivered, failed)
    VALUES (new.target, new.state IN ('pending', 'leased'), new.state = 'delivered',
      new.state IN ('dead', 'expired'))
    ON CONFLICT (name) DO UPDATE SET
      pending = pending + excluded.pending,
      delivered = delivered + excluded.delivered,
      failed = failed + excluded.failed;
END;

CREATE TRIGGER deliveries_recounted AFTER UPDATE OF state ON deliveries WHEN old.state <> new.state BEGIN
  UPDATE targets SET
    pending = pending + (new.state IN ('pending', 'leased')) - (old.state IN ('pending', 'leased')),
    delivered = delivered + (new.state = 'delivered') - (old.state = 'delivered'),
    failed = failed + (new.state IN ('dead', 'expired')) - (old.state IN ('dead', 'expired'))
  WHERE name = new.target;
END;

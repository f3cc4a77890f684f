-- Version 1 as it was shipped, with a row of each that version 2 must take over. Never changed again.

-- `seq` is the order of commits, which followers page by; `id` is the order of happening.
CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  severity TEXT NOT NULL,
  program TEXT,
  slot INTEGER,
  run TEXT,
  facts TEXT NOT NULL,
  incident TEXT,
  incident_state TEXT -- the incident as it stood then, for rendering
) STRICT;

CREATE TABLE runs (
  id TEXT PRIMARY KEY,
  program TEXT NOT NULL,
  slot INTEGER NOT NULL,
  pid INTEGER NOT NULL,
  start_ticks INTEGER NOT NULL,
  boot_id TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  command TEXT NOT NULL,
  pipes BLOB NOT NULL, -- paths, each ended by a zero byte
  ended_at INTEGER,
  exit TEXT
) STRICT;

CREATE TABLE instances (
  program TEXT NOT NULL,
  slot INTEGER NOT NULL,
  desired TEXT NOT NULL,
  phase TEXT NOT NULL,
  restarts INTEGER NOT NULL,
  streak INTEGER NOT NULL,
  retry_at INTEGER,
  run TEXT,
  last_exit TEXT,
  at INTEGER NOT NULL,
  PRIMARY KEY (program, slot)
) STRICT, WITHOUT ROWID;

CREATE TABLE incidents (
  id TEXT PRIMARY KEY,
  program TEXT NOT NULL,
  slot INTEGER NOT NULL,
  condition TEXT NOT NULL,
  severity TEXT NOT NULL,
  state TEXT NOT NULL,
  opened_at INTEGER NOT NULL,
  resolved_at INTEGER,
  events INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  cause TEXT
) STRICT;

-- One row a run that was measured, so that a sample carries a small number for it.
CREATE TABLE series (
  id INTEGER PRIMARY KEY,
  program TEXT NOT NULL,
  slot INTEGER NOT NULL,
  run TEXT NOT NULL UNIQUE
) STRICT;

-- By time first: samples are appended. By instance first, each flush would touch a page an instance.
CREATE TABLE samples (
  at INTEGER NOT NULL,
  series INTEGER NOT NULL,
  cpu_percent REAL NOT NULL,
  memory_bytes INTEGER NOT NULL,
  processes INTEGER NOT NULL,
  threads INTEGER NOT NULL,
  open_files INTEGER NOT NULL,
  read_bytes INTEGER NOT NULL,
  write_bytes INTEGER NOT NULL,
  PRIMARY KEY (at, series)
) STRICT, WITHOUT ROWID;

CREATE TABLE host_samples (
  at INTEGER PRIMARY KEY,
  cpu_percent REAL NOT NULL,
  memory_total_bytes INTEGER NOT NULL,
  memory_used_bytes INTEGER NOT NULL,
  swap_used_bytes INTEGER NOT NULL,
  load_one REAL NOT NULL
) STRICT;

CREATE TABLE log_records (
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  program TEXT NOT NULL,
  slot INTEGER NOT NULL,
  run TEXT,
  stream TEXT NOT NULL,
  level TEXT NOT NULL,
  line BLOB NOT NULL
) STRICT;

CREATE TABLE log_cursors (
  program TEXT NOT NULL,
  slot INTEGER NOT NULL,
  stream TEXT NOT NULL,
  inode INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  PRIMARY KEY (program, slot, stream)
) STRICT, WITHOUT ROWID;

CREATE TABLE deliveries (
  id TEXT PRIMARY KEY,
  event TEXT NOT NULL,
  incident TEXT,
  target TEXT NOT NULL,
  severity TEXT NOT NULL,
  state TEXT NOT NULL,
  due INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0, -- those that count against the schedule
  body TEXT, -- frozen at the first attempt
  message_id TEXT,
  last_error TEXT,
  settled_at INTEGER
) STRICT;

CREATE TABLE attempts (
  id INTEGER PRIMARY KEY,
  delivery TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  took_ms INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  status INTEGER,
  error TEXT
) STRICT;

-- What may be lost: uptimes, rates, counters.
CREATE TABLE checkpoint (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 1;

INSERT INTO events (id, at, kind, severity, program, slot, run, facts, incident, incident_state) VALUES
  ('01HF0000000000000000000001', 4100000000000, 'program.crashed', 'warning', 'web', -1,
   '01HF0000000000000000000002', '{"exit":{"code":1}}', NULL, NULL);
INSERT INTO deliveries (id, event, incident, target, severity, state, due, expires_at) VALUES
  ('01HF0000000000000000000003', '01HF0000000000000000000001', NULL, 'ops', 'warning', 'delivered',
   4100000000000, 4200000000000),
  ('01HF0000000000000000000004', '01HF0000000000000000000001', NULL, 'ops', 'warning', 'leased',
   4100000000000, 4200000000000);

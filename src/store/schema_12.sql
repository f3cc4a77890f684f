-- Version 12: what is known of hosts, whose breaker and waits the targets there share.

CREATE TABLE hosts (
  name TEXT PRIMARY KEY, -- scheme, host and port
  memory TEXT NOT NULL
) STRICT, WITHOUT ROWID;

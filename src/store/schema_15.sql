-- Version 15: samples packed into chunks once their hour is over, and candles, which outlive them. The bytes are
-- columns of numbers; the store does not look into them.

CREATE TABLE chunks (
  id INTEGER PRIMARY KEY,
  program TEXT NOT NULL,
  slot INTEGER NOT NULL,
  source TEXT NOT NULL, -- who measured
  run TEXT,
  starts INTEGER NOT NULL, -- of the first sample
  ends INTEGER NOT NULL, -- of the last
  planned INTEGER NOT NULL, -- where it was to end
  count INTEGER NOT NULL,
  data BLOB NOT NULL
) STRICT;
CREATE INDEX chunks_by_instance ON chunks (program, slot, starts);
CREATE INDEX chunks_by_end ON chunks (ends);

-- Candles of one length, those of a stretch of time together.
CREATE TABLE candles (
  id INTEGER PRIMARY KEY,
  program TEXT NOT NULL,
  slot INTEGER NOT NULL,
  source TEXT NOT NULL,
  frame INTEGER NOT NULL, -- the length in seconds
  starts INTEGER NOT NULL, -- of the stretch
  ends INTEGER NOT NULL, -- of the stretch
  count INTEGER NOT NULL,
  data BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX candles_by_instance ON candles (program, slot, frame, starts, source);
CREATE INDEX candles_by_end ON candles (frame, ends);

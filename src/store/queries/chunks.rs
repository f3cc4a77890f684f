//! Packed samples: chunks, candles, and the rows they are made of. The bytes are nobody's business here.

use rusqlite::{Row, params};

use super::{int, parse_opt, row_limit, slot, unsigned, wall};
use crate::clock::Wall;
use crate::ids::RunId;
use crate::limits;
use crate::model::name::InstanceName;
use crate::model::sample::Sample;
use crate::store::error::StoreError;
use crate::store::series::{NewChunk, StoredCandles, StoredChunk};
use crate::store::tx::{Db, Tx, statements};

statements! {
    OLDEST = seek "find the oldest sample",
        "SELECT at FROM samples WHERE at >= ?1 ORDER BY at LIMIT 1";
    ROWS = seek "read the samples to pack",
        "SELECT s.*, r.program, r.slot, r.run FROM samples AS s CROSS JOIN series AS r ON r.id = s.series
         WHERE s.at >= ?1 AND s.at <= ?2 ORDER BY s.at LIMIT ?3";
    REMOVE_ROW = seek "remove a packed sample",
        "DELETE FROM samples WHERE at = ?1 AND series = (SELECT id FROM series WHERE run = ?2)";
    INSERT = seek "store a chunk",
        "INSERT INTO chunks (program, slot, source, run, starts, ends, planned, count, data)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    // No chunk is longer than ?5, so none that starts earlier reaches into the range.
    RANGE = seek "read chunks",
        "SELECT source, run, starts, ends, planned, count, data FROM chunks
         WHERE program = ?1 AND slot = ?2 AND starts >= ?3 - ?5 AND starts <= ?4 AND ends >= ?3
         ORDER BY starts LIMIT ?6";
    COUNT = seek "count the rows in chunks",
        "SELECT sum(count) AS count FROM chunks
         WHERE program = ?1 AND slot = ?2 AND starts >= ?3 - ?5 AND starts <= ?4 AND ends >= ?3";
    CANDLES = seek "read candles",
        "SELECT source, starts, count, data FROM candles
         WHERE program = ?1 AND slot = ?2 AND frame = ?3 AND starts >= ?4 AND starts <= ?5
         ORDER BY starts LIMIT ?6";
    PUT_CANDLES = seek "store candles",
        "INSERT INTO candles (program, slot, source, frame, starts, ends, count, data)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (program, slot, frame, starts, source)
         DO UPDATE SET count = excluded.count, data = excluded.data";
}

/// The time of the oldest sample that is still a row.
pub(in crate::store) fn oldest(db: Db<'_>) -> Result<Option<Wall>, StoreError> {
    db.first(OLDEST, params![i64::MIN], |row| wall(row, "at"))
}

/// The first `limit` samples of all instances from `from` to `to`, both included.
pub(in crate::store) fn rows(
    db: Db<'_>,
    (from, to): (i64, i64),
    limit: usize,
) -> Result<Vec<Sample>, StoreError> {
    db.rows(
        ROWS,
        params![from, to, row_limit(limit)],
        super::samples::read,
    )
}

/// Removes the samples of `run` at `times`; they are packed.
pub(in crate::store) fn remove_rows(
    tx: &Tx<'_>,
    run: RunId,
    times: &[i64],
) -> Result<(), StoreError> {
    let run = run.to_string();
    for time in times {
        tx.execute(REMOVE_ROW, params![time, run])?;
    }
    Ok(())
}

/// Stores a chunk.
pub(in crate::store) fn insert(tx: &Tx<'_>, chunk: &NewChunk) -> Result<(), StoreError> {
    tx.execute(
        INSERT,
        params![
            chunk.instance.program().as_ref(),
            slot(&chunk.instance),
            chunk.source,
            chunk.run.map(|run| run.to_string()),
            chunk.starts,
            chunk.ends,
            chunk.planned,
            int(chunk.rows),
            chunk.data,
        ],
    )?;
    Ok(())
}

/// The chunks of an instance that reach into the range from `from` to `to`, by their starts.
pub(in crate::store) fn range(
    db: Db<'_>,
    name: &InstanceName,
    (from, to): (i64, i64),
) -> Result<Vec<StoredChunk>, StoreError> {
    let longest = int(limits::CHUNK_SPAN_MAX.as_millis());
    let values = params![
        name.program().as_ref(),
        slot(name),
        from,
        to,
        longest,
        row_limit(usize::MAX)
    ];
    db.rows(RANGE, values, chunk)
}

/// How many rows those chunks have.
pub(in crate::store) fn count(
    db: Db<'_>,
    name: &InstanceName,
    (from, to): (i64, i64),
) -> Result<usize, StoreError> {
    let longest = int(limits::CHUNK_SPAN_MAX.as_millis());
    let values = params![name.program().as_ref(), slot(name), from, to, longest];
    let count = db.first(COUNT, values, |row| row.get::<_, Option<i64>>("count"))?;
    Ok(usize::try_from(count.flatten().unwrap_or(0)).unwrap_or(usize::MAX))
}

fn chunk(row: &Row<'_>) -> rusqlite::Result<StoredChunk> {
    Ok(StoredChunk {
        source: row.get("source")?,
        run: parse_opt(row, "run")?,
        starts: row.get("starts")?,
        ends: row.get("ends")?,
        planned: row.get("planned")?,
        rows: unsigned::<i64>(row, "count").map(|n| usize::try_from(n).unwrap_or(0))?,
        data: row.get("data")?,
    })
}

/// The blocks of candles of `frame` seconds of an instance that start from `from` to `to`.
pub(in crate::store) fn candles(
    db: Db<'_>,
    (name, frame): (&InstanceName, i64),
    (from, to): (i64, i64),
) -> Result<Vec<StoredCandles>, StoreError> {
    let values = params![
        name.program().as_ref(),
        slot(name),
        frame,
        from,
        to,
        row_limit(usize::MAX)
    ];
    db.rows(CANDLES, values, |row| {
        Ok(StoredCandles {
            source: row.get("source")?,
            starts: row.get("starts")?,
            rows: unsigned::<i64>(row, "count").map(|n| usize::try_from(n).unwrap_or(0))?,
            data: row.get("data")?,
        })
    })
}

/// Stores a block of candles of `frame` seconds in place of the one there was; it ends at `ends`.
pub(in crate::store) fn put_candles(
    tx: &Tx<'_>,
    (name, frame, ends): (&InstanceName, i64, i64),
    block: &StoredCandles,
) -> Result<(), StoreError> {
    tx.execute(
        PUT_CANDLES,
        params![
            name.program().as_ref(),
            slot(name),
            block.source,
            frame,
            block.starts,
            ends,
            int(block.rows),
            block.data,
        ],
    )?;
    Ok(())
}

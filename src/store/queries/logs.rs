//! Log records and the cursors that say how far the segment files have been read for them.

use rusqlite::{Row, params};

use super::{int, parse_opt, read_word, row_limit, slot, unsigned, wall};
use crate::clock::Wall;
use crate::model::log::{LogBatch, LogCursor, LogRecord};
use crate::model::name::InstanceName;
use crate::store::error::StoreError;
use crate::store::tx::{Db, Tx, statements};

statements! {
    INSERT = seek "store a log record",
        "INSERT INTO log_records (at, program, slot, run, stream, level, line)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    MOVE_CURSOR = seek "move a log cursor",
        "INSERT INTO log_cursors (program, slot, stream, inode, offset) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (program, slot, stream) DO UPDATE SET inode = excluded.inode, offset = excluded.offset";
    CURSORS = whole "read the log cursors", "SELECT * FROM log_cursors";
    RANGE = seek "read log records",
        "SELECT * FROM log_records WHERE program = ?1 AND slot = ?2 AND at >= ?3 AND at <= ?4
         ORDER BY at, id LIMIT ?5";
}

/// Stores the records and moves the cursors.
pub(in crate::store) fn insert(tx: &Tx<'_>, batch: &LogBatch) -> Result<(), StoreError> {
    for record in &batch.records {
        tx.execute(
            INSERT,
            params![
                record.time.millis(),
                record.instance.program().as_ref(),
                slot(&record.instance),
                record.run.map(|r| r.to_string()),
                record.stream.as_str(),
                record.level.as_str(),
                record.line,
            ],
        )?;
    }
    for cursor in &batch.cursors {
        tx.execute(
            MOVE_CURSOR,
            params![
                cursor.instance.program().as_ref(),
                slot(&cursor.instance),
                cursor.stream.as_str(),
                cursor.inode.cast_signed(),
                int(cursor.offset),
            ],
        )?;
    }
    Ok(())
}

/// Every cursor.
pub(in crate::store) fn cursors(db: Db<'_>) -> Result<Vec<LogCursor>, StoreError> {
    db.rows(CURSORS, [], |row| {
        Ok(LogCursor {
            instance: super::instance(row)?,
            stream: read_word(row, "stream")?,
            inode: row.get::<_, i64>("inode")?.cast_unsigned(),
            offset: unsigned(row, "offset")?,
        })
    })
}

/// The records of an instance from `from` to `to`, both included, oldest first.
pub(in crate::store) fn range(
    db: Db<'_>,
    name: &InstanceName,
    from: Wall,
    to: Wall,
) -> Result<Vec<LogRecord>, StoreError> {
    let program = name.program().as_ref();
    db.rows(
        RANGE,
        params![
            program,
            slot(name),
            from.millis(),
            to.millis(),
            row_limit(usize::MAX)
        ],
        read,
    )
}

fn read(row: &Row<'_>) -> rusqlite::Result<LogRecord> {
    Ok(LogRecord {
        time: wall(row, "at")?,
        instance: super::instance(row)?,
        run: parse_opt(row, "run")?,
        stream: read_word(row, "stream")?,
        level: read_word(row, "level")?,
        line: row.get("line")?,
    })
}

//! The statements that delete what is old, a bite at a time.

use rusqlite::params;

use crate::clock::Wall;
use crate::limits;
use crate::store::error::StoreError;
use crate::store::series::{Kept, candles_kept};
use crate::store::tx::{Sql, Tx, statements};

// Each finds the time of the last row of the bite by its index and deletes up to it.
statements! {
    SAMPLES = seek "delete old samples",
        "DELETE FROM samples WHERE at <= (SELECT max(at) FROM
           (SELECT at FROM samples WHERE at < ?1 ORDER BY at LIMIT ?2))";
    HOST_SAMPLES = seek "delete old samples of the host",
        "DELETE FROM host_samples WHERE at <= (SELECT max(at) FROM
           (SELECT at FROM host_samples WHERE at < ?1 ORDER BY at LIMIT ?2))";
    CHUNKS = seek "delete old chunks",
        "DELETE FROM chunks WHERE ends <= (SELECT max(ends) FROM
           (SELECT ends FROM chunks WHERE ends < ?1 ORDER BY ends LIMIT ?2))";
    CANDLES = seek "delete old candles",
        "DELETE FROM candles WHERE frame = ?3 AND ends <= (SELECT max(ends) FROM
           (SELECT ends FROM candles WHERE frame = ?3 AND ends < ?1 ORDER BY ends LIMIT ?2))";
    LOG_RECORDS = seek "delete old log records",
        "DELETE FROM log_records WHERE at <= (SELECT max(at) FROM
           (SELECT at FROM log_records WHERE at < ?1 ORDER BY at LIMIT ?2))";
    ATTEMPTS = seek "delete old attempts",
        "DELETE FROM attempts WHERE started_at <= (SELECT max(started_at) FROM
           (SELECT started_at FROM attempts WHERE started_at < ?1 ORDER BY started_at LIMIT ?2))";
    DELIVERIES = seek "delete old deliveries",
        "DELETE FROM deliveries WHERE settled_at <= (SELECT max(settled_at) FROM
           (SELECT settled_at FROM deliveries WHERE settled_at < ?1 ORDER BY settled_at LIMIT ?2))";
    MESSAGES = seek "delete old messages",
        "DELETE FROM messages WHERE told_at <= (SELECT max(told_at) FROM
           (SELECT told_at FROM messages WHERE told_at < ?1 ORDER BY told_at LIMIT ?2))";
    EVENTS = seek "delete old events",
        "DELETE FROM events WHERE at <= (SELECT max(at) FROM
           (SELECT at FROM events WHERE at < ?1 ORDER BY at LIMIT ?2))";
    INCIDENTS = seek "delete old incidents",
        "DELETE FROM incidents WHERE state = 'resolved' AND resolved_at <= (SELECT max(resolved_at) FROM
           (SELECT resolved_at FROM incidents WHERE state = 'resolved' AND resolved_at < ?1
            ORDER BY resolved_at LIMIT ?2))";
    SILENCES = seek "delete old silences",
        "DELETE FROM silences WHERE ended_at IS NOT NULL AND ended_at <= (SELECT max(ended_at) FROM
           (SELECT ended_at FROM silences WHERE ended_at < ?1 ORDER BY ended_at LIMIT ?2))";
    SERIES = seek "delete the series of old runs",
        "DELETE FROM series WHERE run IN
           (SELECT id FROM runs WHERE ended_at < ?1 ORDER BY ended_at LIMIT ?2)";
    RUNS = seek "delete old runs",
        "DELETE FROM runs WHERE id IN
           (SELECT id FROM runs WHERE ended_at < ?1 ORDER BY ended_at LIMIT ?2)";
}

/// What is deleted once it is older than what; a series before its run.
const FIXED: [(Sql, std::time::Duration); 9] = [
    (LOG_RECORDS, limits::RETENTION_LOGS),
    (ATTEMPTS, limits::RETENTION_DELIVERIES),
    (DELIVERIES, limits::RETENTION_DELIVERIES),
    (MESSAGES, limits::RETENTION_EVENTS),
    (EVENTS, limits::RETENTION_EVENTS),
    (INCIDENTS, limits::RETENTION_EVENTS),
    (SILENCES, limits::RETENTION_EVENTS),
    (SERIES, limits::RETENTION_EVENTS),
    (RUNS, limits::RETENTION_EVENTS),
];

/// Deletes at most about one bite of each kind of row; says how many rows that were.
pub(in crate::store) fn bite(tx: &Tx<'_>, now: Wall, kept: Kept) -> Result<usize, StoreError> {
    let samples = [
        (SAMPLES, kept.raw),
        (HOST_SAMPLES, kept.raw),
        (CHUNKS, kept.chunks),
    ];
    let bite = super::int(limits::RETENTION_BITE);
    let before = |age: std::time::Duration| {
        let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        now.millis().saturating_sub(age)
    };
    let mut deleted = 0;
    for (sql, age) in samples.into_iter().chain(FIXED) {
        if sql.text == EVENTS.text {
            deleted += super::groups::forget(tx, before(age), bite)?;
        }
        deleted += tx.execute(sql, params![before(age), bite])?;
    }
    for frame in limits::CANDLE_FRAMES {
        let age = candles_kept(frame, kept.candles);
        deleted += tx.execute(CANDLES, params![before(age), bite, frame])?;
    }
    Ok(deleted)
}

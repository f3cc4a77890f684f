//! How many deliveries may wait for a target: in the transaction that adds one too many, others make room. Updates of an
//! incident that are followed by a newer one go first, where the newest is enough; then the least severe, the oldest of
//! them first, which is counted.

use std::sync::Arc;

use rusqlite::{named_params, params};

use crate::model::delivery::{Bound, NewDelivery};
use crate::store::error::StoreError;
use crate::store::tx::{Tx, statements};

statements! {
    FORGET = whole "forget the bounds", "UPDATE targets SET queue = NULL WHERE queue IS NOT NULL";
    SET = seek "keep a bound",
        "INSERT INTO targets (name, queue, merges) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET queue = excluded.queue, merges = excluded.merges";
    // From half of it on, so that room is made before anything must be dropped.
    FILLED = seek "see how much waits for a target",
        "SELECT pending - queue, merges FROM targets WHERE name = ?1 AND pending * 2 > queue";
    // Neither the first, which says that it began, nor what may have been told already.
    MERGE = seek "let the newest stand for what is between",
        "DELETE FROM deliveries WHERE id IN (
           SELECT d.id FROM deliveries AS d INDEXED BY deliveries_open
           WHERE d.target = :target AND d.incident = :incident AND d.state IN ('pending', 'leased')
             AND d.state = 'pending' AND d.id < :id AND d.held IS NULL AND d.attempts = 0 AND d.confirmed = 0
             AND d.doubtful = 0 AND EXISTS (
               SELECT 1 FROM deliveries AS b INDEXED BY deliveries_open
               WHERE b.target = d.target AND b.incident = d.incident AND b.id < d.id
                 AND b.state IN ('pending', 'leased')))";
    DROP = seek "drop the least severe",
        "UPDATE deliveries SET state = 'dead', settled_at = :now,
           last_error = 'dropped: too much waited for its target'
         WHERE id IN (
           SELECT d.id FROM deliveries AS d INDEXED BY deliveries_pending
           WHERE d.target = :target AND d.state = 'pending' AND d.held IS NULL AND d.confirmed = 0
           ORDER BY CASE d.severity WHEN 'critical' THEN 2 WHEN 'warning' THEN 1 ELSE 0 END, d.id
           LIMIT :over)";
    COUNT = seek "count what was dropped",
        "UPDATE targets SET dropped = dropped + ?2, unsaid = unsaid + ?2 WHERE name = ?1";
    SAID = seek "note that it was told of what was dropped",
        "UPDATE targets SET unsaid = max(unsaid - ?2, 0)
         WHERE name = (SELECT target FROM deliveries WHERE id = ?1)";
}

/// Keeps the bounds, in place of what was kept before.
pub(in crate::store) fn keep(tx: &Tx<'_>, bounds: &[(Arc<str>, Bound)]) -> Result<(), StoreError> {
    tx.execute(FORGET, [])?;
    for (target, bound) in bounds {
        let queue = i64::try_from(bound.queue).unwrap_or(i64::MAX);
        tx.execute(SET, params![target.as_ref(), queue, bound.merges])?;
    }
    Ok(())
}

/// Makes room after `new` was added.
pub(in crate::store) fn hold(tx: &Tx<'_>, new: &NewDelivery) -> Result<(), StoreError> {
    let filled = |tx: &Tx<'_>| -> Result<Option<(i64, bool)>, StoreError> {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        tx.db().first(FILLED, [new.target.as_ref()], read)
    };
    let Some((_, merges)) = filled(tx)? else {
        return Ok(());
    };
    if let Some(incident) = new.incident.filter(|_| merges) {
        let params = named_params! {
            ":target": new.target.as_ref(),
            ":incident": incident.to_string(),
            ":id": new.id.to_string(),
        };
        tx.execute(MERGE, params)?;
    }
    let over = filled(tx)?.map_or(0, |(over, _)| over);
    if over <= 0 {
        return Ok(());
    }
    let params = named_params! {
        ":now": new.due.millis(), ":target": new.target.as_ref(), ":over": over,
    };
    let dropped = tx.execute(DROP, params)?;
    tx.execute(COUNT, params![new.target.as_ref(), super::int(dropped)])?;
    Ok(())
}

/// The target of `delivery` was told that so many were dropped.
pub(in crate::store) fn said(tx: &Tx<'_>, delivery: &str, count: u64) -> Result<(), StoreError> {
    if count > 0 {
        tx.execute(SAID, params![delivery, super::int(count)])?;
    }
    Ok(())
}

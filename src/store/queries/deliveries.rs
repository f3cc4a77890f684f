//! Deliveries and their attempts: enqueue, lease, settle, expire, retry. One statement for all targets,
//! never one a row.

use std::collections::HashSet;

use rusqlite::{Row, named_params, params};

use super::{int, json, parse, parse_opt, row_limit, wall, wall_opt};
use crate::clock::Wall;
use crate::ids::{DeliveryId, EventId, IncidentId};
use crate::limits;
use crate::model::delivery::{
    Claim, DeliveryState, Leased, NewDelivery, Pick, Settlement, Verdict,
};
use crate::model::event::Severity;
use crate::model::hold::{Hold, Withdrawal};
use crate::model::living::Known;
use crate::store::error::StoreError;
use crate::store::tx::{Db, Tx, statements};

statements! {
    INSERT = seek "store a delivery",
        "INSERT INTO deliveries (id, event, incident, target, severity, state, due, expires_at, held)
         VALUES (:id, :event, :incident, :target, :severity, 'pending', :due, :expires_at, :held)
         ON CONFLICT (id) DO NOTHING";
    WITHDRAW = seek "take back a held delivery",
        "DELETE FROM deliveries WHERE id = ?1 AND state = 'pending' AND held IS NOT NULL
           AND attempts = 0 AND confirmed = 0";
    // What was kept up is overtaken: the new one says how things stand.
    OVERTAKE = seek "end what a new delivery takes the place of",
        "UPDATE deliveries INDEXED BY deliveries_open SET state = 'delivered', settled_at = :now
         WHERE target = :target AND incident = :incident AND id < :id
           AND state IN ('pending', 'leased') AND state = 'pending' AND confirmed > 0";
    // INDEXED BY: without statistics SQLite takes the wider index and sorts, or walks all that wait.
    //
    // The oldest of each target that is due and not behind an unfinished one of its incident.
    HEADS = seek "find the deliveries due",
        "SELECT (
           SELECT h.id FROM deliveries AS h INDEXED BY deliveries_pending
           WHERE h.target = t.value AND h.state = 'pending' AND h.due <= ?2
             AND NOT EXISTS (
               SELECT 1 FROM deliveries AS b
               WHERE b.target = h.target AND b.incident = h.incident AND b.id < h.id
                 AND b.state IN ('pending', 'leased'))
           ORDER BY h.id LIMIT 1) AS delivery
         FROM json_each(?1) AS t";
    // The same for the oldest critical one: the first that its incident still waits for, which need not be critical.
    CRITICAL_HEADS = seek "find the critical deliveries due",
        "SELECT (
           SELECT h.id FROM deliveries AS c INDEXED BY deliveries_critical
           CROSS JOIN deliveries AS h ON h.id = coalesce((
             SELECT b.id FROM deliveries AS b INDEXED BY deliveries_open
             WHERE b.target = c.target AND b.incident = c.incident AND b.state IN ('pending', 'leased')
             ORDER BY b.id LIMIT 1), c.id)
           WHERE c.target = t.value AND c.state = 'pending' AND c.severity = 'critical'
             AND h.state = 'pending' AND h.due <= ?2
           ORDER BY c.id LIMIT 1) AS delivery
         FROM json_each(?1) AS t";
    // Both conditions on the state: the first is the index's own.
    TOGETHER = seek "find what can be told together",
        "SELECT h.id AS head, d.id AS delivery, d.attempts, d.doubtful
         FROM json_each(?1) AS t
         CROSS JOIN deliveries AS h ON h.id = t.value
         CROSS JOIN deliveries AS d INDEXED BY deliveries_open ON d.target = h.target AND d.incident = h.incident
         WHERE d.state IN ('pending', 'leased') AND d.state = 'pending' AND d.due <= ?2
         ORDER BY h.id, d.id LIMIT ?3";
    // LEFT JOIN: a delivery whose event is gone must be found, to be given up.
    READ = seek "read the deliveries due",
        "SELECT d.id AS delivery, d.target, d.incident AS told, d.attempts, d.expires_at, d.body, d.confirmed, d.doubtful, d.instead_of,
           (SELECT unsaid FROM targets WHERE name = d.target) AS unsaid,
           e.id, e.at, e.kind, e.severity, e.program, e.slot, e.run, e.facts, e.incident_state,
           m.message AS m_message, m.place AS m_place, m.seq AS m_seq, m.severity AS m_severity,
           m.created_at AS m_created_at, m.digest AS m_digest, m.settings AS m_settings,
           p.place AS p_place, p.program AS p_program, p.settings AS p_settings
         FROM json_each(?1) AS t
         CROSS JOIN deliveries AS d ON d.id = t.value
         LEFT JOIN events AS e ON e.id = d.event
         LEFT JOIN group_members AS g ON g.target = d.target AND g.incident = d.incident
         LEFT JOIN messages AS m ON m.target = d.target AND m.incident = coalesce(g.lead, d.incident)
         LEFT JOIN places AS p ON p.target = d.target AND p.program = coalesce(e.program, '')";
    TAKE = seek "lease deliveries",
        "UPDATE deliveries SET state = 'leased'
         WHERE id IN (SELECT value FROM json_each(?1)) AND state = 'pending'";
    RELEASE = seek "take back leases",
        "UPDATE deliveries SET state = 'pending'
         WHERE id IN (SELECT value FROM json_each(?1)) AND state = 'leased'";
    RELEASE_ALL = seek "take back every lease",
        "UPDATE deliveries SET state = 'pending', doubtful = 1 WHERE state = 'leased'";
    // The earliest of each target among those that wait for nothing but their time.
    NEXT_DUE = seek "find when a delivery is due",
        "SELECT min((
           SELECT h.due FROM deliveries AS h INDEXED BY deliveries_due
           WHERE h.target = t.value AND h.state = 'pending'
             AND NOT EXISTS (
               SELECT 1 FROM deliveries AS b
               WHERE b.target = h.target AND b.incident = h.incident AND b.id < h.id
                 AND b.state IN ('pending', 'leased'))
           ORDER BY h.due LIMIT 1))
         FROM json_each(?1) AS t";
    NEXT_CRITICAL_DUE = seek "find when a critical delivery is due",
        "SELECT min(h.due) FROM json_each(?1) AS t
         CROSS JOIN deliveries AS c INDEXED BY deliveries_critical ON c.target = t.value
         CROSS JOIN deliveries AS h ON h.id = coalesce((
           SELECT b.id FROM deliveries AS b INDEXED BY deliveries_open
           WHERE b.target = c.target AND b.incident = c.incident AND b.state IN ('pending', 'leased')
           ORDER BY b.id LIMIT 1), c.id)
         WHERE c.state = 'pending' AND c.severity = 'critical' AND h.state = 'pending'";
    STATE = seek "read a delivery's state", "SELECT state FROM deliveries WHERE id = ?1";
    SETTLE = seek "settle a delivery",
        "UPDATE deliveries SET state = :state, due = coalesce(:due, due), attempts = attempts + :counts,
           body = CASE :state WHEN 'delivered' THEN NULL ELSE coalesce(body, :body) END,
           message_id = coalesce(:message_id, message_id), last_error = :error, settled_at = :settled_at,
           doubtful = max(doubtful, :doubtful)
         WHERE id = :id AND state = 'leased'";
    OVERTAKEN = seek "see whether a later delivery is there",
        "SELECT 1 FROM deliveries AS d JOIN deliveries AS l INDEXED BY deliveries_by_incident
           ON l.incident = d.incident AND l.id > d.id AND l.target = d.target
         WHERE d.id = ?1 LIMIT 1";
    STAND = seek "keep a delivery up",
        "UPDATE deliveries SET state = 'pending', due = ?2, expires_at = max(expires_at, ?3), attempts = 0,
           confirmed = confirmed + 1, last_error = NULL
         WHERE id = ?1 AND state = 'leased'";
    CONFIRMED = seek "read how often a delivery was taken",
        "SELECT confirmed FROM deliveries WHERE id = ?1";
    SETTLE_WITH = seek "settle what was told together",
        "UPDATE deliveries SET state = ?2, due = coalesce(?3, due), attempts = attempts + ?4,
           message_id = coalesce(?5, message_id), last_error = ?6, settled_at = ?7
         WHERE id IN (SELECT value FROM json_each(?1)) AND state = 'leased'";
    ATTEMPT_WITH = seek "store an attempt at several",
        "INSERT INTO attempts (delivery, started_at, took_ms, outcome, status, error)
         SELECT value, ?2, ?3, ?4, ?5, 'told with ' || ?6 FROM json_each(?1)";
    ATTEMPT = seek "store an attempt",
        "INSERT INTO attempts (delivery, started_at, took_ms, outcome, status, error, did, fallback)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    EXPIRED_ATTEMPTS = seek "note what expires",
        "INSERT INTO attempts (delivery, started_at, took_ms, outcome, error)
         SELECT id, ?1, 0, 'expired', 'too old to send' FROM deliveries INDEXED BY deliveries_expiring
         WHERE state = 'pending' AND expires_at <= ?1";
    EXPIRE = seek "expire deliveries",
        "UPDATE deliveries INDEXED BY deliveries_expiring SET state = 'expired', settled_at = ?1,
           last_error = coalesce(last_error, 'too old to send')
         WHERE state = 'pending' AND expires_at <= ?1";
    GIVE_UP = seek "give up a delivery",
        "UPDATE deliveries SET state = 'dead', settled_at = ?2, last_error = ?3
         WHERE id = ?1 AND state IN ('pending', 'leased')";
    ABANDON = seek "give up a target's deliveries",
        "UPDATE deliveries INDEXED BY deliveries_open
         SET state = 'dead', settled_at = ?2, last_error = 'the target is no longer configured'
         WHERE target IN (SELECT value FROM json_each(?1)) AND state IN ('pending', 'leased')";
    RETRY_ONE = seek "retry a delivery",
        "UPDATE deliveries SET state = 'pending', due = ?2, expires_at = max(expires_at, ?3), attempts = 0,
           settled_at = NULL
         WHERE id = ?1 AND state IN ('pending', 'dead', 'expired')";
    // What is held back on purpose stays so.
    RETRY_ALL = seek "retry deliveries",
        "UPDATE deliveries SET state = 'pending', due = ?1, expires_at = max(expires_at, ?2), attempts = 0,
           settled_at = NULL
         WHERE state IN ('pending', 'dead', 'expired') AND (state <> 'pending' OR held IS NULL)";
    ONE = seek "read a delivery", "SELECT * FROM deliveries WHERE id = ?1";
    NEWEST = seek "read deliveries",
        "SELECT * FROM deliveries WHERE id > '' ORDER BY id DESC LIMIT ?1";
    NEWEST_IN = seek "read deliveries in some states",
        "SELECT * FROM deliveries WHERE state IN (SELECT value FROM json_each(?2)) ORDER BY id DESC LIMIT ?1";
    OF_INCIDENTS = seek "read the deliveries of incidents",
        "SELECT * FROM deliveries WHERE incident IN (SELECT value FROM json_each(?1)) ORDER BY id LIMIT ?2";
    ATTEMPTS = seek "read attempts",
        "SELECT * FROM attempts WHERE delivery = ?1 ORDER BY id";
}

/// A delivery as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryView {
    /// Its identity for life.
    pub id: DeliveryId,
    /// What is told.
    pub event: EventId,
    /// The incident it belongs to.
    pub incident: Option<IncidentId>,
    /// Where it goes.
    pub target: String,
    /// Of the event.
    pub severity: Severity,
    /// Where it stands.
    pub state: DeliveryState,
    /// Why it waits, when it is held back on purpose.
    pub held: Option<Hold>,
    /// Attempts that count against the schedule.
    pub attempts: u32,
    /// When it is tried next, while it waits.
    pub next_attempt_at: Option<Wall>,
    /// Past this it expires.
    pub expires_at: Wall,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// The id the target gave the message.
    pub message_id: Option<String>,
}

/// One attempt as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptView {
    /// When it began.
    pub started_at: Wall,
    /// How long it took, in milliseconds.
    pub took_ms: i64,
    /// `delivered`, `retry`, `dead` or `expired`.
    pub outcome: String,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// What went wrong.
    pub error: Option<String>,
    /// What was done with the message of its incident.
    pub did: Option<String>,
    /// Why that was not done as it was meant to be.
    pub fallback: Option<String>,
}

/// Which deliveries to read. The default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Those in one of these states; empty: all.
    pub states: Vec<DeliveryState>,
    /// The newest so many, and never more than [`crate::limits::STORE_READ_ROWS`].
    pub limit: Option<usize>,
}

/// Adds a delivery, pending; one that another one tells only there.
pub(in crate::store) fn insert(tx: &Tx<'_>, new: &NewDelivery) -> Result<(), StoreError> {
    if !super::groups::seat(tx, new)? {
        return Ok(());
    }
    tx.execute(
        INSERT,
        named_params! {
            ":id": new.id.to_string(),
            ":event": new.event.to_string(),
            ":incident": new.incident.map(|i| i.to_string()),
            ":target": new.target.as_ref(),
            ":severity": new.severity.as_str(),
            ":due": new.due.millis(),
            ":expires_at": new.expires_at.millis(),
            ":held": new.held.map(Hold::to_text),
        },
    )?;
    if let Some(incident) = new.incident {
        tx.execute(
            OVERTAKE,
            named_params! {
                ":now": new.due.millis(),
                ":target": new.target.as_ref(),
                ":incident": incident.to_string(),
                ":id": new.id.to_string(),
            },
        )?;
        super::fallback::follow(tx, new)?;
    }
    super::bound::hold(tx, new)
}

/// Takes a held delivery back. One that has gone its way is ended by what stands in for it.
pub(in crate::store) fn withdraw(tx: &Tx<'_>, withdrawal: &Withdrawal) -> Result<(), StoreError> {
    let taken = tx.execute(WITHDRAW, [withdrawal.row.to_string()])?;
    match &withdrawal.or_else {
        Some(instead) if taken == 0 => insert(tx, instead),
        Some(_) | None => Ok(()),
    }
}

/// Expires what is too old, then leases for each claim its oldest delivery that may go, or the newest of the same
/// incident with all that come before it.
pub(in crate::store) fn lease(
    tx: &Tx<'_>,
    claims: &[Claim],
    now: Wall,
) -> Result<Vec<Leased>, StoreError> {
    expire(tx, now)?;
    let mut leased = Vec::new();
    let mut taken = HashSet::new();
    for is_together in [true, false] {
        let claims: Vec<&Claim> = claims.iter().filter(|c| c.newest == is_together).collect();
        let heads = heads(tx, &claims, &mut taken, now)?;
        if heads.is_empty() {
            continue;
        }
        let groups = if is_together {
            together(tx, &heads, now)?
        } else {
            heads.into_iter().map(Group::of).collect()
        };
        leased.extend(read_groups(tx, &groups, now)?);
    }
    let ids = leased
        .iter()
        .flat_map(|l| l.known.with.iter().copied().chain([l.id]));
    let ids: Vec<DeliveryId> = ids.collect();
    if !ids.is_empty() {
        tx.execute(TAKE, [json(&ids)])?;
    }
    Ok(leased)
}

/// The row that each claim begins with, where there is one.
fn heads(
    tx: &Tx<'_>,
    claims: &[&Claim],
    taken: &mut HashSet<String>,
    now: Wall,
) -> Result<Vec<DeliveryId>, StoreError> {
    let ask = |sql, names: &[&str]| -> Result<Vec<Option<DeliveryId>>, StoreError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let params = params![json(&names), now.millis()];
        tx.db().rows(sql, params, |row| parse_opt(row, "delivery"))
    };
    let (plain, urgent): (Vec<&Claim>, Vec<&Claim>) =
        claims.iter().partition(|c| c.pick == Pick::Oldest);
    let names: Vec<&str> = urgent.iter().map(|c| &*c.target).collect();
    let critical = ask(CRITICAL_HEADS, &names)?;
    let mut found: Vec<(&Claim, Option<DeliveryId>)> = urgent.into_iter().zip(critical).collect();
    let without = found
        .iter()
        .filter(|(claim, head)| head.is_none() && claim.pick == Pick::CriticalFirst);
    let others: Vec<&Claim> = plain
        .into_iter()
        .chain(without.map(|(claim, _)| *claim))
        .collect();
    let names: Vec<&str> = others.iter().map(|c| &*c.target).collect();
    let oldest = ask(HEADS, &names)?;
    found.extend(others.into_iter().zip(oldest));
    let mut heads = Vec::new();
    for (claim, head) in found {
        let Some(head) = head else { continue };
        if claim
            .alone
            .as_ref()
            .is_none_or(|key| taken.insert(key.clone()))
        {
            heads.push(head);
        }
    }
    Ok(heads)
}

/// A delivery with the older ones that are told with it.
struct Group {
    newest: DeliveryId,
    older: Vec<DeliveryId>,
    attempts: u32,
    is_doubtful: bool,
}

impl Group {
    fn of(newest: DeliveryId) -> Self {
        Self {
            newest,
            older: Vec::new(),
            attempts: 0,
            is_doubtful: false,
        }
    }
}

fn together(tx: &Tx<'_>, heads: &[DeliveryId], now: Wall) -> Result<Vec<Group>, StoreError> {
    let mut groups: Vec<(DeliveryId, Group)> =
        heads.iter().map(|head| (*head, Group::of(*head))).collect();
    let limit = super::int(limits::OUTBOX_TOGETHER);
    let rows = tx.db().rows(
        TOGETHER,
        params![json(&heads), now.millis(), limit],
        |row| {
            let head: DeliveryId = parse(row, "head")?;
            let id: DeliveryId = parse(row, "delivery")?;
            let (attempts, is_doubtful): (u32, bool) = (row.get("attempts")?, row.get("doubtful")?);
            Ok((head, id, attempts, is_doubtful))
        },
    )?;
    let shared = super::groups::together(tx, heads, now)?;
    let is_alone = |head: &DeliveryId| shared.iter().all(|s| s.0 != *head);
    let alone = rows.into_iter().filter(|row| is_alone(&row.0));
    let all: Vec<_> = alone.chain(shared.iter().copied()).collect();
    for (head, id, attempts, is_doubtful) in all {
        let Some((_, group)) = groups.iter_mut().find(|(h, _)| *h == head) else {
            continue;
        };
        if id != group.newest {
            group.older.push(std::mem::replace(&mut group.newest, id));
        }
        group.attempts = group.attempts.max(attempts);
        group.is_doubtful |= is_doubtful;
    }
    Ok(groups.into_iter().map(|(_, group)| group).collect())
}

fn read_groups(tx: &Tx<'_>, groups: &[Group], now: Wall) -> Result<Vec<Leased>, StoreError> {
    let ids: Vec<DeliveryId> = groups.iter().map(|g| g.newest).collect();
    let rows = tx.db().rows(READ, [json(&ids)], |row| {
        let id: DeliveryId = parse(row, "delivery")?;
        Ok(read_leased(row, id).map_err(|error| (id, error.to_string())))
    })?;
    let mut leased = Vec::with_capacity(rows.len());
    for row in rows {
        match row {
            Ok(mut delivery) => {
                if let Some(group) = groups.iter().find(|g| g.newest == delivery.id) {
                    delivery.attempts = delivery.attempts.max(group.attempts);
                    delivery.known.is_doubtful |= group.is_doubtful;
                    delivery.known.with.clone_from(&group.older);
                }
                leased.push(delivery);
            }
            // It would stand before its target for ever.
            Err((id, error)) => give_up(tx, id, now, &error)?,
        }
    }
    super::groups::complete(tx.db(), &mut leased)?;
    Ok(leased)
}

fn give_up(tx: &Tx<'_>, id: DeliveryId, now: Wall, error: &str) -> Result<(), StoreError> {
    log::error!("delivery {id} cannot be read back and is given up: {error}");
    tx.execute(GIVE_UP, params![id.to_string(), now.millis(), error])?;
    Ok(())
}

fn read_leased(row: &Row<'_>, id: DeliveryId) -> rusqlite::Result<Leased> {
    let told: Option<String> = row.get("told")?;
    let state: Option<String> = row.get("incident_state")?;
    Ok(Leased {
        id,
        target: row.get::<_, String>("target")?.into(),
        attempts: row.get("attempts")?,
        expires_at: wall(row, "expires_at")?,
        event: super::events::read(row)?,
        incident: state
            .filter(|_| told.is_some())
            .map(|s| super::incidents::read_snapshot(&s))
            .transpose()?,
        frozen_body: row.get("body")?,
        confirmed: row.get("confirmed")?,
        known: Known {
            living: super::messages::read_living(row)?,
            place: super::messages::read_place(row)?,
            is_doubtful: row.get("doubtful")?,
            instead_of: row.get("instead_of")?,
            dropped: unsigned_opt(row, "unsaid")?,
            ..Known::default()
        },
    })
}

fn unsigned_opt(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    let found: Option<i64> = row.get(column)?;
    Ok(found.and_then(|n| u64::try_from(n).ok()).unwrap_or(0))
}

/// Puts back leases that nobody took.
pub(in crate::store) fn release(tx: &Tx<'_>, ids: &[DeliveryId]) -> Result<usize, StoreError> {
    tx.execute(RELEASE, [json(&ids)])
}

/// Puts back the leases of a supervisor that is gone.
pub(in crate::store) fn release_all(tx: &Tx<'_>) -> Result<usize, StoreError> {
    tx.execute(RELEASE_ALL, [])
}

/// When the next delivery for one of `claims` comes due that waits for nothing but its time.
pub(in crate::store) fn next_due(db: Db<'_>, claims: &[Claim]) -> Result<Option<Wall>, StoreError> {
    let due = |sql, is_wanted: fn(&&Claim) -> bool| -> Result<Option<i64>, StoreError> {
        let names: Vec<&str> = claims
            .iter()
            .filter(is_wanted)
            .map(|c| &*c.target)
            .collect();
        if names.is_empty() {
            return Ok(None);
        }
        let due: Option<Option<i64>> = db.first(sql, [json(&names)], |row| row.get(0))?;
        Ok(due.flatten())
    };
    let any = due(NEXT_DUE, |c| c.pick != Pick::CriticalOnly)?;
    let critical = due(NEXT_CRITICAL_DUE, |c| c.pick == Pick::CriticalOnly)?;
    Ok(any.into_iter().chain(critical).min().map(Wall::from_millis))
}

/// Stores an attempt and what it made of its delivery. A delivery that is not leased has been settled before,
/// by a call whose answer came too late: nothing is done then.
pub(in crate::store) fn settle(tx: &Tx<'_>, settlement: &Settlement) -> Result<(), StoreError> {
    let id = settlement.id.to_string();
    let state: Option<DeliveryState> = tx.db().first(STATE, [&id], |row| parse(row, "state"))?;
    match state {
        None => return Err(StoreError::NoSuchDelivery(settlement.id)),
        Some(DeliveryState::Leased) => {}
        Some(
            DeliveryState::Pending
            | DeliveryState::Delivered
            | DeliveryState::Dead
            | DeliveryState::Expired,
        ) => return Ok(()),
    }
    let started = settlement.started_at.millis();
    let took = int(settlement.took.as_millis());
    let (state, outcome) = names(&settlement.verdict);
    if !is_repeated(tx, &id, &settlement.verdict)? {
        tx.execute(
            ATTEMPT,
            params![
                id,
                started,
                took,
                outcome,
                settlement.status,
                settlement.error,
                settlement.deed.did,
                settlement.deed.fallback
            ],
        )?;
    }
    if let Verdict::Standing { due, expires_at } = &settlement.verdict
        && tx.db().first(OVERTAKEN, [&id], |_| Ok(()))?.is_none()
    {
        tx.execute(STAND, params![id, due.millis(), expires_at.millis()])?;
        return Ok(());
    }
    let (due, counts) = match &settlement.verdict {
        Verdict::RetryAt { due, counts } => (Some(due.millis()), *counts),
        Verdict::Delivered { .. } | Verdict::Standing { .. } | Verdict::Dead | Verdict::Expired => {
            (None, true)
        }
    };
    let message_id = match &settlement.verdict {
        Verdict::Delivered { message } => message.as_ref().map(|m| m.id.as_str()),
        _ => None,
    };
    tx.execute(
        SETTLE,
        named_params! {
            ":id": id,
            ":state": state.as_str(),
            ":due": due,
            ":counts": i64::from(counts),
            ":body": settlement.frozen_body,
            ":message_id": message_id,
            ":error": settlement.error,
            ":settled_at": due.is_none().then(|| started.saturating_add(took)),
            ":doubtful": settlement.is_doubtful,
        },
    )?;
    share(tx, settlement)?;
    let now = Wall::from_millis(started.saturating_add(took));
    follow_up(tx, settlement, now)?;
    super::messages::apply(tx, settlement.id, &settlement.effect, now)
}

/// What was given up goes to the fallback; what was taken may have said what was dropped.
fn follow_up(tx: &Tx<'_>, settlement: &Settlement, now: Wall) -> Result<(), StoreError> {
    match settlement.verdict {
        Verdict::Dead | Verdict::Expired => {
            let lost = settlement.with.iter().copied().chain([settlement.id]);
            super::fallback::pass(tx, &lost.collect::<Vec<_>>(), now).map(drop)
        }
        Verdict::Delivered { .. } => {
            super::bound::said(tx, &settlement.id.to_string(), settlement.effect.dropped)
        }
        Verdict::Standing { .. } | Verdict::RetryAt { .. } => Ok(()),
    }
}

/// Gives the rows that were told with it its fate.
fn share(tx: &Tx<'_>, settlement: &Settlement) -> Result<(), StoreError> {
    if settlement.with.is_empty() {
        return Ok(());
    }
    let with = json(&settlement.with);
    let id = settlement.id.to_string();
    let started = settlement.started_at.millis();
    let took = int(settlement.took.as_millis());
    let (state, outcome) = names(&settlement.verdict);
    let (due, counts, message) = match &settlement.verdict {
        Verdict::RetryAt { due, counts } => (Some(due.millis()), *counts, None),
        Verdict::Delivered { message } => (None, true, message.as_ref().map(|m| m.id.as_str())),
        Verdict::Standing { .. } | Verdict::Dead | Verdict::Expired => (None, true, None),
    };
    let settled_at = due.is_none().then(|| started.saturating_add(took));
    tx.execute(
        SETTLE_WITH,
        params![
            with,
            state.as_str(),
            due,
            i64::from(counts),
            message,
            settlement.error,
            settled_at
        ],
    )?;
    tx.execute(
        ATTEMPT_WITH,
        params![with, started, took, outcome, settlement.status, id],
    )?;
    Ok(())
}

/// Whether an attempt says no more than those before it did: an alert that is kept up is taken every minute for
/// days.
fn is_repeated(tx: &Tx<'_>, id: &str, verdict: &Verdict) -> Result<bool, StoreError> {
    if !matches!(
        verdict,
        Verdict::Standing { .. } | Verdict::Delivered { .. }
    ) {
        return Ok(false);
    }
    let confirmed: Option<u32> = tx.db().first(CONFIRMED, [id], |row| row.get(0))?;
    Ok(confirmed.is_some_and(|times| times > 0))
}

fn names(verdict: &Verdict) -> (DeliveryState, &'static str) {
    match verdict {
        Verdict::Delivered { .. } | Verdict::Standing { .. } => {
            (DeliveryState::Delivered, "delivered")
        }
        Verdict::RetryAt { .. } => (DeliveryState::Pending, "retry"),
        Verdict::Dead => (DeliveryState::Dead, "dead"),
        Verdict::Expired => (DeliveryState::Expired, "expired"),
    }
}

/// Expires what waits and is too old; says how many.
pub(in crate::store) fn expire(tx: &Tx<'_>, now: Wall) -> Result<usize, StoreError> {
    if tx.execute(EXPIRED_ATTEMPTS, [now.millis()])? == 0 {
        return Ok(0);
    }
    let passed = super::fallback::expiring(tx.db(), now)?;
    super::fallback::pass(tx, &passed, now)?;
    tx.execute(EXPIRE, [now.millis()])
}

/// Gives up what waits for `targets`; says how many.
pub(in crate::store) fn abandon(
    tx: &Tx<'_>,
    targets: &[String],
    now: Wall,
) -> Result<usize, StoreError> {
    tx.execute(ABANDON, params![json(&targets), now.millis()])
}

/// Makes one delivery, or all that wait or failed, due at `now`; says how many.
pub(in crate::store) fn retry(
    tx: &Tx<'_>,
    id: Option<DeliveryId>,
    now: Wall,
    expires_at: Wall,
) -> Result<usize, StoreError> {
    let (now, expires_at) = (now.millis(), expires_at.millis());
    match id {
        Some(id) => tx.execute(RETRY_ONE, params![id.to_string(), now, expires_at]),
        None => tx.execute(RETRY_ALL, params![now, expires_at]),
    }
}

/// One delivery.
pub(in crate::store) fn one(
    db: Db<'_>,
    id: DeliveryId,
) -> Result<Option<DeliveryView>, StoreError> {
    db.first(ONE, [id.to_string()], read)
}

/// The newest that match, newest first.
pub(in crate::store) fn list(
    db: Db<'_>,
    filter: &DeliveryFilter,
) -> Result<Vec<DeliveryView>, StoreError> {
    let limit = row_limit(filter.limit.unwrap_or(usize::MAX));
    if filter.states.is_empty() {
        return db.rows(NEWEST, [limit], read);
    }
    let states: Vec<&str> = filter.states.iter().map(|s| s.as_str()).collect();
    db.rows(NEWEST_IN, params![limit, json(&states)], read)
}

/// The deliveries of `incidents`, oldest first.
pub(in crate::store) fn of_incidents(
    db: Db<'_>,
    incidents: &[IncidentId],
) -> Result<Vec<DeliveryView>, StoreError> {
    db.rows(
        OF_INCIDENTS,
        params![json(&incidents), row_limit(usize::MAX)],
        read,
    )
}

/// The attempts of a delivery, oldest first.
pub(in crate::store) fn attempts(
    db: Db<'_>,
    id: DeliveryId,
) -> Result<Vec<AttemptView>, StoreError> {
    db.rows(ATTEMPTS, [id.to_string()], read_attempt)
}

/// Reads a whole row of an attempt.
pub(super) fn read_attempt(row: &Row<'_>) -> rusqlite::Result<AttemptView> {
    Ok(AttemptView {
        started_at: wall(row, "started_at")?,
        took_ms: row.get("took_ms")?,
        outcome: row.get("outcome")?,
        status: row.get("status")?,
        error: row.get("error")?,
        did: row.get("did")?,
        fallback: row.get("fallback")?,
    })
}

/// Reads a whole row.
pub(in crate::store) fn read(row: &Row<'_>) -> rusqlite::Result<DeliveryView> {
    let state: DeliveryState = parse(row, "state")?;
    let waits = matches!(state, DeliveryState::Pending | DeliveryState::Leased);
    Ok(DeliveryView {
        id: parse(row, "id")?,
        event: parse(row, "event")?,
        incident: parse_opt(row, "incident")?,
        target: row.get("target")?,
        severity: parse(row, "severity")?,
        state,
        held: row
            .get::<_, Option<String>>("held")?
            .filter(|_| state == DeliveryState::Pending)
            .and_then(|text| Hold::parse(&text)),
        attempts: row.get("attempts")?,
        next_attempt_at: wall_opt(row, "due")?.filter(|_| waits),
        expires_at: wall(row, "expires_at")?,
        last_error: row.get("last_error")?,
        message_id: row.get("message_id")?,
    })
}

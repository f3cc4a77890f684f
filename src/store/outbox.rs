//! The outbox as the dispatcher and people see it: lease, settle, expire, retry. Decides nothing about when or
//! how often something is sent.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam::channel::bounded;

use super::error::StoreError;
use super::queries::deliveries::{self, AttemptView, DeliveryFilter, DeliveryView};
use super::tx::Tx;
use super::writer::{Shared, wake};
use super::{Store, queries, wait};
use crate::clock::Wall;
use crate::ids::{DeliveryId, IncidentId};
use crate::limits;
use crate::model::delivery::{Bound, Claim, DeliveryCounts, Leased, Settlement};
use crate::model::living::Living;

impl Store {
    /// Leases for each claim its oldest delivery that is due at `now` and not behind an unfinished one of the same
    /// incident, in one transaction; what is past its `expires_at` expires instead. Where the newest is wanted, that
    /// of the same incident comes instead, and the older ones with it. What is critical comes first, or alone, where the
    /// claim says so. A lease lasts until it is settled or the next start.
    ///
    /// # Errors
    /// Nothing was leased; try again later.
    pub fn lease_due(&self, claims: &[Claim], now: Wall) -> Result<Vec<Leased>, StoreError> {
        if claims.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, answer) = bounded(limits::STORE_HANDOVER);
        let claims = claims.to_vec();
        let shared = Arc::clone(&self.inner.shared);
        self.submit(move |conn| {
            let result = conn.transact(|tx| {
                recover(tx, &shared)?;
                deliveries::lease(tx, &claims, now)
            });
            let fault = result.as_ref().err().map(StoreError::fault);
            let ids: Vec<DeliveryId> = result
                .iter()
                .flatten()
                .flat_map(|l| l.known.with.iter().copied().chain([l.id]))
                .collect();
            if result.is_ok() {
                shared.stranded.lock().clear();
                shared.has_old_leases.store(false, Ordering::Release);
            }
            // Hand to hand: a lease nobody takes would otherwise stay leased until the next start.
            if reply
                .send_timeout(result, limits::STORE_HANDOVER_WAIT)
                .is_err()
            {
                shared.stranded.lock().extend(ids);
            }
            fault.map_or(Ok(()), Err)
        })?;
        wait(&answer)
    }

    /// When the next delivery for one of `claims` comes due that waits for nothing but its time; it may be
    /// in the past. `None` when none waits.
    pub fn next_due(&self, claims: &[Claim]) -> Result<Option<Wall>, StoreError> {
        self.read(|db| deliveries::next_due(db, claims))
    }

    /// Stores an attempt with what it made of its delivery, in one transaction, and waits for the commit.
    /// Settling again what is settled does nothing, so a caller whose answer came too late may repeat it.
    ///
    /// # Errors
    /// It was not committed in time: repeat it.
    pub fn settle(&self, settlement: &Settlement) -> Result<(), StoreError> {
        let settlement = settlement.clone();
        self.call(move |tx| deliveries::settle(tx, &settlement))
    }

    /// Expires what waits and is past its time; says how many.
    pub fn expire_due(&self, now: Wall) -> Result<usize, StoreError> {
        self.call(move |tx| deliveries::expire(tx, now))
    }

    /// Keeps who stands in for which target, in place of what was kept before.
    pub fn keep_fallbacks(&self, fallbacks: &[(Arc<str>, Arc<str>)]) -> Result<(), StoreError> {
        let fallbacks = fallbacks.to_vec();
        self.call(move |tx| queries::fallback::keep(tx, &fallbacks))
    }

    /// Keeps how much may wait for which target, in place of what was kept before.
    pub fn keep_bounds(&self, bounds: &[(Arc<str>, Bound)]) -> Result<(), StoreError> {
        let bounds = bounds.to_vec();
        self.call(move |tx| queries::bound::keep(tx, &bounds))
    }

    /// Hands what waits for `targets` to their fallbacks, what is worse than info and has not gone there before; says
    /// how many deliveries that made.
    pub fn pass_on(&self, targets: &[Arc<str>], now: Wall) -> Result<usize, StoreError> {
        let waiting = self.read(|db| queries::fallback::waiting(db, targets, now))?;
        if waiting.is_empty() {
            return Ok(0);
        }
        self.call(move |tx| queries::fallback::pass(tx, &waiting, now))
    }

    /// Makes one delivery, or all that wait or failed, due at `now` with fresh attempts and valid until
    /// `expires_at` at least; says how many.
    pub fn retry_delivery(
        &self,
        id: Option<DeliveryId>,
        now: Wall,
        expires_at: Wall,
    ) -> Result<usize, StoreError> {
        let count = self.call(move |tx| deliveries::retry(tx, id, now, expires_at))?;
        if count > 0 {
            wake(&self.inner.wakers);
        }
        Ok(count)
    }

    /// What waits for others to be told with it goes at `now`; says how many deliveries.
    pub fn release_groups(&self, now: Wall) -> Result<usize, StoreError> {
        self.call(move |tx| queries::groups::release(tx, now))
    }

    /// Gives up what waits for targets that are not among `known`; says how many deliveries.
    pub fn abandon_unknown_targets(
        &self,
        known: &[Arc<str>],
        now: Wall,
    ) -> Result<usize, StoreError> {
        let known = known.to_vec();
        self.call(move |tx| {
            let unknown = queries::targets::unknown(tx.db(), &known)?;
            if unknown.is_empty() {
                return Ok(0);
            }
            deliveries::abandon(tx, &unknown, now)
        })
    }

    /// The counts of every target there was ever a delivery for, in one statement.
    pub fn delivery_counts(&self) -> Result<HashMap<String, DeliveryCounts>, StoreError> {
        self.read(queries::targets::counts)
    }

    /// One delivery.
    pub fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryView>, StoreError> {
        self.read(|db| deliveries::one(db, id))
    }

    /// The newest deliveries that match, newest first.
    pub fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<DeliveryView>, StoreError> {
        self.read(|db| deliveries::list(db, filter))
    }

    /// The deliveries of `incidents`, oldest first, in one statement.
    pub fn deliveries_of(&self, incidents: &[IncidentId]) -> Result<Vec<DeliveryView>, StoreError> {
        self.read(|db| deliveries::of_incidents(db, incidents))
    }

    /// The attempts of a delivery, oldest first.
    pub fn attempts(&self, id: DeliveryId) -> Result<Vec<AttemptView>, StoreError> {
        self.read(|db| deliveries::attempts(db, id))
    }

    /// What `target` was told of `incident`.
    pub fn living(&self, target: &str, incident: IncidentId) -> Result<Option<Living>, StoreError> {
        self.read(|db| queries::messages::living(db, target, incident))
    }

    /// The incident that `message` of `target` is about, by the id the target gave it.
    pub fn incident_of_message(
        &self,
        target: &str,
        message: &str,
    ) -> Result<Option<IncidentId>, StoreError> {
        self.read(|db| queries::messages::incident_of(db, target, message))
    }

    /// Keeps what a target's provider must know after a restart (breaker, limits), as its own text.
    pub fn remember_target(&self, name: &str, memory: &str) -> Result<(), StoreError> {
        let (name, memory) = (name.to_owned(), memory.to_owned());
        self.call(move |tx| queries::targets::remember(tx, &name, &memory))
    }

    /// Keeps what must be known of a host after a restart; nothing takes away what was kept.
    pub fn remember_host(&self, host: &str, memory: Option<String>) -> Result<(), StoreError> {
        let host = host.to_owned();
        self.call(move |tx| queries::targets::remember_host(tx, &host, memory.as_deref()))
    }

    /// What was kept for each host.
    pub fn host_memories(&self) -> Result<HashMap<String, String>, StoreError> {
        self.read(queries::targets::host_memories)
    }

    /// What was kept for each target.
    pub fn target_memories(&self) -> Result<HashMap<String, String>, StoreError> {
        self.read(queries::targets::memories)
    }
}

/// Puts back leases of a supervisor that is gone and of callers that had gone.
fn recover(tx: &Tx<'_>, shared: &Shared) -> Result<(), StoreError> {
    if shared.has_old_leases.load(Ordering::Acquire) {
        queries::meta::set_clean(tx, false)?;
        deliveries::release_all(tx)?;
    }
    let stranded = shared.stranded.lock().clone();
    if !stranded.is_empty() {
        deliveries::release(tx, &stranded)?;
    }
    Ok(())
}

//! `stats`: what the supervisor did and what it cost.

use super::connect::Place;
use super::output::{Failure, Out};
use crate::control::stats::Stats;
use crate::text;

/// `jikimi stats`.
pub fn stats(place: &Place, is_json: bool, out: &mut Out) -> Result<(), Failure> {
    let client = place.client()?;
    if is_json {
        let raw: serde_json::Value = client.get("/api/v1/stats")?;
        return out.line(&raw.to_string());
    }
    let stats: Stats = client.get("/api/v1/stats")?;
    for line in lines(&stats) {
        out.line(&line)?;
    }
    Ok(())
}

fn lines(stats: &Stats) -> Vec<String> {
    let Stats {
        database: d,
        storage,
        pool,
        cache,
        configuration,
    } = stats;
    let micros = |sum: u64, count: u64| sum.checked_div(count).unwrap_or(0);
    vec![
        format!(
            "database       {}, -wal {}; {} wait, {} lost",
            text::size(storage.database_bytes),
            text::size(storage.wal_bytes),
            storage.queued,
            storage.dropped
        ),
        format!(
            "statements     {} read, {} written, in {} transactions; {} rolled back, {} tried again",
            d.statements_read, d.statements_written, d.transactions, d.rollbacks, d.retries
        ),
        format!(
            "events         {} in {} transactions",
            d.records, d.record_transactions
        ),
        format!(
            "samples        {} in {} transactions",
            d.samples, d.sample_transactions
        ),
        format!(
            "log records    {} in {} transactions",
            d.log_records, d.log_transactions
        ),
        format!(
            "checkpoints    {} of {} values in {} transactions, {} failed; the last one {} values in {} µs, mean {} µs, most {} µs",
            d.checkpoints,
            d.checkpoint_values,
            d.checkpoint_transactions,
            d.checkpoint_failures,
            d.checkpoint_last_values,
            d.checkpoint_last_micros,
            micros(d.checkpoint_micros, d.checkpoints),
            d.checkpoint_most_micros
        ),
        format!(
            "readers        {} of {} open, {} in use; taken {} times, {} times none was free",
            pool.open, pool.size, pool.used, d.pool_gets, d.pool_timeouts
        ),
        format!(
            "cache          {} answers, about {}, {:.1} % of its room ({}); {} hits, {} misses ({:.1} %), {} left for want of room, {} of age",
            cache.entries,
            text::size(cache.bytes),
            cache.use_percent,
            cache.policy,
            cache.hits,
            cache.misses,
            cache.hit_percent,
            cache.evictions,
            cache.expired
        ),
        format!(
            "configuration  version {}, looked for on disk {} times, {} files parsed",
            configuration.version, configuration.scans, configuration.parses
        ),
    ]
}

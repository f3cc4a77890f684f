//! Samples of instances and of the host.

use rusqlite::{Row, params};

use super::{int, parse, row_limit, slot, unsigned, wall};
use crate::clock::Wall;
use crate::model::name::InstanceName;
use crate::model::sample::{Figures, HostSample, Sample};
use crate::store::error::StoreError;
use crate::store::tx::{Db, Tx, statements};

statements! {
    INSERT_SERIES = seek "store a measured run",
        "INSERT INTO series (program, slot, run) VALUES (?1, ?2, ?3) ON CONFLICT (run) DO NOTHING";
    INSERT = seek "store a sample",
        "INSERT INTO samples (at, series, cpu_percent, memory_bytes, processes, threads, open_files,
           read_bytes, write_bytes)
         SELECT ?2, id, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM series WHERE run = ?1
         ON CONFLICT (at, series) DO NOTHING";
    INSERT_HOST = seek "store a sample of the host",
        "INSERT INTO host_samples (at, cpu_percent, memory_total_bytes, memory_used_bytes, swap_used_bytes,
           load_one)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (at) DO NOTHING";
    // By time, then by the few series of the instance: the key of the table, whose rows are appended.
    RANGE = seek "read samples",
        "SELECT s.*, r.program, r.slot, r.run FROM samples AS s CROSS JOIN series AS r ON r.id = s.series
         WHERE s.at >= ?1 AND s.at <= ?2
           AND s.series IN (SELECT id FROM series WHERE program = ?3 AND slot = ?4)
         ORDER BY s.at LIMIT ?5";
    HOST_RANGE = seek "read samples of the host",
        "SELECT * FROM host_samples WHERE at >= ?1 AND at <= ?2 ORDER BY at LIMIT ?3";
}

/// Stores samples; each run's series is made sure of once.
pub(in crate::store) fn insert(tx: &Tx<'_>, samples: &[Sample]) -> Result<(), StoreError> {
    let mut known = std::collections::HashSet::new();
    for sample in samples {
        let run = sample.run.to_string();
        if known.insert(sample.run) {
            let name = &sample.instance;
            tx.execute(
                INSERT_SERIES,
                params![name.program().as_ref(), slot(name), run],
            )?;
        }
        let f = &sample.figures;
        tx.execute(
            INSERT,
            params![
                run,
                sample.time.millis(),
                // SQLite has no NaN: it would be a NULL, which the column refuses.
                finite(f.cpu_percent),
                int(f.memory_bytes),
                f.processes,
                f.threads,
                f.open_files,
                int(f.read_bytes),
                int(f.write_bytes),
            ],
        )?;
    }
    Ok(())
}

/// Stores samples of the host.
pub(in crate::store) fn insert_host(tx: &Tx<'_>, samples: &[HostSample]) -> Result<(), StoreError> {
    for sample in samples {
        tx.execute(
            INSERT_HOST,
            params![
                sample.time.millis(),
                finite(sample.cpu_percent),
                int(sample.memory_total_bytes),
                int(sample.memory_used_bytes),
                int(sample.swap_used_bytes),
                finite(sample.load_one),
            ],
        )?;
    }
    Ok(())
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

/// The samples of an instance from `from` to `to`, both included, oldest first.
pub(in crate::store) fn range(
    db: Db<'_>,
    name: &InstanceName,
    from: Wall,
    to: Wall,
) -> Result<Vec<Sample>, StoreError> {
    let program = name.program().as_ref();
    db.rows(
        RANGE,
        params![
            from.millis(),
            to.millis(),
            program,
            slot(name),
            row_limit(usize::MAX)
        ],
        read,
    )
}

/// The samples of the host from `from` to `to`, both included, oldest first.
pub(in crate::store) fn host_range(
    db: Db<'_>,
    from: Wall,
    to: Wall,
) -> Result<Vec<HostSample>, StoreError> {
    db.rows(
        HOST_RANGE,
        params![from.millis(), to.millis(), row_limit(usize::MAX)],
        |row| {
            Ok(HostSample {
                time: wall(row, "at")?,
                cpu_percent: row.get("cpu_percent")?,
                memory_total_bytes: unsigned(row, "memory_total_bytes")?,
                memory_used_bytes: unsigned(row, "memory_used_bytes")?,
                swap_used_bytes: unsigned(row, "swap_used_bytes")?,
                load_one: row.get("load_one")?,
            })
        },
    )
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Sample> {
    Ok(Sample {
        instance: super::instance(row)?,
        run: parse(row, "run")?,
        time: wall(row, "at")?,
        figures: Figures {
            cpu_percent: row.get("cpu_percent")?,
            memory_bytes: unsigned(row, "memory_bytes")?,
            processes: row.get("processes")?,
            threads: row.get("threads")?,
            open_files: row.get("open_files")?,
            read_bytes: unsigned(row, "read_bytes")?,
            write_bytes: unsigned(row, "write_bytes")?,
        },
    })
}

//! How SQL is run: statements as constants, counted, and a transaction that commits by `commit()?` alone.
//! Architecture invariant: SQL text is `&'static str` by type, so no value can be spliced into it.

use rusqlite::{Connection, Params, Row, Transaction, TransactionBehavior};

use super::error::StoreError;
use super::stats::Counters;

/// A statement of the room. Made only by [`statements`], which also lists it for the query plan test.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sql {
    /// Completes "the database failed to …".
    pub(super) name: &'static str,
    /// The text; values are bound, never spliced.
    pub(super) text: &'static str,
    /// Reads a whole small table on purpose.
    #[cfg(test)]
    pub(super) is_whole: bool,
}

impl Sql {
    /// A statement that finds its rows by an index.
    pub(super) const fn seek(name: &'static str, text: &'static str) -> Self {
        Self {
            name,
            text,
            #[cfg(test)]
            is_whole: false,
        }
    }

    /// A statement that means to read the whole of a small table.
    pub(super) const fn whole(name: &'static str, text: &'static str) -> Self {
        Self {
            name,
            text,
            #[cfg(test)]
            is_whole: true,
        }
    }

    pub(super) fn failed(self, source: rusqlite::Error) -> StoreError {
        StoreError::Sqlite {
            doing: self.name,
            source,
        }
    }
}

/// Declares statements: `NAME = seek "what it does", "SQL";`.
macro_rules! statements {
    ($($name:ident = $how:ident $doing:literal, $text:expr;)*) => {
        $(const $name: $crate::store::tx::Sql = $crate::store::tx::Sql::$how($doing, $text);)*

        /// Every statement of this subject.
        #[cfg(test)]
        pub(in crate::store) const ALL: &[$crate::store::tx::Sql] = &[$($name),*];
    };
}
pub(super) use statements;

/// A connection to read from, with its statements counted.
#[derive(Clone, Copy)]
pub(super) struct Db<'c> {
    conn: &'c Connection,
    counters: &'c Counters,
}

impl<'c> Db<'c> {
    pub(super) fn new(conn: &'c Connection, counters: &'c Counters) -> Self {
        Self { conn, counters }
    }

    /// All rows. One that cannot be read back (made by other hands) is passed over, counted and logged: it
    /// must not hide the others.
    pub(super) fn rows<T, P: Params>(
        self,
        sql: Sql,
        params: P,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        self.counters.statements_read.one();
        let fail = |e| sql.failed(e);
        let mut statement = self.conn.prepare_cached(sql.text).map_err(fail)?;
        let mut rows = statement.query(params).map_err(fail)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(fail)? {
            match read(row) {
                Ok(value) => found.push(value),
                Err(error) => {
                    self.counters.unreadable_rows.one();
                    log::warn!(
                        "passing over a row that cannot be read: {}: {error}",
                        sql.name
                    );
                }
            }
        }
        Ok(found)
    }

    /// The first row, if there is one.
    pub(super) fn first<T, P: Params>(
        self,
        sql: Sql,
        params: P,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.rows(sql, params, read)?.into_iter().next())
    }
}

/// A transaction on the write connection. Dropped without [`Tx::commit`] it rolls back.
pub(super) struct Tx<'c> {
    inner: Transaction<'c>,
    counters: &'c Counters,
    open: Open<'c>,
}

impl<'c> Tx<'c> {
    /// Begins.
    pub(super) fn begin(conn: &'c Connection, counters: &'c Counters) -> Result<Self, StoreError> {
        // IMMEDIATE: a read that upgrades after another commit gets SQLITE_BUSY at once.
        let inner = Transaction::new_unchecked(conn, TransactionBehavior::Immediate)
            .map_err(|e| Sql::seek("begin a transaction", "").failed(e))?;
        Ok(Self {
            inner,
            counters,
            open: Open {
                counters,
                is_committed: false,
            },
        })
    }

    /// Runs a statement that changes rows, and says how many.
    pub(super) fn execute<P: Params>(&self, sql: Sql, params: P) -> Result<usize, StoreError> {
        self.counters.statements_written.one();
        self.inner
            .prepare_cached(sql.text)
            .and_then(|mut s| s.execute(params))
            .map_err(|e| sql.failed(e))
    }

    /// Reads inside the transaction.
    pub(super) fn db(&self) -> Db<'_> {
        Db::new(&self.inner, self.counters)
    }

    /// Commits. On an error nothing of it is in the database.
    pub(super) fn commit(self) -> Result<(), StoreError> {
        let Self {
            inner, mut open, ..
        } = self;
        inner
            .commit()
            .map_err(|e| Sql::seek("commit", "").failed(e))?;
        open.is_committed = true;
        open.counters.versions.publish();
        Ok(())
    }
}

/// Counts how a transaction ended, whichever way it did.
struct Open<'c> {
    counters: &'c Counters,
    is_committed: bool,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if self.is_committed {
            self.counters.transactions.one();
        } else {
            self.counters.rollbacks.one();
        }
    }
}

/// The one connection that writes.
pub(super) struct WriteConn<'c> {
    /// For the pragmas of its owner.
    pub(super) conn: &'c Connection,
    /// Of the store.
    pub(super) counters: &'c Counters,
}

impl WriteConn<'_> {
    /// Does `work` in a transaction and commits it.
    pub(super) fn transact<T>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let tx = Tx::begin(self.conn, self.counters)?;
        let value = work(&tx)?;
        tx.commit()?;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    statements! {
        INSERT = seek "add", "INSERT INTO t VALUES (?1)";
        COUNT = seek "count", "SELECT count(*) FROM t WHERE rowid > 0";
    }

    fn table() -> Connection {
        let conn = Connection::open_in_memory().expect("in memory");
        conn.execute_batch("CREATE TABLE t(x INTEGER PRIMARY KEY) STRICT")
            .expect("a table");
        conn
    }

    fn count(conn: &Connection, counters: &Counters) -> i64 {
        Db::new(conn, counters)
            .first(COUNT, [], |r| r.get(0))
            .expect("a count")
            .expect("one row")
    }

    #[test]
    fn a_transaction_that_is_not_committed_rolls_back_on_drop_error_and_panic() {
        let (conn, counters) = (table(), Counters::default());
        let write = WriteConn {
            conn: &conn,
            counters: &counters,
        };
        {
            let tx = Tx::begin(&conn, &counters).expect("begun");
            tx.execute(INSERT, [1]).expect("inserted");
        }
        let failed = write.transact(|tx| {
            tx.execute(INSERT, [2])?;
            tx.execute(INSERT, ["no number"])
        });
        assert!(failed.is_err());
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            write.transact(|tx| {
                tx.execute(INSERT, [3])?;
                assert!(count(&conn, &counters) < 0, "always");
                Ok(())
            })
        }));
        assert!(panicked.is_err());
        assert!(conn.is_autocommit());
        assert_eq!(count(&conn, &counters), 0);
        assert_eq!(counters.rollbacks.get(), 3);
        write
            .transact(|tx| tx.execute(INSERT, [4]))
            .expect("committed");
        assert_eq!(count(&conn, &counters), 1);
        assert_eq!(counters.transactions.get(), 1);
        assert_eq!(ALL.len(), 2);
    }
}

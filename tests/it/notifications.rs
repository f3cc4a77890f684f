//! Notifications, from the event to what a target was sent: the contract of the body, chats, routes, retries,
//! nothing lost and nothing invented, many at once.

mod bodies;
mod chats;
mod context;
mod contract;
mod exec;
mod fakes;
mod fallback;
mod grouping;
mod hosts;
mod kept;
mod killed;
mod living;
mod many;
mod people;
mod refused;
mod retries;
mod routes;
mod states;
mod storm;
mod templates;
mod tried;

use rusqlite::{Connection, OpenFlags};

use crate::support::supervisor::Supervisor;

/// A rate no test reaches.
pub const FAST: &str = "rate = { burst = 10000, per_minute = 100000 }";

/// A program that crashes with exit code 3 the first time, says why, and stays up the second time.
pub fn crashes_once(name: &str) -> String {
    format!(
        r#"
[program.{name}]
shell = true
command = '''
[ -e {name}.crashed ] && exec sleep 1000
touch {name}.crashed
echo "the last words of {name}" >&2
exit 3
'''
start_confirm = "50ms"
backoff = {{ initial = "50ms", jitter = 0.0 }}
recover_after = "300ms"
"#
    )
}

/// A program that stays up until a file of that name with `.go` behind it is there, then crashes once.
pub fn crashes_on_demand(name: &str) -> String {
    crashes_once(name).replace(
        "touch ",
        &format!("while [ ! -e {name}.go ]; do sleep 0.05; done\ntouch "),
    )
}

/// A webhook of this name that gets everything, with `more` keys.
pub fn hook(name: &str, url: &str, more: &str) -> String {
    format!(
        "\n[target.{name}]\nkind = \"webhook\"\nurl = \"{url}\"\n{FAST}\n{more}\n\
         [[route]]\nmin_severity = \"info\"\ntargets = [\"{name}\"]\n"
    )
}

/// The supervisor's database, to be read.
pub fn database(supervisor: &Supervisor) -> Connection {
    let path = supervisor.file(".jikimi/jikimi.db");
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a database")
}

/// One attempt at a delivery as the database has it.
#[derive(Debug)]
pub struct Attempt {
    pub started_at: i64,
    pub outcome: String,
    pub status: Option<i64>,
    pub error: Option<String>,
}

/// The attempts at the deliveries of `kind` of event to `target`, oldest first.
pub fn attempts(supervisor: &Supervisor, target: &str, kind: &str) -> Vec<Attempt> {
    let db = database(supervisor);
    let mut read = db
        .prepare(
            "SELECT a.started_at, a.outcome, a.status, a.error FROM attempts AS a
             JOIN deliveries AS d ON d.id = a.delivery JOIN events AS e ON e.id = d.event
             WHERE d.target = ?1 AND e.kind = ?2 ORDER BY a.id",
        )
        .expect("our own tables");
    let rows = read.query_map([target, kind], |row| {
        Ok(Attempt {
            started_at: row.get(0)?,
            outcome: row.get(1)?,
            status: row.get(2)?,
            error: row.get(3)?,
        })
    });
    rows.and_then(Iterator::collect).expect("our own tables")
}

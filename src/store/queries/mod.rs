//! The statements, by subject, and how values become columns and back. Nothing here opens a connection or
//! decides when to commit.

pub(super) mod bound;
pub(super) mod chunks;
pub(super) mod deliveries;
pub(super) mod desk;
pub(super) mod ends;
pub(super) mod events;
pub(super) mod fallback;
pub(super) mod groups;
pub(super) mod incidents;
pub(super) mod instances;
pub(super) mod logs;
pub(super) mod messages;
pub(super) mod meta;
pub(super) mod retention;
pub(super) mod runs;
pub(super) mod samples;
pub(super) mod silences;
pub(super) mod targets;
pub(super) mod told;

use std::str::FromStr;
use std::sync::Arc;

use rusqlite::Row;
use rusqlite::types::Type;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Wall;
use crate::model::name::InstanceName;

/// Every statement of the room, for the query plan test.
#[cfg(test)]
pub(super) const ALL: &[&[super::tx::Sql]] = &[
    chunks::ALL,
    bound::ALL,
    deliveries::ALL,
    desk::ALL,
    ends::ALL,
    events::ALL,
    groups::ALL,
    fallback::ALL,
    incidents::ALL,
    instances::ALL,
    logs::ALL,
    messages::ALL,
    meta::ALL,
    retention::ALL,
    runs::ALL,
    samples::ALL,
    silences::ALL,
    targets::ALL,
    told::ALL,
];

/// The slot of the only instance of a program.
const ONLY: i64 = -1;

fn slot(name: &InstanceName) -> i64 {
    name.index().map_or(ONLY, i64::from)
}

fn instance(row: &Row<'_>) -> rusqlite::Result<InstanceName> {
    let program: Arc<str> = row.get::<_, String>("program")?.into();
    let slot: i64 = row.get("slot")?;
    if slot == ONLY {
        return Ok(InstanceName::single(program));
    }
    let index = u16::try_from(slot).map_err(|e| unreadable(Type::Integer, e))?;
    Ok(InstanceName::indexed(program, index))
}

fn instance_opt(row: &Row<'_>) -> rusqlite::Result<Option<InstanceName>> {
    match row.get::<_, Option<String>>("program")? {
        Some(_) => instance(row).map(Some),
        None => Ok(None),
    }
}

/// What cannot be a column's value: found only in a file that other hands have written to.
#[derive(Debug, thiserror::Error)]
#[error("not a value of this column: {0}")]
struct Unknown(String);

fn unreadable(
    kind: Type,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, kind, Box::new(error))
}

fn parse<T: FromStr>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    parse_text(&text)
}

fn parse_text<T: FromStr>(text: &str) -> rusqlite::Result<T> {
    text.parse()
        .map_err(|_| unreadable(Type::Text, Unknown(text.to_owned())))
}

fn parse_opt<T: FromStr>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.as_deref().map(parse_text).transpose()
}

/// For the lower-case enums of the model, which read and write themselves as JSON strings.
fn word<T: Serialize>(value: &T) -> String {
    json(value).trim_matches('"').to_owned()
}

fn read_word<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_value(serde_json::Value::String(text)).map_err(|e| unreadable(Type::Text, e))
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data with text keys serialises")
}

fn read_json<T: DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|e| unreadable(Type::Text, e))
}

fn json_opt<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.as_deref().map(read_json).transpose()
}

fn wall(row: &Row<'_>, column: &str) -> rusqlite::Result<Wall> {
    row.get(column).map(Wall::from_millis)
}

fn wall_opt(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Wall>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Wall::from_millis))
}

/// `SQLite`'s integers are signed; what does not fit is held at the end of the range.
fn int<T: TryInto<i64>>(value: T) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

fn unsigned<T: TryFrom<i64>>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let value: i64 = row.get(column)?;
    T::try_from(value).map_err(|_| unreadable(Type::Integer, Unknown(value.to_string())))
}

/// The most rows a read gives.
fn row_limit(asked: usize) -> i64 {
    int(asked.min(crate::limits::STORE_READ_ROWS))
}

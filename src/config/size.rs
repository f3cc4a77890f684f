//! Sizes as `"16MiB"`, to bytes. Pure.

use super::fault::{Wrong, shown, wrong};
use super::read::Word;
use crate::text;

/// Smaller ones are a slip of the pen.
const LEAST: u64 = 1024;

/// The bytes that `word` means.
pub(super) fn size_in(word: &Word) -> Result<i64, Wrong> {
    let right = "a number with KiB, MiB or GiB, as \"16MiB\"";
    let raw = shown(&word.raw);
    let bytes =
        text::parse_size(&word.text).ok_or_else(|| wrong(format!("{raw} is no size"), right))?;
    if bytes < LEAST {
        return Err(wrong(
            format!("{raw} is too small"),
            "\"1KiB\" at the least",
        ));
    }
    i64::try_from(bytes).map_err(|_| wrong(format!("{raw} is too large"), right))
}

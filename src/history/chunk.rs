//! The bytes of a chunk: the columns of a [`Series`], each compressed by pco. Pure. What was written is read back
//! as it was, bit by bit; bytes that other hands have touched are an error and never much memory.
//!
//! A byte of version and two of the number of columns; the times; then for each column its name, how its numbers are kept and
//! their bytes. Most figures are whole numbers, or hundredths, which compress far better as such; a column that
//! never changes is one number, and one that equals an earlier one is that one's place.

use pco::ChunkConfig;
use pco::data_types::Number;
use pco::standalone::{simple_compress, simple_decompress_into};

use super::series::{Column, Series};
use crate::limits;

const VERSION: u8 = 1;

const FLOATS: u8 = 0;
const WHOLE: u8 = 1;
const HUNDREDTHS: u8 = 2;
const CONSTANT: u8 = 3;
const SAME: u8 = 4;

/// Why a chunk cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum ChunkError {
    /// More rows or columns than a chunk may have, or a name too long.
    #[error("more than fits into a chunk")]
    TooLarge,
    /// Not bytes that this version has written.
    #[error("damaged, or written by another version")]
    Damaged,
    /// The compression fails.
    #[error("it cannot be packed or unpacked")]
    Pack(#[from] pco::errors::PcoError),
}

/// The bytes of `series`.
pub fn encode(series: &Series) -> Result<Vec<u8>, ChunkError> {
    if series.len() > limits::CHUNK_ROWS_MAX || series.columns.len() > limits::CHUNK_COLUMNS_MAX {
        return Err(ChunkError::TooLarge);
    }
    let columns = u16::try_from(series.columns.len()).map_err(|_| ChunkError::TooLarge)?;
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&columns.to_le_bytes());
    put_block(&mut bytes, &pack(&series.times)?)?;
    for (n, column) in series.columns.iter().enumerate() {
        let name = column.name.as_bytes();
        bytes.push(u8::try_from(name.len()).map_err(|_| ChunkError::TooLarge)?);
        bytes.extend_from_slice(name);
        let before = series.columns[..n]
            .iter()
            .position(|other| same(&other.values, &column.values));
        put_column(&mut bytes, &column.values, before)?;
    }
    Ok(bytes)
}

fn same(one: &[f64], other: &[f64]) -> bool {
    one.iter()
        .zip(other)
        .all(|(a, b)| a.to_bits() == b.to_bits())
}

fn put_column(
    bytes: &mut Vec<u8>,
    values: &[f64],
    before: Option<usize>,
) -> Result<(), ChunkError> {
    let first = values.first().copied().unwrap_or_default();
    if values.iter().all(|v| v.to_bits() == first.to_bits()) {
        bytes.push(CONSTANT);
        bytes.extend_from_slice(&first.to_bits().to_le_bytes());
        return Ok(());
    }
    if let Some(place) = before {
        bytes.push(SAME);
        let place = u16::try_from(place).map_err(|_| ChunkError::TooLarge)?;
        bytes.extend_from_slice(&place.to_le_bytes());
        return Ok(());
    }
    let (kind, packed) = if let Some(whole) = scaled(values, 1.0) {
        (WHOLE, pack(&whole)?)
    } else if let Some(hundredths) = scaled(values, 100.0) {
        (HUNDREDTHS, pack(&hundredths)?)
    } else {
        (FLOATS, pack(values)?)
    };
    bytes.push(kind);
    put_block(bytes, &packed)
}

/// The values as whole numbers of `1 / scale`, when every one comes back from that bit by bit.
#[expect(clippy::cast_possible_truncation, reason = "looked at")]
fn scaled(values: &[f64], scale: f64) -> Option<Vec<i64>> {
    let scaled = |value: &f64| {
        let whole = (value * scale).round();
        let is_exact = unscaled(whole, scale).to_bits() == value.to_bits();
        (is_exact && whole.abs() < EXACT).then_some(whole as i64)
    };
    values.iter().map(scaled).collect()
}

/// Whole numbers up to here are exact as floating ones.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn unscaled(whole: f64, scale: f64) -> f64 {
    whole / scale
}

fn pack<T: Number>(values: &[T]) -> Result<Vec<u8>, ChunkError> {
    Ok(simple_compress(values, &ChunkConfig::default())?)
}

fn put_block(bytes: &mut Vec<u8>, block: &[u8]) -> Result<(), ChunkError> {
    let len = u32::try_from(block.len()).map_err(|_| ChunkError::TooLarge)?;
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(block);
    Ok(())
}

/// The series of `bytes`, which are said to be `rows` rows.
pub fn decode(bytes: &[u8], rows: usize) -> Result<Series, ChunkError> {
    if rows > limits::CHUNK_ROWS_MAX {
        return Err(ChunkError::TooLarge);
    }
    let mut rest = Rest(bytes);
    if rest.byte()? != VERSION {
        return Err(ChunkError::Damaged);
    }
    let columns = usize::from(rest.short()?);
    if columns > limits::CHUNK_COLUMNS_MAX {
        return Err(ChunkError::TooLarge);
    }
    let mut series = Series {
        times: unpack(rest.block()?, rows)?,
        columns: Vec::with_capacity(columns),
    };
    for _ in 0..columns {
        let len = usize::from(rest.byte()?);
        let name = std::str::from_utf8(rest.take(len)?).map_err(|_| ChunkError::Damaged)?;
        let values = column(&mut rest, rows, &series.columns)?;
        series.columns.push(Column {
            name: name.to_owned(),
            values,
        });
    }
    Ok(series)
}

fn column(rest: &mut Rest<'_>, rows: usize, before: &[Column]) -> Result<Vec<f64>, ChunkError> {
    match rest.byte()? {
        FLOATS => unpack(rest.block()?, rows),
        WHOLE => Ok(floats(&unpack(rest.block()?, rows)?, 1.0)),
        HUNDREDTHS => Ok(floats(&unpack(rest.block()?, rows)?, 100.0)),
        CONSTANT => {
            let bits = rest.take(8)?.try_into().map_err(|_| ChunkError::Damaged)?;
            Ok(vec![f64::from_bits(u64::from_le_bytes(bits)); rows])
        }
        SAME => {
            let place = usize::from(rest.short()?);
            let other = before.get(place).ok_or(ChunkError::Damaged)?;
            Ok(other.values.clone())
        }
        _ => Err(ChunkError::Damaged),
    }
}

#[expect(clippy::cast_precision_loss, reason = "written only where it is exact")]
fn floats(whole: &[i64], scale: f64) -> Vec<f64> {
    whole.iter().map(|w| unscaled(*w as f64, scale)).collect()
}

fn unpack<T: Number + Default>(block: &[u8], rows: usize) -> Result<Vec<T>, ChunkError> {
    let mut values = vec![T::default(); rows];
    let progress = simple_decompress_into(block, &mut values)?;
    if progress.n_processed == rows && progress.finished {
        Ok(values)
    } else {
        Err(ChunkError::Damaged)
    }
}

/// What of the bytes has not been read yet.
struct Rest<'b>(&'b [u8]);

impl<'b> Rest<'b> {
    fn take(&mut self, len: usize) -> Result<&'b [u8], ChunkError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(ChunkError::Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, ChunkError> {
        self.take(1)?.first().copied().ok_or(ChunkError::Damaged)
    }

    fn short(&mut self) -> Result<u16, ChunkError> {
        let bytes = self.take(2)?.try_into().map_err(|_| ChunkError::Damaged)?;
        Ok(u16::from_le_bytes(bytes))
    }

    fn block(&mut self) -> Result<&'b [u8], ChunkError> {
        let len = self.take(4)?.try_into().map_err(|_| ChunkError::Damaged)?;
        self.take(usize::try_from(u32::from_le_bytes(len)).map_err(|_| ChunkError::Damaged)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(series: &Series) -> Vec<Vec<u64>> {
        let bits = |c: &Column| c.values.iter().map(|v| v.to_bits()).collect();
        series.columns.iter().map(bits).collect()
    }

    /// Anything at all, and what programs look like.
    fn random(rng: &mut fastrand::Rng) -> Series {
        let mut series = Series::of(&["whole", "hundredths", "any", "still", "twin", "odd"]);
        let mut time = 1_700_000_000_000;
        let mut memory = 50_000_f64;
        for _ in 0..rng.usize(0..300) {
            time += rng.i64(1..10_000);
            memory += f64::from(rng.i32(-5..9)) * 4_096.0;
            let any = f64::from_bits(rng.u64(..));
            let hundredths = f64::from(rng.u32(..20_000)) / 100.0;
            let odd = *rng
                .choice(&[f64::NAN, f64::INFINITY, -0.0, 0.1, f64::MIN_POSITIVE])
                .expect("some");
            series.push(time, &[memory, hundredths, any, 7.25, memory, odd]);
        }
        series
    }

    #[test]
    fn every_series_comes_back_bit_by_bit() {
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..200 {
            let series = random(&mut rng);
            let bytes = encode(&series).expect("it fits");
            let back = decode(&bytes, series.len()).expect("our own bytes");
            assert_eq!(back.times, series.times);
            assert_eq!(bits(&back), bits(&series));
        }
    }

    #[test]
    fn damaged_bytes_are_an_error_or_other_numbers_but_never_a_panic() {
        let mut rng = fastrand::Rng::with_seed(8);
        for _ in 0..300 {
            let series = random(&mut rng);
            let mut bytes = encode(&series).expect("it fits");
            let at = rng.usize(..bytes.len());
            bytes[at] ^= 1 << rng.u8(0..8);
            if let Ok(back) = decode(&bytes, series.len()) {
                assert_eq!(back.len(), series.len());
            }
            bytes.truncate(at);
            assert!(decode(&bytes, series.len() + 1).is_err());
        }
        assert!(decode(&[9, 0, 0], 0).is_err(), "another version");
    }

    #[test]
    fn more_than_fits_is_refused() {
        let mut series = Series::of(&["a"]);
        for time in 0..=limits::CHUNK_ROWS_MAX {
            series.push(i64::try_from(time).expect("small"), &[0.0]);
        }
        assert!(matches!(encode(&series), Err(ChunkError::TooLarge)));
        assert!(decode(&[], usize::MAX).is_err());
    }
}

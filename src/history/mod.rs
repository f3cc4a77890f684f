//! What happened: the ends of an instance's runs told one by one, the pattern of a series of moments, and figures
//! over time. Owns the packing of samples into chunks and candles, and its thread; data lies in the store.
//!
//! Figures: [`series`] holds rows in columns, [`chunk`] is their bytes, [`candle`] sums them up, [`overlap`] says what
//! is stored already, [`pack`] stores, and [`figures`] answers what was asked of a stretch of time.

pub mod advice;
pub mod candle;
pub mod chunk;
pub mod explain;
pub mod figures;
pub mod forecast;
pub mod overlap;
pub mod pack;
pub mod pattern;
pub mod series;
pub mod summary;

#[cfg(test)]
mod tests;

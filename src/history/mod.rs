//! What happened: the ends of an instance's runs told one by one, and the pattern of a series of moments. Owns
//! no data; reads the store.

pub mod advice;
pub mod explain;
pub mod pattern;

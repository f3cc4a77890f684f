//! The benchmarks; see `scripts/bench`.

fn main() {}

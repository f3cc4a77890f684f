//! Figures over time as one line of blocks. Pure.

/// From nothing to the highest.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A block for each of `values`; the highest of them is a full one, and the lowest block is nothing.
pub(super) fn sparkline(values: &[f64]) -> String {
    let top = values
        .iter()
        .copied()
        .filter(|v| v.is_finite())
        .fold(0.0, f64::max);
    values.iter().map(|value| block(*value, top)).collect()
}

fn block(value: f64, top: f64) -> char {
    if !value.is_finite() || value <= 0.0 || top <= 0.0 {
        return BLOCKS[0];
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 7"
    )]
    let step = (value / top * 7.0).round() as usize;
    BLOCKS[step.min(7)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_is_full_and_nothing_is_flat() {
        for (values, line) in [
            (&[][..], ""),
            (&[0.0, 0.0], "▁▁"),
            (&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], "▁▂▃▄▅▆▇█"),
            (&[100.0, 100.0], "██"),
            (&[-1.0, f64::NAN, f64::INFINITY, 5.0], "▁▁▁█"),
            (&[1.0, 1_000_000.0], "▁█"),
        ] {
            assert_eq!(sparkline(values), line, "{values:?}");
        }
    }
}

//! A curve in the terminal, of braille dots: two columns and four rows of them a character. Pure.

/// A plot's size in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub width: usize,
    /// Lines.
    pub height: usize,
}

/// The dots of a braille character by column and row, as Unicode numbers them.
const DOTS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// The curve of `points` (time and value, in order) from `from` to `to`, the lowest value at the bottom and the
/// highest at the top. Where nothing was measured nothing is drawn.
#[must_use]
pub fn plot(points: &[(i64, f64)], (from, to): (i64, i64), size: Size) -> Vec<String> {
    let (columns, rows) = (size.width * 2, size.height * 4);
    let bins = bins(points, (from, to), columns);
    let values = || bins.iter().flatten().flat_map(|bin| [bin.0, bin.1]);
    let (low, high) = (
        values().fold(f64::INFINITY, f64::min),
        values().fold(f64::NEG_INFINITY, f64::max),
    );
    let mut cells = vec![vec![0_u32; size.width]; size.height];
    let mut before: Option<(usize, usize)> = None;
    for (x, bin) in bins.iter().enumerate() {
        let reach = bin.map(|(lowest, highest)| {
            (
                row(lowest, (low, high), rows),
                row(highest, (low, high), rows),
            )
        });
        if let Some((bottom, top)) = reach {
            // Joined to its neighbour, so that a steep rise is a line and not two dots.
            let bottom = before.map_or(bottom, |(_, top)| bottom.min(top + 1));
            let top = before.map_or(top, |(bottom, _)| top.max(bottom.saturating_sub(1)));
            for y in bottom..=top {
                let line = size.height - 1 - y / 4;
                cells[line][x / 2] |= DOTS[x % 2][3 - y % 4];
            }
        }
        before = reach;
    }
    let text = |line: Vec<u32>| -> String {
        let sign = |cell| char::from_u32(0x2800 + cell).unwrap_or(' ');
        line.into_iter().map(sign).collect()
    };
    cells.into_iter().map(text).collect()
}

/// The lowest and the highest value in each column of dots.
fn bins(points: &[(i64, f64)], (from, to): (i64, i64), columns: usize) -> Vec<Option<(f64, f64)>> {
    let mut bins: Vec<Option<(f64, f64)>> = vec![None; columns];
    let long = i128::from(to.saturating_sub(from).max(1));
    for (time, value) in points.iter().filter(|(_, value)| value.is_finite()) {
        let at = i128::from(time.saturating_sub(from)) * i128::try_from(columns).unwrap_or(0);
        let Ok(at) = usize::try_from(at / long) else {
            continue;
        };
        if let Some(bin) = bins.get_mut(at.min(columns.saturating_sub(1))) {
            let (low, high) = bin.unwrap_or((*value, *value));
            *bin = Some((low.min(*value), high.max(*value)));
        }
    }
    fill(&mut bins, points.len());
    bins
}

/// With fewer points than columns, the columns between two near ones are drawn too.
fn fill(bins: &mut [Option<(f64, f64)>], points: usize) {
    let usual = bins.len().div_ceil(points.max(1));
    let mut last: Option<usize> = None;
    for at in 0..bins.len() {
        if bins[at].is_none() {
            continue;
        }
        if let Some(last) = last
            && at - last <= usual * 3
        {
            for between in last + 1..at {
                bins[between] = bins[last];
            }
        }
        last = Some(at);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "between 0 and the number of rows"
)]
fn row(value: f64, (low, high): (f64, f64), rows: usize) -> usize {
    if high <= low {
        return 0;
    }
    let share = (value - low) / (high - low);
    ((share * (rows - 1) as f64).round() as usize).min(rows - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Size = Size {
        width: 4,
        height: 1,
    };

    #[test]
    fn a_rise_goes_from_the_lower_left_to_the_upper_right() {
        let points: Vec<(i64, f64)> = (0..8_i32).map(|n| (i64::from(n), f64::from(n))).collect();
        assert_eq!(plot(&points, (0, 8), SMALL), ["⣀⠤⠒⠉"]);
    }

    #[test]
    fn where_nothing_was_measured_nothing_is_drawn_and_few_points_are_joined() {
        let points = [(0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0)];
        assert_eq!(plot(&points, (0, 16), SMALL), ["⣀⠀⠀⠀"]);
        assert_eq!(
            plot(&[(0, 1.0), (4, 1.0), (7, 1.0)], (0, 8), SMALL),
            ["⣀⣀⣀⣀"]
        );
        assert_eq!(plot(&[], (0, 8), SMALL), ["⠀⠀⠀⠀"]);
        let odd = [(-5, 1.0), (3, f64::NAN), (99, 2.0)];
        assert_eq!(plot(&odd, (0, 8), SMALL)[0].chars().count(), 4);
    }
}

//! Aligned tables that fit the terminal. Pure.

use std::borrow::Cow;

use super::output::Style;
use crate::text;

/// A colour, by what it means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paint {
    /// As the terminal has it.
    #[default]
    Plain,
    /// A heading.
    Bold,
    /// Less important.
    Dim,
    /// Well.
    Good,
    /// On the way, or worth a look.
    Warn,
    /// Bad.
    Bad,
}

impl Paint {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Good => "32",
            Self::Warn => "33",
            Self::Bad => "31",
        }
    }

    /// `text` in this colour, where there are colours.
    pub fn on(self, text: &str, style: Style) -> String {
        if style.colour && self != Self::Plain {
            format!("\x1b[{}m{text}\x1b[0m", self.code())
        } else {
            text.to_owned()
        }
    }
}

/// One field of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    text: String,
    paint: Paint,
}

impl Cell {
    /// `text`, made harmless.
    pub fn new(text: &str) -> Self {
        Self::painted(text, Paint::Plain)
    }

    /// `text`, made harmless, in a colour.
    pub fn painted(text: &str, paint: Paint) -> Self {
        Self {
            text: text::printable(text.as_bytes()).replace('\t', " "),
            paint,
        }
    }
}

/// A column's heading and what may be done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its heading.
    pub heading: &'static str,
    /// How it is laid.
    pub kind: Kind,
}

/// How a column is laid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To the left.
    Text,
    /// To the left, and cut when the terminal is narrow.
    Flexible,
    /// To the right.
    Number,
}

/// Between columns.
const GAP: usize = 2;

/// A column is not cut below this.
const NARROWEST: usize = 8;

/// The lines of a table, without line ends. A row has a cell a column.
pub fn table(columns: &[Column], rows: &[Vec<Cell>], style: Style) -> Vec<String> {
    let widths = widths(columns, rows, style.width);
    let heading = columns
        .iter()
        .map(|c| Cell::painted(c.heading, Paint::Bold))
        .collect();
    std::iter::once(&heading)
        .chain(rows)
        .map(|row| line(columns, row, &widths, style))
        .collect()
}

fn widths(columns: &[Column], rows: &[Vec<Cell>], limit: Option<usize>) -> Vec<usize> {
    let mut widths: Vec<usize> = columns.iter().map(|c| columns_of(c.heading)).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(columns_of(&cell.text));
        }
    }
    let Some(limit) = limit else {
        return widths;
    };
    let total = |widths: &[usize]| widths.iter().sum::<usize>() + GAP * (widths.len() - 1);
    while total(&widths) > limit {
        // The widest first, so that a long cause does not cost the names.
        let widest = (0..widths.len())
            .filter(|i| columns[*i].kind == Kind::Flexible && widths[*i] > NARROWEST)
            .max_by_key(|i| widths[*i]);
        match widest {
            Some(i) => widths[i] -= 1,
            None => break,
        }
    }
    widths
}

fn line(columns: &[Column], row: &[Cell], widths: &[usize], style: Style) -> String {
    let mut out = String::new();
    let mut room = style.width.unwrap_or(usize::MAX);
    let mut owed = 0;
    for ((column, cell), width) in columns.iter().zip(row).zip(widths) {
        let shown = fit(&cell.text, *width);
        let pad = width - columns_of(&shown);
        let before = owed + if column.kind == Kind::Number { pad } else { 0 };
        owed = GAP + if column.kind == Kind::Number { 0 } else { pad };
        if shown.is_empty() {
            owed += before;
            continue;
        }
        // What does not fit even so is cut at the edge.
        let shown = fit(&shown, room.saturating_sub(before)).into_owned();
        if shown.is_empty() {
            break;
        }
        room = room.saturating_sub(before + columns_of(&shown));
        out.push_str(&" ".repeat(before));
        out.push_str(&cell.paint.on(&shown, style));
    }
    out
}

/// `text` cut to `width` columns.
pub fn fit(text: &str, width: usize) -> Cow<'_, str> {
    text::cut_by(text, width, columns_of_char)
}

/// Columns that `text` takes on a terminal.
pub fn columns_of(text: &str) -> usize {
    text.chars().map(columns_of_char).sum()
}

/// Hangul, Han, Kana, full-width forms and pictures take two columns.
fn columns_of_char(c: char) -> usize {
    match c {
        '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200d}' | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [
        Column {
            heading: "NAME",
            kind: Kind::Flexible,
        },
        Column {
            heading: "PID",
            kind: Kind::Number,
        },
        Column {
            heading: "CAUSE",
            kind: Kind::Flexible,
        },
    ];

    fn row(name: &str, pid: &str, cause: &str) -> Vec<Cell> {
        [name, pid, cause].map(Cell::new).to_vec()
    }

    fn style(width: Option<usize>) -> Style {
        Style {
            colour: false,
            width,
        }
    }

    #[test]
    fn columns_are_aligned_and_lines_have_no_blank_ends() {
        let rows = [row("web", "7", ""), row("지킴이", "12345", "exit code 1")];
        assert_eq!(
            table(&COLUMNS, &rows, style(None)),
            [
                "NAME      PID  CAUSE",
                "web         7",
                "지킴이  12345  exit code 1"
            ]
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let rows = [
            row(&"n".repeat(70), "123456", &"long cause ".repeat(20)),
            row("웹서버".repeat(9).as_str(), "1", "원인을 알 수 없습니다"),
        ];
        for width in 1..=120 {
            for line in table(&COLUMNS, &rows, style(Some(width))) {
                assert!(columns_of(&line) <= width, "{width}: {line:?}");
            }
        }
        let narrow = table(&COLUMNS, &rows, style(Some(60)));
        assert!(narrow[1].contains('…'), "{}", narrow[1]);
        assert!(
            narrow[1].contains("123456"),
            "figures are not cut: {}",
            narrow[1]
        );
    }

    #[test]
    fn colours_are_there_only_where_they_are_wanted_and_text_cannot_bring_its_own() {
        let rows = [vec![
            Cell::painted("\x1b[2Jweb", Paint::Good),
            Cell::new("1"),
            Cell::new("a\nb"),
        ]];
        let plain = table(&COLUMNS, &rows, style(None)).join("\n");
        assert!(!plain.contains('\x1b'), "{plain:?}");
        assert!(plain.contains("a\\x0ab"), "{plain:?}");
        let colour = Style {
            colour: true,
            width: None,
        };
        let painted = table(&COLUMNS, &rows, colour);
        assert!(
            painted[1].starts_with("\x1b[32m\\x1b[2Jweb\x1b[0m"),
            "{painted:?}"
        );
    }
}

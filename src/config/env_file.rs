//! `env_file`: lines of `KEY=VALUE`, as shells and containers take them. Fills nothing in; shows no value.

use super::env::is_variable_name;
use super::fault::{Fault, Wrong, shown, wrong};

/// The variables of `text` in order, and what is wrong with it. `file` and `key` name it in faults.
///
/// Blank lines and those that begin with `#` are skipped, and so is `export` before a name. A value in single
/// quotes stands for itself; in double quotes `\n \t \r \" \\ \$` are what they are in a shell; both may go
/// over several lines. A value without quotes ends at ` #` or the end of the line.
pub(super) fn parse(text: &str, file: &str, key: &str) -> (Vec<(String, String)>, Vec<Fault>) {
    let mut pairs = Vec::new();
    let mut faults = Vec::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1;
    while !rest.is_empty() {
        let (result, used) = entry(rest);
        match result {
            Ok(pair) => pairs.extend(pair),
            Err((column, w)) => faults.push(Fault {
                file: file.to_owned(),
                line,
                column,
                key: key.to_owned(),
                what: w.what,
                right: w.right,
            }),
        }
        line += rest[..used].matches('\n').count();
        rest = &rest[used..];
    }
    (pairs, faults)
}

type Outcome = Result<Option<(String, String)>, (usize, Wrong)>;

/// One entry at the start of `text`, and the bytes it takes with its line's end. After a fault: its line.
fn entry(text: &str) -> (Outcome, usize) {
    let line_end = text.find('\n').map_or(text.len(), |i| i + 1);
    let line = &text[..line_end];
    let trimmed = line.trim();
    if trimmed.is_empty() || trimmed.starts_with('#') {
        return (Ok(None), line_end);
    }
    let column = 1 + line.chars().take_while(|c| c.is_whitespace()).count();
    let fail = |w| (Err((column, w)), line_end);
    let Some(equals) = line.find('=') else {
        return fail(wrong("a line without =", "KEY=VALUE, or # before a remark"));
    };
    let name = line[..equals].trim();
    let name = match name.split_once(char::is_whitespace) {
        Some(("export", name)) => name.trim(),
        _ => name,
    };
    if !is_variable_name(name) {
        let what = format!("{} is no name of a variable", shown(name));
        return fail(wrong(what, "letters, digits and _, the first no digit"));
    }
    let blanks =
        line[equals + 1..].len() - line[equals + 1..].trim_start_matches([' ', '\t']).len();
    let start = equals + 1 + blanks;
    let value = match text[start..].chars().next() {
        Some(quote @ ('"' | '\'')) => match in_quotes(&text[start + 1..], quote) {
            Some((value, used)) => quoted(text, start + 1 + used, value),
            None => Err(wrong("a quote is not closed", "close it")),
        },
        _ => Ok((plain(&line[start..]), line_end)),
    };
    match value {
        Ok((value, _)) if value.contains('\0') => {
            fail(wrong("it has a NUL character", "take it out"))
        }
        Ok((value, used)) => (Ok(Some((name.to_owned(), value))), used),
        Err(w) => fail(w),
    }
}

/// A value without quotes.
fn plain(rest: &str) -> String {
    let end = rest
        .find(" #")
        .or_else(|| rest.find("\t#"))
        .unwrap_or(rest.len());
    let value = if rest.starts_with('#') {
        ""
    } else {
        &rest[..end]
    };
    value.trim().to_owned()
}

/// The rest of the line behind the closing quote, which may hold a remark only.
fn quoted(text: &str, after: usize, value: String) -> Result<(String, usize), Wrong> {
    let end = text[after..]
        .find('\n')
        .map_or(text.len(), |i| after + i + 1);
    let rest = text[after..end].trim();
    if rest.is_empty() || rest.starts_with('#') {
        return Ok((value, end));
    }
    Err(wrong(
        "something stands behind the closing quote",
        "put the whole value in quotes",
    ))
}

/// The value up to `quote`, and the bytes it takes, the quote counted.
fn in_quotes(text: &str, quote: char) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((i, c)) = chars.next() {
        if c == quote {
            return Some((value, i + 1));
        }
        if c != '\\' || quote == '\'' {
            value.push(c);
            continue;
        }
        match chars.next()?.1 {
            'n' => value.push('\n'),
            't' => value.push('\t'),
            'r' => value.push('\r'),
            same @ ('"' | '\\' | '$' | '`') => value.push(same),
            '\n' => {}
            other => value.extend(['\\', other]),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_as_shells_and_containers_read_them() {
        let text = "\u{feff}# a remark\n\nA=1\nexport B = two words # a remark\r\nC='#1 $x\\n'\nD=\"a\\tb\\\"c\\$\\d\"\n\
                    E=\nF=x#y\nG=\"one\ntwo\" # a remark\n  H='a=b'\nI=# nothing\nJ=http://h/?a=b";
        let (pairs, faults) = parse(text, ".env", "k");
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "#1 $x\\n"),
            ("D", "a\tb\"c$\\d"),
            ("E", ""),
            ("F", "x#y"),
            ("G", "one\ntwo"),
            ("H", "a=b"),
            ("I", ""),
            ("J", "http://h/?a=b"),
        ];
        assert_eq!(faults, []);
        let got: Vec<(&str, &str)> = pairs
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn each_bad_line_is_a_fault_at_its_place_that_shows_no_value() {
        let text = "A=\"x\ny\"\nhunter2\n  1B=hunter2\nC='hunter2' hunter2\nD=ok\nE=\"hunter2\n";
        let (pairs, faults) = parse(text, ".env", "k");
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            faults,
            [
                ".env:3:1: k: a line without =: KEY=VALUE, or # before a remark",
                ".env:4:3: k: \"1B\" is no name of a variable: letters, digits and _, the first no digit",
                ".env:5:1: k: something stands behind the closing quote: put the whole value in quotes",
                ".env:7:1: k: a quote is not closed: close it",
            ]
        );
        assert_eq!(pairs.len(), 2, "the good lines are read all the same");
    }
}

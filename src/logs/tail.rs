//! The last lines of a run, for the message about its end. Reads a bounded end of the segments, never waits.
//!
//! Rule: at most `n` lines. Standard error's last lines come first in importance: it gets as many places as it
//! has lines; what is left goes to the last lines of standard output. Shown are standard output's lines, then
//! standard error's, each in the order they were written: when which was written between the two is not known.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use super::read::{Asked, Reader};
use super::segments::Source;
use crate::ids::RunId;
use crate::limits;
use crate::model::log::Stream;
use crate::model::name::InstanceName;
use crate::text::{cut, printable};

/// The last `n` lines that `run` wrote. Files that are not there or cannot be read give none.
pub(super) fn read(state_dir: &Path, instance: &InstanceName, run: RunId, n: usize) -> Vec<String> {
    let of = |stream| {
        let source = Source {
            instance: instance.clone(),
            stream,
        };
        match last_lines(state_dir, &source, run, n) {
            Ok(lines) => lines,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => {
                log::warn!("cannot read the last lines of {instance} {stream}: {e}");
                Vec::new()
            }
        }
    };
    merge(of(Stream::Stdout), of(Stream::Stderr), n)
}

fn merge(mut out: Vec<String>, mut err: Vec<String>, n: usize) -> Vec<String> {
    let keep_last = |lines: &mut Vec<String>, count: usize| {
        lines.drain(..lines.len().saturating_sub(count));
    };
    keep_last(&mut err, n);
    keep_last(&mut out, n - err.len());
    out.append(&mut err);
    out
}

fn last_lines(state_dir: &Path, source: &Source, run: RunId, n: usize) -> io::Result<Vec<String>> {
    let asked = Asked {
        run: Some(run),
        window: Some(limits::TAIL_BYTES),
        ..Asked::default()
    };
    let mut reader = Reader::open(state_dir, source, asked)?;
    let mut last = VecDeque::new();
    while let Some(line) = reader.next_line(true)? {
        // Without an index the end of the file is the best there is.
        let is_its = line.run.is_none_or(|of| of == run);
        if is_its && !line.bytes.trim_ascii().is_empty() && n > 0 {
            if last.len() == n {
                last.pop_front();
            }
            last.push_back(cut(&printable(&line.bytes), limits::TAIL_LINE_CHARS).into_owned());
        }
    }
    Ok(last.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Mono, Wall};
    use crate::logs::index::{Entry, IndexWriter, Mark};

    fn lines(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|t| (*t).to_owned()).collect()
    }

    #[test]
    fn errors_have_the_first_claim_to_the_places() {
        let (out, err) = (lines(&["1", "2", "3"]), lines(&["e1", "e2"]));
        assert_eq!(merge(out.clone(), err.clone(), 4), ["2", "3", "e1", "e2"]);
        assert_eq!(merge(out.clone(), err.clone(), 1), ["e2"]);
        assert_eq!(merge(out, Vec::new(), 2), ["2", "3"]);
        assert_eq!(merge(Vec::new(), err, 0), Vec::<String>::new());
    }

    #[test]
    fn the_lines_are_of_that_run_clean_and_short() {
        let dir = tempfile::tempdir().expect("a folder");
        let source = Source {
            instance: InstanceName::single("web"),
            stream: Stream::Stderr,
        };
        let path = source.segment(dir.path());
        std::fs::create_dir_all(path.parent().expect("has one")).expect("made");
        let (first, second) = (RunId::new(), RunId::new());
        let own = format!("\x1b[31mred\n\n{}\nunfinished", "x".repeat(2_000));
        std::fs::write(&path, format!("of the first\n{own}")).expect("written");
        let mut index = IndexWriter::new(source.index(dir.path()));
        for (offset, run) in [(0, first), (13, second)] {
            let entry = Entry {
                time: Wall::from_millis(1),
                offset,
                mark: Mark::Start,
                run,
            };
            index.note(&entry, Mono::default());
        }
        let tail = |run, n| read(dir.path(), &source.instance, run, n);
        assert_eq!(tail(first, 5), ["of the first"]);
        let last = tail(second, 5);
        assert_eq!((last.len(), last[0].as_str()), (3, "\\x1b[31mred"));
        assert_eq!(last[1].chars().count(), limits::TAIL_LINE_CHARS);
        assert_eq!(tail(second, 1), ["unfinished"]);
    }
}

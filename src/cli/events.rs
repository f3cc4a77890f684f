//! `events`: from the running supervisor, or from the state folder when none runs.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::Path;

use super::args::EventsArgs;
use super::connect::Place;
use super::format::when;
use super::output::{Failure, Out, Style, complain};
use super::stored;
use super::table::{Paint, fit};
use crate::clock::{Wall, wall};
use crate::control::api::EventLine;
use crate::control::client::{Client, ClientError};
use crate::control::routes::kinds_like;
use crate::control::sources::{End, EventQuery, StoreView};
use crate::ids::EventId;
use crate::limits;
use crate::model::event::Severity;
use crate::text;

/// `jikimi events`.
pub fn events(place: &Place, asked: &EventsArgs, out: &mut Out) -> Result<(), Failure> {
    let query = query(asked, wall())?;
    let mut printer = Printer {
        json: asked.json,
        out,
        last: None,
    };
    let found = place.find();
    let (client, state_dir) = match &found {
        Ok(found) => (Some(&found.client), found.state_dir.clone()),
        Err(_) => (None, None),
    };
    if let Some(client) = client.filter(|c| c.is_alive()) {
        printer.all(
            asked.last,
            &query,
            &mut |q| Ok(client.get(&events_path(q))?),
        )?;
        return if asked.follow {
            printer.follow(client, &query)
        } else {
            Ok(())
        };
    }
    let Some(state_dir) = state_dir else {
        found?;
        return Err(stored::nowhere());
    };
    from_store(&state_dir, asked, &query, &mut printer)
}

fn from_store(
    state_dir: &Path,
    asked: &EventsArgs,
    query: &EventQuery,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let store = stored::open(state_dir)?;
    printer.all(asked.last, query, &mut |query| {
        let events = StoreView::events(&store, query);
        let events = events.map_err(|e| Failure::Failed(e.to_string()))?;
        Ok(events.iter().map(EventLine::from).collect())
    })?;
    if asked.follow {
        Err(Failure::NotRunning(
            "nothing follows, because no supervisor runs".to_owned(),
        ))
    } else {
        Ok(())
    }
}

fn query(asked: &EventsArgs, now: Wall) -> Result<EventQuery, Failure> {
    let mut kinds = Vec::new();
    for pattern in &asked.types {
        kinds.extend(kinds_like(pattern).map_err(Failure::Usage)?);
    }
    Ok(EventQuery {
        after: None,
        since: asked.since.map(|s| s.moment(now)),
        kinds,
        end: End::Oldest,
        limit: limits::CONTROL_PAGE,
    })
}

fn events_path(query: &EventQuery) -> String {
    let count = match query.end {
        End::Oldest => "limit",
        End::Newest => "last",
    };
    format!("/api/v1/events?{count}={}{}", query.limit, chosen(query))
}

fn stream_path(query: &EventQuery) -> String {
    format!(
        "/api/v1/events/stream?{}",
        chosen(query).trim_start_matches('&')
    )
}

fn chosen(query: &EventQuery) -> String {
    let mut out = String::new();
    if let Some(after) = query.after {
        let _ = write!(out, "&after={after}");
    }
    if let Some(since) = query.since {
        let _ = write!(out, "&since={since}");
    }
    for kind in &query.kinds {
        let _ = write!(out, "&type={kind}");
    }
    out
}

type Take<'a, P> = &'a mut dyn FnMut(&mut P, Vec<EventLine>) -> Result<(), Failure>;
type Page<'a> = &'a mut dyn FnMut(&EventQuery) -> Result<Vec<EventLine>, Failure>;

/// Prints events and remembers the last one it saw.
struct Printer<'a> {
    json: bool,
    out: &'a mut Out,
    last: Option<EventId>,
}

impl Printer<'_> {
    /// All that match `query`, or the last `last` of them.
    fn all(
        &mut self,
        last: Option<usize>,
        query: &EventQuery,
        page: Page<'_>,
    ) -> Result<(), Failure> {
        match last {
            Some(count) if (1..=limits::CONTROL_PAGE).contains(&count) => {
                let newest = EventQuery {
                    end: End::Newest,
                    limit: count,
                    ..query.clone()
                };
                self.print_all(&page(&newest)?)
            }
            Some(count) => self.last_of_many(count, query, page),
            None => self.pages(query, page, &mut |printer, lines| printer.print_all(&lines)),
        }
    }

    /// More than one page holds: all are read, and the last kept. With 0 only the place is found from which to
    /// follow.
    fn last_of_many(
        &mut self,
        count: usize,
        query: &EventQuery,
        page: Page<'_>,
    ) -> Result<(), Failure> {
        let mut kept: VecDeque<EventLine> = VecDeque::new();
        self.pages(query, page, &mut |_, lines| {
            kept.extend(lines);
            let excess = kept.len().saturating_sub(count);
            kept.drain(..excess);
            Ok(())
        })?;
        self.print_all(kept.make_contiguous())
    }

    fn pages(
        &mut self,
        query: &EventQuery,
        page: Page<'_>,
        take: Take<'_, Self>,
    ) -> Result<(), Failure> {
        let mut query = query.clone();
        loop {
            let lines = page(&query)?;
            let count = lines.len();
            let Some(last) = lines.last().map(|e| e.id) else {
                return Ok(());
            };
            self.last = Some(last);
            query.after = Some(last);
            take(self, lines)?;
            if count < query.limit {
                return Ok(());
            }
        }
    }

    fn print_all(&mut self, events: &[EventLine]) -> Result<(), Failure> {
        events.iter().try_for_each(|event| self.print(event))
    }

    fn print(&mut self, event: &EventLine) -> Result<(), Failure> {
        self.last = Some(event.id);
        let line = if self.json {
            serde_json::to_string(event).map_err(|e| Failure::Failed(e.to_string()))?
        } else {
            human(event, wall(), self.out.style)
        };
        self.out.line(&line)
    }

    /// From the last one printed on, until the supervisor ends.
    fn follow(&mut self, client: &Client, query: &EventQuery) -> Result<(), Failure> {
        // Nothing seen yet: from the very beginning, for something may come before the stream opens.
        let zero = "0".repeat(26).parse().ok();
        let query = EventQuery {
            after: self.last.or(zero),
            ..query.clone()
        };
        let mut stream = client.follow(&stream_path(&query))?;
        loop {
            match stream.next_event() {
                Ok(Some(event)) => self.print(&event)?,
                Ok(None) | Err(ClientError::Lost(_)) => {
                    complain("the supervisor has ended");
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// `22:13:20Z  warning   program.crashed      web crashed: exit code 1`.
fn human(event: &EventLine, now: Wall, style: Style) -> String {
    let paint = match event.severity {
        Severity::Info => Paint::Dim,
        Severity::Warning => Paint::Warn,
        Severity::Critical => Paint::Bad,
    };
    let head = format!("{}  ", when(event.time, now));
    let severity = format!("{:<8}", event.severity);
    let kind = text::printable(event.kind.as_bytes());
    let rest = format!(
        "  {kind:<19}  {}",
        text::printable(event.summary.as_bytes())
    );
    // An event is read whole, also where the terminal must break the line; only a very narrow one is spared.
    let rest = match style.width {
        Some(width) if width < head.len() + severity.len() => fit(&rest, width).into_owned(),
        _ => rest,
    };
    format!("{head}{}{rest}", paint.on(&severity, style))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Event, EventKind};

    fn lines(count: usize) -> Vec<EventLine> {
        let time = Wall::from_millis(1_700_000_000_000);
        (0..count)
            .map(|_| EventLine::from(&Event::new(EventKind::ProgramCrashed, time)))
            .collect()
    }

    /// What is left after asking a source of `all` events for the last `last`.
    fn printed(all: &[EventLine], last: Option<usize>) -> usize {
        let (seen, mut out) = Out::memory();
        let mut printer = Printer {
            json: true,
            out: &mut out,
            last: None,
        };
        let query = query(&EventsArgs::default(), Wall::from_millis(0)).expect("no patterns");
        let page = &mut |query: &EventQuery| {
            let mut left: Vec<EventLine> = all
                .iter()
                .filter(|e| query.after.is_none_or(|after| e.id > after))
                .cloned()
                .collect();
            match query.end {
                End::Oldest => left.truncate(query.limit),
                End::Newest => {
                    left.drain(..left.len().saturating_sub(query.limit));
                }
            }
            Ok(left)
        };
        printer.all(last, &query, page).expect("a good source");
        assert_eq!(
            printer.last,
            all.last().map(|e| e.id),
            "where to follow from"
        );
        String::from_utf8_lossy(&seen.lock()).lines().count()
    }

    #[test]
    fn all_pages_are_read_and_only_the_last_are_shown_when_asked() {
        let all = lines(limits::CONTROL_PAGE * 2 + 5);
        assert_eq!(printed(&all, None), all.len());
        assert_eq!(printed(&all, Some(0)), 0);
        assert_eq!(printed(&all, Some(7)), 7);
        assert_eq!(
            printed(&all, Some(limits::CONTROL_PAGE + 1)),
            limits::CONTROL_PAGE + 1
        );
        assert_eq!(printed(&all[..3], Some(usize::MAX)), 3);
        assert_eq!(printed(&[], None), 0);
    }

    #[test]
    fn a_line_for_people_says_when_how_bad_and_what() {
        let mut line = lines(1).remove(0);
        line.summary = "web \x1b[2J crashed".to_owned();
        assert_eq!(
            human(&line, line.time, Style::default()),
            "22:13:20Z  warning   program.crashed      web \\x1b[2J crashed"
        );
    }

    #[test]
    fn the_question_says_what_was_asked() {
        let asked = EventsArgs {
            types: vec!["storage.*".to_owned()],
            ..EventsArgs::default()
        };
        let mut query = query(&asked, Wall::from_millis(0)).expect("a good pattern");
        query.since = Some(Wall::from_millis(0));
        assert_eq!(
            events_path(&query),
            "/api/v1/events?limit=1000&since=1970-01-01T00:00:00.000Z&type=storage.degraded&type=storage.restored"
        );
        assert!(stream_path(&query).starts_with("/api/v1/events/stream?since="));
    }
}

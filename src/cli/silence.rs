//! `silence`: begun, listed, ended.

use super::args::SilenceArgs;
use super::connect::Place;
use super::format::when;
use super::output::{Failure, Out};
use crate::clock::{Wall, wall};
use crate::control::client::Patience;
use crate::control::http::percent_encode;
use crate::control::silences::SilenceAsked;
use crate::model::silence::Silence;
use crate::text;

/// What the words mean.
#[derive(Debug, PartialEq, Eq)]
enum Meaning<'a> {
    List,
    End(&'a str),
    Begin(&'a [String], &'a str),
}

/// `jikimi silence`.
pub fn silence(place: &Place, asked: &SilenceArgs, out: &mut Out) -> Result<(), Failure> {
    let client = place.client()?;
    let silences: Vec<Silence> = match meaning(&asked.words)? {
        Meaning::List => client.get("/api/v1/silences")?,
        Meaning::End(id) => {
            let path = format!("/api/v1/silences/{}/end", percent_encode(id));
            vec![client.post(&path, Patience::Short)?]
        }
        Meaning::Begin(names, duration) => {
            let body = SilenceAsked {
                programs: names.to_vec(),
                duration: duration.to_owned(),
                reason: asked.reason.clone(),
            };
            let body = serde_json::to_vec(&body).map_err(|e| Failure::Failed(e.to_string()))?;
            vec![client.post_body("/api/v1/silences", &body)?]
        }
    };
    if asked.json {
        let text = serde_json::to_string(&silences).map_err(|e| Failure::Failed(e.to_string()))?;
        return out.line(&text);
    }
    let now = wall();
    silences
        .iter()
        .try_for_each(|silence| out.line(&line(silence, now)))
}

/// `list` and `end ID` are commands, unless a duration makes them names of programs.
fn meaning(words: &[String]) -> Result<Meaning<'_>, Failure> {
    let is_duration = |word: &String| text::parse_duration(word).is_some();
    match words {
        [one] if one == "list" => Ok(Meaning::List),
        [end, id] if end == "end" && !is_duration(id) => Ok(Meaning::End(id)),
        [names @ .., duration] if !names.is_empty() && is_duration(duration) => {
            Ok(Meaning::Begin(names, duration))
        }
        _ => Err(Failure::Usage(
            "say whom and how long, like: silence web 2h; or silence list, or silence end ID"
                .to_owned(),
        )),
    }
}

/// `web is silenced until 22:30:00Z, asked by uid 0: deploy (01J…)`.
pub fn line(silence: &Silence, now: Wall) -> String {
    let clean = |text: &str| text::printable(text.as_bytes()).to_string();
    let names = clean(&silence.programs.join(", "));
    let reason = match &silence.reason {
        Some(reason) => format!(": {}", clean(reason)),
        None => String::new(),
    };
    let stands = match silence.ended_at {
        Some(_) => "is told of again".to_owned(),
        None => format!(
            "is silenced until {}, asked by {}{reason}",
            when(silence.until, now),
            clean(&silence.by)
        ),
    };
    format!("{names} {stands} (id {})", silence.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_they_look_like() {
        let words = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
        let list = words("list");
        assert_eq!(meaning(&list).ok(), Some(Meaning::List));
        let end = words("end 01ARZ3NDEKTSV4RRFFQ69G5FAV");
        assert!(matches!(meaning(&end), Ok(Meaning::End(_))));
        for begins in ["web 2h", "web db 30m", "list 5m", "end 5m", "tag:game 1d"] {
            let words = words(begins);
            assert!(
                matches!(meaning(&words), Ok(Meaning::Begin(..))),
                "{begins}"
            );
        }
        for bad in ["web", "2h", "web soon", "list web"] {
            assert!(
                matches!(meaning(&words(bad)), Err(Failure::Usage(_))),
                "{bad}"
            );
        }
    }
}

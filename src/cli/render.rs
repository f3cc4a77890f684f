//! `notify render`: the request that a target would be sent. From the configuration and the state folder alone.

use serde_json::{Map, Value, json};

use super::args::RenderArgs;
use super::connect::Place;
use super::output::{Failure, Out, chain, complain_plainly};
use crate::app::preview::{Moment, Preview, Tier, requests, sample};
use crate::config;
use crate::control::deliveries::event;
use crate::control::routes::kinds_like;
use crate::model::event::Event;
use crate::model::incident::Incident;
use crate::model::settings::Settings;
use crate::store::Store;
use crate::text;

/// `jikimi notify render`.
pub fn render(place: &Place, asked: &RenderArgs, out: &mut Out) -> Result<(), Failure> {
    let loaded = config::load(&place.find_config()?, &place.env).map_err(|faults| {
        complain_plainly(&faults.to_string());
        Failure::Config("the configuration is not valid, so there is no target to show".to_owned())
    })?;
    let settings = loaded.settings;
    let Some(spec) = settings.targets.iter().find(|t| *t.name == *asked.target) else {
        let nearest = text::nearest(&asked.target, settings.targets.iter().map(|t| &*t.name));
        let unknown = crate::model::command::UnknownTarget {
            name: asked.target.clone(),
            nearest,
        };
        return Err(Failure::Failed(unknown.to_string()));
    };
    let told = told(&asked.event, &settings)?;
    let tier = match (asked.plain, asked.line) {
        (_, true) => Tier::Line,
        (true, false) => Tier::Plain,
        (false, false) => Tier::Rich,
    };
    let moment = match (asked.resolved, asked.update) {
        (true, _) => Moment::Resolved,
        (false, true) => Moment::Update,
        (false, false) => Moment::First,
    };
    let previews = requests(spec, told, (&settings.supervisor.name, tier, moment));
    for (n, preview) in previews.map_err(Failure::Failed)?.iter().enumerate() {
        if asked.json {
            out.line(&as_json(preview).to_string())?;
            continue;
        }
        if n > 0 {
            out.line("")?;
        }
        for line in lines(preview) {
            out.line(&text::printable(line.as_bytes()))?;
        }
    }
    Ok(())
}

/// A made-up event of that type, or the stored one.
fn told(name: &str, settings: &Settings) -> Result<(Event, Option<Incident>), Failure> {
    if let Ok(kind) = name.parse() {
        return Ok(sample(kind));
    }
    // A type has a dot, an id has none.
    if name.contains('.') {
        let sentence = match kinds_like(name) {
            Ok(kinds) => format!("\"{name}\" means {} types of events; say one", kinds.len()),
            Err(sentence) => sentence,
        };
        return Err(Failure::Failed(sentence));
    }
    let store = Store::open_read_only(&settings.supervisor.state_dir).map_err(|error| {
        Failure::Failed(format!(
            "\"{name}\" is no type of event, and stored events cannot be read: {}",
            chain(&error)
        ))
    })?;
    event(&store, name).map_err(|error| Failure::Failed(error.to_string()))
}

fn lines(preview: &Preview) -> Vec<String> {
    let mut lines = vec![format!("{} {}", preview.method, preview.url)];
    let headers = preview.headers.iter();
    lines.extend(headers.map(|(name, value)| format!("{name}: {value}")));
    lines.push(String::new());
    lines.extend(preview.body.lines().map(str::to_owned));
    lines
}

fn as_json(preview: &Preview) -> Value {
    let headers = preview.headers.iter();
    let headers: Map<String, Value> = headers
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect();
    json!({
        "method": preview.method,
        "url": preview.url,
        "headers": headers,
        "body": preview.body,
    })
}

//! `import`: the configuration of another supervisor as ours, on standard output, and what is not in it on standard
//! error.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::args_tools::{ImportArgs, ImportCommand};
use super::connect::Place;
use super::output::{Failure, Out, complain, complain_plainly};
use crate::config::import::{Format, Imported, Origin, import as read};
use crate::limits::CONFIG_FILE_BYTES_MAX;

/// `jikimi import`.
pub fn import(place: &Place, what: &ImportCommand, out: &mut Out) -> Result<(), Failure> {
    match what {
        ImportCommand::Supervisord(asked) => print(place, Format::Supervisord, asked, out),
        ImportCommand::Procfile(asked) => print(place, Format::Procfile, asked, out),
        ImportCommand::Pm2(asked) => print(place, Format::Pm2, asked, out),
        ImportCommand::ProcessCompose(asked) => print(place, Format::Compose, asked, out),
        ImportCommand::Systemd(asked) => print(place, Format::Systemd, asked, out),
    }
}

fn print(place: &Place, format: Format, asked: &ImportArgs, out: &mut Out) -> Result<(), Failure> {
    let file = &asked.file;
    let text = text_of(file)?;
    let path = place.env.absolute(file);
    let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
    let origin = Origin {
        file: file.display().to_string(),
        has_dotenv: folder.join(".env").is_file(),
        folder,
    };
    let imported = read(format, &origin, &text).map_err(|refused| {
        complain_plainly(&refused.to_string());
        Failure::Failed("nothing was imported".to_owned())
    })?;
    if asked.json {
        return out.line(&as_json(&imported));
    }
    out.line(imported.toml.trim_end())?;
    report(file, &imported);
    Ok(())
}

fn as_json(imported: &Imported) -> String {
    let lost: Vec<serde_json::Value> = imported
        .lost
        .iter()
        .map(|l| json!({"line": l.line, "program": l.program, "what": l.what}))
        .collect();
    json!({"toml": imported.toml, "programs": imported.programs, "lost": lost}).to_string()
}

/// What was lost, so that editors find it.
fn report(file: &Path, imported: &Imported) {
    for lost in &imported.lost {
        let name = lost
            .program
            .as_ref()
            .map_or(String::new(), |p| format!("{p}: "));
        complain_plainly(&format!(
            "{}:{}: {name}{}",
            file.display(),
            lost.line.max(1),
            lost.what
        ));
    }
    let things = match imported.lost.len() {
        0 => "everything was carried over".to_owned(),
        1 => "1 thing could not be carried over".to_owned(),
        n => format!("{n} things could not be carried over"),
    };
    complain(&format!(
        "{} imported; {things}; look at it with `jikimi check --config FILE`",
        super::run::count(imported.programs, "program")
    ));
}

fn text_of(file: &PathBuf) -> Result<String, Failure> {
    let failed =
        |e: std::io::Error| Failure::Failed(format!("{} cannot be read: {e}", file.display()));
    let mut bytes = Vec::new();
    let most = CONFIG_FILE_BYTES_MAX + 1;
    if file.as_os_str() == "-" {
        std::io::stdin()
            .lock()
            .take(most)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
    } else {
        let opened = std::fs::File::open(file).map_err(failed)?;
        opened.take(most).read_to_end(&mut bytes).map_err(failed)?;
    }
    if bytes.len() as u64 == most {
        return Err(Failure::Failed(format!(
            "{} is larger than {CONFIG_FILE_BYTES_MAX} bytes",
            file.display()
        )));
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        let before =
            String::from_utf8_lossy(&e.as_bytes()[..e.utf8_error().valid_up_to()]).into_owned();
        let line = 1 + before.matches('\n').count();
        complain_plainly(&format!("{}:{line}: it is no UTF-8 text", file.display()));
        Failure::Failed("nothing was imported".to_owned())
    })?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

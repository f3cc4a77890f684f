//! An ecosystem file of pm2 as JSON or YAML. JavaScript is a program, which somebody else has to run.

use super::Faulty;
use super::draft::{Draft, Program, literal, literals, name_of};
use super::pm2_keys as keys;
use super::tree::{Node, Tree, parse};

/// All apps of the file.
pub(super) fn read(text: &str) -> Result<Draft, Faulty> {
    for (n, line) in text.lines().enumerate() {
        if line.contains("module.exports") || line.trim_start().starts_with("export default") {
            let what = "JavaScript has to be run: node -p 'JSON.stringify(require(\"./ecosystem.config.js\"))' > pm2.json, then import that";
            return Err((n + 1, what.to_owned()));
        }
    }
    // YAML has no tabs between things, JSON may.
    let root = parse(&without_tabs(text))?;
    let mut draft = Draft::default();
    let apps: Vec<&Node> = match (&root.value, root.get("apps")) {
        (_, Some(apps)) => match &apps.value {
            Tree::List(list) => list.iter().collect(),
            _ => vec![apps],
        },
        (Tree::List(list), None) => list.iter().collect(),
        (_, None) => vec![&root],
    };
    for app in apps {
        let made = read_app(&mut draft, app)?;
        draft.programs.push(made);
    }
    if let Some(deploy) = root.get("deploy") {
        draft.lose(deploy.line, "deploy: jikimi runs programs and deploys none");
    }
    Ok(draft)
}

/// Tabs outside of quotes as blanks.
fn without_tabs(text: &str) -> String {
    let (mut quoted, mut escaped) = (false, false);
    let plain = |c: char| {
        if escaped {
            escaped = false;
            return c;
        }
        match c {
            '"' => quoted = !quoted,
            '\\' if quoted => escaped = true,
            '\t' if !quoted => return ' ',
            _ => {}
        }
        c
    };
    text.chars().map(plain).collect()
}

/// One of several names of a key.
fn any<'a>(app: &'a Node, names: &[&str]) -> Option<&'a Node> {
    names.iter().find_map(|name| app.get(name))
}

fn read_app(draft: &mut Draft, app: &Node) -> Result<Program, Faulty> {
    let pairs = app.pairs("an app")?;
    let Some(script) = any(app, &["script", "exec"]) else {
        return Err((app.line, "an app has no script".to_owned()));
    };
    let path = script.word("script")?;
    let stem = std::path::Path::new(&path)
        .file_stem()
        .and_then(|s| s.to_str());
    let name = match app.get("name") {
        Some(name) => name.word("name")?,
        None => stem.unwrap_or("app").to_owned(),
    };
    let mut program = draft.program(&name, app.line);
    command(&mut program, app, (script, &path))?;
    // What pm2 does where nothing is said.
    program.set(app.line, "restart", "always");
    program.set(app.line, "stop_signal", "INT");
    for (key, value) in pairs {
        keys::key(&mut program, key, value)?;
    }
    if let Some(namespace) = app.get("namespace") {
        program.set(
            namespace.line,
            "tags",
            vec![name_of(&namespace.word("namespace")?)],
        );
    }
    Ok(program)
}

/// Interpreter, its arguments, the script, its arguments.
fn command(program: &mut Program, app: &Node, (script, path): (&Node, &str)) -> Result<(), Faulty> {
    let interpreter = match any(app, &["interpreter", "exec_interpreter"]) {
        Some(node) => node.word("interpreter")?,
        None => by_extension(path).to_owned(),
    };
    if path.contains(' ') && interpreter == "none" {
        program.set(script.line, "command", literal(path));
        program.set(script.line, "shell", true);
        return Ok(());
    }
    let mut words = Vec::new();
    if interpreter != "none" {
        words.push(interpreter);
        words.extend(arguments(app, &["interpreter_args", "node_args"])?);
    }
    words.push(path.to_owned());
    words.extend(arguments(app, &["args"])?);
    program.set(script.line, "command", literals(words));
    Ok(())
}

fn arguments(app: &Node, names: &[&str]) -> Result<Vec<String>, Faulty> {
    let Some(node) = any(app, names) else {
        return Ok(Vec::new());
    };
    match &node.value {
        Tree::Null => Ok(Vec::new()),
        Tree::List(_) => node.words(names[0]),
        _ => {
            let text = node.word(names[0])?;
            shlex::split(&text).ok_or_else(|| node.bad(names[0], "quotes that are closed"))
        }
    }
}

fn by_extension(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, end)| end) {
        "js" | "mjs" | "cjs" => "node",
        "ts" | "tsx" => "bun",
        "py" => "python3",
        "sh" => "bash",
        "rb" => "ruby",
        "pl" => "perl",
        "php" => "php",
        _ => "none",
    }
}

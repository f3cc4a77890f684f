//! `completions` and `man`: both are made of what clap knows of the command line.

use std::io;
use std::path::Path;

use clap::{Command as Word, CommandFactory as _};
use clap_complete::Shell;

use super::args::Args;
use super::output::{Failure, Out};

/// `jikimi completions SHELL`: the script that completes a command line, with the names of programs.
pub fn completions(shell: Shell, out: &mut Out) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut visible(), "jikimi", &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    script.push_str(names_for(shell));
    out.line(script.trim_end())
}

/// Asks the supervisor for its programs where a NAME may stand.
fn names_for(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => BASH_NAMES,
        Shell::Fish => FISH_NAMES,
        _ => "",
    }
}

const BASH_NAMES: &str = r#"
_jikimi_named() {
    local word="${COMP_WORDS[COMP_CWORD]}" verb
    for verb in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "$verb" in
            start|stop|restart|signal|send|attach|explain|silence|logs|metrics)
                if [[ "$word" != -* ]]; then
                    COMPREPLY=( $(compgen -W "$(jikimi status --names 2>/dev/null) all" -- "$word") )
                    if declare -F __ltrim_colon_completions >/dev/null; then
                        __ltrim_colon_completions "$word"
                    fi
                    return 0
                fi
                ;;
        esac
    done
    _jikimi "$@"
}
complete -F _jikimi_named -o nosort -o bashdefault -o default jikimi 2>/dev/null || complete -F _jikimi_named -o bashdefault -o default jikimi
"#;

const FISH_NAMES: &str = r#"
complete -c jikimi -n "__fish_seen_subcommand_from start stop restart signal send attach explain silence logs metrics" -f -a "(jikimi status --names 2>/dev/null) all"
"#;

/// `jikimi man [DIR]`.
pub fn man(folder: Option<&Path>, out: &mut Out) -> Result<(), Failure> {
    let Some(folder) = folder else {
        return out.line(page(visible())?.trim_end());
    };
    let failed =
        |e: io::Error| Failure::Failed(format!("{} cannot be written: {e}", folder.display()));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut written = 0;
    for (name, command) in pages(visible()) {
        let text = page(command)?;
        std::fs::write(folder.join(format!("{name}.1")), text).map_err(failed)?;
        written += 1;
    }
    out.line(&format!("{written} pages are in {}", folder.display()))
}

/// The command line without what is only for the supervisor.
fn visible() -> Word {
    let mut command = Args::command();
    command.build();
    without_hidden(&command)
}

fn without_hidden(command: &Word) -> Word {
    let shown: Vec<Word> = command
        .get_subcommands()
        .filter(|c| !c.is_hide_set())
        .map(without_hidden)
        .collect();
    let mut plain = Word::new(command.get_name().to_owned())
        .args(command.get_arguments().cloned())
        .subcommands(shown)
        .disable_help_subcommand(true)
        .disable_help_flag(true)
        .disable_version_flag(true);
    plain = plain.version(env!("CARGO_PKG_VERSION"));
    if let Some(about) = command.get_about() {
        plain = plain.about(about.clone());
    }
    if let Some(about) = command.get_long_about() {
        plain = plain.long_about(about.clone());
    }
    plain
}

/// Every command with the name of its page: `jikimi-deliveries-list`.
fn pages(top: Word) -> Vec<(String, Word)> {
    let mut all = Vec::new();
    let mut open = vec![(top.get_name().to_owned(), top)];
    while let Some((name, command)) = open.pop() {
        for below in command.get_subcommands().filter(|c| c.get_name() != "help") {
            open.push((format!("{name}-{}", below.get_name()), below.clone()));
        }
        let titled = command
            .clone()
            .display_name(name.clone())
            .bin_name(name.replace('-', " "));
        all.push((name, titled));
    }
    all
}

fn page(command: Word) -> Result<String, Failure> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_people_see_has_a_page_and_no_other() {
        let names: Vec<String> = pages(visible()).into_iter().map(|(name, _)| name).collect();
        for name in [
            "jikimi",
            "jikimi-status",
            "jikimi-import-pm2",
            "jikimi-deliveries-list",
        ] {
            assert!(names.iter().any(|n| n == name), "{name}: {names:?}");
        }
        assert!(!names.iter().any(|n| n.contains("__")), "{names:?}");
        let text = page(visible()).expect("it is made in memory");
        assert!(text.starts_with(".ie") && text.contains("jikimi"), "{text}");
    }

    #[test]
    fn a_script_for_each_shell_knows_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let (memory, mut out) = Out::memory();
            completions(shell, &mut out).expect("memory takes it");
            let script = String::from_utf8_lossy(&memory.lock()).into_owned();
            for word in ["restart", "deliveries", "import"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
            assert!(!script.contains("__holder"), "{shell}");
        }
    }
}

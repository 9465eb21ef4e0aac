//! `git init` and `git config`.

use crate::Out;
use crate::args::{Args, unbundle, unknown};
use crate::config::{Config, canonical};
use crate::error::{Result, die, fatal, reason, silent};
use crate::repo::{Repo, user_config};
use std::path::{Path, PathBuf};

/// A repository named by `--git-dir` or `--work-tree`.
pub fn elsewhere(repo: Result<Repo>, key: &str, value: &str, extra: &[(String, String)]) -> Result<Repo> {
    let here = std::env::current_dir()?;
    if key == "--work-tree" {
        let mut repo = repo?;
        repo.work = Some(here.join(value));
        repo.prefix.clear();
        return Ok(repo);
    }
    let dir = here.join(value);
    if !dir.join("HEAD").is_file() {
        return Err(fatal(format!("not a git repository: '{value}'")));
    }
    let mut config = user_config();
    config.read(&dir.join("config"));
    for (key, value) in extra {
        config.set(key, value);
    }
    let odb = crate::odb::Odb::open(dir.join("objects"));
    Ok(Repo { common: dir.clone(), dir, work: Some(here), prefix: Vec::new(), config, odb })
}

const BRANCH_HINT: &str = "hint: Using 'master' as the name for the initial branch. This default branch name
hint: is subject to change. To configure the initial branch name to use in all
hint: of your new repositories, which will suppress this warning, call:
hint: 
hint: \tgit config --global init.defaultBranch <name>
hint: 
hint: Names commonly chosen instead of 'master' are 'main', 'trunk' and
hint: 'development'. The just-created branch can be renamed via this command:
hint: 
hint: \tgit branch -m <name>";

const DESCRIPTION: &str = "Unnamed repository; edit this file 'description' to name the repository.\n";
const EXCLUDE: &str = "# git ls-files --others --exclude-from=.git/info/exclude
# Lines that start with '#' are comments.
# For a project mostly in C, the following would be a good set of
# exclude patterns (uncomment them if you want to use them):
# *.[oa]
# *~
";

/// `git init`
pub fn init(args: Vec<Vec<u8>>, extra: &[(String, String)], out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "q"));
    let (mut quiet, mut bare, mut branch) = (false, false, None);
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "-q" | "--quiet" => quiet = true,
            "--bare" => bare = true,
            "-b" | "--initial-branch" => branch = Some(args.value(&option)?),
            "--template" | "--object-format" | "--shared" => {}
            option => {
                return Err(unknown(option, "init [-q | --quiet] [--bare] [-b <branch-name>] [<directory>]"));
            }
        }
    }
    let here = std::env::current_dir()?;
    let top = args.plain.first().map_or_else(|| here.clone(), |dir| here.join(guest_host::path_of(dir)));
    let dir = if bare { top.clone() } else { top.join(".git") };
    let again = dir.join("HEAD").is_file();
    let mut config = user_config();
    extra.iter().for_each(|(key, value)| config.set(key, value));
    let usual = config.get("init.defaultbranch").map(str::to_owned);
    if !again && branch.is_none() && usual.is_none() && !quiet {
        crate::warn(BRANCH_HINT);
    }
    let branch = branch.or(usual).unwrap_or_else(|| "master".into());
    skeleton(&dir, bare, &branch)?;
    if !quiet {
        let what = if again { "Reinitialized existing" } else { "Initialized empty" };
        out.line(format!("{what} Git repository in {}/", dir.display()));
    }
    Ok(0)
}

/// Makes an empty repository on a branch; what is there already stays.
pub fn skeleton(dir: &Path, bare: bool, branch: &str) -> Result<()> {
    for name in ["objects/info", "objects/pack", "refs/heads", "refs/tags", "info", "hooks", "branches"] {
        let path = dir.join(name);
        std::fs::create_dir_all(&path)
            .map_err(|error| fatal(format!("cannot mkdir {}: {}", path.display(), reason(&error))))?;
    }
    if dir.join("HEAD").is_file() {
        return Ok(());
    }
    let log = if bare { "" } else { "\tlogallrefupdates = true\n" };
    let config = format!("[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = {bare}\n{log}");
    std::fs::write(dir.join("HEAD"), format!("ref: refs/heads/{branch}\n"))?;
    std::fs::write(dir.join("config"), config)?;
    std::fs::write(dir.join("description"), DESCRIPTION)?;
    std::fs::write(dir.join("info/exclude"), EXCLUDE)?;
    Ok(())
}

/// `git config`
pub fn config(
    repo: Option<&Repo>,
    args: Vec<Vec<u8>>,
    extra: &[(String, String)],
    out: &mut Out,
) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "lz"));
    let (mut action, mut file, mut scope, mut default, mut kind) =
        (String::new(), None, None, None, String::new());
    let (mut names, mut all) = (false, false);
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "--global" | "--system" | "--local" | "--worktree" => scope = Some(option.clone()),
            "-f" | "--file" => file = Some(PathBuf::from(args.value(&option)?)),
            "-l" | "--list" => action = "list".into(),
            "--get" | "--get-all" | "--get-regexp" | "--unset" | "--unset-all" | "--add"
            | "--replace-all" | "--remove-section" => {
                action = option.trim_start_matches("--").to_owned();
            }
            "--default" => default = Some(args.value(&option)?),
            "--type" => kind = args.value(&option)?,
            "--bool" | "--int" | "--path" => kind = option.trim_start_matches("--").to_owned(),
            "--name-only" => names = true,
            "--all" => all = true,
            "--show-origin" | "--show-scope" | "-z" | "--null" | "--includes" | "--no-includes" => {}
            option => return Err(unknown(option, "config [<file-option>] [--get] <name> [<value>]")),
        }
    }
    let mut words = args.words();
    // The newer form has its action as a word.
    if action.is_empty()
        && words.first().is_some_and(|word| ["get", "set", "list", "unset"].contains(&word.as_str()))
    {
        action = words.remove(0);
        if action == "get" && all {
            action = "get-all".into();
        }
    }
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".gitconfig"));
    let path = match (&file, scope.as_deref()) {
        (Some(file), _) => Some(file.clone()),
        (None, Some("--global")) => home(),
        (None, Some("--system")) => Some(PathBuf::from("/etc/gitconfig")),
        (None, Some(_)) => Some(
            repo.ok_or_else(|| fatal("--local can only be used inside a git repository"))?
                .common
                .join("config"),
        ),
        (None, None) => None,
    };
    let read = match &path {
        Some(path) => {
            let mut config = Config::default();
            config.read(path);
            config
        }
        None => match repo {
            Some(repo) => repo.config.clone(),
            None => {
                let mut config = user_config();
                extra.iter().for_each(|(key, value)| config.set(key, value));
                config
            }
        },
    };
    let show = |value: &str| match kind.as_str() {
        "bool" => match value.to_lowercase().as_str() {
            "true" | "yes" | "on" | "1" | "" => "true".to_owned(),
            _ => "false".to_owned(),
        },
        _ => value.to_owned(),
    };
    let target = || {
        path.clone()
            .or_else(|| repo.map(|repo| repo.common.join("config")))
            .ok_or_else(|| die(128, "fatal: not in a git directory"))
    };
    match (action.as_str(), words.as_slice()) {
        ("list", _) => {
            for (key, value) in &read.values {
                out.line(if names { key.clone() } else { format!("{key}={value}") });
            }
        }
        ("" | "get" | "get-all", [key]) => {
            if !key.contains('.') {
                return Err(die(1, format!("error: key does not contain a section: {key}")));
            }
            let values = read.all(key);
            match (values.last(), action.as_str()) {
                (Some(_), "get-all") => values.iter().for_each(|value| out.line(show(value))),
                (Some(value), _) => out.line(show(value)),
                (None, _) => match default {
                    Some(default) => out.line(show(&default)),
                    None => return Err(silent(1)),
                },
            }
        }
        ("get-regexp", [pattern]) => {
            let regex = crate::pattern::compile(pattern, crate::pattern::Form::Extended, false, false)?;
            let found: Vec<_> =
                read.values.iter().filter(|(key, _)| regex.is_match(key.as_bytes())).collect();
            found.iter().for_each(|(key, value)| {
                out.line(if names { key.clone() } else { format!("{key} {value}") })
            });
            return Ok(i32::from(found.is_empty()));
        }
        ("" | "set" | "replace-all" | "add", [key, value, ..]) => {
            if !key.contains('.') {
                return Err(die(1, format!("error: key does not contain a section: {key}")));
            }
            if action == "add" {
                append(&target()?, key, value)?;
            } else {
                write_config(&target()?, key, Some(value))?;
            }
        }
        ("unset" | "unset-all", [key]) => {
            if read.get(key).is_none() {
                return Err(silent(5));
            }
            write_config(&target()?, key, None)?;
        }
        ("remove-section", [name]) => {
            let section = match name.split_once('.') {
                Some((section, sub)) => format!("{section} \"{sub}\""),
                None => name.clone(),
            };
            remove_section(&target()?, &section)?;
        }
        _ => return Err(die(129, "usage: git config [<file-option>] [--get] <name> [<value>]")),
    }
    Ok(0)
}

fn heading(key: &str) -> (String, String) {
    let key = canonical(key);
    let (section, name) = key.rsplit_once('.').unwrap_or(("", &key));
    let section = match section.split_once('.') {
        Some((section, sub)) => format!("[{section} \"{}\"]", sub.replace('\\', "\\\\").replace('"', "\\\"")),
        None => format!("[{section}]"),
    };
    (section, name.to_owned())
}

fn value_text(value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t");
    if value.starts_with(' ') || value.ends_with(' ') || value.contains(['#', ';']) {
        format!("\"{escaped}\"")
    } else {
        escaped
    }
}

fn lines_of(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn save(path: &Path, lines: &[String]) -> Result<()> {
    let mut text = lines.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    std::fs::write(path, text).map_err(|error| {
        die(4, format!("error: could not write config file {}: {}", path.display(), reason(&error)))
    })
}

fn append(path: &Path, key: &str, value: &str) -> Result<()> {
    let (section, name) = heading(key);
    let mut lines = lines_of(path);
    let entry = format!("\t{name} = {}", value_text(value));
    match lines.iter().rposition(|line| line.trim() == section) {
        Some(at) => {
            let end = lines[at + 1..]
                .iter()
                .position(|line| line.trim_start().starts_with('['))
                .map_or(lines.len(), |next| at + 1 + next);
            lines.insert(end, entry);
        }
        None => {
            lines.push(section);
            lines.push(entry);
        }
    }
    save(path, &lines)
}

/// Sets a key in a configuration file, or takes it out.
pub fn write_config(path: &Path, key: &str, value: Option<&str>) -> Result<()> {
    let (section, name) = heading(key);
    let mut lines = lines_of(path);
    let mut inside = false;
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let text = line.trim();
        if text.starts_with('[') {
            inside = text == section;
        } else if inside && text.split('=').next().is_some_and(|key| key.trim().eq_ignore_ascii_case(&name)) {
            found.push(at);
        }
    }
    match (found.last().copied(), value) {
        (Some(at), Some(value)) => lines[at] = format!("\t{name} = {}", value_text(value)),
        (Some(_), None) => {
            for at in found.into_iter().rev() {
                lines.remove(at);
            }
            // A heading without entries goes too.
            if let Some(at) = lines.iter().position(|line| line.trim() == section)
                && lines.get(at + 1).is_none_or(|line| line.trim_start().starts_with('['))
            {
                lines.remove(at);
            }
        }
        (None, Some(value)) => return append(path, key, value),
        (None, None) => return Ok(()),
    }
    save(path, &lines)
}

/// Takes a section out, its entries with it.
pub fn remove_section(path: &Path, section: &str) -> Result<()> {
    let heading = format!("[{section}]");
    let mut inside = false;
    let mut lines = lines_of(path);
    lines.retain(|line| {
        if line.trim_start().starts_with('[') {
            inside = line.trim() == heading;
        }
        !inside
    });
    save(path, &lines)
}

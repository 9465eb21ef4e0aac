//! `git remote`

use crate::Out;
use crate::args::Args;
use crate::error::{Result, die, fatal};
use crate::repo::Repo;

/// `git remote`
pub fn remote(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(args);
    let mut verbose = false;
    while let Some(option) = args.option() {
        verbose |= matches!(option.as_str(), "-v" | "--verbose");
    }
    let words = args.words();
    let mut names: Vec<&str> = repo
        .config
        .values
        .iter()
        .filter_map(|(key, _)| key.strip_prefix("remote.")?.strip_suffix(".url"))
        .collect();
    names.sort_unstable();
    names.dedup();
    let url = |name: &str| repo.config.get(&format!("remote.{name}.url")).unwrap_or_default().to_owned();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => {
            for name in names {
                if verbose {
                    out.line(format!("{name}\t{} (fetch)\n{name}\t{} (push)", url(name), url(name)));
                } else {
                    out.line(name);
                }
            }
        }
        ["get-url", name] => {
            if !names.contains(name) {
                return Err(die(2, format!("error: No such remote '{name}'")));
            }
            out.line(url(name));
        }
        ["add", name, url] => {
            let file = repo.common.join("config");
            crate::command::setup::write_config(&file, &format!("remote.{name}.url"), Some(url))?;
            crate::command::setup::write_config(
                &file,
                &format!("remote.{name}.fetch"),
                Some(&format!("+refs/heads/*:refs/remotes/{name}/*")),
            )?;
        }
        ["remove" | "rm", name] => {
            if !names.contains(name) {
                return Err(die(2, format!("error: No such remote: '{name}'")));
            }
            crate::command::setup::remove_section(
                &repo.common.join("config"),
                &format!("remote \"{name}\""),
            )?;
        }
        _ => return Err(fatal("this needs the network, which this sandbox has not")),
    }
    Ok(0)
}

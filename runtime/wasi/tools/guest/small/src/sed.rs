//! What `sed` says of files that cannot be read, before the editor proper sees them.

use crate::io::warn;

/// Takes the operands that are no readable files out of `sed`'s arguments, saying so, and returns whether there were any;
/// `None` if no operand is left to work on.
pub fn readable(argv: &mut Vec<Vec<u8>>) -> Option<bool> {
    let (mut script, mut in_place) = (false, false);
    let mut operands = Vec::new();
    let mut at = 1;
    while at < argv.len() {
        let arg = argv[at].as_slice();
        match arg {
            b"--" => {
                operands.extend(at + 1..argv.len());
                break;
            }
            b"-" => operands.push(at),
            _ if arg.starts_with(b"--") => {
                let (name, valued) = match arg.iter().position(|byte| *byte == b'=') {
                    Some(end) => (&arg[2..end], true),
                    None => (&arg[2..], false),
                };
                script |= matches!(name, b"expression" | b"file");
                in_place |= name == b"in-place";
                at += usize::from(!valued && matches!(name, b"expression" | b"file" | b"line-length"));
            }
            [b'-', letters @ ..] => {
                for (place, letter) in letters.iter().enumerate() {
                    match letter {
                        b'e' | b'f' | b'l' => {
                            script |= *letter != b'l';
                            at += usize::from(place + 1 == letters.len());
                            break;
                        }
                        b'i' => {
                            in_place = true;
                            break;
                        }
                        _ => {}
                    }
                }
            }
            _ => operands.push(at),
        }
        at += 1;
    }
    if !script && !operands.is_empty() {
        operands.remove(0);
    }
    let count = operands.len();
    let mut bad = Vec::new();
    for at in operands {
        if argv[at] == b"-" {
            continue;
        }
        let name = String::from_utf8_lossy(&argv[at]).into_owned();
        match std::fs::metadata(guest_host::path_of(&argv[at])) {
            Err(error) => warn("sed", format!("can't read {name}: {}", crate::io::reason(&error))),
            Ok(meta) if meta.is_dir() && in_place => {
                warn("sed", format!("couldn't edit {name}: not a regular file"))
            }
            Ok(meta) if meta.is_dir() => warn("sed", format!("read error on {name}: Is a directory")),
            Ok(_) => continue,
        }
        bad.push(at);
    }
    let all = count > 0 && bad.len() == count;
    let any = !bad.is_empty();
    for at in bad.into_iter().rev() {
        argv.remove(at);
    }
    (!all).then_some(any)
}

#[cfg(test)]
mod tests {
    use super::readable;

    fn left(line: &str) -> (Option<bool>, String) {
        let mut argv: Vec<Vec<u8>> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        let result = readable(&mut argv);
        (result, String::from_utf8(argv.join(&b" "[..])).unwrap())
    }

    #[test]
    fn only_operands_are_looked_at() {
        assert_eq!(left("sed -n 1p Cargo.toml none"), (Some(true), "sed -n 1p Cargo.toml".into()));
        assert_eq!(left("sed -e p -i.bak Cargo.toml"), (Some(false), "sed -e p -i.bak Cargo.toml".into()));
        assert_eq!(left("sed p none").0, None);
        assert_eq!(left("sed p").0, Some(false));
        assert_eq!(left("sed -ne p none").0, None);
    }
}

//! Files of a live sandbox, read and written by way of actions in it.

use sbx_bash::{EntryKind, Shell};
use sbx_runtime::{Action, FileError, Policy};
use std::path::Path;

fn shell(policy: &Policy, workspace: &Path) -> Option<Shell> {
    match Shell::open(policy, workspace) {
        Ok(shell) => Some(shell),
        Err(e) if std::env::var_os("SBX_MUST_WORK").is_none() => {
            eprintln!("SKIPPED: no sandbox on this host: {e}");
            None
        }
        Err(e) => panic!("no sandbox on this host: {e}"),
    }
}

#[test]
fn files_come_back_as_they_were_written_and_the_workspace_stays() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("there"), "old\n").unwrap();
    let Some(mut shell) = shell(&Policy::preset("whitelist").unwrap(), dir.path()) else { return };
    let bytes: Vec<u8> = (0..300_000u32).map(|i| (i * 7 % 256) as u8).collect();
    for name in ["a/b/c", "-n", "there", "$(touch ran)", "it's \"so\"", "new\nline", "/tmp/scratch", "*"] {
        shell.write_file(name, bytes.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(shell.read_file(name, 300_000).unwrap() == bytes, "{name}");
        shell.write_file(name, "short").unwrap();
        assert_eq!(shell.read_file(name, 5).unwrap(), b"short", "{name}");
    }
    shell.write_file("empty", "").unwrap();
    assert_eq!(shell.read_file("empty", 0).unwrap(), b"");
    assert!(!shell.run("ls").unwrap().stdout.text().lines().any(|name| name == "ran"));
    assert_eq!(std::fs::read_to_string(dir.path().join("there")).unwrap(), "old\n");
    assert!(shell.changes().unwrap().diff_text().contains("+short"));
}

#[test]
fn what_cannot_be_read_or_written_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut shell) = shell(&Policy::preset("whitelist").unwrap(), dir.path()) else { return };
    shell.run("mkdir d; echo 123456 > f; mkfifo p; ln -s /etc/shadow out; ln -s d in; echo x > closed; chmod 0 closed").unwrap();
    assert!(matches!(shell.read_file("nowhere", 9), Err(FileError::NotFound(path)) if path == "nowhere"));
    assert!(matches!(shell.read_file("out", 9), Err(FileError::NotFound(_))), "it leads out of the view");
    assert!(matches!(shell.read_file("d", 9), Err(FileError::IsDirectory(_))));
    assert!(matches!(shell.read_file("p", 9), Err(FileError::Denied(_))), "nobody waits for a pipe");
    assert!(matches!(shell.read_file("closed", 9), Err(FileError::Denied(_))));
    assert!(matches!(shell.read_file("f", 6), Err(FileError::TooLarge { limit: 6, .. })));
    assert_eq!(shell.read_file("f", 7).unwrap(), b"123456\n");
    assert!(matches!(shell.read_file("a\0b", 9), Err(FileError::Sandbox(_))));
    assert!(matches!(shell.write_file("d", "x"), Err(FileError::IsDirectory(_))));
    assert!(matches!(shell.write_file("f/x", "x"), Err(FileError::NotFound(_))), "a file is no directory");
    assert!(matches!(shell.write_file("/usr/bin/ls", "x"), Err(FileError::Denied(_))));
    assert_eq!(shell.run("cat f").unwrap().stdout.text(), "123456\n");
}

#[test]
fn a_directory_is_listed_by_kind_in_order_and_up_to_a_bound() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut shell) = shell(&Policy::preset("whitelist").unwrap(), dir.path()) else { return };
    shell.run("mkdir -p src/.hidden; cd src; echo > b; echo > 'a\nb'; ln -s b link; mkfifo pipe").unwrap();
    let all = shell.list_dir("src", 5).unwrap();
    let names: Vec<(String, EntryKind)> =
        all.entries.iter().map(|e| (e.name.to_string_lossy().into_owned(), e.kind)).collect();
    let expected = [
        (".hidden", EntryKind::Directory),
        ("a\nb", EntryKind::File),
        ("b", EntryKind::File),
        ("link", EntryKind::Link),
        ("pipe", EntryKind::Other),
    ];
    assert_eq!(names, expected.map(|(name, kind)| (name.to_string(), kind)));
    assert!(!all.is_cut);
    let some = shell.list_dir("src", 2).unwrap();
    assert_eq!((some.entries.len(), some.is_cut), (2, true));
    assert!(shell.list_dir(".", 9).unwrap().entries.iter().any(|e| e.name == "src"));
    assert!(matches!(shell.list_dir("nowhere", 9), Err(FileError::NotFound(_))));
    assert!(matches!(shell.list_dir("src/b", 9), Err(FileError::Denied(_))));
}

#[test]
fn the_manners_of_a_policy_are_not_for_files_and_its_programs_are_needed() {
    let dir = tempfile::tempdir().unwrap();
    let text = "extends = \"whitelist\"\n[[refuse]]\nwhen = \"head\"\nbecause = \"no\"\n";
    let Some(mut polite) = shell(&Policy::parse(text, "polite.toml").unwrap(), dir.path()) else { return };
    polite.write_file("f", "x").unwrap();
    assert_eq!(polite.read_file("f", 1).unwrap(), b"x");
    let text = "extends = \"whitelist\"\n[commands]\ndeny = [\"head\"]\n";
    let Some(mut lacking) = shell(&Policy::parse(text, "lacking.toml").unwrap(), dir.path()) else { return };
    assert!(lacking.read_file("f", 1).unwrap_err().to_string().contains("the program head"));
    assert!(lacking.list_dir(".", 9).is_ok());
}

#[test]
fn a_file_of_more_than_an_action_may_write_is_too_large() {
    let dir = tempfile::tempdir().unwrap();
    let mut policy = Policy::preset("whitelist").unwrap();
    policy.limits.output = sbx_runtime::ByteSize(1);
    std::fs::File::create(dir.path().join("large")).unwrap().set_len(200 << 20).unwrap();
    let Some(mut shell) = shell(&policy, dir.path()) else { return };
    assert!(matches!(shell.read_file("large", 1 << 30), Err(FileError::TooLarge { .. })));
    assert!(shell.act(&Action::bash("true")).unwrap().success());
}

#[test]
fn a_file_that_takes_too_long_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let mut policy = Policy::preset("whitelist").unwrap();
    policy.limits.time = std::time::Duration::from_millis(300);
    let Some(mut shell) = shell(&policy, dir.path()) else { return };
    let endless = shell.read_file("/dev/zero", usize::MAX).unwrap_err().to_string();
    assert!(endless.contains("took longer") || endless.contains("larger"), "{endless}");
    assert!(shell.act(&Action::bash("true")).unwrap().success());
}

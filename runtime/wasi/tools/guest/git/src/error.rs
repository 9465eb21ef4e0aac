//! How a command ends early: a status and what is said on stderr.

/// The end of a command.
#[derive(Debug)]
pub struct Die {
    /// The exit status.
    pub status: i32,
    /// What is said, without a final newline; nothing if empty.
    pub text: Vec<u8>,
}

pub type Result<T> = std::result::Result<T, Die>;

/// Makes an end with this status and text.
pub fn die(status: i32, text: impl Into<Vec<u8>>) -> Die {
    Die { status, text: text.into() }
}

/// Makes the usual end: `fatal: …` and 128.
pub fn fatal(text: impl AsRef<[u8]>) -> Die {
    let mut said = b"fatal: ".to_vec();
    said.extend_from_slice(text.as_ref());
    Die { status: 128, text: said }
}

/// An end without words.
pub fn silent(status: i32) -> Die {
    Die { status, text: Vec::new() }
}

impl From<std::io::Error> for Die {
    fn from(error: std::io::Error) -> Die {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return silent(141);
        }
        fatal(reason(&error))
    }
}

/// The system's words for an error, without its number.
pub fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "No such file or directory".into(),
        std::io::ErrorKind::PermissionDenied => "Permission denied".into(),
        std::io::ErrorKind::AlreadyExists => "File exists".into(),
        std::io::ErrorKind::NotADirectory => "Not a directory".into(),
        std::io::ErrorKind::IsADirectory => "Is a directory".into(),
        std::io::ErrorKind::DirectoryNotEmpty => "Directory not empty".into(),
        std::io::ErrorKind::ReadOnlyFilesystem => "Read-only file system".into(),
        std::io::ErrorKind::StorageFull => "No space left on device".into(),
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or_default().to_owned()
        }
    }
}

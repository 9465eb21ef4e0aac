//! All that decides what a sandbox is. A record answers one request, byte for byte: the library makes the bytes, and what
//! runs before it compares them.

use crate::asking::has_slash;

/// What was asked for, by whom and where.
pub struct Request<'a> {
    /// Device, inode, size, and modification time in seconds and nanoseconds.
    pub program: [i64; 5],
    /// Effective user and group.
    pub user: [u32; 2],
    /// The kernel's release and version.
    pub kernel: [&'a [u8]; 2],
    /// Landlock's version; 0 where there is none.
    pub landlock: u32,
    /// The processor's model and features.
    pub processor: [u32; PROCESSOR],
    /// `/proc/self/cgroup`.
    pub cgroups: &'a [u8],
    pub home: Option<&'a [u8]>,
    pub policy: &'a [u8],
    /// Of a policy's own file; nothing for a preset.
    pub policy_text: &'a [u8],
    /// Without links.
    pub workspace: &'a [u8],
}

/// Numbers that describe a processor.
pub const PROCESSOR: usize = 6;

impl Request<'_> {
    /// Hands its bytes on, piece by piece. A text comes after its length.
    pub fn pieces(&self, mut take: impl FnMut(&[u8])) {
        self.program.iter().for_each(|number| take(&number.to_ne_bytes()));
        let numbers = self.user.iter().chain([&self.landlock]).chain(&self.processor);
        numbers.for_each(|number| take(&number.to_ne_bytes()));
        let mut text = |text: Option<&[u8]>| {
            let length = text.map_or(u64::MAX, |text| text.len() as u64);
            take(&length.to_ne_bytes());
            take(text.unwrap_or(&[]));
        };
        let [release, version] = self.kernel;
        text(Some(release));
        text(Some(version));
        text(Some(self.cgroups));
        text(self.home);
        text(Some(self.policy));
        text(Some(self.policy_text));
        text(Some(self.workspace));
    }

    /// Whether it is the one of these bytes.
    #[allow(dead_code, reason = "the library compares whole requests")]
    pub fn is(&self, bytes: &[u8]) -> bool {
        let mut rest = Some(bytes);
        self.pieces(|piece| rest = rest.and_then(|rest| rest.strip_prefix(piece)));
        rest.is_some_and(<[u8]>::is_empty)
    }
}

/// Whether a policy of this name is a file, and not a preset.
pub fn is_file(policy: &[u8]) -> bool {
    has_slash(policy) || policy.ends_with(b".toml")
}

/// The processor's model and features: copies made for another one are not used.
pub fn processor(ask: impl Fn(u32, u32) -> [u32; 4]) -> [u32; PROCESSOR] {
    // The second number of leaf 1 says on which processor this runs.
    let ([model, _, c, d], [_, one, two, three]) = (ask(1, 0), ask(7, 0));
    [model, c, d, one, two, three]
}

//! Short texts: lines for the kernel, and names in /proc.

use core::ffi::CStr;

/// Room for one, with a NUL after it.
const ROOM: usize = 64;

/// A short text. What has no room is left out.
pub struct Text {
    text: [u8; ROOM],
    len: usize,
}

impl Text {
    pub fn of(bytes: &[u8]) -> Text {
        let mut text = Text { text: [0; ROOM], len: 0 };
        text.add(bytes);
        text
    }

    pub fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            // The last stays NUL.
            if self.len + 1 < ROOM
                && let Some(slot) = self.text.get_mut(self.len)
            {
                *slot = *byte;
                self.len += 1;
            }
        }
    }

    pub fn number(&mut self, number: u32) {
        let mut power = 1_000_000_000;
        while power > 0 {
            if number >= power || power == 1 {
                self.add(&[b'0' + (number / power % 10) as u8]);
            }
            power /= 10;
        }
    }

    pub fn bytes(&self) -> &[u8] {
        self.text.get(..self.len).unwrap_or(&[])
    }

    /// It has a NUL after it.
    #[allow(dead_code, reason = "the library needs no path")]
    pub fn pointer(&self) -> *const u8 {
        self.text.as_ptr()
    }

    #[allow(dead_code, reason = "only a bash looks for others")]
    pub fn as_c(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.text).unwrap_or(c"")
    }
}

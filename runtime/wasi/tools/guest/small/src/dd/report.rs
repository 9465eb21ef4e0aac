//! What `dd` says at its end.

use super::operands::Level;
use std::io::Write;
use std::time::Instant;

/// Counts of a copy.
pub struct Report {
    read: [u64; 2],
    written: [u64; 2],
    bytes: u64,
    begun: Instant,
}

impl Default for Report {
    fn default() -> Report {
        Report { read: [0; 2], written: [0; 2], bytes: 0, begun: Instant::now() }
    }
}

impl Report {
    /// Returns how many blocks were read, short ones too.
    pub fn read(&self) -> u64 {
        self.read[0] + self.read[1]
    }

    /// Counts a block read.
    pub fn took(&mut self, full: bool) {
        self.read[usize::from(!full)] += 1;
    }

    /// Counts a block written.
    pub fn gave(&mut self, bytes: usize, full: bool) {
        self.written[usize::from(!full)] += 1;
        self.bytes += bytes as u64;
    }

    /// Says the counts on stderr.
    pub fn say(&self, level: Level) {
        if level == Level::Errors {
            return;
        }
        let ([full, short], [out, cut]) = (self.read, self.written);
        let mut text = format!("{full}+{short} records in\n{out}+{cut} records out\n");
        if level == Level::All {
            let seconds = self.begun.elapsed().as_secs_f64();
            let rate = if seconds > 0.0 { self.bytes as f64 / seconds } else { 0.0 };
            let plural = if self.bytes == 1 { "" } else { "s" };
            let mut sizes = Vec::new();
            if self.bytes >= 1000 {
                sizes.push(scaled(self.bytes as f64, 1000.0, " kMGTPE", "B"));
            }
            if self.bytes >= 1024 {
                sizes.push(scaled(self.bytes as f64, 1024.0, " KMGTPE", "iB"));
            }
            let sizes = if sizes.is_empty() { String::new() } else { format!(" ({})", sizes.join(", ")) };
            let rate = if rate < 1000.0 {
                format!("{:.1} kB", rate / 1000.0)
            } else {
                scaled(rate, 1000.0, " kMGTPE", "B")
            };
            text += &format!("{} byte{plural}{sizes} copied, {seconds:.6} s, {rate}/s\n", self.bytes);
        }
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}

/// A size in the largest unit below it: with a decimal below ten, without from ten on.
fn scaled(size: f64, step: f64, units: &str, end: &str) -> String {
    let (mut size, mut unit) = (size, 0);
    while size >= step && unit + 1 < units.len() {
        size /= step;
        unit += 1;
    }
    let letter = units.as_bytes()[unit] as char;
    if (size * 10.0).round() < 100.0 {
        format!("{size:.1} {letter}{end}")
    } else {
        format!("{size:.0} {letter}{end}")
    }
}

#[cfg(test)]
mod tests {
    use super::scaled;

    #[test]
    fn sizes_are_rounded_as_they_are_read() {
        assert_eq!(scaled(2048.0, 1000.0, " kMGTPE", "B"), "2.0 kB");
        assert_eq!(scaled(15_728_640.0, 1000.0, " kMGTPE", "B"), "16 MB");
        assert_eq!(scaled(15_728_640.0, 1024.0, " KMGTPE", "iB"), "15 MiB");
    }
}

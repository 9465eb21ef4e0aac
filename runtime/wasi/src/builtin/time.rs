//! Times as text: `printf '%(…)T'`, in UTC, or in a fixed distance from it that `TZ` tells.

/// Names of days and months in the C locale.
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A moment, taken apart.
struct Moment {
    seconds: i64,
    year: i64,
    month: usize,
    day: i64,
    weekday: usize,
    yearday: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

impl Moment {
    /// Seconds since the epoch, taken apart; see the algorithm `civil_from_days` (H. Hinnant, public domain).
    fn at(seconds: i64) -> Moment {
        let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let leap = i64::from((year % 4 == 0 && year % 100 != 0) || year % 400 == 0);
        let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][month as usize - 1];
        Moment {
            seconds,
            year,
            month: month as usize,
            day,
            weekday: (days + 4).rem_euclid(7) as usize,
            yearday: before + day + if month > 2 { leap } else { 0 },
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }
}

/// Formats seconds since the epoch as `strftime(3)` does in the C locale.
pub(super) fn format(pattern: &[u8], seconds: i64) -> Vec<u8> {
    let moment = Moment::at(seconds);
    let mut out = String::new();
    let text = String::from_utf8_lossy(pattern);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut pads = true;
        let mut letter = chars.next();
        while let Some('-' | '_' | '0' | '^' | 'E' | 'O') = letter {
            pads &= letter != Some('-');
            letter = chars.next();
        }
        let Some(letter) = letter else {
            out.push('%');
            break;
        };
        let field = one(&moment, letter);
        out.push_str(if pads { &field } else { field.trim_start_matches(['0', ' ']) });
    }
    out.into_bytes()
}

fn one(m: &Moment, letter: char) -> String {
    let nested = |pattern: &str| String::from_utf8_lossy(&format(pattern.as_bytes(), m.seconds)).into_owned();
    let twelve = if m.hour % 12 == 0 { 12 } else { m.hour % 12 };
    match letter {
        'Y' => m.year.to_string(),
        'y' => format!("{:02}", m.year.rem_euclid(100)),
        'C' => format!("{:02}", m.year.div_euclid(100)),
        'm' => format!("{:02}", m.month),
        'd' => format!("{:02}", m.day),
        'e' => format!("{:2}", m.day),
        'H' => format!("{:02}", m.hour),
        'k' => format!("{:2}", m.hour),
        'I' => format!("{twelve:02}"),
        'l' => format!("{twelve:2}"),
        'M' => format!("{:02}", m.minute),
        'S' => format!("{:02}", m.second),
        'p' => if m.hour < 12 { "AM" } else { "PM" }.into(),
        'P' => if m.hour < 12 { "am" } else { "pm" }.into(),
        'j' => format!("{:03}", m.yearday),
        'a' => DAYS[m.weekday][..3].into(),
        'A' => DAYS[m.weekday].into(),
        'b' | 'h' => MONTHS[m.month - 1][..3].into(),
        'B' => MONTHS[m.month - 1].into(),
        'u' => (if m.weekday == 0 { 7 } else { m.weekday }).to_string(),
        'w' => m.weekday.to_string(),
        's' => m.seconds.to_string(),
        'z' => "+0000".into(),
        'Z' => "UTC".into(),
        'n' => "\n".into(),
        't' => "\t".into(),
        '%' => "%".into(),
        'F' => nested("%Y-%m-%d"),
        'T' | 'X' => nested("%H:%M:%S"),
        'R' => nested("%H:%M"),
        'r' => nested("%I:%M:%S %p"),
        'D' | 'x' => nested("%m/%d/%y"),
        'c' => nested("%a %b %e %H:%M:%S %Y"),
        'U' => format!("{:02}", (m.yearday - 1 + 7 - m.weekday as i64) / 7),
        'W' => format!("{:02}", (m.yearday - 1 + 7 - (m.weekday as i64 + 6) % 7) / 7),
        other => format!("%{other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_the_c_library_writes_them() {
        let shown = |pattern: &str, at| String::from_utf8(format(pattern.as_bytes(), at)).unwrap();
        assert_eq!(shown("%F %T %j %a", 0), "1970-01-01 00:00:00 001 Thu");
        assert_eq!(shown("%c", 951_782_400), "Tue Feb 29 00:00:00 2000");
        assert_eq!(shown("%-d.%-m.%y", 1_700_000_000), "14.11.23");
    }
}

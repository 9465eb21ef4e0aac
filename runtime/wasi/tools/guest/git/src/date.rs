//! Dates, shown and read.

use std::time::{SystemTime, UNIX_EPOCH};

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

/// `+0100`
pub fn zone(minutes: i32) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

/// Days since 1970 of a date.
pub fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date of a day since 1970.
pub fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Shows a time in one of git's forms.
pub fn show(time: i64, minutes: i32, form: &str) -> String {
    let minutes = if form.ends_with("local") { 0 } else { minutes };
    let local = time + i64::from(minutes) * 60;
    let (day, second) = (local.div_euclid(86_400), local.rem_euclid(86_400));
    let (year, month, date) = civil(day);
    let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
    let weekday = DAYS[(day + 4).rem_euclid(7) as usize];
    let name = MONTHS[month as usize - 1];
    let zone = zone(minutes);
    if let Some(format) = form.strip_prefix("format:") {
        let mut out = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            match chars.next() {
                Some('Y') => out += &year.to_string(),
                Some('m') => out += &format!("{month:02}"),
                Some('d') => out += &format!("{date:02}"),
                Some('H') => out += &format!("{h:02}"),
                Some('M') => out += &format!("{m:02}"),
                Some('S') => out += &format!("{s:02}"),
                Some('F') => out += &format!("{year}-{month:02}-{date:02}"),
                Some('T') => out += &format!("{h:02}:{m:02}:{s:02}"),
                Some('b') => out += name,
                Some('a') => out += weekday,
                Some('y') => out += &format!("{:02}", year % 100),
                Some('z') => out += &zone,
                Some('s') => out += &time.to_string(),
                Some('%') => out.push('%'),
                Some(c) => {
                    out.push('%');
                    out.push(c);
                }
                None => out.push('%'),
            }
        }
        return out;
    }
    match form.trim_end_matches("-local") {
        "iso" | "iso8601" => format!("{year}-{month:02}-{date:02} {h:02}:{m:02}:{s:02} {zone}"),
        "iso-strict" | "iso8601-strict" => {
            let zone = format!("{}:{}", &zone[..3], &zone[3..]);
            format!("{year}-{month:02}-{date:02}T{h:02}:{m:02}:{s:02}{zone}")
        }
        "short" => format!("{year}-{month:02}-{date:02}"),
        "rfc" | "rfc2822" => format!("{weekday}, {date} {name} {year} {h:02}:{m:02}:{s:02} {zone}"),
        "unix" => time.to_string(),
        "raw" => format!("{time} {zone}"),
        "relative" | "human" => relative(time),
        _ => format!("{weekday} {name} {date} {h:02}:{m:02}:{s:02} {year} {zone}"),
    }
}

fn relative(time: i64) -> String {
    let ago = now() - time;
    if ago < 0 {
        return "in the future".into();
    }
    let say = |count: i64, unit: &str| format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" });
    if ago < 90 {
        return say(ago, "second");
    }
    let minutes = (ago + 30) / 60;
    if minutes < 90 {
        return say(minutes, "minute");
    }
    let hours = (minutes + 30) / 60;
    if hours < 36 {
        return say(hours, "hour");
    }
    let days = (hours + 12) / 24;
    if days < 14 {
        return say(days, "day");
    }
    if days < 70 {
        return say((days + 3) / 7, "week");
    }
    if days < 365 {
        return say((days + 15) / 30, "month");
    }
    if days < 1825 {
        let months = (days * 12 * 2 + 365) / (365 * 2);
        let (years, months) = (months / 12, months % 12);
        if months == 0 {
            return say(years, "year");
        }
        return format!("{years} year{}, {}", if years == 1 { "" } else { "s" }, say(months, "month"));
    }
    say((days + 183) / 365, "year")
}

/// Reads a date: `@seconds zone`, `seconds zone`, ISO 8601 with or without time, `N days ago`, `yesterday`.
pub fn read(text: &str) -> Option<(i64, i32)> {
    let text = text.trim();
    if let Some((count, rest)) = text.split_once([' ', '.'])
        && let Ok(count) = count.parse::<i64>()
        && rest.contains("ago")
    {
        let unit = match rest.split([' ', '.']).next()?.trim_end_matches('s') {
            "second" => 1,
            "minute" => 60,
            "hour" => 3600,
            "day" => 86_400,
            "week" => 604_800,
            "month" => 2_629_746,
            "year" => 31_556_952,
            _ => return None,
        };
        return Some((now() - count * unit, 0));
    }
    match text {
        "now" => return Some((now(), 0)),
        "yesterday" => return Some((now() - 86_400, 0)),
        _ => {}
    }
    let mut words = text.split_whitespace();
    let first = words.next()?;
    let stamp = first.strip_prefix('@').unwrap_or(first);
    if let Ok(seconds) = stamp.parse::<i64>()
        && (first.starts_with('@') || stamp.len() > 8)
    {
        return Some((seconds, words.next().and_then(minutes).unwrap_or(0)));
    }
    let (date, mut time) = match first.split_once('T') {
        Some((date, time)) => (date, time.to_owned()),
        None => (first, words.next().unwrap_or_default().to_owned()),
    };
    let mut east = words.next().and_then(minutes);
    if time.ends_with('Z') {
        time.pop();
        east = Some(0);
    } else if let Some(at) = time.rfind(['+', '-']) {
        east = minutes(&time[at..]);
        time.truncate(at);
    }
    let mut numbers = date.splitn(3, ['-', '/']).map(str::parse::<i64>);
    let (year, month, day) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(1900..3000).contains(&year) {
        return None;
    }
    let mut clock = time.split(':').map(|part| part.parse::<i64>().unwrap_or(0));
    let seconds =
        clock.next().unwrap_or(0) * 3600 + clock.next().unwrap_or(0) * 60 + clock.next().unwrap_or(0);
    let east = east.unwrap_or(0);
    Some((days(year, month, day) * 86_400 + seconds - i64::from(east) * 60, east))
}

fn minutes(zone: &str) -> Option<i32> {
    let number: i32 = zone.replace(':', "").parse().ok()?;
    Some(number / 100 * 60 + number % 100)
}

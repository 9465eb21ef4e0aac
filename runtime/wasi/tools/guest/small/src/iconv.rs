//! `iconv`: between the encodings of Unicode and the western one-byte ones.

use crate::io::{Options, misuse, reason, warn, write};
use std::io::Write;

/// How characters are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Code {
    Ascii,
    /// ISO 8859-1, ISO 8859-15 or Windows 1252: one byte each.
    Latin1,
    Latin9,
    Windows,
    Utf8,
    /// Two or four bytes each; `None` writes a mark of the order and reads it.
    Utf16(Option<Order>),
    Utf32(Option<Order>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    Little,
    Big,
}

/// The names, without `-`, `_` and case. The first of a line is listed.
const NAMES: &[(Code, &[&str])] = &[
    (Code::Ascii, &["ASCII", "USASCII", "ANSIX3.41968", "646", "C"]),
    (Code::Latin1, &["ISO88591", "LATIN1", "88591", "L1", "CP819"]),
    (Code::Latin9, &["ISO885915", "LATIN9", "885915"]),
    (Code::Windows, &["CP1252", "WINDOWS1252", "MSANSI"]),
    (Code::Utf8, &["UTF8"]),
    (Code::Utf16(None), &["UTF16", "UCS2", "UNICODE"]),
    (Code::Utf16(Some(Order::Little)), &["UTF16LE", "UCS2LE", "UNICODELITTLE"]),
    (Code::Utf16(Some(Order::Big)), &["UTF16BE", "UCS2BE", "UNICODEBIG"]),
    (Code::Utf32(None), &["UTF32", "UCS4"]),
    (Code::Utf32(Some(Order::Little)), &["UTF32LE", "UCS4LE"]),
    (Code::Utf32(Some(Order::Big)), &["UTF32BE", "UCS4BE"]),
];

/// 0x80 to 0x9f of Windows 1252; 0 where there is none.
const WINDOWS: [u16; 32] = [
    0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0,
    0x017d, 0, 0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a,
    0x0153, 0, 0x017e, 0x0178,
];
/// Where ISO 8859-15 is not 8859-1.
const LATIN9: [(u8, u16); 8] = [
    (0xa4, 0x20ac),
    (0xa6, 0x0160),
    (0xa8, 0x0161),
    (0xb4, 0x017d),
    (0xb8, 0x017e),
    (0xbc, 0x0152),
    (0xbd, 0x0153),
    (0xbe, 0x0178),
];
/// What stands for characters that ASCII has not, with `//TRANSLIT`.
const LIKE: &[(&str, &str)] = &[
    ("‘’‚‹›", "'"),
    ("“”„", "\""),
    ("–‐‑−", "-"),
    ("—", "-"),
    ("…", "..."),
    ("€", "EUR"),
    ("©", "(C)"),
    ("®", "(R)"),
    ("™", "(TM)"),
    ("«", "<<"),
    ("»", ">>"),
    ("•", "o"),
    ("×", "x"),
    ("ÀÁÂÃ", "A"),
    ("Å", "A"),
    ("Ä", "A"),
    ("Æ", "AE"),
    ("Ç", "C"),
    ("ÈÉÊË", "E"),
    ("ÌÍÎÏ", "I"),
    ("Ñ", "N"),
    ("ÒÓÔÕÖØ", "O"),
    ("ÙÚÛÜ", "U"),
    ("Ý", "Y"),
    ("ß", "ss"),
    ("àáâãåä", "a"),
    ("æ", "ae"),
    ("ç", "c"),
    ("èéêë", "e"),
    ("ìíîï", "i"),
    ("ñ", "n"),
    ("òóôõöø", "o"),
    ("ùúûü", "u"),
    ("ýÿ", "y"),
    ("\u{a0}", " "),
    ("Œ", "OE"),
    ("œ", "oe"),
];

/// Runs `iconv`.
pub fn main(argv: &[Vec<u8>]) -> i32 {
    let valued = "f from-code t to-code o output";
    let options = match Options::read(argv, "c s silent l list verbose", valued) {
        Ok(options) => options,
        Err(error) => return misuse("iconv", &error, 64),
    };
    if options.has(&["l", "list"]) {
        NAMES.iter().for_each(|(_, names)| write(format!("{}//\n", names.join("// ")).as_bytes()));
        return 0;
    }
    let part = |names: &[&str]| {
        let text = options.value(names).unwrap_or("UTF-8").to_uppercase();
        let (name, how) =
            text.split_once("//").map_or((text.clone(), String::new()), |(a, b)| (a.into(), b.into()));
        (code(&name), how)
    };
    let ((from, _), (to, how)) = (part(&["f", "from-code"]), part(&["t", "to-code"]));
    let (Some(from), Some(to)) = (from, to) else {
        let typed = |names: &[&str]| options.value(names).unwrap_or("UTF-8").to_owned();
        let what = match (from, to) {
            (None, None) => format!(
                "conversions from `{}' and to `{}' are not supported",
                typed(&["f", "from-code"]),
                typed(&["t", "to-code"])
            ),
            (None, _) => format!("conversion from `{}' is not supported", typed(&["f", "from-code"])),
            _ => format!("conversion to `{}' is not supported", typed(&["t", "to-code"])),
        };
        return misuse("iconv", &what, 1);
    };
    let drop = options.has(&["c"]);
    let mut conversion = Conversion {
        from,
        to,
        drop,
        ignore: how.contains("IGNORE"),
        like: how.contains("TRANSLIT"),
        out: Vec::new(),
        lost: false,
    };
    let stdin: &[&[u8]] = &[b"-"];
    let mut status = 0;
    for file in if options.rest.is_empty() { stdin } else { &options.rest } {
        match crate::io::read(file) {
            Ok(bytes) => {
                if let Err(error) = conversion.run(&bytes) {
                    warn("iconv", error);
                    status = 1;
                    break;
                }
            }
            Err(error) => {
                warn(
                    "iconv",
                    format!("cannot open input file `{}': {}", String::from_utf8_lossy(file), reason(&error)),
                );
                status = 1;
            }
        }
    }
    match options.value(&["o", "output"]) {
        Some(path) => {
            let written = std::fs::File::create(path).and_then(|mut file| file.write_all(&conversion.out));
            if let Err(error) = written {
                warn(
                    "iconv",
                    format!("conversion stopped due to problem in writing the output: {}", reason(&error)),
                );
                return 1;
            }
        }
        None => write(&conversion.out),
    }
    if conversion.lost { 1 } else { status }
}

fn code(name: &str) -> Option<Code> {
    let bare: String = name.chars().filter(|c| !matches!(c, '-' | '_')).collect();
    NAMES.iter().find(|(_, names)| names.contains(&bare.as_str())).map(|(code, _)| *code)
}

struct Conversion {
    from: Code,
    to: Code,
    /// What cannot be converted is left out (`-c`), or is left out and told at the end (`//IGNORE`).
    drop: bool,
    ignore: bool,
    /// Or something like it is written.
    like: bool,
    out: Vec<u8>,
    lost: bool,
}

impl Conversion {
    fn run(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut at = 0;
        let mut from = self.from;
        // The mark of the order says how to go on.
        if let Code::Utf16(None) = from {
            let little = bytes.starts_with(b"\xff\xfe");
            at = if little || bytes.starts_with(b"\xfe\xff") { 2 } else { 0 };
            from = Code::Utf16(Some(if little || at == 0 { Order::Little } else { Order::Big }));
        } else if let Code::Utf32(None) = from {
            let little = bytes.starts_with(b"\xff\xfe\0\0");
            at = if little || bytes.starts_with(b"\0\0\xfe\xff") { 4 } else { 0 };
            from = Code::Utf32(Some(if little || at == 0 { Order::Little } else { Order::Big }));
        }
        if self.out.is_empty()
            && !bytes.is_empty()
            && matches!(self.to, Code::Utf16(None) | Code::Utf32(None))
        {
            self.put('\u{feff}');
        }
        while at < bytes.len() {
            match take(from, &bytes[at..]) {
                Ok((c, length)) => {
                    if !self.put(c) {
                        self.miss(c, at)?;
                    }
                    at += length;
                }
                Err(Bad::Cut) => return Err("incomplete character or shift sequence at end of buffer".into()),
                Err(Bad::Wrong) if self.drop || self.ignore => {
                    self.lost = true;
                    at += 1;
                }
                Err(Bad::Wrong) => return Err(format!("illegal input sequence at position {at}")),
            }
        }
        Ok(())
    }

    /// Writes a character; false if the encoding has none such.
    fn put(&mut self, c: char) -> bool {
        let code = c as u32;
        let mut words = [0; 2];
        match self.to {
            Code::Ascii if code < 0x80 => self.out.push(code as u8),
            Code::Ascii => return false,
            Code::Latin1 if code < 0x100 => self.out.push(code as u8),
            Code::Latin9 | Code::Windows | Code::Latin1 => {
                let known = |byte: &u8| take(self.to, &[*byte]).is_ok_and(|(found, _)| found == c);
                let Some(byte) = (0..=255).find(known) else { return false };
                self.out.push(byte);
            }
            Code::Utf8 => self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Code::Utf16(order) => {
                for word in c.encode_utf16(&mut words) {
                    let bytes =
                        if order == Some(Order::Big) { word.to_be_bytes() } else { word.to_le_bytes() };
                    self.out.extend_from_slice(&bytes);
                }
            }
            Code::Utf32(order) => {
                let bytes = if order == Some(Order::Big) { code.to_be_bytes() } else { code.to_le_bytes() };
                self.out.extend_from_slice(&bytes);
            }
        }
        true
    }

    fn miss(&mut self, c: char, at: usize) -> Result<(), String> {
        if self.like {
            let like = LIKE.iter().find(|(chars, _)| chars.contains(c)).map_or("?", |(_, like)| like);
            like.chars().for_each(|c| _ = self.put(c));
        } else if self.drop || self.ignore {
            self.lost = true;
        } else {
            return Err(format!("illegal input sequence at position {at}"));
        }
        Ok(())
    }
}

/// Why there is no character.
enum Bad {
    Wrong,
    /// The bytes end within one.
    Cut,
}

/// Reads a character and its length.
fn take(from: Code, bytes: &[u8]) -> Result<(char, usize), Bad> {
    let one = |code: u32| char::from_u32(code).map(|c| (c, 1)).ok_or(Bad::Wrong);
    let byte = bytes[0];
    match from {
        Code::Ascii if byte < 0x80 => one(byte.into()),
        Code::Ascii => Err(Bad::Wrong),
        Code::Latin1 => one(byte.into()),
        Code::Latin9 => {
            one(LATIN9.iter().find(|(at, _)| *at == byte).map_or(byte.into(), |(_, code)| (*code).into()))
        }
        Code::Windows if (0x80..0xa0).contains(&byte) => match WINDOWS[usize::from(byte) - 0x80] {
            0 => Err(Bad::Wrong),
            code => one(code.into()),
        },
        Code::Windows => one(byte.into()),
        Code::Utf8 => {
            let head = &bytes[..bytes.len().min(4)];
            let good = match std::str::from_utf8(head) {
                Ok(text) => text,
                Err(error) if error.valid_up_to() > 0 => {
                    std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
                }
                Err(error) if error.error_len().is_none() && bytes.len() < 4 => return Err(Bad::Cut),
                Err(_) => return Err(Bad::Wrong),
            };
            good.chars().next().map(|c| (c, c.len_utf8())).ok_or(Bad::Wrong)
        }
        Code::Utf16(order) => {
            let word = |at: usize| {
                let pair = bytes.get(at..at + 2).ok_or(Bad::Cut)?;
                let pair = [pair[0], pair[1]];
                Ok(if order == Some(Order::Big) {
                    u16::from_be_bytes(pair)
                } else {
                    u16::from_le_bytes(pair)
                })
            };
            let first = word(0)?;
            let words = if (0xd800..0xdc00).contains(&first) { vec![first, word(2)?] } else { vec![first] };
            let c =
                char::decode_utf16(words.iter().copied()).next().and_then(Result::ok).ok_or(Bad::Wrong)?;
            Ok((c, words.len() * 2))
        }
        Code::Utf32(order) => {
            let four: [u8; 4] = bytes.get(..4).and_then(|four| four.try_into().ok()).ok_or(Bad::Cut)?;
            let code =
                if order == Some(Order::Big) { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) };
            char::from_u32(code).map(|c| (c, 4)).ok_or(Bad::Wrong)
        }
    }
}

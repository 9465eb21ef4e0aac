//! Binary patches: both contents whole, packed and written in base 85.

use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::io::Write;

const DIGITS: &[u8; 85] =
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
/// Bytes of packed content on a line.
const LINE: usize = 52;

/// Writes the patch from the old content to the new, and back.
pub fn write(out: &mut Vec<u8>, old: &[u8], new: &[u8]) {
    out.extend_from_slice(b"GIT binary patch\n");
    for data in [new, old] {
        out.extend_from_slice(format!("literal {}\n", data.len()).as_bytes());
        let mut packer = ZlibEncoder::new(Vec::new(), Compression::default());
        let packed = packer.write_all(data).and_then(|()| packer.finish()).unwrap_or_default();
        for line in packed.chunks(LINE) {
            let length = line.len() as u8;
            out.push(if length <= 26 { b'A' + length - 1 } else { b'a' + length - 27 });
            for word in line.chunks(4) {
                let mut bytes = [0; 4];
                bytes[..word.len()].copy_from_slice(word);
                let mut number = u32::from_be_bytes(bytes);
                let mut digits = [0; 5];
                for digit in digits.iter_mut().rev() {
                    *digit = DIGITS[(number % 85) as usize];
                    number /= 85;
                }
                out.extend_from_slice(&digits);
            }
            out.push(b'\n');
        }
        out.push(b'\n');
    }
}

/// Reads a line of a binary patch.
pub fn line(text: &[u8]) -> Option<Vec<u8>> {
    let (first, rest) = text.split_first()?;
    let length = match first {
        b'A'..=b'Z' => first - b'A' + 1,
        b'a'..=b'z' => first - b'a' + 27,
        _ => return None,
    };
    let mut out = Vec::new();
    for word in rest.chunks(5) {
        let mut number: u32 = 0;
        for digit in word {
            let digit = DIGITS.iter().position(|known| known == digit)?;
            number = number.checked_mul(85)?.checked_add(digit as u32)?;
        }
        out.extend_from_slice(&number.to_be_bytes());
    }
    (out.len() >= usize::from(length)).then(|| {
        out.truncate(usize::from(length));
        out
    })
}

//! A copy of the dynamic loader that does not ask the processor who it is.
//!
//! The C library's loader asks `cpuid` about eighty times before each program. In a virtual machine the hypervisor answers
//! that, in 4 to 7 µs each: half of what a short program costs. The answers are the same every time, so the copy in a
//! [`Tree`](super::Tree) has them in a table: where it asked, it jumps to the table's reader, which lies in what was
//! empty at the end of its last page of code. Nothing else of it is changed, and no length.
//!
//! A copy is used only if it says of the processor what the original says (`--list-diagnostics`, line by line), and as
//! long as the processor is the same ([`processor`]). For that both are started, outside of any sandbox: only the system's own
//! loader is ([`is_systems`]). One in which anything is not as expected is left as it is.

use crate::linux::cpuid::{ask, reader};
use goblin::elf::Elf;
use goblin::elf::program_header::{PF_X, PT_LOAD};
use iced_x86::{BlockEncoder, BlockEncoderOptions, Decoder, DecoderOptions};
use iced_x86::{Instruction, InstructionBlock, Mnemonic, OpKind};
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempPath;

/// A page of memory in bytes.
const PAGE: usize = 4096;
/// Length of a jump, which takes the place of `cpuid` and what follows it.
const JUMP: usize = 5;
/// Most entries that a table of jumps is taken to have.
const MOST_JUMPS: usize = 4096;
/// The caller may keep data below its stack's end (x86-64 psABI, 3.2.2): `lea rsp, [rsp-128]`, and back.
const LEAVE_RED_ZONE: [u8; 5] = [0x48, 0x8d, 0x64, 0x24, 0x80];
const BACK_TO_RED_ZONE: [u8; 8] = [0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0];

/// The processor's model and features: copies made for another one are not used.
pub(crate) fn processor() -> &'static str {
    static PROCESSOR: OnceLock<String> = OnceLock::new();
    PROCESSOR.get_or_init(|| crate::request::processor(ask).map(|n| format!("{n:x}.")).concat())
}

/// Question and answer, as the reader looks for them: leaf, part (any where the leaf has no parts), and the four numbers.
fn table() -> Vec<u8> {
    const ANY: u32 = u32::MAX;
    const END: u32 = u32::MAX;
    let whole = [0, 1, 2, 0x19, 0x8000_0000, 0x8000_0001, 0x8000_0005, 0x8000_0006, 0x8000_0007, 0x8000_0008];
    let parts = [(4, 5), (7, 2), (0xb, 3), (0xd, 10), (0x14, 2), (0x8000_001d, 5)];
    let parts = parts.into_iter().flat_map(|(leaf, count)| (0..count).map(move |part| (leaf, part)));
    let entries = whole.map(|leaf| (leaf, ANY)).into_iter().chain(parts);
    let numbers = entries.flat_map(|(leaf, part)| {
        let mut answer = ask(leaf, if part == ANY { 0 } else { part });
        // Which of the processors this is: programs are started on all of them.
        match leaf {
            1 => answer[1] &= 0x00ff_ffff,
            0xb => answer[3] = 0,
            _ => {}
        }
        [leaf, part].into_iter().chain(answer)
    });
    numbers.chain([END]).flat_map(u32::to_le_bytes).collect()
}

/// A loader with the answers inside. `None` where it asks nothing, or anything is not as expected.
pub(super) fn with_answers(loader: &[u8]) -> Option<Vec<u8>> {
    let elf = Elf::parse(loader).ok().filter(|elf| elf.is_64 && elf.little_endian)?;
    let is_named =
        |header: &&goblin::elf::SectionHeader| elf.shdr_strtab.get_at(header.sh_name) == Some(".text");
    let text = elf.section_headers.iter().find(is_named)?;
    let is_code = |p: &goblin::elf::ProgramHeader| p.p_type == PT_LOAD && p.p_flags & PF_X != 0;
    let (at, segment) = elf.program_headers.iter().enumerate().find(|(_, p)| is_code(p))?;
    let number = |n: u64| usize::try_from(n).ok();
    let (offset, address, length) = (number(segment.p_offset)?, segment.p_vaddr, number(segment.p_filesz)?);
    // What lies in the file, at addresses that a loader can have, does not overflow below.
    const HIGHEST: u64 = 1 << 47;
    loader.get(offset..offset.checked_add(length)?).filter(|_| address < HIGHEST)?;
    let code = loader.get(text.file_range()?)?;
    let instructions: Vec<Instruction> =
        Decoder::with_ip(64, code, text.sh_addr, DecoderOptions::NONE).into_iter().collect();
    let targets = targets(&elf, loader, &instructions);

    let empty = offset + length.next_multiple_of(16)..(offset + length).next_multiple_of(PAGE);
    let next = elf.program_headers.iter().filter(|p| p.p_type == PT_LOAD && p.p_offset > segment.p_offset);
    let is_free = { next }.all(|p| number(p.p_offset).is_some_and(|next| next >= empty.end));
    if !is_free || loader.get(empty.clone())?.iter().any(|byte| *byte != 0) {
        return None;
    }
    let to_address = |place: usize| address + (place - offset) as u64;
    let (lies, ends) = (text.sh_addr >= address, text.sh_addr.checked_add(text.sh_size)?);
    if !lies || ends > to_address(offset + length) {
        return None;
    }
    let mut made = [reader(), &table()].concat();
    let reader_at = to_address(empty.start);
    let mut copy = loader.to_vec();
    let mut replaced = 0;
    for site in (0..instructions.len()).filter(|i| instructions[*i].mnemonic() == Mnemonic::Cpuid) {
        // One that cannot be replaced asks the processor.
        let Some(window) = window(&instructions, site, &targets) else { continue };
        let (first, last) = (instructions[window.start], instructions[window.end - 1]);
        let here = reader_at + made.len() as u64;
        let (prefix, suffix) = (&instructions[window.start..site], &instructions[site + 1..window.end]);
        made.extend(moved(prefix, here)?);
        made.extend(LEAVE_RED_ZONE);
        made.extend(branch(0xe8, reader_at + made.len() as u64, reader_at)?);
        made.extend(BACK_TO_RED_ZONE);
        made.extend(moved(suffix, reader_at + made.len() as u64)?);
        made.extend(branch(0xe9, reader_at + made.len() as u64, last.next_ip())?);
        let place = usize::try_from(first.ip() - address).ok()? + offset;
        let old = copy.get_mut(place..place + usize::try_from(last.next_ip() - first.ip()).ok()?)?;
        old.fill(NOP);
        old.get_mut(..JUMP)?.copy_from_slice(&branch(0xe9, first.ip(), here)?);
        replaced += 1;
    }
    if replaced == 0 {
        return None;
    }
    copy.get_mut(empty.clone())?.get_mut(..made.len())?.copy_from_slice(&made);
    // The kernel maps whole pages; the segment's header says so too.
    let length = (empty.end - offset) as u64;
    let header = number(elf.header.e_phoff)? + at * usize::from(elf.header.e_phentsize);
    for field in [FILE_SIZE, MEMORY_SIZE] {
        copy.get_mut(header + field..header + field + 8)?.copy_from_slice(&length.to_le_bytes());
    }
    Some(copy)
}

const NOP: u8 = 0x90;
/// Where these fields are in a program header of 64 bits (elf(5)).
const FILE_SIZE: usize = 32;
const MEMORY_SIZE: usize = 40;

/// A jump or call, by its first byte, that lies at an address.
fn branch(code: u8, at: u64, to: u64) -> Option<[u8; JUMP]> {
    let [a, b, c, d] = i32::try_from(to.wrapping_sub(at + JUMP as u64).cast_signed()).ok()?.to_le_bytes();
    Some([code, a, b, c, d])
}

/// The same instructions at another address.
fn moved(instructions: &[Instruction], to: u64) -> Option<Vec<u8>> {
    if instructions.is_empty() {
        return Some(Vec::new());
    }
    let block = InstructionBlock::new(instructions, to);
    BlockEncoder::encode(64, block, BlockEncoderOptions::NONE).ok().map(|done| done.code_buffer)
}

/// The instructions around a `cpuid` that a jump can take the place of: long enough together, and nobody comes to them but
/// by the first.
fn window(instructions: &[Instruction], site: usize, targets: &BTreeSet<u64>) -> Option<Range<usize>> {
    let may_move = |i: usize| instructions.get(i).is_some_and(|one| i == site || !goes_elsewhere(one));
    let is_entered = |i: usize| instructions.get(i).is_none_or(|one| targets.contains(&one.ip()));
    let length = |range: Range<usize>| instructions[range].iter().map(Instruction::len).sum::<usize>();
    let after = (site + 1..site + JUMP + 1).find(|end| length(site..*end) >= JUMP);
    let before = (site.saturating_sub(JUMP)..=site).rev().find(|start| length(*start..site + 1) >= JUMP);
    let windows = [after.map(|end| site..end), before.map(|start| start..site + 1)];
    let holds = |w: &Range<usize>| w.clone().all(may_move) && !(w.start + 1..w.end).any(is_entered);
    windows.into_iter().flatten().find(holds)
}

/// Whether an instruction does not simply go on to the next, or is none.
fn goes_elsewhere(one: &Instruction) -> bool {
    let is_branch =
        matches!(one.op0_kind(), OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64);
    is_branch
        || one.is_invalid()
        || matches!(
            one.mnemonic(),
            Mnemonic::Jmp
                | Mnemonic::Call
                | Mnemonic::Ret
                | Mnemonic::Syscall
                | Mnemonic::Int3
                | Mnemonic::Ud2
                | Mnemonic::Hlt
                | Mnemonic::Cpuid
                | Mnemonic::Xbegin
        )
}

/// Every address to which something may jump: by name, or through what may be a table of jumps (offsets from the table).
fn targets(elf: &Elf<'_>, loader: &[u8], instructions: &[Instruction]) -> BTreeSet<u64> {
    let mut found: BTreeSet<u64> = elf.dynsyms.iter().map(|symbol| symbol.st_value).collect();
    found.insert(elf.entry);
    let Some((first, last)) = instructions.first().zip(instructions.last()) else { return found };
    let text = first.ip()..last.next_ip();
    let mut tables = BTreeSet::new();
    for one in instructions {
        if matches!(one.op0_kind(), OpKind::NearBranch64) {
            found.insert(one.near_branch_target());
        }
        if one.is_ip_rel_memory_operand() {
            tables.insert(one.ip_rel_memory_address());
        }
    }
    for table in tables {
        let in_file = elf
            .program_headers
            .iter()
            .find(|p| p.p_type == PT_LOAD && table.wrapping_sub(p.p_vaddr) < p.p_filesz);
        let place = in_file.and_then(|p| table.wrapping_sub(p.p_vaddr).checked_add(p.p_offset));
        let Some(start) = place.and_then(|place| usize::try_from(place).ok()) else {
            continue;
        };
        let offsets = loader.get(start..).unwrap_or(&[]).chunks_exact(4).take(MOST_JUMPS);
        let jumps = offsets
            .map(|o| table.wrapping_add_signed(i64::from(i32::from_le_bytes([o[0], o[1], o[2], o[3]]))));
        found.extend(jumps.take_while(|target| text.contains(target)));
    }
    found
}

/// Whether a loader is the system's own, which nobody but root could have written. A program may name any file as its loader.
fn is_systems(loader: &Path) -> io::Result<bool> {
    let meta = fs::metadata(loader)?;
    let is_roots = meta.uid() == 0 && meta.mode() & 0o022 == 0;
    Ok(is_roots && ["/usr/lib", "/usr/lib64", "/lib", "/lib64"].iter().any(|dir| loader.starts_with(dir)))
}

/// A copy of a loader with the answers inside, in a directory. `None` where it is better left as it is.
pub(super) fn answering(dir: &Path, original: &Path) -> io::Result<Option<TempPath>> {
    if !is_systems(original)? {
        return Ok(None);
    }
    let Some(bytes) = with_answers(&fs::read(original)?) else { return Ok(None) };
    let mut draft = tempfile::NamedTempFile::new_in(dir)?;
    draft.write_all(&bytes)?;
    fs::set_permissions(draft.path(), Permissions::from_mode(0o555))?;
    // What is open for writing cannot be started.
    let copy = draft.into_temp_path();
    Ok(said(original).is_some_and(|all| said(&copy) == Some(all)).then_some(copy))
}

/// What a loader says of the processor: if a copy says the same as its original, all answers that it needs were right.
fn said(loader: &Path) -> Option<Vec<String>> {
    /// How often it is tried while another thread, which is starting a program, still holds it open for writing.
    const TRIES: usize = 50;
    let mut command = Command::new(loader);
    command.arg("--list-diagnostics").env_clear().current_dir("/").stdin(Stdio::null()).stderr(Stdio::null());
    let mut tries = std::iter::repeat_with(|| command.output()).take(TRIES);
    let is_busy =
        |done: &io::Result<_>| done.as_ref().is_err_and(|e| e.kind() == ErrorKind::ExecutableFileBusy);
    let done = tries.find(|done| {
        let busy = is_busy(done);
        if busy {
            std::thread::sleep(Duration::from_millis(1));
        }
        !busy
    })?;
    let output = done.ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // Of leaf 1 the second number says which of the processors this is.
    let is_whose =
        |line: &str| ["[0x0].cpuid[0x1]=", "[0x0].cpuid.ebx="].iter().any(|name| line.contains(name));
    let is_meant = |line: &&str| line.starts_with("x86.cpu_features.") && !is_whose(line);
    let lines: Vec<String> = text.lines().filter(is_meant).map(String::from).collect();
    (!lines.is_empty()).then_some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn host_loader() -> Option<PathBuf> {
        let elf = fs::read("/bin/sh").ok()?;
        let path = Elf::parse(&elf).ok()?.interpreter.map(PathBuf::from)?;
        // Another C library's says nothing of the processor.
        said(&path).is_some().then_some(path)
    }

    #[test]
    fn a_copy_says_what_the_original_says_and_starts_programs() {
        let Some(original) = host_loader() else {
            eprintln!("skipped: the loader of this host does not tell what it knows of the processor");
            return;
        };
        let dir = tempfile::tempdir().unwrap();
        let copy = answering(dir.path(), &original).unwrap().expect("a loader that can be changed");
        assert_eq!(fs::metadata(&copy).unwrap().len(), fs::metadata(&original).unwrap().len());
        let started = Command::new(&copy).args(["/bin/sh", "-c", "echo $((6 * 7)) | cat"]).output().unwrap();
        assert_eq!((started.status.code(), started.stdout.as_slice()), (Some(0), &b"42\n"[..]));
    }

    #[test]
    fn a_copy_with_a_wrong_answer_is_noticed() {
        let Some(original) = host_loader() else { return };
        let mut bytes = with_answers(&fs::read(&original).unwrap()).unwrap();
        let table = table();
        let at = bytes.windows(table.len()).position(|window| window == table).unwrap();
        // The features of leaf 1.
        const ENTRY: usize = 24;
        bytes[at + ENTRY + 16..at + ENTRY + 24].fill(0);
        let dir = tempfile::tempdir().unwrap();
        let wrong = dir.path().join("wrong");
        fs::write(&wrong, bytes).unwrap();
        fs::set_permissions(&wrong, Permissions::from_mode(0o555)).unwrap();
        assert_ne!(said(&wrong), said(&original));
    }

    #[test]
    fn a_loader_that_is_not_the_systems_is_not_started() {
        let Some(original) = host_loader() else { return };
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("ld.so");
        fs::copy(original, &other).unwrap();
        assert!(with_answers(&fs::read(&other).unwrap()).is_some());
        assert!(answering(dir.path(), &other).unwrap().is_none());
    }

    #[test]
    fn a_damaged_loader_is_no_panic() {
        let Some(original) = host_loader() else { return };
        let bytes = fs::read(original).unwrap();
        // The headers, a byte after the other.
        for at in 0..64 + 9 * 56 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            let _ = with_answers(&damaged);
        }
        for len in [0, 63, 64, 500, 4096, 0x27000, bytes.len() - 1] {
            let _ = with_answers(&bytes[..len.min(bytes.len())]);
        }
    }

    #[test]
    fn what_is_no_loader_is_left_as_it_is() {
        assert_eq!(with_answers(b"#!/bin/sh"), None);
        assert_eq!(with_answers(&fs::read("/bin/sh").unwrap()), None);
    }
}

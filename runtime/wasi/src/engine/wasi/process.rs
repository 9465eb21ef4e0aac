//! Arguments, environment, clocks, randomness and the end of a module.

use super::types::nanoseconds;
use crate::engine::guest::{Answer, Bytes, Fault, Guest};
use crate::engine::job::Exit;
use rustix::io::Errno;
use std::time::Duration;

/// Most random bytes that are given at once.
const MAX_RANDOM: u32 = 16 << 20;

pub(super) fn args_sizes_get(guest: &mut Guest, bytes: &mut Bytes<'_>, count: u32, size: u32) -> Answer {
    let all: usize = guest.argv.iter().map(|arg| arg.len() + 1).sum();
    sizes(bytes, guest.argv.len(), all, count, size)
}

pub(super) fn args_get(guest: &mut Guest, bytes: &mut Bytes<'_>, list: u32, buffer: u32) -> Answer {
    let mut place = Strings { list, buffer };
    guest.argv.iter().try_for_each(|arg| place.put(bytes, &[arg]))
}

pub(super) fn environ_sizes_get(guest: &mut Guest, bytes: &mut Bytes<'_>, count: u32, size: u32) -> Answer {
    let all: usize = guest.env.iter().map(|(key, value)| key.len() + value.len() + 2).sum();
    sizes(bytes, guest.env.len(), all, count, size)
}

pub(super) fn environ_get(guest: &mut Guest, bytes: &mut Bytes<'_>, list: u32, buffer: u32) -> Answer {
    let mut place = Strings { list, buffer };
    guest.env.iter().try_for_each(|(key, value)| place.put(bytes, &[key, b"=", value]))
}

fn sizes(bytes: &mut Bytes<'_>, count: usize, size: usize, count_at: u32, size_at: u32) -> Answer {
    let number = |n| u32::try_from(n).map_err(|_| Fault::Errno(Errno::TOOBIG));
    bytes.put_u32(count_at, number(count)?)?;
    bytes.put_u32(size_at, number(size)?)
}

/// Where the next pointer and the next string go.
struct Strings {
    list: u32,
    buffer: u32,
}

impl Strings {
    fn put(&mut self, bytes: &mut Bytes<'_>, parts: &[&[u8]]) -> Answer {
        bytes.put_u32(self.list, self.buffer)?;
        self.list = self.list.wrapping_add(4);
        for part in parts.iter().copied().chain([&b"\0"[..]]) {
            bytes.put(self.buffer, part)?;
            self.buffer = self.buffer.wrapping_add(part.len() as u32);
        }
        Ok(())
    }
}

/// What a clock shows: 0 the time of day, 1 since the module began, 2 and 3 its processor time.
pub(super) fn clock(guest: &Guest, id: u32) -> Answer<u64> {
    let time = match id {
        0 => return Ok(nanoseconds(guest.tree.now())),
        // Not the host's: how long that runs is nobody's business.
        1..=3 => guest.started.elapsed() + Duration::from_secs(1),
        _ => return Err(Fault::Errno(Errno::INVAL)),
    };
    Ok(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

pub(super) fn clock_time_get(
    guest: &mut Guest,
    bytes: &mut Bytes<'_>,
    id: u32,
    _precision: u64,
    at: u32,
) -> Answer {
    bytes.put_u64(at, clock(guest, id)?)
}

pub(super) fn clock_res_get(guest: &mut Guest, bytes: &mut Bytes<'_>, id: u32, at: u32) -> Answer {
    clock(guest, id)?;
    bytes.put_u64(at, 1)
}

pub(super) fn random_get(_: &mut Guest, bytes: &mut Bytes<'_>, at: u32, length: u32) -> Answer {
    if length > MAX_RANDOM {
        return Err(Fault::Errno(Errno::INVAL));
    }
    Ok(crate::fs::random(bytes.get_mut(at, length)?).map(drop)?)
}

pub(super) fn proc_raise(_: &mut Guest, _: &mut Bytes<'_>, signal: u32) -> Answer {
    Err(Fault::End(Exit::Signal((signal & 0x7f) as i32)))
}

pub(super) fn sched_yield(guest: &mut Guest, _: &mut Bytes<'_>) -> Answer {
    std::thread::yield_now();
    guest.check()
}

//! Waiting: for time to pass, or for a pipe.

use super::process::clock;
use crate::engine::guest::{Answer, Bytes, Fault, Guest};
use crate::engine::job::Exit;
use rustix::io::Errno;
use std::time::Duration;

/// Most things that are waited for at one time.
const MAX_SUBSCRIPTIONS: u32 = 1024;
const SUBSCRIPTION: u32 = 48;
const EVENT: usize = 32;
/// How often a pipe is looked at.
const LOOK: Duration = Duration::from_millis(1);

enum Awaited {
    /// A clock's reading.
    Clock {
        id: u32,
        until: u64,
    },
    Fd {
        fd: u32,
        to_write: bool,
    },
}

pub(super) fn poll_oneoff(
    guest: &mut Guest,
    bytes: &mut Bytes<'_>,
    from: u32,
    to: u32,
    count: u32,
    events_at: u32,
) -> Answer {
    if count == 0 || count > MAX_SUBSCRIPTIONS {
        return Err(Errno::INVAL.into());
    }
    let awaited = (0..count)
        .map(|n| subscription(guest, bytes, from.wrapping_add(n * SUBSCRIPTION)))
        .collect::<Answer<Vec<_>>>()?;
    loop {
        let mut events = 0u32;
        let mut soonest: Option<Duration> = None;
        let mut has_fd = false;
        for (user, what) in &awaited {
            let ready = match what {
                Awaited::Clock { id, until } => {
                    let left = until.saturating_sub(clock(guest, *id)?);
                    soonest = Some(soonest.unwrap_or(Duration::MAX).min(Duration::from_nanos(left)));
                    left == 0
                }
                Awaited::Fd { fd, to_write } => {
                    has_fd = true;
                    guest.handle(*fd)?.is_ready(*to_write)
                }
            };
            if ready {
                let mut event = [0; EVENT];
                event[..8].copy_from_slice(&user.to_le_bytes());
                event[10] = match what {
                    Awaited::Clock { .. } => 0,
                    Awaited::Fd { to_write: false, .. } => 1,
                    Awaited::Fd { to_write: true, .. } => 2,
                };
                event[16] = u8::from(has_fd);
                bytes.put(to.wrapping_add(events * EVENT as u32), &event)?;
                events += 1;
            }
        }
        if events > 0 {
            return bytes.put_u32(events_at, events);
        }
        let time = soonest.unwrap_or(Duration::MAX).min(if has_fd { LOOK } else { Duration::MAX });
        guest.budget.sleep(time).map_err(|_| Fault::End(Exit::Signal(9)))?;
    }
}

fn subscription(guest: &Guest, bytes: &Bytes<'_>, at: u32) -> Answer<(u64, Awaited)> {
    let user = bytes.u64(at)?;
    let number = bytes.u32(at.wrapping_add(16))?;
    let what = match bytes.get(at.wrapping_add(8), 1)?[0] {
        0 => {
            let timeout = bytes.u64(at.wrapping_add(24))?;
            let is_absolute = bytes.u32(at.wrapping_add(40))? & 1 != 0;
            let now = clock(guest, number)?;
            Awaited::Clock {
                id: number,
                until: if is_absolute { timeout } else { now.saturating_add(timeout) },
            }
        }
        tag @ (1 | 2) => Awaited::Fd { fd: number, to_write: tag == 2 },
        _ => return Err(Errno::INVAL.into()),
    };
    Ok((user, what))
}

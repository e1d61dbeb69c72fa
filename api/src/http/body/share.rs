//! What bodies may take of the memory: all of them together, and the large ones of one caller.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use docket_schemas::Tenant;
use parking_lot::Mutex;

use super::{BODIES_BYTES_MAX, CALLER_BODIES_BYTES_MAX};

/// Bodies up to so many bytes are not counted by caller: as many as a caller's rate allows while they may take to arrive
/// leave room for others.
const SMALL_BYTES: usize = 64 * 1024;

/// Bytes of all bodies that are being read or held.
static BODIES_BYTES: AtomicUsize = AtomicUsize::new(0);
/// Bytes of the large ones, by caller; nobody stands here without any.
static CALLERS_BYTES: LazyLock<Mutex<HashMap<Caller, usize>>> = LazyLock::new(Mutex::default);

/// Whose a body is.
pub(super) type Caller = (Tenant, Arc<str>);

/// A part of [`BODIES_BYTES_MAX`], in bytes, given back when dropped.
pub(super) struct Share {
    bytes: usize,
    /// None where nobody is known to send it.
    caller: Option<Caller>,
}

impl Share {
    pub(super) const fn of(caller: Option<Caller>) -> Self {
        Self { bytes: 0, caller }
    }

    /// Makes it so many bytes; false, and it stays as it is, where all bodies together, or the caller's large ones, would be
    /// beyond their limit.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if BODIES_BYTES.fetch_add(more, Ordering::Relaxed) + more > BODIES_BYTES_MAX
            || !self.grow_of_caller(self.bytes + more)
        {
            BODIES_BYTES.fetch_sub(more, Ordering::Relaxed);
            return false;
        }
        self.bytes += more;
        true
    }

    fn grow_of_caller(&self, bytes: usize) -> bool {
        let Some(caller) = &self.caller else { return true };
        let more = large(bytes) - large(self.bytes);
        if more == 0 {
            return true;
        }
        let mut callers = CALLERS_BYTES.lock();
        let all = callers.get(caller).copied().unwrap_or_default() + more;
        if all > CALLER_BODIES_BYTES_MAX {
            return false;
        }
        callers.insert(caller.clone(), all);
        true
    }

    #[cfg(test)]
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What of a body of so many bytes is counted by caller.
const fn large(bytes: usize) -> usize {
    if bytes > SMALL_BYTES { bytes } else { 0 }
}

impl Drop for Share {
    fn drop(&mut self) {
        BODIES_BYTES.fetch_sub(self.bytes, Ordering::Relaxed);
        let (Some(caller), 1..) = (&self.caller, large(self.bytes)) else { return };
        let mut callers = CALLERS_BYTES.lock();
        let Some(all) = callers.get_mut(caller) else { return };
        *all -= self.bytes;
        if *all == 0 {
            callers.remove(caller);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_beyond_what_is_left_is_refused_and_takes_nothing() {
        let mut share = Share::of(None);
        assert!(share.grow(10) && !share.grow(BODIES_BYTES_MAX + 1));
        assert_eq!(share.bytes, 10);
    }

    #[test]
    fn a_caller_with_many_large_bodies_leaves_room_for_others() {
        let caller = |name: &str| Some(("shares".parse().unwrap(), Arc::from(name)));
        let one = CALLER_BODIES_BYTES_MAX / 4;
        let mut held: Vec<Share> = (0..4).map(|_| Share::of(caller("ann"))).collect();
        assert!(held.iter_mut().all(|share| share.grow(one)));
        let mut next = Share::of(caller("ann"));
        assert!(next.grow(SMALL_BYTES), "small ones are not counted");
        assert!(!next.grow(SMALL_BYTES + 1));
        assert_eq!(next.bytes, SMALL_BYTES);
        assert!(Share::of(caller("bob")).grow(one));
        held.pop();
        assert!(next.grow(one), "what was given back may be taken");
        drop((held, next));
        assert!(!CALLERS_BYTES.lock().contains_key(&caller("ann").unwrap()));
    }
}

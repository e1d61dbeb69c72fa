//! Names for requests, unique enough to find one in the logs of several nodes.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::HeaderValue;

/// Bytes of a name: 16 hexadecimal digits for the process, 16 for the request.
const NAME_BYTES: usize = 32;

/// Counts requests behind a random prefix.
pub(crate) struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        Self { process: RandomState::new().hash_one(()), next: AtomicU64::new(0) }
    }

    pub(crate) fn next(&self) -> HeaderValue {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut name = [0; NAME_BYTES];
        let (process, request) = name.split_at_mut(NAME_BYTES / 2);
        write_hex(self.process, process);
        write_hex(number, request);
        HeaderValue::from_bytes(&name).unwrap_or(HeaderValue::from_static("none"))
    }
}

fn write_hex(mut value: u64, digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

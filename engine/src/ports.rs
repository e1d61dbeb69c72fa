//! What the engine asks of the outside: a log, a key store, a bus, whispers, a clock and ids.

pub mod bus;
pub mod clock;
pub mod ephemeral;
pub mod ids;
pub mod keys;
pub mod leases;
pub mod log;
pub mod nodes;
pub mod sagas;
pub mod witness;

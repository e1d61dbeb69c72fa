//! What goes out: tickets, messages and events as JSON, masked for who reads them.

pub mod event;
pub mod message;
mod names;
pub mod ticket;

pub use names::{Names, persons_in};

//! Measuring: the real server and a load on it, in one process.

pub mod client;
pub mod create;
mod load;
mod process;
mod report;
mod requests;
pub mod sagas;
mod site;

pub use report::{Report, Round};

//! Measuring: the real server and a load on it, in one process.

pub mod client;
pub mod connections;
pub mod create;
mod crowd;
mod echo;
pub mod fanout;
mod in_scratch;
mod lag;
mod load;
mod process;
pub mod replay;
mod report;
mod requests;
pub mod sagas;
pub mod search;
mod server;
mod site;
mod socket;

pub use report::{Report, Round};

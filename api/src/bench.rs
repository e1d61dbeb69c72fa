//! Measuring: the real server and a load on it, in one process.

pub mod client;
pub mod connections;
pub mod create;
mod crowd;
mod echo;
pub mod fanout;
pub mod freshness;
mod in_scratch;
mod lag;
mod load;
pub mod merge;
mod process;
pub mod replay;
mod report;
mod requests;
pub mod sagas;
pub mod search;
mod server;
mod site;
mod socket;
mod writing;

pub use report::{Report, Round};

//! Owns: the end-to-end harness: real `docket` processes, databases of their own, an HTTP client.
//! Imports: no crate of this workspace: it knows Docket as integrators do, by command line and HTTP.
//! Never: knowledge of the inside, mocks, sleeps that hope.

mod site;
pub use site::{DATABASE_URL, Run, Site, Token};
mod node;
pub use node::{Node, READY_WITHIN, STOP_WITHIN};
mod client;
pub use client::{Answer, Client, Request, Unreachable};
mod nats_server;
pub use nats_server::NatsServer;
mod feed;
pub use feed::Feed;
mod socket;
pub use socket::Socket;
mod stream;
pub use stream::{EventStream, Said};
mod collector;
pub use collector::Collector;
mod database;
pub use database::Database;
mod folder;
pub use folder::Folder;
mod edge;
pub use edge::{eventually, is_long, nats_url, real_incident_log, unique};
mod incidents;
pub use incidents::{Incident, Incidents};
mod backend;
mod binary;
pub use backend::{Backend, on_both_backends};
pub use binary::faults_binary;
mod rehearsal;
pub use rehearsal::{Rehearsal, is_honoured};
mod merging;

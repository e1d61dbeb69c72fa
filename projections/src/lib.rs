//! Owns: the read models that answer questions, with the runner that feeds them from the log.
//! Imports: docket-schemas, docket-engine.
//! Never: decisions, events, side effects, NATS: a view can be deleted and rebuilt.

mod pace;
mod partitions;
pub use partitions::PartitionSet;
mod sink;
pub use sink::{Batch, News, Poison, Sink, SinkError, Span, Taken};
mod source;
pub use source::{EventSource, FromLog};
mod folder;
pub use folder::{Folded, Folder, TicketKey, fold_ticket, opened, told};
mod feeder;
pub use feeder::{Appetite, Fed, FeedError, Feeder};
mod progress;
pub use progress::{Progress, Waiting};
mod runner;
pub use runner::Runner;
mod shares;
pub use shares::{SHARE_GROUPS, Sharing};
mod freshness;
pub use freshness::{Freshness, Lag, WAIT_MAX};
mod keeper;
pub use keeper::{KEPT_FOR, Keeper, REBUILD_LEASE};
mod rebuild;
pub use rebuild::{Rebuild, RebuildError, RebuildPhase, RebuildProgress};
mod diff;
pub use diff::{DiffError, Difference, PartitionDiff, Wrong, diff};
mod repair;
pub use repair::{RepairError, repair};

#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod counters;
pub mod query;
pub mod row;
pub mod store;
pub mod stored;
mod view;
pub use view::{TICKETS_VIEW, TicketsView};

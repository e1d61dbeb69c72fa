//! The suite of stores, held against files.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use docket_projections::contract::ViewHarness;
use docket_projections::store::ViewStore;
use docket_views_sqlite::SqliteViews;

static MADE: AtomicU32 = AtomicU32::new(0);

/// A directory of one case's own, removed with it.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("docket-views-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a directory can be made");
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[async_trait]
impl ViewHarness for Directory {
    async fn fresh(&self) -> Arc<dyn ViewStore> {
        self.second_connection().await
    }

    async fn second_connection(&self) -> Arc<dyn ViewStore> {
        Arc::new(SqliteViews::open(self.0.join("views.db")).await.expect("a store"))
    }
}

docket_projections::view_contract!(Directory::new());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_file_may_be_opened_by_many_at_once() {
    let directory = Directory::new();
    let opening = (0..8).map(|_| {
        let path = directory.0.join("views.db");
        tokio::spawn(async move { SqliteViews::open(path).await.map(drop) })
    });
    for opened in opening.collect::<Vec<_>>() {
        opened.await.expect("a task").expect("a store");
    }
}

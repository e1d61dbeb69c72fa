//! Incarnations: a log restored from a backup begins the next one once, however often it is started or restored.

use std::sync::Arc;

use docket_schemas::Incarnation;

use crate::memory::MemoryLog;
use crate::testing::Office;

/// Starts a node on a log, writes there, and says under which incarnation.
async fn works(office: &Office) -> u32 {
    let desk = office.desk().await;
    desk.open(office.opening().await).await.unwrap();
    desk.incarnation().number()
}

#[tokio::test]
async fn a_backup_restored_twice_never_begins_the_same_incarnation_twice() {
    let mut office = Office::new().await;
    assert_eq!(works(&office).await, 1);
    for restored in 2..5 {
        // An empty log stands for a backup from before the first event; the witness remembers.
        office.log = Arc::new(MemoryLog::new());
        assert_eq!(works(&office).await, restored);
        assert_eq!(works(&office).await, restored, "a restart of a restored log is no restore");
    }
    let newest = office.log.incarnations().await.unwrap().pop().map(|start| start.incarnation);
    assert_eq!(newest, Some(Incarnation::new("eu", 4).unwrap()));
}

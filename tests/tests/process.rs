//! The `docket` process: it starts, is killed, starts again, ends in order.

use docket_tests::{Database, Site};

#[tokio::test]
async fn a_node_that_was_killed_serves_again_on_the_same_port() {
    let site = Site::embedded();
    let mut node = site.serve().await;
    let address = node.address();
    node.kill();
    assert!(node.anonymous().get("/healthz").try_send().await.is_err());

    node.restart().await;
    assert_eq!(node.address(), address);
    let _ = node.anonymous().get("/healthz").send().await.expect_status(200);
}

#[tokio::test]
async fn a_node_that_is_asked_to_end_ends_with_success() {
    let site = Site::embedded();
    let mut node = site.serve().await;
    assert!(node.stop().await.success(), "the log:\n{}", node.log());
}

#[tokio::test]
async fn two_nodes_share_a_database_and_a_data_directory() {
    let database = Database::create().await;
    let site = Site::on(&database);
    let (one, two) = (site.serve().await, site.serve().await);
    assert_ne!(one.address(), two.address());
    for node in [&one, &two] {
        let _ = node.anonymous().get("/healthz").send().await.expect_status(200);
    }
}

#[test]
fn a_token_is_three_parts_on_one_line() {
    let token = Site::embedded().token("agent", "ann");
    assert_eq!(token.split('.').filter(|part| !part.is_empty()).count(), 3);
    assert!(!token.contains(char::is_whitespace));
}

#[test]
fn a_command_with_arguments_that_it_does_not_know_exits_with_2() {
    let _ = Site::embedded().run(&["serve", "--no-such-flag"]).expect_code(2);
}

#[tokio::test]
async fn a_master_key_may_stand_in_the_environment() {
    let site = Site::embedded().with("master-key", &"5a".repeat(32));
    let mut node = site.serve().await;
    let _ = node.stop().await;
    assert!(!site.data().join("master.key").exists(), "it is written nowhere");
    let other = site.with("master-key", &"5b".repeat(32));
    let refused = other.run(&["serve", "--listen", "127.0.0.1:0"]).expect_code(1);
    assert!(refused.stderr.contains("master key"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("5b5b"), "{}", refused.stderr);
}

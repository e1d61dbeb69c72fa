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

#[tokio::test]
async fn a_variable_that_is_empty_is_as_good_as_absent() {
    let settings =
        ["database-url", "keys", "master-key", "signing-key", "issuer", "jwks", "region"];
    let more = ["rate-limit", "tls-cert", "tls-key", "log", "log-format", "otlp-endpoint", "demo"];
    let site =
        settings.iter().chain(&more).fold(Site::embedded(), |site, flag| site.with(flag, ""));
    let node = site.serve().await;
    let _ =
        node.client(&site.token("agent", "ann")).get("/v1/events").send().await.expect_status(200);
}

#[tokio::test]
async fn a_flag_without_a_value_takes_yes_or_no_from_its_variable() {
    for (value, tokens) in [("1", 6), ("yes", 6), ("0", 0), ("false", 0)] {
        let site = Site::embedded().with("demo", value);
        let log = site.serve().await.log();
        let printed = log.lines().filter(|line| line.starts_with("eyJ") && line.contains('.'));
        assert_eq!(printed.count(), tokens, "{value}: {log}");
    }
    let _ = Site::embedded().with("demo", "maybe").run(&["serve"]).expect_code(2);
    let site = Site::embedded().with("follow", "0");
    let _ = site.serve().await.stop().await;
    let _ = site.run(&["export", "--digest"]).expect_code(0);
    let _ = Site::embedded().run(&["export", "--digest", "--follow"]).expect_code(2);
}

#[test]
fn an_argument_that_cannot_be_understood_exits_with_2_before_anything_is_made() {
    for wrong in [
        ["--region", "EU!"],
        ["--log", "%%%"],
        ["--otlp-endpoint", "nonsense"],
        ["--otlp-endpoint", "ftp://localhost"],
        ["--rate-limit", "many"],
    ] {
        let site = Site::embedded();
        let data = site.data().join("new");
        let place = ["serve", "--data", data.to_str().expect("a path in UTF-8")];
        let run = site.run(&[&place[..], &wrong[..]].concat()).expect_code(2);
        assert!(run.stderr.contains(wrong[0]), "{}", run.stderr);
        assert!(!data.exists(), "{wrong:?}");
    }
}

//! `docket import` cut off by kill -9, beside a running node, and into another backend.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::fmt::Write as _;
use std::process::Stdio;
use std::time::Duration;

use docket_tests::{Backend, Site};

/// Incidents of the made-up log, five rows each.
const INCIDENTS: usize = 120;

/// Events of one incident: its fourth row changes nothing.
const EVENTS: usize = 4;

/// Writes an incident event log into the site's data directory.
fn incident_log(site: &Site) -> String {
    let mut text = "number,incident_state,opened_at,sys_updated_at,caller_id,contact_type,category,subcategory,\
                    impact,urgency,priority,assignment_group,assigned_to\n"
        .to_owned();
    for number in 0..INCIDENTS {
        let caller = number % 17;
        let rows = [
            ("New", "01:10", "3 - Moderate,Desk,?"),
            ("Active", "01:20", "3 - Moderate,Desk,Ann"),
            ("Awaiting Vendor", "01:30", "2 - High,Network,Bob"),
            ("Awaiting Vendor", "01:40", "2 - High,Network,Bob"),
            ("Closed", "01:50", "4 - Low,?,?"),
        ];
        for (state, time, rest) in rows {
            writeln!(
                text,
                "INC{number:05},{state},29-02-2016 01:00,29-02-2016 {time},Caller {caller},Email,\
                 Net,VPN,2 - Medium,3 - Low,{rest}"
            )
            .unwrap();
        }
    }
    let path = site.data().join("incidents.csv");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn import(site: &Site, file: &str, format: &str) -> String {
    site.run(&["import", file, "--format", format]).expect_code(0).stdout
}

/// The digest that two installations share when they hold the same.
fn content(site: &Site) -> String {
    let digests = site.run(&["export", "--digest"]).expect_code(0).stdout;
    let line = digests.lines().find(|line| line.starts_with("content ")).unwrap();
    line.to_owned()
}

fn summary(written: usize, already_there: usize) -> String {
    format!(
        "{INCIDENTS} tickets, {written} events written, {already_there} already there, 0 bad rows\n"
    )
}

async fn survives_kills(backend: &Backend) {
    let straight = Site::embedded();
    let file = incident_log(&straight);
    let all = INCIDENTS * EVENTS;
    assert_eq!(import(&straight, &file, "servicenow-csv"), summary(all, 0));

    for millis in [120, 240, 360] {
        let mut command = backend.site.command();
        command.args(["import", &file, "--format", "servicenow-csv"]);
        let mut cut_off = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(millis)).await;
        cut_off.kill().unwrap();
        cut_off.wait().unwrap();
    }
    import(&backend.site, &file, "servicenow-csv");
    assert_eq!(content(&backend.site), content(&straight));
    assert_eq!(import(&backend.site, &file, "servicenow-csv"), summary(0, all));
}

#[tokio::test]
async fn an_import_killed_and_run_again_is_the_import_run_once_on_sqlite() {
    survives_kills(&Backend::sqlite()).await;
}

#[tokio::test]
async fn an_import_killed_and_run_again_is_the_import_run_once_on_postgres() {
    survives_kills(&Backend::postgres().await).await;
}

fn moves(source: &Backend, target: &Backend) {
    let file = incident_log(&source.site);
    import(&source.site, &file, "servicenow-csv");
    let events = source.site.run(&["export"]).expect_code(0).stdout;
    let file = source.site.data().join("events.ndjson").display().to_string();
    std::fs::write(&file, events).unwrap();
    assert_eq!(import(&target.site, &file, "ndjson"), summary(INCIDENTS * EVENTS, 0));
    assert_eq!(content(&target.site), content(&source.site));
    assert_eq!(import(&target.site, &file, "ndjson"), summary(0, INCIDENTS * EVENTS));
}

#[tokio::test]
async fn an_export_moves_an_installation_from_sqlite_to_postgres_and_back() {
    let (sqlite, postgres) = (Backend::sqlite(), Backend::postgres().await);
    moves(&sqlite, &postgres);
    moves(&postgres, &Backend::sqlite());
}

#[tokio::test]
async fn an_import_runs_beside_a_node_which_shows_it_at_once() {
    let backend = Backend::sqlite();
    let node = backend.site.serve().await;
    let file = incident_log(&backend.site);
    assert_eq!(import(&backend.site, &file, "servicenow-csv"), summary(INCIDENTS * EVENTS, 0));
    let client = node.client(&backend.site.token("agent", "ann"));
    let found = client.get("/v1/tickets?external_id=INC00007").send().await.expect_status(200);
    let ticket = &found.json()["tickets"][0];
    assert_eq!(ticket["status"], "closed");
    assert_eq!(ticket["priority"], "low");
    assert_eq!(ticket["assignee_id"], serde_json::Value::Null);
    assert_eq!(ticket["requester_id"], "Caller 7");
    assert_eq!(ticket["channel"], "email");
}

#[tokio::test]
async fn bad_arguments_files_and_rows_end_with_their_own_codes() {
    let site = Site::embedded();
    let file = incident_log(&site);
    let run = |arguments: &[&str]| site.run(arguments);
    let _ = run(&["import", &file]).expect_code(2);
    let mapped = ["import", &file, "--format", "servicenow-csv", "--map", "subject=title"];
    let _ = run(&mapped).expect_code(2);
    let missing = run(&["import", "nowhere.csv", "--format", "csv"]).expect_code(1);
    assert!(missing.stderr.contains("cannot read nowhere.csv"), "{}", missing.stderr);
    let text = std::fs::read_to_string(&file).unwrap().replacen("3 - Moderate", "?!", 1);
    std::fs::write(&file, text).unwrap();
    let strict = ["import", &file, "--format", "servicenow-csv", "--strict"];
    let refused = run(&strict).expect_code(1);
    let told = "line 2: priority: is not 1 to 4, as in 3 - Moderate\n";
    assert!(refused.stderr.starts_with(told), "{}", refused.stderr);
    let skipped = run(&["import", &file, "--format", "servicenow-csv"]).expect_code(0);
    assert_eq!(skipped.stderr, told);
    assert!(skipped.stdout.ends_with(" 0 already there, 1 bad rows\n"), "{}", skipped.stdout);
}

fn a_strict_import_is_whole_or_nothing(backend: &Backend) {
    let site = &backend.site;
    let file = incident_log(site);
    let whole = std::fs::read_to_string(&file).unwrap();
    let (header, rows) = whole.split_once('\n').unwrap();
    let first: String = rows.split_inclusive('\n').take(5).collect();
    let broken = first.replacen("INC00000,New,29-02-2016", "INC00000,New,29-14-2016", 1);
    std::fs::write(&file, format!("{header}\n{broken}")).unwrap();
    let one = site.run(&["import", &file, "--format", "servicenow-csv"]).expect_code(0);
    assert_eq!(one.stdout, "1 tickets, 3 events written, 0 already there, 1 bad rows\n");
    let before = content(site);

    std::fs::write(&file, &whole).unwrap();
    let strict = ["import", &file, "--format", "servicenow-csv", "--strict"];
    let refused = site.run(&strict).expect_code(1);
    let told = "line 2: number: has a ticket that an earlier import opened from another row\n";
    assert!(refused.stderr.starts_with(told), "{}", refused.stderr);
    assert!(refused.stderr.contains("so nothing was written"), "{}", refused.stderr);
    assert_eq!(content(site), before);

    std::fs::write(&file, format!("{header}\n{}", &rows[first.len()..])).unwrap();
    let rest = (INCIDENTS - 1, (INCIDENTS - 1) * EVENTS);
    let told =
        format!("{} tickets, {} events written, 0 already there, 0 bad rows\n", rest.0, rest.1);
    assert_eq!(site.run(&strict).expect_code(0).stdout, told);
}

#[test]
fn a_strict_import_that_the_log_would_refuse_writes_nothing_on_sqlite() {
    a_strict_import_is_whole_or_nothing(&Backend::sqlite());
}

#[tokio::test]
async fn a_strict_import_that_the_log_would_refuse_writes_nothing_on_postgres() {
    a_strict_import_is_whole_or_nothing(&Backend::postgres().await);
}

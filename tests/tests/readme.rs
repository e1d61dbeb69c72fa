//! The README's tour, walked as it stands: every line of its `sh` blocks is run by bash, one after the other.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use docket_tests::{Folder, Site, nats_url, unique};
use serde_json::Value;

/// How long the whole tour may take.
const WALKED_WITHIN: Duration = Duration::from_secs(120);

/// What the README tells people to type.
fn tour() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = std::fs::read_to_string(readme).unwrap();
    let blocks = text.split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap()).collect()
}

/// A line of JSON among what the tour has printed, with this in it.
fn answer<'a>(printed: &'a str, mark: &str) -> Vec<Value> {
    let lines = printed.lines().filter(|line| line.contains(mark));
    lines.map(|line: &'a str| serde_json::from_str(line).unwrap_or_default()).collect()
}

#[tokio::test]
async fn the_tour_of_the_readme_is_walked_as_it_stands() {
    let url = nats_url();
    let nats = url.trim_start_matches("nats://").trim_end_matches('/');
    let site = Site::embedded().with("nats-url", &url).with("region", &unique("tour"));
    let node = site.serve_with(&["--demo"]).await;
    let (host, port) = nats.rsplit_once(':').unwrap();
    let script = tour()
        .replace("127.0.0.1:8080", &node.address().to_string())
        .replace("/dev/tcp/127.0.0.1/4222", &format!("/dev/tcp/{host}/{port}"))
        .replace("./target/release/docket \"$@\"", "\"$DOCKET_BIN\" \"$@\"")
        .replace("docket watch", &format!("docket watch --server {}", node.address()));
    let folder = Folder::new();
    let mut command = Command::new("timeout");
    // Whatever hangs ends the script, not the test run.
    let longest = WALKED_WITHIN.as_secs().to_string();
    command
        .args([&*longest, "bash", "-eu", "-o", "pipefail", "-c", &script])
        .current_dir(folder.path());
    for (name, value) in site.variables() {
        command.env(name, value);
    }
    // Files, not pipes: what goes on in the background when the script has failed would keep a pipe open.
    let file = |name: &str| File::create(folder.path().join(name)).unwrap();
    command.stdin(Stdio::null()).stdout(file("out")).stderr(file("errors"));
    let walked = tokio::task::spawn_blocking(move || command.status().unwrap()).await.unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let (printed, errors) = (read("out"), read("errors"));
    assert!(walked.success(), "{printed}\n{errors}\n{}", node.log());

    // The three-way scene, merged, and seen live on both doors.
    let conflicts = answer(&printed, "\"conflicts\":[{");
    let candidates = conflicts[0]["ticket"]["conflicts"][0]["candidates"].as_array().unwrap();
    assert_eq!(candidates.len(), 3, "{printed}");
    let id = conflicts[0]["ticket"]["id"].as_str().unwrap();
    let live = answer(&printed, "\"type\":\"ticket.changed\"");
    assert!(live.len() >= 3, "the WebSocket tells of the three writes: {printed}");
    let subject = format!("docket.live.v1.default.ticket.{id}.changed");
    let heard = printed.lines().filter(|line| line.starts_with("MSG") && line.contains(&subject));
    assert_eq!(heard.count(), 3, "and so does NATS: {printed}");

    // Found in both languages, merged, found by the other ticket, taken out again.
    let found: Vec<Vec<String>> = answer(&printed, "\"results\":[").iter().map(results).collect();
    let [smoking, fire, merged, apart] = &found[..] else { panic!("four searches: {printed}") };
    assert!(smoking.iter().any(|ticket| ticket == id), "{printed}");
    assert_eq!((merged, fire), (&vec![id.to_owned()], apart), "{printed}");
    assert!(fire.len() == 1 && fire[0] != id, "{printed}");
    let messages = answer(&printed, "\"messages\":[");
    assert_eq!(messages[0]["messages"].as_array().unwrap().len(), 2, "{printed}");
    let sagas: Vec<Value> = answer(&printed, "{\"saga\":")
        .iter()
        .map(|one| one["saga"]["definition"].clone())
        .collect();
    assert_eq!(sagas, ["merge-tickets", "unmerge-tickets"], "{printed}");
    assert!(errors.contains("0 differences"), "{errors}");
}

fn results(answer: &Value) -> Vec<String> {
    let results = answer["results"].as_array().unwrap().iter();
    results.map(|result| result["ticket"]["id"].as_str().unwrap().to_owned()).collect()
}

//! Pages over much that a customer does not see.

use std::time::Duration;

use super::*;

/// More than is read for one page.
const NOTES: usize = 170;
const NOTE_BYTES: usize = 60 * 1024;

/// Far less than the request asks to wait.
const AT_ONCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_page_ends_before_all_that_is_hidden_was_read_and_says_where_it_goes_on() {
    let house = House::open().await;
    let (agent, mia) = (house.token(Role::Agent, "ann"), house.token(Role::Customer, "mia"));
    let ticket = house.open_ticket("mia").await;
    let note = json!({"body": "n".repeat(NOTE_BYTES), "public": false});
    for _ in 0..NOTES {
        house.write(&agent, ticket, &note).await;
    }
    house.say(&agent, ticket, "seen").await;
    assert_eq!(bodies(&house.walk(&mia, ticket, 10, "").await), ["B", "seen"]);
    let page = async |after: &str| {
        let path = format!("/v1/tickets/{ticket}/events?limit=10&wait=60s&after={after}");
        let page = tokio::time::timeout(AT_ONCE, house.get(&mia, &path)).await;
        page.expect("it does not wait for news while there is something to read")
    };
    let (mut after, mut met) = (String::new(), Vec::new());
    loop {
        let page = page(&after).await;
        page["after_cursor"].as_str().unwrap().clone_into(&mut after);
        met.push(page["events"].as_array().unwrap().len());
        if page["end_of_stream"] == true {
            break;
        }
    }
    assert_eq!(met, [1, 1]);
    let first = house.get(&mia, &format!("/v1/tickets/{ticket}/events?limit=1")).await;
    let behind = &first["events"][0]["cursor"];
    let nothing = page(behind.as_str().unwrap()).await;
    assert_eq!((&nothing["events"], &nothing["end_of_stream"]), (&json!([]), &json!(false)));
    assert_ne!(&nothing["after_cursor"], behind);
    let whole = house.walk(&agent, ticket, 100, "").await;
    assert_eq!(whole.len(), NOTES + 2, "staff get all of it");
}

//! Merges over HTTP: begun, waited for, looked at.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{Answer, Client, eventually};

/// How long a merge may take until list and search show it.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

impl Client {
    /// `POST /v1/tickets/{source}/merge`
    pub async fn merge(&self, source: &str, into: &str) -> Answer {
        let path = format!("/v1/tickets/{source}/merge");
        self.post(&path).json(&json!({ "into": into })).send().await
    }

    /// `POST /v1/tickets/{source}/unmerge`
    pub async fn unmerge(&self, source: &str) -> Answer {
        self.post(&format!("/v1/tickets/{source}/unmerge")).send().await
    }

    /// Waits until the saga of an answer has ended, or is parked; as it then is.
    ///
    /// # Panics
    /// When it does neither in time.
    pub async fn ended(&self, begun: &Answer) -> Value {
        let begun = begun.clone().expect_status(202);
        let path = begun.header("location").expect("a location").to_owned();
        let rests = ["done", "undone", "cancelled", "parked"];
        let saga = eventually(ENDS_WITHIN, async || {
            let saga = self.get(&path).try_send().await.ok()?;
            let saga = saga.expect_status(200).json()["saga"].take();
            saga["state"].as_str().is_some_and(|state| rests.contains(&state)).then_some(saga)
        });
        saga.await.unwrap_or_else(|| panic!("the saga {path} goes on and on"))
    }

    /// `GET /v1/tickets/{id}`
    ///
    /// # Panics
    /// When there is none.
    pub async fn ticket(&self, id: &str) -> Value {
        let path = format!("/v1/tickets/{id}");
        self.get(&path).send().await.expect_status(200).json()["ticket"].take()
    }

    /// Every message of a ticket, oldest first.
    ///
    /// # Panics
    /// When there is no such ticket.
    pub async fn messages(&self, id: &str) -> Vec<Value> {
        let (mut messages, mut after) = (Vec::new(), String::new());
        loop {
            let path =
                format!("/v1/tickets/{id}/messages?page%5Bsize%5D=100&page%5Bafter%5D={after}");
            let mut page = self.get(&path).send().await.expect_status(200).json();
            if let Value::Array(shown) = page["messages"].take() {
                messages.extend(shown);
            }
            match page["meta"]["after_cursor"].as_str() {
                Some(cursor) => cursor.clone_into(&mut after),
                None => return messages,
            }
        }
    }
}

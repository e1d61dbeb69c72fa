//! An event on its way to many: opened and written once for each audience, whoever asks first.

use std::sync::Arc;

use docket_engine::cursor::Cursor;
use docket_engine::desk::{Desk, DeskError};
use docket_engine::policy::Audience;
use docket_schemas::Event;
use tokio::sync::OnceCell;

use crate::present::Names;
use crate::present::event::{ChangeBytes, present, present_to_customer};

/// An event with what each audience gets of it.
#[derive(Debug)]
pub struct Shown {
    /// The event.
    pub event: Arc<Event>,
    staff: OnceCell<Arc<str>>,
    customer: OnceCell<Arc<str>>,
}

impl Shown {
    /// An event that nobody has asked for yet.
    #[must_use]
    pub fn new(event: Arc<Event>) -> Self {
        Self { event, staff: OnceCell::new(), customer: OnceCell::new() }
    }

    /// The event as JSON on one line, with a cursor of the reader's own.
    ///
    /// # Errors
    /// When the key store fails.
    pub async fn json(
        &self,
        desk: &Desk,
        audience: Audience,
        cursor: &Cursor,
    ) -> Result<String, DeskError> {
        let cell = match audience {
            Audience::Staff => &self.staff,
            Audience::Customer => &self.customer,
        };
        let body = cell.get_or_try_init(|| open_ended(desk, &self.event, audience)).await?;
        Ok(format!(r#"{body},"cursor":"{cursor}"}}"#))
    }
}

/// The event's JSON without its cursor and without its last brace.
async fn open_ended(desk: &Desk, event: &Event, audience: Audience) -> Result<Arc<str>, DeskError> {
    let names = Names { desk, tenant: &event.tenant };
    let view = match audience {
        Audience::Staff => present(names, event, None, ChangeBytes::Omit).await?,
        Audience::Customer => present_to_customer(names, event, None).await?,
    };
    let mut text = serde_json::to_string(&view).expect("an event is JSON");
    text.pop();
    Ok(text.into())
}

//! Names: the ids that callers use for the persons that the log knows, and the texts that keys open.

use docket_engine::desk::{Desk, DeskError};
use docket_schemas::{Event, EventId, PersonId, Principal, Sealed, Tenant};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Looks persons and keys of one tenant up.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    /// Behind which the keyring is.
    pub desk: &'a Desk,
    /// Whose persons.
    pub tenant: &'a Tenant,
}

impl Names<'_> {
    /// The id that callers use; the log's own where the key store does not know the person.
    ///
    /// # Errors
    /// When the key store fails.
    pub async fn person(&self, id: PersonId) -> Result<String, DeskError> {
        let person = self.desk.ports().keyring.person_by_id(self.tenant, id).await?;
        Ok(person.map_or_else(|| id.to_string(), |person| person.outside_id.as_ref().to_owned()))
    }

    /// A principal as callers know it.
    ///
    /// # Errors
    /// When the key store fails.
    pub async fn principal(&self, principal: &Principal) -> Result<String, DeskError> {
        match principal {
            Principal::Person(id) => self.person(*id).await,
            Principal::Docket(name) => Ok(name.as_ref().to_owned()),
        }
    }

    /// The sealed text of an event; none where it has none, or once its key was destroyed.
    ///
    /// # Errors
    /// When the key store fails.
    pub async fn text<T: DeserializeOwned>(&self, event: &Event) -> Result<Option<T>, DeskError> {
        match &event.sealed {
            Some(sealed) => self.open(event.event_id, event.schema, sealed).await,
            None => Ok(None),
        }
    }

    /// A sealed part by its event's id and schema version; none once its key was destroyed.
    ///
    /// # Errors
    /// When the key store fails.
    pub async fn open<T: DeserializeOwned>(
        &self,
        event: EventId,
        schema: u16,
        sealed: &Sealed,
    ) -> Result<Option<T>, DeskError> {
        let Some(key) = self.desk.ports().keyring.key(sealed.key_id).await? else {
            return Ok(None);
        };
        let opened = key.open(self.tenant, event, schema, sealed);
        if opened.is_err() {
            tracing::error!(event.id = %event, "text.open.failed");
        }
        Ok(opened.ok())
    }

    /// Replaces the persons in an event's payload by the ids that callers use.
    ///
    /// # Errors
    /// When the key store fails.
    pub async fn payload(&self, data: &str) -> Result<Value, DeskError> {
        let mut value: Value = serde_json::from_str(data).unwrap_or_default();
        for slot in persons_in(&mut value) {
            if let Some(id) = slot.as_str().and_then(|text| text.parse().ok()) {
                *slot = Value::String(self.person(id).await?);
            }
        }
        Ok(value)
    }
}

/// The places in a payload that hold a person, in the same order every time: `requester_id`, `assignee_id`, `person_id`,
/// each of `followers`, and `person_id` of `unanswered`.
pub fn persons_in(payload: &mut Value) -> Vec<&mut Value> {
    let Some(members) = payload.as_object_mut() else { return Vec::new() };
    let (mut alone, mut followers, mut unanswered) = ([None, None, None], Vec::new(), None);
    for (name, value) in members {
        match (name.as_str(), value) {
            ("requester_id", value) => alone[0] = Some(value),
            ("assignee_id", value) => alone[1] = Some(value),
            ("person_id", value) => alone[2] = Some(value),
            ("followers", Value::Array(list)) => followers.extend(list.iter_mut()),
            ("unanswered", value) => unanswered = value.get_mut("person_id"),
            _ => {}
        }
    }
    let alone = alone.into_iter().flatten();
    alone.chain(followers).chain(unanswered).filter(|slot| slot.is_string()).collect()
}

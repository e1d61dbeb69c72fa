//! What a change commits to: every part of its event that the change itself does not hold.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::canonical::{self, Fields};
use crate::{CommandId, Draft};

/// base64url of SHA-256 over length-prefixed fields, in the order of `docs/architecture.md`, *The event*.
pub(crate) fn commitment(draft: &Draft) -> String {
    let sealed = draft.sealed.as_ref();
    let slots = if draft.slots.is_empty() { String::new() } else { canonical::json(&draft.slots) };
    let command = |id: Option<CommandId>| id.map(|id| *id.as_bytes());
    let hash = Fields::new("docket/event/1")
        .field(draft.tenant.as_str())
        .field(draft.stream.to_string())
        .field(draft.event_id.as_bytes())
        .field(draft.command_id.as_bytes())
        .field(draft.event_type.as_str())
        .field(draft.schema.to_be_bytes())
        .field(&draft.data)
        .optional(sealed.map(|sealed| canonical::sha256(&sealed.bytes)))
        .optional(sealed.map(|sealed| *sealed.key_id.as_bytes()))
        .field(draft.principal.to_string())
        .field(draft.role.as_str())
        .field(&draft.device)
        .field(draft.policy.to_be_bytes())
        .field(draft.observed.as_str())
        .field([u8::from(draft.public)])
        .field(slots)
        .field(draft.occurred_at.micros().to_be_bytes())
        .optional(command(draft.correlation_id))
        .optional(command(draft.causation_id))
        .finish();
    URL_SAFE_NO_PAD.encode(hash)
}

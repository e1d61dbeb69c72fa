//! What is sealed: the personal part of an event, as JSON before it is encrypted.

use serde::{Deserialize, Serialize};

/// Sealed in `ticket.opened`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OpeningText {
    /// The subject line.
    pub subject: String,
    /// Message 1.
    pub body: String,
    /// What the opening said about the requester, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<PersonText>,
}

/// A person's name and address, as an event brought them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PersonText {
    /// As the person is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where the person gets e-mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// Sealed in `ticket.message_added`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MessageText {
    /// The message.
    pub body: String,
}

/// Sealed in a `ticket.changed` that names the subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SubjectText {
    /// The subject line.
    pub subject: String,
}

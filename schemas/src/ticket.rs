//! A ticket's vocabulary: the values that its fields may take.

pub mod merge;
pub mod payload;
pub mod text;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name outside a closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown name")]
pub struct UnknownName;

macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
            schemars::JsonSchema,
        )]
        pub enum $name {
            $($(#[$item_doc])* #[serde(rename = $text)] $item,)*
        }

        impl $name {
            /// Every value, in rank order.
            pub const ALL: &[Self] = &[$(Self::$item),*];

            /// As it stands in JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$item => $text,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownName;

            fn from_str(name: &str) -> Result<Self, UnknownName> {
                Self::ALL.iter().copied().find(|item| item.as_str() == name).ok_or(UnknownName)
            }
        }
    };
}

vocabulary! {
    /// Where a ticket stands, from the least to the most final. Among concurrent values of one role the most final wins.
    Status {
        /// Nobody has looked at it yet.
        New = "new",
        /// Somebody has to act.
        Open = "open",
        /// Waiting for the requester; in a chat, the bot has it.
        Pending = "pending",
        /// A chat that waits until a time or an answer.
        Snoozed = "snoozed",
        /// Waiting for a third party; requesters see `open`.
        Hold = "hold",
        /// Answered, and may reopen.
        Solved = "solved",
        /// Final.
        Closed = "closed",
    }
}

vocabulary! {
    /// How urgent, from the least to the most. Among concurrent values of one role the highest wins.
    Priority {
        /// When there is time.
        Low = "low",
        /// In turn; what a ticket has when nothing is said.
        Normal = "normal",
        /// Before others.
        High = "high",
        /// Now.
        Urgent = "urgent",
    }
}

vocabulary! {
    /// What a ticket is about.
    TicketType {
        /// Somebody wants to know something.
        Question = "question",
        /// Something does not work.
        Incident = "incident",
        /// The cause of incidents.
        Problem = "problem",
        /// Something to do.
        Task = "task",
    }
}

vocabulary! {
    /// The way in which a ticket came.
    Channel {
        /// Over HTTP, by a program.
        Api = "api",
        /// By e-mail.
        Email = "email",
        /// From a form.
        Web = "web",
        /// By telephone.
        Phone = "phone",
        /// From live chat.
        Chat = "chat",
    }
}

vocabulary! {
    /// A ticket, or a chat: the same document and stream.
    Kind {
        /// A ticket.
        Ticket = "ticket",
        /// A live chat.
        Chat = "chat",
    }
}

/// A custom field's value. `Null` clears the field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    /// Cleared.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other finite number.
    Float(f64),
    /// A text.
    Text(String),
}

/// Custom fields by key.
pub type CustomFields = BTreeMap<String, Scalar>;

//! Who acts: roles, which rank concurrent values, and principals, which name the actor.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::PersonId;
use crate::ticket::UnknownName;

/// What a token lets its bearer do. Its rank among concurrent values is [`Role::rank`].
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A requester or follower, who sees the public part of own tickets.
    Customer,
    /// Works on every ticket of the tenant.
    Agent,
    /// An agent who also configures, takes over claims and erases.
    Admin,
    /// A program: a rule, a saga, an import.
    Bot,
    /// Reads everything, changes nothing.
    Auditor,
    /// Reads the event feed.
    Integrator,
}

impl Role {
    /// Every role, in the order of their codes.
    pub const ALL: [Self; 6] =
        [Self::Customer, Self::Agent, Self::Admin, Self::Bot, Self::Auditor, Self::Integrator];

    /// The first byte of the role's actor ids.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Customer => 1,
            Self::Agent => 2,
            Self::Admin => 3,
            Self::Bot => 4,
            Self::Auditor => 5,
            Self::Integrator => 6,
        }
    }

    /// Precedence among concurrent values: `admin > agent > bot > customer`; who cannot write ranks lowest.
    #[must_use]
    pub const fn rank(self) -> u8 {
        match self {
            Self::Admin => 4,
            Self::Agent => 3,
            Self::Bot => 2,
            Self::Customer => 1,
            Self::Auditor | Self::Integrator => 0,
        }
    }

    /// As it stands in tokens, events and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Agent => "agent",
            Self::Admin => "admin",
            Self::Bot => "bot",
            Self::Auditor => "auditor",
            Self::Integrator => "integrator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Role {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|role| role.as_str() == name).ok_or(UnknownName)
    }
}

/// Who wrote: a person by the id that the log knows, or one of Docket's own principals by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Principal {
    /// A person: requester, agent, admin, or whoever a token names.
    Person(PersonId),
    /// Docket itself: `import`, a saga, a rule. Such a name never has the form of a UUID.
    Docket(Arc<str>),
}

impl Principal {
    /// The person, when it is one.
    #[must_use]
    pub const fn person(&self) -> Option<PersonId> {
        match self {
            Self::Person(id) => Some(*id),
            Self::Docket(_) => None,
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(id) => id.fmt(f),
            Self::Docket(name) => f.write_str(name),
        }
    }
}

impl From<&str> for Principal {
    fn from(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Docket(text.into()), Self::Person)
    }
}

impl From<String> for Principal {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<Principal> for String {
    fn from(principal: Principal) -> Self {
        principal.to_string()
    }
}

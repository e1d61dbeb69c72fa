//! Identifiers: UUID newtypes for what Docket names, fixed byte strings for what Automerge names.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// Why a text is not an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID in its hyphenated lowercase form")]
pub struct IdError;

/// Reads an id in its one form.
struct Canonical<T>(PhantomData<T>);

impl<T: FromStr<Err = IdError>> Visitor<'_> for Canonical<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a UUID in its hyphenated lowercase form")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl<'de> Deserialize<'de> for $name {
            /// A text as [`FromStr`] reads it; in binary formats the 16 bytes.
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    deserializer.deserialize_str(Canonical(PhantomData))
                } else {
                    Uuid::deserialize(deserializer).map(Self)
                }
            }
        }

        impl $name {
            /// Wraps a UUID that is already known to name such a thing.
            #[must_use]
            pub const fn new(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID itself.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// The 16 bytes, in network order.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "format": "uuid"})
            }

            fn inline_schema() -> bool {
                true
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            /// Accepts the hyphenated form only, so that one thing has one name in URLs and logs.
            fn from_str(text: &str) -> Result<Self, IdError> {
                let id = Uuid::try_parse(text).map_err(|_| IdError)?;
                let mut canonical = [0; uuid::fmt::Hyphenated::LENGTH];
                if &*id.hyphenated().encode_lower(&mut canonical) == text {
                    Ok(Self(id))
                } else {
                    Err(IdError)
                }
            }
        }
    };
}

uuid_id! {
    /// A ticket or a chat.
    TicketId
}
uuid_id! {
    /// A message on a ticket; derived from the command that wrote it.
    MessageId
}
uuid_id! {
    /// A person as the log knows them: a keyed hash of the id that tokens and callers use.
    PersonId
}
uuid_id! {
    /// A saga; derived from the command that started it.
    SagaId
}
uuid_id! {
    /// One stored event: a command as one region incarnation accepted it.
    EventId
}
uuid_id! {
    /// One intent of one caller, the same on every try and in every region.
    CommandId
}
uuid_id! {
    /// The key that sealed an event's personal part.
    KeyId
}

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Reads the bytes of a stored value.
            ///
            /// # Errors
            /// When `bytes` has another length.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, IdError> {
                bytes.try_into().map(Self).map_err(|_| IdError)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let mut bytes = [0; $len];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| IdError)?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_bytes(&self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                    text.parse().map_err(serde::de::Error::custom)
                } else {
                    let bytes = <&[u8]>::deserialize(deserializer)?;
                    Self::from_slice(bytes).map_err(serde::de::Error::custom)
                }
            }
        }
    };
}

bytes_id! {
    /// An Automerge actor: byte 0 the role, byte 1 the lane, 14 bytes of the writer's hash.
    ActorId, 16
}
bytes_id! {
    /// The SHA-256 of an Automerge change.
    ChangeHash, 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_form_in_json_and_another_in_bytes() {
        let text = "0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3";
        let id: TicketId = serde_json::from_str(&format!("\"{text}\"")).unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(postcard::from_bytes::<TicketId>(&postcard::to_stdvec(&id).unwrap()), Ok(id));
        for other in [text.to_uppercase(), text.replace('-', ""), format!("{{{text}}}")] {
            let refused = serde_json::from_str::<TicketId>(&format!("\"{other}\"")).unwrap_err();
            assert!(refused.to_string().starts_with(&IdError.to_string()), "{refused}");
        }
    }
}

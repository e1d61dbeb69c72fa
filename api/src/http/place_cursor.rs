//! The cursor of a page: the place behind which it goes on, good for the question that it was given with.
//!
//! As text it is base64url of a format byte, eight bytes of the question's hash, a sort key and an id.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use docket_schemas::canonical::Fields;

use crate::problem::{Code, Problem};

/// Bytes of the question's hash: enough that no cursor is taken for another question's by mistake.
const BINDING_BYTES: usize = 8;
/// Bytes of a sort key.
const KEY_BYTES: usize = 8;

/// Writes and reads the cursors of one question. Each kind of question has a format byte of its own; 1, 2 and 3 are taken
/// by lists, messages and searches.
pub(super) struct PlaceCursor {
    head: Vec<u8>,
    /// What is said of a cursor that was given with another question.
    detail: &'static str,
}

impl PlaceCursor {
    /// Cursors that go on with this question alone.
    pub(super) fn bound(format: u8, question: Fields, detail: &'static str) -> Self {
        let mut head = vec![format];
        head.extend_from_slice(&question.finish()[..BINDING_BYTES]);
        Self { head, detail }
    }

    /// Cursors that say no more than where.
    pub(super) fn unbound(format: u8) -> Self {
        Self { head: vec![format], detail: "" }
    }

    /// The cursor behind a place.
    pub(super) fn write<const ID: usize>(&self, key: i64, id: [u8; ID]) -> String {
        let bytes = [self.head.as_slice(), &key.to_be_bytes(), &id].concat();
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place of a cursor; none where it is none of this question's. One place has one spelling.
    pub(super) fn place<const ID: usize>(&self, text: &str) -> Option<(i64, [u8; ID])> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let rest = bytes.strip_prefix(self.head.as_slice())?;
        let (key, id) = rest.split_first_chunk::<KEY_BYTES>()?;
        let place = (i64::from_be_bytes(*key), id.try_into().ok()?);
        (self.write(place.0, place.1) == text).then_some(place)
    }

    /// The same as an answer's place: 400 where there is none.
    pub(super) fn read<const ID: usize>(&self, text: &str) -> Result<(i64, [u8; ID]), Problem> {
        let malformed = || Problem::new(Code::CursorMalformed).detail(self.detail);
        self.place(text).ok_or_else(malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_goes_on_with_its_own_question_alone_and_is_spelt_in_one_way() {
        let of = |format, question| {
            PlaceCursor::bound(format, Fields::new("docket/test/1").field(question), "another")
        };
        let text = of(1, "fire").write(-7, [9; 16]);
        assert_eq!(of(1, "fire").read(&text).unwrap(), (-7, [9; 16]));
        for other in [of(1, "smoke"), of(3, "fire"), PlaceCursor::unbound(1)] {
            assert_eq!(other.read::<16>(&text).unwrap_err().code(), Code::CursorMalformed);
        }
        assert!(of(1, "fire").place::<8>(&text).is_none());
        for wrong in ["", "Ag", &text[1..], &format!("{text}AA"), &format!("{text}="), "💥"] {
            assert!(of(1, "fire").place::<16>(wrong).is_none(), "{wrong}");
        }
    }
}

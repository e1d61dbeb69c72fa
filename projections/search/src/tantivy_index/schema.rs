//! The fields of the index, those of tickets and those of messages in one schema.

use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, NumericOptions, Schema, SchemaBuilder,
    TextFieldIndexing, TextOptions,
};

/// The tokenizer of [`Fields::words`].
pub(super) const WORDS: &str = "docket_words";
/// The tokenizer of [`Fields::keys`].
pub(super) const KEYS: &str = "docket_keys";
/// The tokenizer of [`Fields::sieve`].
pub(super) const SIEVE: &str = "docket_sieve";

/// Columns by the names under which segments know them.
pub(super) mod column {
    /// The ticket's place, times two, and one more where customers of the ticket see the document. Every document.
    pub(in super::super) const TICKET: &str = "shown";
    /// The message's place. Messages alone.
    pub(in super::super) const MESSAGE: &str = "message";
    /// The ticket's place. Tickets alone, as all below the digest: so the rows of these columns are the same tickets.
    pub(in super::super) const HEAD: &str = "head";
    /// 32 bits that change with the document. Every document.
    pub(in super::super) const DIGEST: &str = "digest";
    /// The first half of the ticket's id.
    pub(in super::super) const ID_HIGH: &str = "id_high";
    /// The second half.
    pub(in super::super) const ID_LOW: &str = "id_low";
    /// Microseconds.
    pub(in super::super) const CREATED: &str = "created";
    /// Microseconds.
    pub(in super::super) const UPDATED: &str = "updated";
    /// Microseconds, as customers know it.
    pub(in super::super) const PUBLIC_UPDATED: &str = "public_updated";
    /// What the ticket was folded to.
    pub(in super::super) const POSITION: &str = "position";
    /// The last event that a customer may see.
    pub(in super::super) const PUBLIC_POSITION: &str = "public_position";
    /// Status, priority, type, kind and channel in one number.
    pub(in super::super) const CODED: &str = "coded";
    /// The team.
    pub(in super::super) const GROUP: &str = "group";
    /// The assignee.
    pub(in super::super) const ASSIGNEE: &str = "assignee";
    /// The tags.
    pub(in super::super) const TAG: &str = "tag";
}

/// Handles of the fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    /// Whole words and single characters, with positions.
    pub(super) words: Field,
    /// English stems, and pairs of single characters that stand side by side: what most queries come to is one term each.
    pub(super) keys: Field,
    /// Pairs of tokens that stand side by side, roughly: what a phrase looks for before it compares positions.
    pub(super) sieve: Field,
    /// What filters look for. Tickets alone.
    pub(super) fact: Field,
    /// The ticket's place, on every document of it.
    pub(super) ticket: Field,
    /// The same, on the ticket's own document alone.
    pub(super) head: Field,
    pub(super) shown: Field,
    pub(super) message: Field,
    pub(super) digest: Field,
    pub(super) id_high: Field,
    pub(super) id_low: Field,
    pub(super) created: Field,
    pub(super) updated: Field,
    pub(super) public_updated: Field,
    pub(super) position: Field,
    pub(super) public_position: Field,
    pub(super) coded: Field,
    pub(super) group: Field,
    pub(super) assignee: Field,
    pub(super) tag: Field,
}

/// The schema with its handles. Nothing is stored: texts are opened from the log.
pub(super) fn schema() -> (Schema, Fields) {
    let mut builder = SchemaBuilder::new();
    let named = NumericOptions::default() | INDEXED;
    let value = NumericOptions::default() | FAST;
    let fields = Fields {
        words: builder
            .add_text_field("words", text(WORDS, IndexRecordOption::WithFreqsAndPositions)),
        keys: builder.add_text_field("keys", text(KEYS, IndexRecordOption::WithFreqs)),
        sieve: builder.add_text_field("sieve", without_lengths(SIEVE)),
        fact: builder.add_text_field("fact", without_lengths("raw")),
        ticket: builder.add_u64_field("ticket", named.clone()),
        head: builder.add_u64_field(column::HEAD, named | FAST),
        shown: builder.add_u64_field(column::TICKET, value.clone()),
        message: builder.add_u64_field(column::MESSAGE, value.clone()),
        digest: builder.add_u64_field(column::DIGEST, value.clone()),
        id_high: builder.add_u64_field(column::ID_HIGH, value.clone()),
        id_low: builder.add_u64_field(column::ID_LOW, value.clone()),
        created: builder.add_i64_field(column::CREATED, value.clone()),
        updated: builder.add_i64_field(column::UPDATED, value.clone()),
        public_updated: builder.add_i64_field(column::PUBLIC_UPDATED, value.clone()),
        position: builder.add_u64_field(column::POSITION, value.clone()),
        public_position: builder.add_u64_field(column::PUBLIC_POSITION, value.clone()),
        coded: builder.add_u64_field(column::CODED, value),
        group: builder.add_text_field(column::GROUP, TextOptions::default().set_fast("raw")),
        assignee: builder.add_text_field(column::ASSIGNEE, TextOptions::default().set_fast("raw")),
        tag: builder.add_text_field(column::TAG, TextOptions::default().set_fast("raw")),
    };
    (builder.build(), fields)
}

fn text(tokenizer: &str, record: IndexRecordOption) -> TextOptions {
    let indexing = TextFieldIndexing::default().set_tokenizer(tokenizer).set_index_option(record);
    TextOptions::default().set_indexing_options(indexing)
}

/// What is there or not, however often.
fn without_lengths(tokenizer: &str) -> TextOptions {
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(tokenizer)
        .set_index_option(IndexRecordOption::Basic)
        .set_fieldnorms(false);
    TextOptions::default().set_indexing_options(indexing)
}

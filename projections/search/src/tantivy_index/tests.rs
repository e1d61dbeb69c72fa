//! The index against what a reader of the texts would say.

mod isolation;
mod oracle;
mod rebuilt;
mod table;
mod world;

/// How many cases a property is tried with; a hundred times as many in a long run.
#[expect(clippy::disallowed_methods, reason = "the test runner says here that it has hours")]
fn cases(few: u32) -> u32 {
    if std::env::var_os("DOCKET_TEST_LONG").is_some() { few * 100 } else { few }
}

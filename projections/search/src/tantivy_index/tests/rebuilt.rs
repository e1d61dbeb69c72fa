//! An index that was written bit by bit against one that was written at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;
use tantivy::Term;

use super::cases;
use super::world::{Indexed, STAFF, question, random, ticket};
use crate::document::{Extent, TicketWrite};
use crate::port::{IndexError, Question, SearchIndex as _, Standing};
use crate::tantivy_index::TantivyIndex;

/// One ticket changes, or gets a message, or is written anew.
#[derive(Debug, Clone)]
struct Step {
    write: TicketWrite,
    whole: bool,
    commit: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (1..5_u64, any::<bool>(), any::<bool>()).prop_flat_map(|(number, whole, commit)| {
        random::ticket_with(number).prop_map(move |write| Step { write, whole, commit })
    });
    prop::collection::vec(step, 1..25)
}

/// The writes of a history, and what they come to.
fn history(steps: &[Step]) -> (Vec<(TicketWrite, bool)>, Vec<TicketWrite>) {
    let mut now: BTreeMap<u64, TicketWrite> = BTreeMap::new();
    let mut written = Vec::new();
    for step in steps {
        let number = step.write.number();
        let mut write = step.write.clone();
        let known = now.get(&number).cloned();
        write.extent = match (&known, step.whole) {
            (None, false) => Extent::New,
            (Some(_), false) => Extent::Further,
            (_, true) => Extent::Whole,
        };
        if let (Extent::Further, Some(known)) = (write.extent, known) {
            let next = known.messages.len() as u64;
            for (index, message) in write.messages.iter_mut().enumerate() {
                message.place =
                    crate::document::Place::from_number(number * 1_000 + next + index as u64);
            }
            let mut whole = write.clone();
            whole.messages = known.messages.into_iter().chain(whole.messages).collect();
            now.insert(number, whole);
        } else {
            now.insert(number, write.clone());
        }
        written.push((write, step.commit));
    }
    (written, now.into_values().collect())
}

async fn standings(indexed: &Indexed) -> Vec<Standing> {
    indexed.index.standings().await.expect("standings").1
}

async fn check(steps: Vec<Step>) {
    let (written, outcome) = history(&steps);
    let indexed = Indexed::empty();
    for (position, (write, commit)) in written.into_iter().enumerate() {
        let writes = super::world::writes(vec![write], position as u64 + 1);
        indexed.index.write(writes).await.expect("written");
        if commit {
            indexed.index.commit().await.expect("committed");
        }
    }
    indexed.index.commit().await.expect("committed");
    let at_once = Indexed::of(outcome.clone()).await;
    let standings = standings(&indexed).await;
    assert_eq!(standings, self::standings(&at_once).await);
    let expected = outcome.iter().map(|write| Standing {
        ticket: write.ticket.place,
        position: write.ticket.position,
        digest: indexed.index.digest(write).whole(),
    });
    assert_eq!(standings, expected.collect::<Vec<_>>());
    for query in ["printer", "打印", "-fire", "status:open OR tag:vip", "print*"] {
        let (found, expected) =
            (indexed.ask(question(STAFF, query)).await, at_once.ask(question(STAFF, query)).await);
        assert_eq!((found.count, found.facets), (expected.count, expected.facets), "{query}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(40)))]
    #[test]
    fn written_bit_by_bit_it_is_as_written_at_once(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(check(steps));
    }
}

#[tokio::test]
async fn what_was_committed_is_there_again_after_a_restart_and_nothing_else() {
    let Indexed { index, folder } = Indexed::of(vec![ticket(1, "printer")]).await;
    index.write(super::world::writes(vec![ticket(3, "scanner")], 9)).await.expect("written");
    let standing = index.standing();
    drop(index);
    let index = TantivyIndex::open(folder.path(), 1).expect("the index again");
    assert_eq!(index.standing(), standing);
    let again = Indexed { index, folder };
    assert_eq!(again.finds(STAFF, "printer OR scanner").await, [1]);
}

#[tokio::test]
async fn pages_by_relevance_go_on_from_one_another_while_others_are_written() {
    let indexed = Indexed::empty();
    let numbers = 1..=60;
    // Each fits differently well: the more words there are, the less one of them says.
    let of = |number: u64| {
        let words = "of the third floor ".repeat(usize::try_from(number % 9).expect("small"));
        ticket(number, &format!("printer {words}broken"))
    };
    indexed.write(numbers.clone().map(of).collect(), 100).await;
    for query in ["printer", "printer OR broken", "\"printer broken\" OR print*"] {
        let mut page = Question { size: 7, ..question(STAFF, query) };
        let mut walked: Vec<u64> = Vec::new();
        for round in 0.. {
            let found = indexed.ask(page.clone()).await;
            walked.extend(found.hits.iter().map(|hit| hit.rank.ticket.number()));
            if !found.more {
                break;
            }
            page.after = found.hits.last().map(|hit| hit.rank);
            page.rarity.clone_from(&found.rarity);
            let further = (0..40).map(|number| 1_000 + round * 100 + number);
            let further = further.map(|number| {
                let words = if number % 2 == 0 { "scanner" } else { "a broken printer" };
                // Newer than all that is walked over, and after the page: it may come, or not.
                ticket(number, words)
            });
            indexed.write(further.collect(), 101 + round).await;
        }
        let known: Vec<u64> = walked.iter().copied().filter(|one| numbers.contains(one)).collect();
        let once: BTreeSet<u64> = known.iter().copied().collect();
        assert_eq!(once.len(), known.len(), "{query}: one stood on two pages");
        assert_eq!(once.into_iter().collect::<Vec<_>>(), numbers.clone().collect::<Vec<_>>());
    }
}

/// Does harm to a file.
type Damage<'a> = &'a dyn Fn(&Path);

#[tokio::test]
async fn a_directory_that_is_damaged_or_of_another_format_is_begun_anew() {
    let damages: [(&str, Damage); 4] = [
        ("meta.json", &|path| std::fs::write(path, "{").expect("written")),
        ("meta.json", &|path| {
            let text = std::fs::read_to_string(path).expect("read");
            std::fs::write(path, text.replace("\\\"format\\\":", "\\\"format\\\":9"))
                .expect("written");
        }),
        (".term", &|path| std::fs::remove_file(path).expect("removed")),
        (".idx", &|path| {
            let mut bytes = std::fs::read(path).expect("read");
            bytes[3] ^= 1;
            std::fs::write(path, bytes).expect("written");
        }),
    ];
    for (suffix, damage) in damages {
        let Indexed { index, folder } =
            Indexed::of(vec![ticket(1, "printer"), ticket(2, "fire")]).await;
        drop(index);
        std::fs::write(folder.path().join("notes.txt"), "not ours").expect("written");
        let files = std::fs::read_dir(folder.path()).expect("a directory");
        let mut paths = files.map(|file| file.expect("a file").path());
        let path = paths.find(|path| path.to_string_lossy().ends_with(suffix));
        damage(&path.expect("a file of the index"));
        let index = TantivyIndex::open(folder.path(), 1).expect("an empty index");
        assert_eq!(index.standing(), None, "{suffix}");
        let again = Indexed { index, folder };
        assert_eq!(again.finds(STAFF, "status:open").await, [] as [u64; 0], "{suffix}");
        again.write(vec![ticket(2, "scanner")], 1).await;
        assert_eq!(again.finds(STAFF, "scanner").await, [2], "{suffix}");
        assert!(
            again.folder.path().join("notes.txt").exists(),
            "a file that is not ours was removed"
        );
    }
}

#[tokio::test]
async fn an_index_that_somebody_writes_is_not_thrown_away() {
    let indexed = Indexed::of(vec![ticket(1, "printer")]).await;
    let meta = indexed.folder.path().join("meta.json");
    let text = std::fs::read_to_string(&meta).expect("read");
    let of_another_release = text.replace("\\\"format\\\":", "\\\"format\\\":9");
    assert_ne!(of_another_release, text);
    std::fs::write(&meta, &of_another_release).expect("written");
    let before = segments(indexed.folder.path());
    for _ in 0..2 {
        let error = TantivyIndex::open(indexed.folder.path(), 1).expect_err("it is in use");
        let source = std::error::Error::source(&error).expect("a cause").to_string();
        assert!(source.contains("another process uses the index"), "{source}");
    }
    assert_eq!(segments(indexed.folder.path()), before);
    assert_eq!(std::fs::read_to_string(&meta).expect("read"), of_another_release);
    assert_eq!(indexed.finds(STAFF, "printer").await, [1]);
}

#[tokio::test]
async fn after_an_error_the_index_is_as_far_as_the_disk_says() {
    let indexed = Indexed::of(vec![ticket(1, "printer")]).await;
    let index = &indexed.index;
    let before = index.standing();
    index.write(super::world::writes(vec![ticket(2, "lost")], 9)).await.expect("written");
    index.shared.writer.lock().forget();
    let refused = index.write(super::world::writes(vec![ticket(2, "too soon")], 9)).await;
    assert!(refused.is_err(), "what was lost before it would be claimed with it");
    index.commit().await.expect("set back");
    assert_eq!(index.standing(), before);
    assert_eq!(indexed.finds(STAFF, "lost OR soon").await, [] as [u64; 0]);

    index.write(super::world::writes(vec![ticket(2, "torn")], 9)).await.expect("written");
    let torn = index.shared.writing(|_, _| -> Result<(), IndexError> { panic!("half way") });
    assert!(torn.is_err());
    index.commit().await.expect("set back");
    assert_eq!(index.standing(), before);

    index.write(super::world::writes(vec![ticket(2, "scanner")], 9)).await.expect("written");
    {
        // Durable, and then something failed.
        let mut writer = index.shared.writer.lock();
        writer.commit().expect("committed");
        writer.forget();
    }
    assert_eq!(index.standing(), before);
    let reached = index.commit().await.expect("set back");
    assert_ne!(index.standing(), before, "it would be fed the same again");
    assert_eq!(index.standing().expect("a place").positions, reached);
    assert_eq!(indexed.finds(STAFF, "scanner").await, [2]);
}

#[tokio::test]
async fn a_directory_has_one_writer() {
    let indexed = Indexed::of(vec![ticket(1, "printer")]).await;
    let error = TantivyIndex::open(indexed.folder.path(), 1).expect_err("it is in use");
    let source = std::error::Error::source(&error).expect("a cause").to_string();
    assert!(source.contains("another process uses the index"), "{source}");
    assert_eq!(indexed.finds(STAFF, "printer").await, [1]);
    // Another process may look at it, and finds what is committed.
    let looking = TantivyIndex::look(indexed.folder.path()).expect("an index to look at");
    assert_eq!(looking.standings().await.expect("standings").1, standings(&indexed).await);
    let written = looking.write(super::world::writes(vec![ticket(2, "fire")], 9)).await;
    assert!(written.is_err(), "two wrote one directory");
    assert!(TantivyIndex::look(&indexed.folder.path().join("none")).is_err());
}

/// The segments whose files lie in a directory.
fn segments(path: &Path) -> BTreeSet<String> {
    let files = std::fs::read_dir(path).expect("a directory");
    let names = files.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned());
    let stems = names.filter_map(|name| Some(name.split_once('.')?.0.to_owned()));
    stems.filter(|stem| stem.len() == 32).collect()
}

#[tokio::test]
async fn after_a_purge_no_file_holds_what_was_deleted() {
    let secret = "xylophonist";
    let mut tickets = vec![ticket(1, "one").says(true, secret)];
    tickets.extend((2..20).map(|number| ticket(number, "two")));
    let indexed = Indexed::of(tickets).await;
    let holds = || {
        let readable = indexed.index.shared.readable.read();
        let term = Term::from_field_text(readable.fields.words, &format!("default\0{secret}"));
        readable.reader.searcher().doc_freq(&term).expect("a dictionary") > 0
    };
    let mut erased = ticket(1, "one").says(true, "");
    erased.messages[0].body = None;
    erased.extent = Extent::Whole;
    indexed.write(vec![erased], 3).await;
    assert_eq!(indexed.finds(STAFF, secret).await, [] as [u64; 0]);
    assert!(holds(), "a deleted document's words are gone without a purge: the test shows nothing");
    let before = segments(indexed.folder.path());
    indexed.index.purge().await.expect("purged");
    assert!(!holds());
    let metas = indexed.index.shared.writer.lock().opened().index.searchable_segment_ids();
    let living =
        metas.expect("segments").iter().map(|id| id.uuid_string()).collect::<BTreeSet<_>>();
    assert_eq!(segments(indexed.folder.path()), living);
    assert!(!before.is_subset(&living), "the old files are still there");
    assert_eq!(indexed.finds(STAFF, "one OR two").await, (1..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_removed_document_changes_what_stands() {
    let indexed = Indexed::of(vec![ticket(1, "one").says(true, "a").says(false, "b")]).await;
    let before = standings(&indexed).await;
    let mut short = ticket(1, "one").says(true, "a");
    short.extent = Extent::Whole;
    indexed.write(vec![short], 3).await;
    assert_ne!(standings(&indexed).await, before);
}

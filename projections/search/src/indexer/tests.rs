//! The index as it follows a log.

use std::sync::Arc;

use docket_engine::command::Command;
use docket_engine::cursor::Positions;
use docket_engine::desk::Desk;
use docket_engine::keyring::Keyring;
use docket_engine::ports::bus::Bus as _;
use docket_engine::tail::Tail;
use docket_engine::testing::ErasableKeyStore;
use docket_engine::testing::Office;
use docket_projections::{Appetite, Fed, Feeder, FromLog, PartitionSet, Progress, Sink as _};
use docket_schemas::{PersonId, Role, Status, TicketId};
use tokio::time::timeout;

use super::*;
use crate::drift::{Difference, Drift, diff};
use crate::folder::Folder;
use crate::home::IndexHome;
use crate::port::{Question, Reader, Sort};
use crate::query::parse;
use crate::tantivy_index::TantivyIndex;

mod restored;

/// An office whose log an index follows.
struct Following {
    office: Office,
    desk: Desk,
    indexer: Arc<Indexer>,
    feeder: Feeder,
    folder: Folder,
}

impl Following {
    async fn new() -> Self {
        Self::over(Office::new().await).await
    }

    async fn over(office: Office) -> Self {
        let desk = office.desk().await;
        let folder = Folder::new();
        let (indexer, feeder) = follow(&office, &desk, index(&folder));
        Self { office, desk, indexer, feeder, folder }
    }

    /// Ends without a commit, as a crash does, and begins again.
    fn restart(&mut self) {
        let nothing = Folder::new();
        // The directory has one writer: the old one has to be gone first.
        (self.indexer, self.feeder) = follow(&self.office, &self.desk, index(&nothing));
        (self.indexer, self.feeder) = follow(&self.office, &self.desk, index(&self.folder));
    }

    /// Feeds everything that is new.
    async fn feed(&mut self) {
        let heads = self.office.log.heads().await.expect("heads");
        self.feeder.own(PartitionSet::ALL).await.expect("checkpoints");
        while self.feeder.feed(&heads).await.expect("fed") != Fed::Nothing {}
    }

    async fn catch_up(&mut self) {
        self.feed().await;
        self.indexer.commit().await.expect("committed");
    }

    async fn opens(&self, subject: &str, body: &str) -> TicketId {
        let mut opening = self.office.opening().await;
        opening.text.subject = subject.to_owned();
        opening.text.body = body.to_owned();
        self.desk.open(opening).await.expect("opened").ticket.id
    }

    async fn does(&self, role: Role, name: &str, ticket: TicketId, command: Command) {
        let caller = self.office.caller(role, name).await;
        let intent = self.office.intent(&caller, ticket, command).await;
        self.desk.execute(intent).await.expect("done");
    }

    async fn customer(&self) -> Reader {
        Reader::Customer(self.person("cus_1").await)
    }

    async fn person(&self, name: &str) -> PersonId {
        self.office.person(name).await.id
    }

    async fn finds(&self, reader: Reader, query: &str) -> Vec<TicketId> {
        let question = Question {
            tenant: self.office.tenant.clone(),
            reader,
            query: parse(query).expect("a query"),
            sort: Sort::Relevance,
            after: None,
            rarity: None,
            size: 100,
            facets: Vec::new(),
        };
        let found = self.indexer.index().search(question).await.expect("an answer");
        found.hits.iter().map(|hit| hit.ticket).collect()
    }

    /// What the indexer would write that changes nothing.
    async fn writes(&self) -> Writes {
        let taken = self.indexer.taken.lock().await;
        self.indexer.writes(&taken, Positions::START).expect("it was looked at")
    }

    async fn differs(&self) -> Vec<Difference> {
        let found =
            diff(self.indexer.index(), &self.office.log, &self.office.keyring, |_| {}).await;
        found.expect("compared").1
    }
}

fn follow(office: &Office, desk: &Desk, index: Arc<dyn SearchIndex>) -> (Arc<Indexer>, Feeder) {
    let desk = desk.clone();
    follow_as(office, Arc::new(move || desk.incarnation()), index)
}

fn follow_as(
    office: &Office,
    present: PresentIncarnation,
    index: Arc<dyn SearchIndex>,
) -> (Arc<Indexer>, Feeder) {
    let (log, keyring) = (Arc::clone(&office.log), Arc::clone(&office.keyring));
    let indexer = Arc::new(Indexer::new(index, Arc::clone(&log), keyring, present));
    let source = Arc::new(FromLog(Arc::clone(&log)));
    let feeder = Feeder::new(source, log, Arc::clone(&indexer) as _, Appetite::FOLLOW);
    (indexer, feeder)
}

fn index(folder: &Folder) -> Arc<dyn SearchIndex> {
    Arc::new(TantivyIndex::open(folder.path(), 1).expect("an index"))
}

const STAFF: Reader = Reader::Staff(None);

#[tokio::test]
async fn what_is_written_is_found_once_it_is_committed() {
    let mut world = Following::new().await;
    let ticket = world.opens("Printer on fire", "三楼的打印机着火了").await;
    world.feed().await;
    assert_eq!(world.finds(STAFF, "printer").await, []);
    world.catch_up().await;
    assert_eq!(world.finds(STAFF, "printer").await, [ticket]);
    assert_eq!(world.finds(STAFF, "打印机 status:new").await, [ticket]);
    world.does(Role::Agent, "ann", ticket, Command::note("the toner is to blame")).await;
    world.does(Role::Agent, "ann", ticket, Command::status(Status::Hold)).await;
    world.catch_up().await;
    assert_eq!(world.finds(STAFF, "toner status:hold").await, [ticket]);
    let customer = world.customer().await;
    assert_eq!(world.finds(customer, "toner").await, []);
    assert_eq!(world.finds(customer, "打印 status:open").await, [ticket]);
    assert_eq!(world.differs().await, []);
}

#[tokio::test]
async fn a_merged_ticket_is_found_by_its_target_until_it_is_taken_out() {
    let mut world = Following::new().await;
    let target = world.opens("target", "first words").await;
    let source = world.opens("source", "second words").await;
    let agent = world.office.caller(Role::Agent, "ann").await;
    world.does(Role::Agent, "ann", source, Command::note("inner words")).await;
    world.catch_up().await;
    assert_eq!(world.finds(STAFF, "second words").await, [source]);
    world.office.merge(&world.desk, &agent, source, target).await.expect("merged");
    world.catch_up().await;
    assert_eq!(world.finds(STAFF, "second words").await, [target]);
    assert_eq!(world.finds(STAFF, "inner words").await, [target]);
    assert_eq!(world.finds(STAFF, "source status:closed").await, [source]);
    assert_eq!(world.differs().await, []);
    world.does(Role::Agent, "ann", source, Command::reply("third words")).await;
    world.catch_up().await;
    assert_eq!(world.finds(STAFF, "third words").await, [target]);
    world.office.unmerge(&world.desk, &agent, source, target).await.expect("unmerged");
    world.catch_up().await;
    assert_eq!(world.finds(STAFF, "second words").await, [source]);
    assert_eq!(world.finds(STAFF, "inner words").await, [source]);
    assert_eq!(world.finds(STAFF, "first words").await, [target]);
    assert_eq!(world.finds(STAFF, "third words").await, [target]);
    assert_eq!(world.differs().await, []);
}

#[tokio::test]
async fn after_a_crash_it_goes_on_from_its_last_commit() {
    let mut world = Following::new().await;
    let first = world.opens("one", "first").await;
    world.catch_up().await;
    world.does(Role::Agent, "ann", first, Command::reply("answered")).await;
    let second = world.opens("two", "second").await;
    world.feed().await;
    world.restart();
    world.catch_up().await;
    assert_eq!(world.finds(STAFF, "answered OR second").await.len(), 2);
    assert_eq!(world.finds(STAFF, "second").await, [second]);
    assert_eq!(world.differs().await, []);
}

#[tokio::test]
async fn a_batch_that_does_not_follow_is_fenced() {
    let mut world = Following::new().await;
    world.opens("one", "first").await;
    world.catch_up().await;
    let again = docket_projections::Batch { spans: Vec::new() };
    assert_eq!(world.indexer.take(&again).await.expect("taken"), Taken::Done);
    let stream = world.office.log.heads().await.expect("heads");
    let partition = stream.iter().find(|(_, head)| *head > 0).expect("an event").0;
    let span = docket_projections::Span {
        partition,
        after: 0,
        upto: 1,
        recorded_at: docket_schemas::Timestamp::default(),
        tickets: Vec::new(),
        parked: Vec::new(),
    };
    let behind = docket_projections::Batch { spans: vec![span] };
    assert_eq!(world.indexer.take(&behind).await.expect("taken"), Taken::Fenced);
}

#[tokio::test]
async fn a_difference_is_found_and_mended() {
    let mut world = Following::new().await;
    let first = world.opens("one", "first words").await;
    let second = world.opens("two", "second words").await;
    world.does(Role::Agent, "ann", second, Command::reply("further words")).await;
    world.catch_up().await;
    assert_eq!(world.differs().await, []);
    let place = |ticket| {
        let (log, tenant) = (Arc::clone(&world.office.log), world.office.tenant.clone());
        async move {
            let stream = docket_schemas::Stream::ticket(ticket);
            let read =
                docket_engine::ports::log::StreamRead { tenant: tenant.clone(), stream, after: 0 };
            let first = log.stream_page(&read, 1).await.expect("an opening").remove(0);
            Place::new(first.partition, first.position)
        }
    };
    let (first_place, second_place) = (place(first).await, place(second).await);
    // One is removed; of the other only its own document stays, under another's name beside it.
    let key = (world.office.tenant.clone(), second);
    let whole = world.indexer.reading.whole(&key, u64::MAX).await.expect("read").expect("folded");
    let mut short = whole.expect("the ticket");
    short.messages.clear();
    let mut stranger = short.clone();
    stranger.ticket.place = Place::from_number(1 << 40);
    let mut writes = world.writes().await;
    writes.forgotten = vec![first_place];
    writes.tickets = vec![short, stranger];
    world.indexer.index().write(writes).await.expect("written");
    world.indexer.commit().await.expect("committed");
    let found = world.differs().await;
    let mut drifts: Vec<_> = found
        .iter()
        .map(|one| (one.place, one.ticket.clone().map(|key| key.1), one.drift))
        .collect();
    drifts.sort_by_key(|(place, ..)| *place);
    let mut expected = vec![
        (first_place, Some(first), Drift::Missing),
        (second_place, Some(second), Drift::Differs),
        (Place::from_number(1 << 40), None, Drift::Stranger),
    ];
    expected.sort_by_key(|(place, ..)| *place);
    assert_eq!(drifts, expected);
    let strangers: Vec<_> =
        found.iter().filter(|one| one.drift == Drift::Stranger).map(|one| one.place).collect();
    let tickets: Vec<_> = found.into_iter().filter_map(|one| one.ticket).collect();
    world.indexer.mend(&tickets, &strangers).await.expect("mended");
    assert_eq!(world.differs().await, []);
    assert_eq!(world.finds(STAFF, "further words").await, [second]);
}

#[tokio::test]
async fn an_erased_text_is_gone_from_the_index() {
    let store = Arc::new(ErasableKeyStore::default());
    let mut office = Office::new().await;
    let keyring = Keyring::open(Arc::clone(&store) as _, &[9; 32], office.ids.clone()).await;
    office.keyring = Arc::new(keyring.expect("a key store"));
    let mut world = Following::over(office).await;
    let ticket = world.opens("one", "a secret").await;
    world.catch_up().await;
    assert_eq!(world.finds(STAFF, "secret").await, [ticket]);
    store.destroy();
    let key = (world.office.tenant.clone(), ticket);
    world.indexer.erase(&[key]).await.expect("erased");
    assert_eq!(world.finds(STAFF, "secret").await, []);
    assert_eq!(world.finds(STAFF, "status:new").await, [ticket]);
    assert_eq!(world.differs().await, []);
    let person = world.person("cus_1").await;
    assert_eq!(world.finds(Reader::Customer(person), "status:new").await, [ticket]);
}

#[tokio::test]
async fn an_index_of_a_log_that_was_restored_from_before_it_is_begun_anew() {
    let mut world = Following::new().await;
    world.opens("one", "first").await;
    world.catch_up().await;
    let mut writes = world.writes().await;
    writes.incarnation = "eu.7".parse().expect("an incarnation");
    world.indexer.index().write(writes).await.expect("written");
    world.indexer.commit().await.expect("committed");
    world.restart();
    world.feeder.own(PartitionSet::ALL).await.expect("checkpoints");
    assert_eq!(*world.feeder.positions(), Positions::START);
    world.catch_up().await;
    assert_eq!(world.finds(STAFF, "first").await.len(), 1);
    assert_eq!(world.differs().await, []);
}

#[tokio::test]
async fn a_node_follows_by_itself_and_sooner_while_somebody_waits() {
    let world = Following::new().await;
    let visible = Arc::new(Progress::default());
    let tail =
        Tail::follow(Arc::clone(&world.office.log), &*world.office.bus).await.expect("a tail");
    let following = super::Following {
        indexer: Arc::clone(&world.indexer),
        source: Arc::new(FromLog(Arc::clone(&world.office.log))),
        heads: tail.heads(),
        restores: tail.restores(),
        visible: Arc::clone(&visible),
        clock: world.office.clock.clone(),
    };
    let task = tokio::spawn(following.run());
    let mut reached = visible.reached();
    for body in ["first", "second", "third"] {
        let ticket = world.opens("one", body).await;
        world.office.bus.wake();
        let heads = world.office.log.heads().await.expect("heads");
        let waiting = visible.wait();
        let reaching = reached.wait_for(|reached| reached.covers(&heads));
        timeout(COMMIT_EVERY, reaching).await.expect("sooner than by itself").expect("reached");
        drop(waiting);
        assert_eq!(world.finds(STAFF, body).await, [ticket]);
        // An index that was set back is fed again without any further event.
        let mut taken = world.indexer.taken.lock().await;
        world.indexer.index().clear().await.expect("cleared");
        world.indexer.lose(&mut taken);
    }
    let reaching = async {
        while world.finds(STAFF, "first OR second OR third").await.len() < 3 {
            tokio::task::yield_now().await;
        }
    };
    timeout(COMMIT_EVERY * 10, reaching).await.expect("fed again");
    task.abort();
}

#[tokio::test]
async fn an_index_is_rebuilt_beside_the_one_that_answers_and_can_be_gone_back_from() {
    let mut world = Following::new().await;
    let home_folder = Folder::new();
    let home = Arc::new(IndexHome::open(home_folder.path(), 1).expect("a home"));
    (world.indexer, world.feeder) =
        follow(&world.office, &world.desk, Arc::clone(&home) as Arc<dyn SearchIndex>);
    let ticket = world.opens("one", "first words").await;
    world.catch_up().await;
    // Something is wrong with it that only a rebuild mends.
    let mut writes = world.writes().await;
    let key = (world.office.tenant.clone(), ticket);
    let whole = world.indexer.reading.whole(&key, u64::MAX).await.expect("read").expect("folded");
    let mut stranger = whole.expect("the ticket");
    stranger.ticket.place = Place::from_number(1 << 40);
    writes.tickets = vec![stranger];
    world.indexer.index().write(writes).await.expect("written");
    world.indexer.commit().await.expect("committed");
    assert_eq!(world.differs().await.len(), 1);
    let further = world.opens("two", "further words").await;
    let mut told = Vec::new();
    let rebuilding = world.indexer.rebuild(&home, |progress| told.push(progress)).await;
    rebuilding.expect("rebuilt");
    assert!(told.last().is_some_and(|told: &Rebuilding| told.events == told.of && told.of == 2));
    // It answers at once, and goes on from where it was filled.
    assert_eq!(world.finds(STAFF, "further words").await, [further]);
    assert_eq!(world.differs().await, []);
    let last = world.opens("three", "last words").await;
    world.catch_up().await;
    assert_eq!(world.finds(STAFF, "last words").await, [last]);
    assert_eq!(world.differs().await, []);
    // The old one catches up before it answers again; what was wrong with it still is.
    assert!(world.indexer.roll_back(&home, |_| {}).await.expect("rolled back"));
    assert_eq!(world.finds(STAFF, "last words").await, [last]);
    assert_eq!(world.differs().await.len(), 1);
    let newest = world.opens("four", "newest words").await;
    world.catch_up().await;
    assert_eq!(world.finds(STAFF, "newest words").await, [newest]);
    // What was switched to is what a restart opens.
    (world.indexer, world.feeder) = follow(&world.office, &world.desk, index(&Folder::new()));
    drop(home);
    let again = IndexHome::open(home_folder.path(), 1).expect("the home again");
    assert!(again.standing().is_some());
}

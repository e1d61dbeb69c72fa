//! A made-up corpus in Chinese and English: how fast it is taken in, how large the index is, how long questions take.
//!
//! `cargo run --release -p docket-search --example corpus -- [TICKETS] [DIRECTORY] [ENGLISH TEXTS OF TEN]`

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use docket_engine::cursor::Positions;
use docket_schemas::{
    Channel, Kind, Partition, PersonId, Priority, Status, Tenant, TicketId, Timestamp,
};
use docket_search::document::{Extent, MessageDocument, Place, TicketDocument, TicketWrite};
use docket_search::port::{
    Direction, Facet, Question, Reader, SearchIndex as _, Sort, SortKey, Writes,
};
use docket_search::query::parse;
use docket_search::tantivy_index::TantivyIndex;
use uuid::Uuid;

/// Messages of a ticket: with three changes of its fields these are seven events.
const MESSAGES: u64 = 4;
const BATCH: u64 = 5_000;
const QUESTIONS_OF_A_KIND: u64 = 200;

#[expect(clippy::disallowed_methods, reason = "a measurement has to look at the clock")]
fn now() -> Instant {
    Instant::now()
}

/// Milliseconds that all threads of this process have computed, whatever else the machine does.
fn computed() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let times = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    times.sum::<f64>() / 1e6
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A rank in which small ones are as frequent as in a natural language.
    fn zipf(&mut self, end: u64) -> u64 {
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        ((end as f64).powf(unit) - 1.0) as u64
    }
}

/// Characters by how frequent they are; rarer ones follow by number.
const FREQUENT: &str = "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运";

const ENGLISH: u64 = 30_000;
const CHINESE: u64 = 20_000;

fn english(rank: u64) -> String {
    const PARTS: [&str; 24] = [
        "ba", "con", "de", "er", "fi", "ga", "ho", "in", "ja", "ko", "lu", "ma", "net", "or",
        "pri", "qua", "re", "ser", "ti", "un", "ver", "wo", "ex", "za",
    ];
    let mut dice = Dice(rank);
    let length = 1 + (rank > 50) as u64 + (rank > 1_000) as u64 + dice.below(2);
    let mut word: String = (0..length).map(|_| PARTS[dice.below(24) as usize]).collect();
    word.push_str(["", "", "s", "ing", "ed", "er"][dice.below(6) as usize]);
    word
}

fn chinese(rank: u64) -> String {
    let mut dice = Dice(rank ^ 0xABCD);
    let length = if rank < 40 { 1 } else { 2 + (dice.below(6) == 0) as u64 };
    let frequent: Vec<char> = FREQUENT.chars().collect();
    let character = |number: u64| match frequent.get(number as usize) {
        Some(character) => *character,
        None => char::from_u32(0x4E00 + (number as u32 * 5) % 20_000).unwrap_or('的'),
    };
    (0..length).map(|_| character(dice.zipf(3_500))).collect()
}

fn text(dice: &mut Dice, words: u64, english_of_ten: u64) -> String {
    if dice.below(10) < english_of_ten {
        let words: Vec<String> = (0..words).map(|_| english(dice.zipf(ENGLISH))).collect();
        words.join(" ")
    } else {
        let words = (0..words).map(|number| {
            let pause = if number % 7 == 6 { "，" } else { "" };
            format!("{}{pause}", chinese(dice.zipf(CHINESE)))
        });
        words.collect()
    }
}

fn tenant() -> Tenant {
    "default".parse().expect("a tenant")
}

fn write(number: u64, mix: u64, bytes: &mut u64) -> TicketWrite {
    let dice = &mut Dice(number);
    let subject = text(dice, 6, mix);
    *bytes += subject.len() as u64;
    let at = Timestamp::from_micros(1_700_000_000_000_000 + (number * 30_000_000).cast_signed());
    let partition = Partition::new((number % 16) as u8).expect("a partition");
    let first = number / 16 * 7 + 1;
    let messages = (0..MESSAGES).map(|message| {
        let body = text(dice, 24, mix);
        *bytes += body.len() as u64;
        let place = Place::new(partition, first + message);
        MessageDocument { place, public: message != 2, body: Some(body) }
    });
    let messages = messages.collect();
    let ticket = TicketDocument {
        tenant: tenant(),
        ticket: TicketId::new(Uuid::from_u64_pair(Dice(number).next(), Dice(!number).next())),
        place: Place::new(partition, first),
        position: first + 6,
        public_position: first + 6,
        subject: Some(subject),
        status: Status::ALL[dice.below(7) as usize],
        priority: Priority::ALL[dice.below(4) as usize],
        ticket_type: None,
        kind: Kind::Ticket,
        channel: Channel::Api,
        tags: vec![format!("tag{}", dice.zipf(200))],
        group: Some(format!("group{}", dice.below(20))),
        assignee: Some(PersonId::new(Uuid::from_u128(u128::from(dice.below(100))))),
        requester: PersonId::new(Uuid::from_u128(1_000 + u128::from(dice.below(50_000)))),
        followers: Vec::new(),
        created_at: at,
        updated_at: at.plus_micros(dice.below(1 << 40).cast_signed()),
        public_updated_at: at,
    };
    TicketWrite { ticket, messages, extent: Extent::New }
}

fn size(directory: &Path) -> u64 {
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum()
}

async fn fill(index: &TantivyIndex, tickets: u64, mix: u64) {
    let begin = now();
    let mut bytes = 0;
    let mut committed = now();
    for first in (0..tickets).step_by(BATCH as usize) {
        let numbers = first..(first + BATCH).min(tickets);
        let tickets = numbers.map(|number| write(number, mix, &mut bytes)).collect();
        let incarnation = "local.1".parse().expect("an incarnation");
        let mut upto = Positions::START;
        upto.set(Partition::new(0).expect("a partition"), first + 1);
        index
            .write(Writes { incarnation, tickets, forgotten: Vec::new(), upto })
            .await
            .expect("written");
        if committed.elapsed() > Duration::from_secs(1) {
            index.commit().await.expect("committed");
            committed = now();
        }
    }
    index.commit().await.expect("committed");
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{tickets} tickets of {} events in {seconds:.1} s: {:.0} events/s; text {:.1} MB",
        MESSAGES + 3,
        (tickets * (MESSAGES + 3)) as f64 / seconds,
        bytes as f64 / 1e6
    );
}

type MakeQuery = fn(&mut Dice) -> String;

const KINDS: [(&str, MakeQuery); 17] = [
    ("english word, any", |dice| english(dice.zipf(ENGLISH))),
    ("english word, of the 50 commonest", |dice| english(dice.below(50))),
    ("two english words", |dice| {
        format!("{} {}", english(dice.zipf(ENGLISH)), english(dice.zipf(ENGLISH)))
    }),
    ("english OR", |dice| {
        format!("{} OR {}", english(dice.zipf(ENGLISH)), english(dice.zipf(ENGLISH)))
    }),
    ("english phrase", |dice| {
        format!("\"{} {}\"", english(dice.zipf(500)), english(dice.zipf(500)))
    }),
    ("english prefix", |dice| format!("{}*", english(dice.zipf(ENGLISH)))),
    ("english fuzzy", |dice| format!("{}tion~1", english(100 + dice.below(900)))),
    ("chinese character", |dice| chinese(dice.below(40))),
    ("chinese word, any", |dice| chinese(40 + dice.zipf(CHINESE - 40))),
    ("chinese word, of the 50 commonest", |dice| chinese(40 + dice.below(50))),
    ("two chinese words", |dice| {
        format!("{} {}", chinese(dice.zipf(CHINESE)), chinese(dice.zipf(CHINESE)))
    }),
    ("chinese words side by side", |dice| {
        format!("{}{}", chinese(dice.zipf(CHINESE)), chinese(dice.zipf(CHINESE)))
    }),
    ("word and filters", |dice| {
        format!("{} status:open priority:high", english(dice.zipf(ENGLISH)))
    }),
    ("word without another", |dice| {
        format!("{} -{}", english(dice.zipf(ENGLISH)), english(dice.below(50)))
    }),
    ("filters alone", |_| "status:open tag:tag1".to_owned()),
    ("one filter", |_| "status:open".to_owned()),
    ("nothing but not", |dice| format!("-{}", english(dice.zipf(ENGLISH)))),
];

async fn ask(index: &TantivyIndex) {
    let by_time = Sort::By(SortKey::Updated, Direction::Descending);
    let customer = Reader::Customer(PersonId::new(Uuid::from_u128(1_007)));
    let ways: [(&str, Reader, Sort, &[Facet]); 4] = [
        ("best first", Reader::Staff(None), Sort::Relevance, &[]),
        ("newest first", Reader::Staff(None), by_time, &[]),
        ("with facets", Reader::Staff(None), Sort::Relevance, &[Facet::Status, Facet::Tag]),
        ("a customer", customer, Sort::Relevance, &[]),
    ];
    println!(
        "{:36} {:14} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "", "", "hits", "p50 ms", "p99 ms", "p50 CPU", "p99 CPU"
    );
    let mut all = Vec::new();
    for (kind, make) in KINDS {
        for (way, reader, sort, facets) in ways {
            let dice = &mut Dice(7);
            let (mut took, mut cpu, mut hits) = (Vec::new(), Vec::new(), 0);
            for _ in 0..QUESTIONS_OF_A_KIND {
                let query = parse(&make(dice)).expect("a query");
                let facets = facets.to_vec();
                let question = Question {
                    tenant: tenant(),
                    reader,
                    query,
                    sort,
                    after: None,
                    size: 50,
                    facets,
                };
                let (begin, before) = (now(), computed());
                hits += index.search(question).await.expect("an answer").count;
                took.push(begin.elapsed().as_secs_f64() * 1e3);
                cpu.push(computed() - before);
            }
            let hits = hits / QUESTIONS_OF_A_KIND;
            let ((p50, p99), (c50, c99)) = (percentiles(&mut took), percentiles(&mut cpu));
            println!("{kind:36} {way:14} {hits:9} {p50:9.2} {p99:9.2} {c50:9.2} {c99:9.2}");
            all.extend(took);
        }
    }
    let (p50, p99) = percentiles(&mut all);
    println!("all: p50 {p50:.2} ms, p99 {p99:.2} ms");
}

fn percentiles(times: &mut [f64]) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let tickets = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(20_000);
    let directory = arguments.next().map_or_else(
        || std::env::temp_dir().join(format!("docket-corpus-{}", std::process::id())),
        PathBuf::from,
    );
    let mix = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(5);
    let index = TantivyIndex::open(&directory, 2).expect("an index");
    if index.standing().is_none() {
        fill(&index, tickets, mix).await;
    }
    println!("index {:.1} MB", size(&directory) as f64 / 1e6);
    ask(&index).await;
}

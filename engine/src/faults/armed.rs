//! What was told to fail: `point:kind[:nth|seconds]`, several with commas between.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Fault;

/// The points that stand in code of one name; those of sagas are `saga.<definition>.<step>.<run|undo>.<before|after>`.
pub const POINTS: [(&str, &str); 9] = [
    ("append.before", "a batch is about to be sent to the log"),
    ("append.after", "a batch is durable and nobody knows yet"),
    ("projection.before", "a projection is about to write a batch"),
    ("projection.after", "a projection has written a batch"),
    ("index.before", "the search index is about to commit"),
    ("index.after", "the search index has committed"),
    ("index.read", "somebody asks how far view and index have come"),
    ("relay.before", "the relay is about to publish"),
    ("bus.wake", "somebody wakes the other nodes"),
];

/// How long `unavailable` lasts unless it says otherwise.
const UNAVAILABLE_FOR: Duration = Duration::from_secs(60);

/// A text that tells no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no fault: point:kind[:nth|seconds], the kind one of kill, transient, business, twice, unavailable, damage"
)]
pub struct ArmError(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Kill,
    Fault(Fault),
}

#[derive(Debug)]
struct Armed {
    point: String,
    kind: Kind,
    /// The pass at which it happens, from 1; 0 is every one.
    nth: u64,
    passes: u64,
    lasts: Duration,
    began: Option<Instant>,
}

static ARMED: Mutex<Vec<Armed>> = Mutex::new(Vec::new());

/// Has what `spec` says go wrong from now on, and nothing else.
///
/// # Errors
/// When `spec` is none.
pub fn arm(spec: &str) -> Result<(), ArmError> {
    let armed: Result<Vec<Armed>, ArmError> =
        spec.split(',').filter(|one| !one.is_empty()).map(parse).collect();
    *ARMED.lock() = armed?;
    Ok(())
}

fn parse(one: &str) -> Result<Armed, ArmError> {
    let wrong = || ArmError(one.to_owned());
    let mut parts = one.split(':');
    let (Some(point), Some(kind)) = (parts.next(), parts.next()) else { return Err(wrong()) };
    let number = parts.next().map(|number| number.parse::<u64>().map_err(|_| wrong()));
    let number = number.transpose()?;
    if point.is_empty() || parts.next().is_some() {
        return Err(wrong());
    }
    let kind = match kind {
        "kill" => Kind::Kill,
        "transient" => Kind::Fault(Fault::Transient),
        "business" => Kind::Fault(Fault::Business),
        "twice" => Kind::Fault(Fault::Twice),
        "unavailable" => Kind::Fault(Fault::Unavailable),
        "damage" => Kind::Fault(Fault::Damage),
        _ => return Err(wrong()),
    };
    let lasts = number.map_or(UNAVAILABLE_FOR, Duration::from_secs);
    let nth = number.unwrap_or(1);
    Ok(Armed { point: point.to_owned(), kind, nth, passes: 0, lasts, began: None })
}

/// What happens at a point now.
#[expect(clippy::disallowed_methods, reason = "a rehearsal is measured by the wall")]
pub(super) fn at(point: &str) -> Option<Fault> {
    let mut armed = ARMED.lock();
    for one in armed.iter_mut().filter(|one| one.point == point) {
        one.passes += 1;
        let due = one.nth == 0 || one.passes == one.nth;
        match one.kind {
            Kind::Kill if due => {
                eprintln!("docket: fault at {point}: kill");
                std::process::abort();
            }
            Kind::Fault(Fault::Unavailable) => {
                let began = *one.began.get_or_insert_with(Instant::now);
                if began.elapsed() < one.lasts {
                    return Some(Fault::Unavailable);
                }
            }
            Kind::Fault(fault) if due => return Some(fault),
            Kind::Kill | Kind::Fault(_) => {}
        }
    }
    None
}

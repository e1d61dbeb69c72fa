//! What was told to fail: `point:kind[:nth|seconds]`, several with commas between.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Fault;

/// Where something can be made to go wrong.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// Its name.
    pub name: &'static str,
    /// The kinds of faults that it honours; no other can be armed there.
    pub kinds: &'static [&'static str],
    /// What happens there.
    pub what: &'static str,
}

const fn point(name: &'static str, kinds: &'static [&'static str], what: &'static str) -> Point {
    Point { name, kinds, what }
}

const FAILS: &[&str] = &["kill", "transient", "unavailable"];
const FAILS_OR_DAMAGES: &[&str] = &["kill", "transient", "unavailable", "damage"];

/// The points that stand in code of one name.
pub const POINTS: [Point; 9] = [
    point("append.before", FAILS, "a batch is about to be sent to the log"),
    point("append.after", FAILS, "a batch is durable and nobody knows yet"),
    point(
        "projection.before",
        FAILS_OR_DAMAGES,
        "the tickets view is about to write a batch; damaged, it leaves the rows out",
    ),
    point("projection.after", FAILS, "the tickets view has written a batch"),
    point(
        "index.before",
        FAILS_OR_DAMAGES,
        "the search index is about to commit; damaged, it loses what it holds",
    ),
    point("index.after", FAILS, "the search index has committed"),
    point("index.read", FAILS, "a saga asks how far view and index have come"),
    point("relay.before", FAILS, "the relay is about to publish"),
    point("bus.wake", FAILS, "the other nodes are about to be woken; failing, nobody is"),
];

/// Those of sagas: `saga.<definition>.<step>.<run|undo>.<before|after>`.
pub const SAGA_POINTS: [Point; 3] = [
    point(
        "before",
        &["kill", "transient", "business", "twice", "unavailable"],
        "a step or its undo is about to be done",
    ),
    point(
        "run.after",
        &["kill", "transient", "business", "unavailable"],
        "a step is done and written",
    ),
    point("undo.after", &["kill", "transient", "unavailable"], "an undo is done and written"),
];

/// What begins the name of every point of a saga.
const SAGA: &str = "saga.";

/// How long `unavailable` lasts unless it says otherwise.
const UNAVAILABLE_FOR: Duration = Duration::from_secs(60);

/// A text that tells no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArmError {
    /// It is none at all.
    #[error(
        "`{0}` is no fault: point:kind[:nth|seconds], the kind one of kill, transient, business, twice, unavailable, damage"
    )]
    Malformed(String),
    /// There is no such point.
    #[error("there is no point `{0}`; `docket faults` lists them")]
    NoPoint(String),
    /// The point does not do that.
    #[error("`{0}` does not do that; it does {1}")]
    NotThere(String, String),
}

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
    let wrong = || ArmError::Malformed(one.to_owned());
    let mut parts = one.split(':');
    let (Some(point), Some(kind)) = (parts.next(), parts.next()) else { return Err(wrong()) };
    let number = parts.next().map(|number| number.parse::<u64>().map_err(|_| wrong()));
    let number = number.transpose()?;
    if point.is_empty() || parts.next().is_some() {
        return Err(wrong());
    }
    let known = match kind {
        "kill" => Kind::Kill,
        "transient" => Kind::Fault(Fault::Transient),
        "business" => Kind::Fault(Fault::Business),
        "twice" => Kind::Fault(Fault::Twice),
        "unavailable" => Kind::Fault(Fault::Unavailable),
        "damage" => Kind::Fault(Fault::Damage),
        _ => return Err(wrong()),
    };
    let kinds = kinds_of(point).ok_or_else(|| ArmError::NoPoint(point.to_owned()))?;
    if !kinds.contains(&kind) {
        return Err(ArmError::NotThere(one.to_owned(), kinds.join(", ")));
    }
    let lasts = number.map_or(UNAVAILABLE_FOR, Duration::from_secs);
    let nth = number.unwrap_or(1);
    Ok(Armed { point: point.to_owned(), kind: known, nth, passes: 0, lasts, began: None })
}

/// The kinds of faults that a point honours; none where there is no such point.
fn kinds_of(name: &str) -> Option<&'static [&'static str]> {
    let known = POINTS.iter().find(|point| point.name == name);
    let of_saga = || {
        let tail = name.strip_prefix(SAGA)?;
        SAGA_POINTS.iter().find(|point| tail.ends_with(&format!(".{}", point.name)))
    };
    known.or_else(of_saga).map(|point| point.kinds)
}

/// What happens at a point now, told on standard error. Where several are due a kill comes first, then as they were armed.
pub(super) fn at(point: &str) -> Option<Fault> {
    // Each counts every pass, also one that another takes.
    let mut armed = ARMED.lock();
    let here = armed.iter_mut().filter(|one| one.point == point);
    let due: Vec<Kind> = here.filter_map(Armed::pass).collect();
    if due.contains(&Kind::Kill) {
        eprintln!("docket: fault at {point}: kill");
        std::process::abort();
    }
    match due.first() {
        Some(Kind::Fault(fault)) => {
            if *fault != Fault::Unavailable {
                tell(point, *fault);
            }
            Some(*fault)
        }
        _ => None,
    }
}

impl Armed {
    /// Counts a pass, and says what it brings.
    #[expect(clippy::disallowed_methods, reason = "a rehearsal is measured by the wall")]
    fn pass(&mut self) -> Option<Kind> {
        self.passes += 1;
        if self.kind == Kind::Fault(Fault::Unavailable) {
            if self.began.is_none() {
                tell(&self.point, Fault::Unavailable);
            }
            let began = *self.began.get_or_insert_with(Instant::now);
            return (began.elapsed() < self.lasts).then_some(self.kind);
        }
        (self.nth == 0 || self.passes == self.nth).then_some(self.kind)
    }
}

fn tell(point: &str, fault: Fault) {
    eprintln!("docket: fault at {point}: {fault:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_of_a_point_counts_every_pass() {
        arm("append.after:transient:1,append.after:transient:3").expect("both are honoured");
        let brought: Vec<_> = (0..4).map(|_| at("append.after")).collect();
        arm("").expect("nothing");
        assert_eq!(brought, [Some(Fault::Transient), None, Some(Fault::Transient), None]);
    }

    #[test]
    fn a_point_takes_the_kinds_that_it_honours_and_no_others() {
        for point in POINTS {
            for kind in point.kinds {
                assert!(parse(&format!("{}:{kind}", point.name)).is_ok(), "{}:{kind}", point.name);
            }
            let refused = parse(&format!("{}:business", point.name)).unwrap_err();
            assert!(matches!(refused, ArmError::NotThere(..)), "{refused}");
        }
        assert!(parse("append.before:damage").is_err());
        assert!(parse("saga.four.a.run.before:twice:2").is_ok());
        assert!(parse("saga.four.a.run.before:damage").is_err());
        assert!(parse("saga.four.a.undo.after:business").is_err());
        for wrong in ["append.midst:kill", "saga.four.a.run.midst:kill"] {
            assert_eq!(parse(wrong).unwrap_err(), ArmError::NoPoint(wrong.replace(":kill", "")));
        }
        for wrong in ["append.before", "append.before:often", "append.before:kill:x", ":kill"] {
            assert!(matches!(parse(wrong), Err(ArmError::Malformed(_))), "{wrong}");
        }
    }
}

//! What a measurement prints: a table for people, JSON for programs.

use serde::Serialize;

use crate::wire::scratch::Raw;

/// Everything that was measured. Its keys are described in `docs/bench.md`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Always `create`.
    pub bench: &'static str,
    /// The log's backend with the settings that matter.
    pub backend: String,
    /// Connections of the load.
    pub connections: usize,
    /// Persons among whom the requesters are.
    pub persons: usize,
    /// Processors of the machine.
    pub processors: usize,
    /// One for each size of the log.
    pub rounds: Vec<Round>,
}

/// A measurement on a log of one size.
#[derive(Debug, Serialize)]
pub struct Round {
    /// Events in the log when it began; none where the backend does not say.
    pub events_before: Option<u64>,
    /// Seconds that it took.
    pub seconds: f64,
    /// Tickets opened in that time.
    pub creates: u64,
    /// The same, by the second.
    pub creates_per_second: f64,
    /// Of half of them, from the request's first byte to the answer's last.
    pub p50_ms: f64,
    /// Of 99 in a hundred.
    pub p99_ms: f64,
    /// Answers other than 201.
    pub errors: u64,
    /// Rows that the log was given at once, on average.
    pub rows_per_append: f64,
    /// What an event takes in the database: table, indexes, out of line.
    pub bytes_per_event: Option<f64>,
    /// Peak memory of the process: server and load.
    pub peak_memory_bytes: Option<u64>,
    /// Processor time of the process, server and load without the database, for one ticket.
    pub processor_micros_per_create: Option<f64>,
    /// How long the log took for one event of an append, within the load.
    pub append_micros_per_event: f64,
    /// The same rows, raw.
    pub raw: Option<RawRound>,
    /// Creates by the second, divided by raw rows by the second.
    pub ratio: Option<f64>,
}

/// Raw inserts of the same rows into a table of the same size.
#[derive(Debug, Serialize)]
pub struct RawRound {
    /// Rows inserted.
    pub rows: u64,
    /// Rows of each insert, a transaction of its own.
    pub batch_rows: u32,
    /// Rows by the second, on one connection.
    pub rows_per_second: f64,
    /// How long the database took for one row.
    pub micros_per_row: f64,
}

impl From<Raw> for RawRound {
    fn from(raw: Raw) -> Self {
        let rows = raw.rows.max(1) as f64;
        Self {
            rows: raw.rows,
            batch_rows: raw.batch_rows,
            rows_per_second: rows / raw.seconds,
            micros_per_row: raw.seconds * 1e6 / rows,
        }
    }
}

/// The value below which `share` of the sorted latencies lie, in milliseconds.
pub(super) fn percentile_ms(sorted: &[u32], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let index = (last as f64 * share).round() as usize;
    sorted.get(index).map_or(0.0, |micros| f64::from(*micros) / 1e3)
}

/// A line of the table: its name, and its value of each round.
type Line = (&'static str, fn(&Round) -> String);

const LINES: [Line; 12] = [
    ("events in the log before", |r| whole(r.events_before.map(|n| n as f64))),
    ("tickets opened", |r| whole(Some(r.creates as f64))),
    ("creates/s", |r| whole(Some(r.creates_per_second))),
    ("p50, p99", |r| format!("{:.1} ms, {:.1} ms", r.p50_ms, r.p99_ms)),
    ("bytes per event", |r| whole(r.bytes_per_event)),
    ("peak memory, server and load", |r| {
        r.peak_memory_bytes.map_or_else(none, |bytes| format!("{:.0} MB", bytes as f64 / 1e6))
    }),
    ("processor time, server and load", |r| {
        r.processor_micros_per_create.map_or_else(none, |micros| format!("{micros:.1} µs"))
    }),
    ("rows per append", |r| whole(Some(r.rows_per_append))),
    ("append, per event", |r| format!("{:.1} µs", r.append_micros_per_event)),
    ("raw insert, per row", |r| {
        r.raw.as_ref().map_or_else(none, |raw| format!("{:.1} µs", raw.micros_per_row))
    }),
    ("raw inserts/s, one connection", |r| whole(r.raw.as_ref().map(|raw| raw.rows_per_second))),
    ("creates / raw inserts", |r| r.ratio.map_or_else(none, |ratio| format!("{ratio:.2}"))),
];

impl Report {
    /// The table, in Markdown.
    #[must_use]
    pub fn table(&self) -> String {
        let Self { backend, connections, persons, processors, .. } = self;
        let mut text = format!(
            "{backend}; {connections} connections, {persons} persons, {processors} processors\n\n"
        );
        let names = LINES.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let row = |name: &str, values: Vec<String>| {
            let values: String = values.iter().map(|value| format!(" {value:>18} |")).collect();
            format!("| {name:<names$} |{values}\n")
        };
        text += &row("", self.rounds.iter().map(|_| String::new()).collect());
        text += &format!("|{:-<1$}|", "", names + 2);
        text += &self.rounds.iter().map(|_| format!("{:->20}|", ":")).collect::<String>();
        text.push('\n');
        for (name, value) in LINES {
            text += &row(name, self.rounds.iter().map(value).collect());
        }
        text
    }
}

/// Names and values, in Markdown.
pub(super) fn two_columns(lines: &[(&str, String)]) -> String {
    let names = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let values = lines.iter().map(|(_, value)| value.chars().count()).max().unwrap_or(0);
    let mut text = format!("\n| {:names$} | {:values$} |\n|{:-<3$}|", "", "", "", names + 2);
    text += &format!("{:->1$}:|\n", "", values + 1);
    for (name, value) in lines {
        text += &format!("| {name:<names$} | {value:>values$} |\n");
    }
    text
}

/// A number with its thousands apart.
pub(super) fn whole(number: Option<f64>) -> String {
    let Some(number) = number else { return none() };
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn none() -> String {
    "–".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(whole(Some(1_234_567.4)), "1,234,567");
        assert_eq!(whole(Some(999.0)), "999");
        assert_eq!(whole(None), "–");
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let latencies: Vec<u32> = (1..=100).map(|ms| ms * 1_000).collect();
        assert_eq!(percentile_ms(&latencies, 0.99), 99.0);
        assert_eq!(percentile_ms(&latencies, 0.0), 1.0);
        assert_eq!(percentile_ms(&[], 0.5), 0.0);
    }
}

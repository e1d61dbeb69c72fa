//! What this process has taken of the machine, as Linux counts it.

/// Ticks a second of the times in `/proc`: the same on every Linux, whatever its kernel's own clock.
const TICKS_PER_SECOND: f64 = 100.0;
/// Where the two times stand behind the process' name in `/proc/self/stat` (proc(5)): in user mode and in the kernel.
const TIMES: std::ops::Range<usize> = 11..13;

/// Peak resident memory in bytes; none on other systems.
pub(super) fn peak_bytes() -> Option<u64> {
    bytes("self", "VmHWM:")
}

/// Resident memory in bytes; none on other systems.
pub(super) fn resident_bytes() -> Option<u64> {
    bytes("self", "VmRSS:")
}

/// Resident memory of another process in bytes; none on other systems, or when it is gone.
pub(super) fn resident_bytes_of(process: u32) -> Option<u64> {
    bytes(&process.to_string(), "VmRSS:")
}

fn bytes(process: &str, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Seconds of processor time until now; none on other systems.
pub(super) fn processor_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, behind_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let ticks = fields.get(TIMES)?.iter().map(|field| field.parse::<u64>().ok());
    Some(ticks.sum::<Option<u64>>()? as f64 / TICKS_PER_SECOND)
}

//! What this process has used, or another, as the kernel counts it.

use std::path::Path;
use std::time::Duration;
use std::{fs, io};

/// Processor time of all threads, those that have ended included.
pub(crate) fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux shows /proc/self/stat");
    parse_cpu(&stat).expect("/proc/self/stat is as proc(5) says")
}

/// The same of another process.
pub(crate) fn cpu_of(process: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    Ok(parse_cpu(&stat).expect("/proc/PID/stat is as proc(5) says"))
}

/// Processor time of the threads that live now, much finer than [`cpu`]: for spans of milliseconds.
pub(crate) fn cpu_of_living_threads() -> Duration {
    let threads = fs::read_dir("/proc/self/task").expect("Linux shows /proc/self/task");
    let spent = threads.flatten().filter_map(|thread| {
        // A thread may end between the listing and the reading.
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(spent.sum())
}

/// The most memory that was resident at a time, in MiB.
pub(crate) fn peak_rss_mb() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux shows /proc/self/status");
    parse_mb(&status, "VmHWM:").expect("/proc/self/status is as proc(5) says")
}

/// The memory that is resident now, in MiB.
pub(crate) fn rss_mb() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux shows /proc/self/status");
    parse_mb(&status, "VmRSS:").expect("/proc/self/status is as proc(5) says")
}

/// Bytes that this process has caused to be written to storage.
pub(crate) fn written_bytes() -> u64 {
    let io = fs::read_to_string("/proc/self/io").expect("Linux shows /proc/self/io");
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes:"));
    line.and_then(|bytes| bytes.trim().parse().ok()).expect("/proc/self/io is as proc(5) says")
}

/// Bytes of the files in a folder, those of folders in it included.
pub(crate) fn bytes_of(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        bytes += if about.is_dir() { bytes_of(&entry.path())? } else { about.len() };
    }
    Ok(bytes)
}

/// User and system time: the 14th and 15th field, in hundredths of a second. The name before them may hold blanks.
fn parse_cpu(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(Duration::from_millis((user + system) * 10))
}

fn parse_mb(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_blanks_and_brackets_are_no_trouble() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194304 100 0 0 0 150 25 0 0 20 0 4 0 100 1 2";
        assert_eq!(parse_cpu(stat), Some(Duration::from_millis(1750)));
        assert_eq!(parse_mb("Name:\ta\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n", "VmHWM:"), Some(2.0));
    }

    #[test]
    fn work_is_counted() {
        let before = cpu_of_living_threads();
        let mut value = 1_u64;
        while cpu_of_living_threads() == before {
            value = std::hint::black_box(value.wrapping_mul(3));
        }
        assert!(peak_rss_mb() > 0.0);
    }
}

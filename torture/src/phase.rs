//! What a child is doing at a moment when a kill is worth most, and how the killer hears of it.
//!
//! The child writes a line to its standard output when a phase begins (`+fill`) and when it ends
//! (`-fill`). A pipe keeps what was written when the writer is killed, so the killer sees afterwards
//! which phases were cut short.

use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// The phases that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// From before the folder is touched until the hub runs.
    Opening,
    /// A segment is made and filled with zeros.
    Filling,
    /// The first batch of a segment is written.
    Changing,
    /// What is durable is written to the tables.
    Settling,
    /// A segment whose batches are all settled is taken back into use.
    Recycling,
    /// What was settled is moved to where it stays, and space is given back.
    Tidying,
}

impl Phase {
    pub(crate) const COUNT: usize = 6;
    pub(crate) const ALL: [Self; Self::COUNT] =
        [Self::Opening, Self::Filling, Self::Changing, Self::Settling, Self::Recycling, Self::Tidying];

    /// Those that come again and again in a life in which settling is busy, or is not: where segments are
    /// recycled all the time few are filled.
    pub(crate) fn of_life(busy: bool) -> &'static [Self] {
        match busy {
            true => &[Self::Opening, Self::Settling, Self::Recycling, Self::Tidying],
            false => &[Self::Opening, Self::Filling, Self::Changing],
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Filling => "filling",
            Self::Changing => "changing",
            Self::Settling => "settling",
            Self::Recycling => "recycling",
            Self::Tidying => "tidying",
        }
    }

    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// The phase of a span of the embedded store.
    fn of_span(name: &str) -> Option<Self> {
        match name {
            "fill_segment" => Some(Self::Filling),
            "change_segment" => Some(Self::Changing),
            "settle" => Some(Self::Settling),
            "recycle_segment" => Some(Self::Recycling),
            "tidy" => Some(Self::Tidying),
            _ => None,
        }
    }
}

/// The beginning or the end of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) phase: Phase,
    pub(crate) begins: bool,
}

impl Mark {
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (sign, name) = line.split_at_checked(1)?;
        let phase = Phase::ALL.into_iter().find(|phase| phase.name() == name)?;
        match sign {
            "+" => Some(Self { phase, begins: true }),
            "-" => Some(Self { phase, begins: false }),
            _ => None,
        }
    }

    /// Tells the killer. One write, so that lines of two threads do not mix.
    pub(crate) fn tell(self) {
        let line = format!("{}{}\n", if self.begins { '+' } else { '-' }, self.phase.name());
        // A killer that has gone has no use for it.
        let _ = io::stdout().lock().write_all(line.as_bytes());
    }
}

/// Turns the spans of the embedded store into marks, and prints warnings.
pub(crate) struct Listener {
    next: AtomicU64,
    open: Mutex<Vec<(u64, Phase)>>,
}

impl Listener {
    pub(crate) fn install() {
        let listener = Self { next: AtomicU64::new(1), open: Mutex::default() };
        tracing::subscriber::set_global_default(listener).expect("nothing else listens in this process");
    }

    fn phase(&self, id: &Id) -> Option<Phase> {
        let open = self.open.lock().expect("no holder of this lock panics");
        open.iter().find(|(open, _)| *open == id.into_u64()).map(|(_, phase)| *phase)
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        if metadata.is_span() {
            return metadata.target().starts_with("duramen_embedded") && Phase::of_span(metadata.name()).is_some();
        }
        *metadata.level() <= tracing::Level::WARN
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some(phase) = Phase::of_span(span.metadata().name()) {
            self.open.lock().expect("no holder of this lock panics").push((id, phase));
        }
        Id::from_u64(id)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = format!("{} {}:", event.metadata().level(), event.metadata().target());
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            text.push_str(&format!(" {field}={value:?}"));
        });
        eprintln!("{text}");
    }

    fn enter(&self, id: &Id) {
        if let Some(phase) = self.phase(id) {
            Mark { phase, begins: true }.tell();
        }
    }

    fn exit(&self, id: &Id) {
        if let Some(phase) = self.phase(id) {
            Mark { phase, begins: false }.tell();
        }
    }

    fn try_close(&self, id: Id) -> bool {
        self.open.lock().expect("no holder of this lock panics").retain(|(open, _)| *open != id.into_u64());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_back_and_other_lines_are_not_marks() {
        for phase in Phase::ALL {
            assert_eq!(Mark::parse(&format!("+{}", phase.name())), Some(Mark { phase, begins: true }));
            assert_eq!(Mark::parse(&format!("-{}", phase.name())), Some(Mark { phase, begins: false }));
        }
        assert_eq!(Mark::parse("+open"), None);
        assert_eq!(Mark::parse(""), None);
        assert_eq!(Mark::parse("opening"), None);
    }
}

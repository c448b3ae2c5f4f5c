//! Names and numbers of things. All are chosen outside of chance: by the author, by the protocol, or
//! by a counter.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

/// The id of an instance, as its author or client chose it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(Arc<str>);

impl InstanceId {
    /// An id, as it is; [`crate::limits::check_instance_id`] says whether it may be one.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The slot in which the instance lives, for ever: a hash of its canonical form.
    pub fn slot(&self) -> Slot {
        // FNV-1a, 64 bits, folded. Written down here because it may never change: it decides where
        // stored messages go.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut step = |byte: u8| {
            hash ^= u64::from(byte);
            hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
        };
        match entity_name_end(&self.0) {
            // The name of an entity is compared without case, its key with it.
            Some(end) => {
                self.0[..end]
                    .chars()
                    .flat_map(char::to_lowercase)
                    .for_each(|c| c.encode_utf8(&mut [0; 4]).bytes().for_each(&mut step));
                self.0[end..].bytes().for_each(&mut step);
            }
            None => self.0.bytes().for_each(&mut step),
        }
        let folded = hash ^ (hash >> 32);
        let folded = folded ^ (folded >> 16);
        Slot((folded ^ (folded >> 8)) as u8)
    }
}

/// Where the name of the entity `@name@key` ends, if the id is one of an entity.
fn entity_name_end(id: &str) -> Option<usize> {
    let rest = id.strip_prefix('@')?;
    rest.find('@').map(|end| end + 1)
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for InstanceId {
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}

impl From<String> for InstanceId {
    fn from(id: String) -> Self {
        Self::new(id)
    }
}

/// One of 256 parts of the space of instance ids. Durable identity is by slot and never by
/// partition, so the number of partitions can change without rewriting data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u8);

impl Slot {
    /// How many there are.
    pub const COUNT: usize = 256;
}

/// The number of one execution of an instance: a start, a generation after ContinueAsNew, or a
/// replacement. Never used twice in a store: 23 bits of the lease's epoch over a 40-bit counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run(pub u64);

impl Run {
    /// The lease under which the run began.
    pub fn epoch(self) -> Epoch {
        Epoch((self.0 >> 40) as u32)
    }
}

/// The run of an instance's first generation, which ContinueAsNew and rewind keep.
pub type Birth = Run;

/// Names a work item that is with a worker. Drawn from the same counter as [`Run`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

impl Token {
    /// The lease under which the token was given out.
    pub fn epoch(self) -> Epoch {
        Epoch((self.0 >> 40) as u32)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The number of a lease over slots; a store gives each once, in rising order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The largest epoch: runs keep 23 bits for it.
    pub const MAX: u32 = (1 << 23) - 1;
}

/// The number of a partition within its hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId(pub u32);

/// A place in a store's journal; what lies at or below a settled position is in the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// Names a store; made once, at random, when the store is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId(pub u64);

/// The counter from which runs, tokens and execution ids come.
#[derive(Clone, Debug)]
pub struct Numbers {
    store: StoreId,
    next: u64,
    end: u64,
}

impl Numbers {
    /// The numbers of `epoch`, which no other epoch of the store gives out.
    pub fn new(store: StoreId, epoch: Epoch) -> Self {
        assert!(epoch.0 >= 1 && epoch.0 <= Epoch::MAX, "epoch {} does not fit into 23 bits", epoch.0);
        let start = u64::from(epoch.0) << 40;
        Self { store, next: start + 1, end: start + (1 << 40) }
    }

    fn draw(&mut self) -> u64 {
        assert!(self.next < self.end, "a lease gave out 2^40 numbers; reopen the hub");
        let number = self.next;
        self.next += 1;
        number
    }

    /// A run that no execution had before.
    pub fn run(&mut self) -> Run {
        Run(self.draw())
    }

    /// A token that no work item had before.
    pub fn token(&mut self) -> Token {
        Token(self.draw())
    }

    /// An execution id: 16 hex digits of the store and 16 of a number.
    pub fn execution_id(&mut self) -> String {
        let number = self.draw();
        format!("{:016x}{number:016x}", self.store.0)
    }

    /// Whether an execution id is one that this store has made or will make.
    pub fn is_execution(&self, id: &str) -> bool {
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        id.len() == 32 && id.starts_with(&format!("{:016x}", self.store.0)) && id.bytes().all(hex)
    }

    /// The execution and the action in an id that this hub gives to a child, or could give to one to come.
    /// No instance begins under such an id but a child of that execution, so that one for which its author
    /// left the id to the hub needs no look at what is stored.
    pub fn named_child<'a>(&self, id: &'a InstanceId) -> Option<(&'a str, i32)> {
        let (execution, action) = id.as_str().split_once(':')?;
        let action = u32::from_str_radix(action, 16).ok()?.cast_signed();
        (self.is_execution(execution) && child_id(execution, action) == *id).then_some((execution, action))
    }
}

/// The id that the hub gives to a child for which its author gave none. It is built on the
/// execution and not on the instance, or it would repeat in every generation.
pub fn child_id(parent_execution: &str, action: i32) -> InstanceId {
    InstanceId::new(format!("{parent_execution}:{action:04x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_stand_for_ever() {
        // Stored data depends on these numbers.
        assert_eq!(InstanceId::new("").slot(), InstanceId::new("").slot());
        let known = [("order-1", InstanceId::new("order-1").slot()), ("order-2", InstanceId::new("order-2").slot())];
        assert_ne!(known[0].1, known[1].1);
    }

    #[test]
    fn entity_names_have_one_slot_in_any_case() {
        assert_eq!(InstanceId::new("@Counter@Key").slot(), InstanceId::new("@counter@Key").slot());
        assert_ne!(InstanceId::new("@counter@Key").slot(), InstanceId::new("@counter@key").slot());
    }

    #[test]
    fn slots_are_used_evenly() {
        let mut used = [0u32; Slot::COUNT];
        for n in 0..25_600 {
            used[usize::from(InstanceId::new(format!("order-{n}")).slot().0)] += 1;
        }
        assert!(used.iter().all(|n| (50..200).contains(n)), "{used:?}");
    }

    #[test]
    fn numbers_of_two_epochs_never_meet() {
        let mut first = Numbers::new(StoreId(1), Epoch(1));
        let mut second = Numbers::new(StoreId(1), Epoch(2));
        assert_ne!(first.run(), second.run());
        assert!(first.run().0 < 1 << 63);
        assert_eq!(first.execution_id().len(), 32);
    }

    #[test]
    fn the_ids_that_a_hub_gives_to_children_are_known_from_all_others() {
        let mut numbers = Numbers::new(StoreId(0xab), Epoch(1));
        let execution = numbers.execution_id();
        for action in [0, 1, 0xffff, 0x1_0000, i32::MAX, -1] {
            let id = child_id(&execution, action);
            assert_eq!(numbers.named_child(&id), Some((execution.as_str(), action)), "{id}");
        }
        let others = [
            execution.clone(),
            format!("{execution}:"),
            format!("{execution}:5"),
            format!("{execution}:00005"),
            format!("{execution}:000G"),
            format!("{execution}:000A"),
            format!("{execution}:+005"),
            format!("{execution}:0005:0005"),
            format!("{}:0005", execution.to_uppercase()),
            format!("{}:0005", &execution[1..]),
            format!("{}:0005", Numbers::new(StoreId(0xac), Epoch(1)).execution_id()),
        ];
        for other in others {
            assert_eq!(numbers.named_child(&InstanceId::new(other.as_str())), None, "{other}");
        }
    }
}

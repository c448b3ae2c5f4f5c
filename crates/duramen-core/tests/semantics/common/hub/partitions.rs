//! Partitions: who owns what, and what a crash leaves.

use super::workers::show_token;
use super::*;

impl Hub {
    pub fn owner(&self, slot: Slot) -> PartitionId {
        self.owners[usize::from(slot.0)]
    }

    /// The n-th id that lives in a partition.
    pub fn id_in(&self, partition: u32, n: usize) -> String {
        let ids = (0..).map(|number| format!("i{number}"));
        let mut ids = ids.filter(|id| self.owner(InstanceId::new(id.as_str()).slot()) == PartitionId(partition));
        ids.nth(n).expect("every partition has ids without end")
    }

    pub fn partitions(&self) -> usize {
        self.partitions.len()
    }

    pub fn partition(&self, id: u32) -> &Partition {
        &self.partitions[&PartitionId(id)]
    }

    /// An instance as it is stored.
    pub fn stored(&self, id: &str) -> Option<Image> {
        self.backend.settle_now();
        durable(&self.backend, &self.events, id.into())
    }

    /// The process dies and the store is opened again by another.
    pub fn crash(&mut self) {
        // What is durable was answered: a client whose answer got lost would have to look, not ask again.
        while let Some(event) = self.events.lock().map(|mut events| take_appended(&mut events)).expect("no panics") {
            if let Event::Appended { partition, epoch, number, position } = event {
                self.committed(partition, epoch, number, position);
            }
        }
        self.crashes += 1;
        assert!(self.crashes < 2_000, "the hub makes no progress between crashes");
        self.reopen(self.partitions.len());
    }

    /// Opens the store with this many partitions. Mail that has left arrives; all else that was only
    /// in memory is gone, and clients ask again.
    pub fn reopen(&mut self, count: usize) {
        self.owners = (0..Slot::COUNT).map(|slot| PartitionId((slot % count) as u32)).collect();
        self.dispatcher = Dispatcher::new();
        let left = std::mem::take(&mut self.queue);
        let is_mail = |input: &Input| matches!(input, Input::Message(..) | Input::Acknowledged(..));
        let mail: Vec<Input> = left.into_iter().map(|(_, input)| input).filter(is_mail).collect();
        self.jobs.clear();
        self.partitions.clear();
        let ids: Vec<PartitionId> = (0..count as u32).map(PartitionId).collect();
        let owners = self.owners.clone();
        let slots_of = |id: PartitionId| -> Vec<Slot> {
            (0..=255).map(Slot).filter(|slot| owners[usize::from(slot.0)] == id).collect()
        };
        ids.iter().for_each(|id| self.backend.acquire(*id, slots_of(*id)));
        while self.mode == Mode::Slow && self.backend.step() {}
        // What the last owner has not heard it will not hear.
        let said = std::mem::take(&mut *self.events.lock().expect("no test panics in here"));
        for event in said {
            let Event::Acquired { partition: id, epoch, store, outstanding } = event else { continue };
            let config = Config { id, epoch, store, slots: slots_of(id), settings: self.settings.clone() };
            self.dispatcher.opened(id, epoch, self.now);
            let (partition, out) = Partition::open(config, *outstanding, self.now);
            self.partitions.insert(id, partition);
            self.route(id, out);
        }
        assert_eq!(self.partitions.len(), count, "leases are given at once");
        for (id, worker) in &mut self.workers {
            worker.sessions.clear();
            self.dispatcher.join(*id, worker.announcement.clone());
            show_token(&mut self.dispatcher, *id);
        }
        for input in mail {
            let slot = match &input {
                Input::Message(mark, _) => mark.target,
                Input::Acknowledged(mark) => mark.source,
                _ => unreachable!("only mail is kept"),
            };
            self.queue.push_back((self.owner(Slot(slot as u8)), input));
        }
        let again: Vec<(RequestId, Request)> = self.open.iter().map(|(id, request)| (*id, request.clone())).collect();
        for (id, request) in again {
            self.queue.push_back((self.owner(request.instance().slot()), Input::Request(id, request)));
        }
        self.grant();
        for id in ids {
            self.cut(id, self.now);
        }
    }
}

//! Actions that the code has asked for and that are neither in the history nor with the hub.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use duramen_proto::OrchestratorAction;
use duramen_proto::orchestrator_action::OrchestratorActionType;

/// Actions by id. Ids are handed out in order, so a ring with holes does what a map would, without
/// its cost for each entry.
#[derive(Debug, Default)]
pub(super) struct Pending {
    first: i32,
    actions: VecDeque<Option<OrchestratorActionType>>,
    count: usize,
}

impl Pending {
    /// Adds an action, whose id is higher than any before.
    pub(super) fn push(&mut self, id: i32, action: OrchestratorActionType) {
        if self.actions.is_empty() {
            self.first = id;
        }
        let at = self.index(id).expect("ids only grow");
        while self.actions.len() < at {
            self.actions.push_back(None);
        }
        self.actions.push_back(Some(action));
        self.count += 1;
    }

    pub(super) fn get(&self, id: i32) -> Option<&OrchestratorActionType> {
        self.actions.get(self.index(id)?)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: i32) -> Option<&mut OrchestratorActionType> {
        let at = self.index(id)?;
        self.actions.get_mut(at)?.as_mut()
    }

    pub(super) fn take(&mut self, id: i32) -> Option<OrchestratorActionType> {
        let at = self.index(id)?;
        let action = self.actions.get_mut(at)?.take()?;
        self.count -= 1;
        while self.actions.front().is_some_and(Option::is_none) {
            self.actions.pop_front();
            self.first += 1;
        }
        Some(action)
    }

    /// All of them in order of their ids.
    pub(super) fn drain(&mut self, room: usize) -> Vec<OrchestratorAction> {
        let mut out = Vec::with_capacity(self.count + room);
        let first = self.first;
        let numbered = self.actions.drain(..).zip(first..);
        out.extend(numbered.filter_map(|(action, id)| {
            action.map(|action| OrchestratorAction { id, orchestrator_action_type: Some(action) })
        }));
        self.count = 0;
        out
    }

    pub(super) fn clear(&mut self) {
        self.actions.clear();
        self.count = 0;
    }

    fn index(&self, id: i32) -> Option<usize> {
        usize::try_from(id.checked_sub(self.first)?).ok()
    }
}

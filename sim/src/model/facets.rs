//! What was true of an id at which moment, for replies.

use super::{Instance, State};

/// Something that was true of an id at a moment; for replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facet {
    pub(crate) exists: bool,
    pub(crate) ended: bool,
    pub(crate) suspended: bool,
    pub(crate) status: i32,
    pub(crate) birth: u64,
}

pub(super) const NOBODY: Facet = Facet { exists: false, ended: false, suspended: false, status: -1, birth: 0 };

impl State {
    pub(crate) fn instance(&self, id: &str) -> Option<&Instance> {
        self.by_id.get(id).and_then(|birth| self.instances.get(birth))
    }

    pub(super) fn facet(&self, id: &str) -> Facet {
        self.instance(id).map_or(NOBODY, |instance| Facet {
            exists: true,
            ended: instance.tail.completed.is_some(),
            suspended: instance.tail.suspended,
            status: instance.tail.status,
            birth: instance.head.birth,
        })
    }

    pub(super) fn note(&mut self, id: &str, facet: Facet) {
        self.ever.sequence += 1;
        let log = self.ever.facets.entry(id.to_owned()).or_default();
        if log.last().is_none_or(|(_, last)| *last != facet) {
            log.push((self.ever.sequence, facet));
        }
    }

    /// What was true of an id at any moment since `since`.
    pub(crate) fn facets_since(&self, id: &str, since: u64) -> Vec<Facet> {
        let Some(log) = self.ever.facets.get(id) else { return vec![NOBODY] };
        let first = log.partition_point(|(at, _)| *at <= since);
        let before = if first == 0 { NOBODY } else { log[first - 1].1 };
        std::iter::once(before).chain(log[first..].iter().map(|(_, facet)| *facet)).collect()
    }
}

//! What is durable and not yet in the tables.

use super::{Damage, Tables};
use duramen_core::checkpoint::Checkpoint;
use duramen_core::ids::Position;
use std::collections::VecDeque;

/// Tables and the durable checkpoints that wait to be folded into them, in journal order.
#[derive(Default)]
pub struct Settling {
    tables: Tables,
    waiting: VecDeque<(Position, Checkpoint)>,
    settled: Position,
}

impl Settling {
    /// Takes a checkpoint that is durable at this position. Positions do not fall.
    pub fn durable(&mut self, position: Position, checkpoint: Checkpoint) {
        debug_assert!(self.waiting.back().is_none_or(|(last, _)| *last <= position) && self.settled <= position);
        self.waiting.push_back((position, checkpoint));
    }

    /// Folds everything up to and with this position, and says up to where the tables stand.
    pub fn settle(&mut self, position: Position) -> Result<Position, Damage> {
        while let Some((at, checkpoint)) = self.waiting.pop_front_if(|(at, _)| *at <= position) {
            self.tables.fold(checkpoint)?;
            self.settled = at;
        }
        Ok(self.settled)
    }

    /// Folds everything that is durable.
    pub fn settle_all(&mut self) -> Result<Position, Damage> {
        self.settle(Position(u64::MAX))
    }

    /// The position that the tables stand for.
    pub fn settled(&self) -> Position {
        self.settled
    }

    /// How many checkpoints wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The rows, as settled.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }
}

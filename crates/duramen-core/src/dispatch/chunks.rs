//! A queue that may be very long: it grows without moving what is in it, and what it holds no more it gives back.

use alloc::collections::VecDeque;

/// Entries of a chunk.
const CHUNK: usize = 256;

/// First in, first out.
#[derive(Debug)]
pub(super) struct Chunks<T> {
    /// None is empty, unless it is the only one.
    chunks: VecDeque<VecDeque<T>>,
    len: usize,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self { chunks: VecDeque::new(), len: 0 }
    }
}

impl<T> Chunks<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn front(&self) -> Option<&T> {
        self.chunks.front()?.front()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten()
    }

    pub(super) fn push_back(&mut self, entry: T) {
        self.len += 1;
        if let Some(last) = self.chunks.back_mut()
            && last.len() < CHUNK
        {
            return last.push_back(entry);
        }
        // Most queues are short: the first chunk grows as it is filled.
        let room = if self.chunks.is_empty() { 1 } else { CHUNK };
        let mut chunk = VecDeque::with_capacity(room);
        chunk.push_back(entry);
        self.chunks.push_back(chunk);
    }

    pub(super) fn pop_front(&mut self) -> Option<T> {
        let first = self.chunks.front_mut()?;
        let entry = first.pop_front()?;
        self.len -= 1;
        if first.is_empty() && self.chunks.len() > 1 {
            self.chunks.pop_front();
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn what_goes_in_comes_out_in_order() {
        let mut queue = Chunks::default();
        let (mut pushed, mut popped) = (0, 0);
        // Longer and shorter by turns, through several chunks and down to nothing.
        for (pushes, pops) in [(3, 3), (CHUNK, 1), (5 * CHUNK, 2 * CHUNK), (0, 3 * CHUNK), (1, 0), (2 * CHUNK, CHUNK)] {
            (0..pushes).for_each(|n| queue.push_back(pushed + n));
            pushed += pushes;
            assert_eq!(queue.iter().copied().collect::<Vec<_>>(), (popped..pushed).collect::<Vec<_>>());
            for _ in 0..pops.min(queue.len()) {
                assert_eq!(queue.front(), Some(&popped));
                assert_eq!(queue.pop_front(), Some(popped));
                popped += 1;
            }
            assert_eq!(queue.len(), pushed - popped);
        }
        while queue.pop_front().is_some() {}
        assert_eq!((queue.len(), queue.front(), queue.iter().count()), (0, None, 0));
    }

    #[test]
    fn a_queue_that_was_long_gives_back_its_room() {
        let mut queue = Chunks::default();
        (0..100 * CHUNK).for_each(|n| queue.push_back(n));
        assert!(queue.chunks.iter().all(|chunk| chunk.capacity() <= CHUNK), "nothing is kept free ahead");
        while queue.pop_front().is_some() {}
        assert_eq!(queue.chunks.len(), 1);
    }
}

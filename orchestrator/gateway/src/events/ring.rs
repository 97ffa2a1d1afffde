//! The last frames of a stream of events, bounded. Pure.

use std::collections::VecDeque;

use bytes::Bytes;

/// Frames that are kept for whoever comes a moment later.
const FRAMES_MAX: usize = 4_096;

/// And their bytes: so much per workflow that is watched, at most.
const FRAMES_MAX_BYTES: usize = 2 * 1024 * 1024;

/// Given at once: what a socket takes without waiting.
const TAKEN_MAX: usize = 64;

/// One event as it goes over the wire. Everybody who watches sends the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Of the decision in the log's stream.
    pub(crate) sequence: u64,
    pub(crate) bytes: Bytes,
}

/// The frames of every decision after some place, in order.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    frames: VecDeque<Frame>,
    size_bytes: usize,
    /// Everything after this sequence is here.
    complete_after: u64,
    newest: u64,
}

/// What is there for somebody.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// These, in order; perhaps not all.
    Frames(Vec<Frame>),
    /// Nothing new.
    Nothing,
    /// What comes next is not kept any more: read the log.
    Behind,
}

impl Ring {
    /// Everything after a place in the log, of which nothing is here yet.
    pub(crate) fn from(sequence: u64) -> Self {
        Self { complete_after: sequence, newest: sequence, ..Self::default() }
    }

    /// The last sequence that is known.
    pub(crate) fn newest(&self) -> u64 {
        self.newest
    }

    /// One more. What is no newer than the last one is known already.
    pub(crate) fn push(&mut self, frame: Frame) {
        if frame.sequence <= self.newest {
            return;
        }
        self.newest = frame.sequence;
        self.size_bytes += frame.bytes.len();
        self.frames.push_back(frame);
        while self.frames.len() > FRAMES_MAX || self.size_bytes > FRAMES_MAX_BYTES {
            let Some(oldest) = self.frames.pop_front() else { break };
            self.size_bytes -= oldest.bytes.len();
            self.complete_after = oldest.sequence;
        }
    }

    /// What follows for somebody who has everything up to a sequence.
    pub(crate) fn after(&self, sequence: u64) -> Next {
        if sequence >= self.newest {
            return Next::Nothing;
        }
        if sequence < self.complete_after {
            return Next::Behind;
        }
        let first = self.frames.partition_point(|frame| frame.sequence <= sequence);
        let frames: Vec<Frame> = self.frames.iter().skip(first).take(TAKEN_MAX).cloned().collect();
        if frames.is_empty() { Next::Nothing } else { Next::Frames(frames) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(sequence: u64, size: usize) -> Frame {
        Frame { sequence, bytes: vec![b'.'; size].into() }
    }

    fn sequences(next: Next) -> Vec<u64> {
        let Next::Frames(frames) = next else { panic!("{next:?}") };
        frames.iter().map(|frame| frame.sequence).collect()
    }

    #[test]
    fn everybody_gets_what_follows_their_place_once() {
        let mut ring = Ring::from(10);
        assert_eq!(ring.after(10), Next::Nothing);
        assert_eq!(ring.after(3), Next::Behind, "the log knows what was between");
        for sequence in [12, 15, 15, 14, 20] {
            ring.push(frame(sequence, 1));
        }
        assert_eq!(sequences(ring.after(10)), [12, 15, 20]);
        assert_eq!(sequences(ring.after(13)), [15, 20]);
        assert_eq!(ring.after(20), Next::Nothing);
        assert_eq!(ring.after(99), Next::Nothing);
        assert_eq!(ring.after(9), Next::Behind);
    }

    #[test]
    fn it_keeps_no_more_than_its_bounds() {
        let mut ring = Ring::from(0);
        for sequence in 1..=FRAMES_MAX as u64 + 10 {
            ring.push(frame(sequence, 1));
        }
        assert_eq!(ring.after(9), Next::Behind);
        assert_eq!(sequences(ring.after(10)).len(), TAKEN_MAX);
        let mut ring = Ring::from(0);
        for sequence in 1..=5 {
            ring.push(frame(sequence, FRAMES_MAX_BYTES / 3));
        }
        assert_eq!(sequences(ring.after(2)), [3, 4, 5]);
        ring.push(frame(6, FRAMES_MAX_BYTES + 1));
        assert_eq!((ring.after(5), ring.newest()), (Next::Behind, 6), "too large to be kept");
    }
}

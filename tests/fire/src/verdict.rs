//! What came of a round: the book compared with the logs. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use deadelus_core::Ending;
use deadelus_proto::pb::Direction;

use crate::{
    book::Line,
    follow::{Tale, Tales},
    load::Started,
    plans::Story,
};

/// Of what went wrong, that a person reads.
const SHOWN_MAX: usize = 20;

/// What a round was like.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Everything that must not be, in words; empty when all went well.
    pub wrong: Vec<String>,
    /// How often each accident happened.
    pub accidents: BTreeMap<String, usize>,
    /// Processes that gave up and were started again.
    pub gave_up: usize,
    /// The story of the workflow that stood still longest.
    pub longest: String,
    endings: BTreeMap<String, usize>,
    made: u64,
    removed: u64,
    again: u64,
    late: u64,
    ignored: u64,
    silence_ms: i64,
    /// Of each workflow, its longest, in order; with what it waited for.
    stalls: Vec<(i64, String)>,
}

impl Verdict {
    /// Compares what was started, what the log tells and what is in the book.
    pub fn of(started: &[Started], tales: &Tales, book: &[Line]) -> Self {
        let mut verdict = Self { silence_ms: tales.silence_ms, ..Self::default() };
        let lines: BTreeMap<&str, &Line> = book.iter().map(|l| (l.key.as_str(), l)).collect();
        let mut known = BTreeSet::new();
        for one in started {
            let keys = one.story.keys(one.id.as_str());
            let there = keys.iter().filter(|k| lines.get(k.as_str()).is_some_and(|l| l.there()));
            verdict.judge(one, tales.of.get(&one.id), there.count(), keys.len());
            known.extend(keys);
        }
        for line in book {
            verdict.made += u64::from(line.made);
            verdict.removed += u64::from(line.removed);
            verdict.again += u64::from(line.again);
            if line.made > line.removed + 1 {
                verdict.wrong.push(format!("{} is there twice: {line:?}", line.key));
            }
            if !known.contains(&line.key) {
                verdict.wrong.push(format!("{} is of nobody", line.key));
            }
        }
        verdict.stalls.sort();
        let tales = started.iter().filter_map(|one| tales.of.get(&one.id).map(|t| (&one.id, t)));
        if let Some((id, tale)) = tales.max_by_key(|(_, tale)| tale.stall_ms) {
            let line = |(ms, what): &(i64, String)| format!("{ms:>7} ms  {what}\n");
            verdict.longest = format!("{id}\n{}", tale.told.iter().map(line).collect::<String>());
        }
        verdict
    }

    fn judge(&mut self, one: &Started, tale: Option<&Tale>, there: usize, all: usize) {
        let id = &one.id;
        let Some(tale) = tale else {
            return self.wrong.push(format!("{id} was started and nobody knows of it"));
        };
        self.late += u64::from(tale.late);
        self.ignored += u64::from(tale.ignored);
        let accepted = (tale.accepted_ms - one.sent_ms, format!("{id} was accepted"));
        let later = (tale.stall_ms, format!("{id}: {}", tale.stalled_before));
        self.stalls.push(accepted.max(later));
        if tale.damaged() {
            self.wrong.push(format!("{id}: {}", tale.state()));
        }
        let Some(ending) = one.ending else {
            return self.wrong.push(format!(
                "{id} ({:?}) did not end: {}",
                one.story,
                tale.state()
            ));
        };
        *self.endings.entry(ending.to_string()).or_default() += 1;
        if !may_end(one.story, ending) {
            self.wrong.push(format!("{id} ({:?}) ended {ending}", one.story));
        }
        let wanted = if ending == Ending::Done { all } else { 0 };
        if there != wanted {
            let what = format!("{id} ended {ending} with {there} of {all} effects");
            self.wrong.push(what);
        }
        for ((task, direction), times) in &tale.done {
            if *times > 1 && *direction == Direction::Do && tale.late == 0 {
                self.wrong.push(format!("{id}: {task} was done {times} times"));
            }
        }
    }

    fn stall(&self, share: f64) -> i64 {
        let last = self.stalls.len().saturating_sub(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a short list"
        )]
        let at = (last as f64 * share) as usize;
        self.stalls.get(at).map_or(0, |(ms, _)| *ms)
    }
}

fn may_end(story: Story, ending: Ending) -> bool {
    match story {
        Story::Chain | Story::Wide => ending == Ending::Done,
        Story::Refused | Story::Undone => ending == Ending::Undone,
        // The word may come too late, or before it has begun.
        Story::Cancelled => matches!(ending, Ending::Cancelled | Ending::Undone | Ending::Done),
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = |all: &BTreeMap<String, usize>| -> String {
            all.iter().map(|(what, n)| format!("{n} {what}")).collect::<Vec<_>>().join(", ")
        };
        let seconds = |ms: i64| format!("{}.{} s", ms / 1_000, ms % 1_000 / 100);
        writeln!(f, "| accidents | {} |", counted(&self.accidents))?;
        writeln!(f, "|---|---|")?;
        writeln!(f, "| processes that gave up and were started again | {} |", self.gave_up)?;
        writeln!(f, "| workflows ended | {} |", counted(&self.endings))?;
        writeln!(f, "| effects made / removed | {} / {} |", self.made, self.removed)?;
        writeln!(f, "| asked for again while there | {} |", self.again)?;
        writeln!(f, "| late effects, taken back | {} |", self.late)?;
        writeln!(f, "| stored decisions that do not count | {} |", self.ignored)?;
        let of = [0.5, 0.99].map(|share| seconds(self.stall(share)));
        let longest = self.stalls.last().cloned().unwrap_or_default();
        let (most, what) = (seconds(longest.0), longest.1);
        writeln!(
            f,
            "| longest stall of a workflow: p50, p99, most | {}, {}, {most} before {what} |",
            of[0], of[1]
        )?;
        writeln!(f, "| nobody decided anything for | {} |", seconds(self.silence_ms))?;
        writeln!(f, "| lost, doubled, never ended | {} |", self.wrong.len())?;
        for wrong in self.wrong.iter().take(SHOWN_MAX) {
            writeln!(f, "wrong: {wrong}")?;
        }
        Ok(())
    }
}

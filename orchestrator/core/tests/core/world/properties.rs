//! What holds after every event, told from outside: from the events, not from the rules.

use std::collections::BTreeSet;

use deadelus_core::{
    Attempt, Chain, CheckedPlan, Command, Event, Gate, Link, Progress, Step, TaskStatus, Workflow,
};
use deadelus_proto::{Direction, Effect, TaskId};

#[derive(Default)]
pub(crate) struct Properties {
    decisions: Vec<(i64, Vec<Event>)>,
    /// Asked and not answered, by the events alone.
    asked: BTreeSet<(TaskId, Direction, u32)>,
    taking_back: bool,
    approved: bool,
    /// By the events alone: a person's word, and the tasks whose tries are used up.
    paused: bool,
    held: BTreeSet<TaskId>,
}

impl Properties {
    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.decisions.iter().flat_map(|(_, events)| events)
    }

    /// The events of one task, one per line.
    pub(crate) fn story(&self, task: &TaskId) -> String {
        let named = format!("{task:?}");
        let told = self.events().map(|event| format!("{event:?}"));
        told.filter(|told| told.contains(&named)).collect::<Vec<_>>().join("\n")
    }

    /// Folds a decision event by event, looking after each.
    pub(crate) fn hold(
        &mut self,
        before: Option<&Workflow>,
        after: &Workflow,
        step: &Step,
        plan: &CheckedPlan,
    ) {
        let mut state = before.cloned();
        for event in &step.events {
            if let Some(state) = &state {
                self.may_follow(state, event, plan);
            }
            match &mut state {
                Some(state) => state.apply(event, step.at_unix_ms).unwrap(),
                None => {
                    let id = after.id().clone();
                    state = Some(Workflow::begin(id, event, step.at_unix_ms).unwrap());
                }
            }
            self.remember(event, plan);
            self.asked_is_outstanding(state.as_ref().unwrap());
        }
        assert_eq!(state.as_ref(), Some(after), "the fold of the events is the state");
        self.one_holder_per_lock(after);
        let stands_still = self.paused || !self.held.is_empty();
        assert_eq!(after.pause().is_some(), stands_still && after.ended().is_none());
        assert_eq!(after.why().is_empty(), after.ended().is_some(), "{after:#?}");
        self.decisions.push((step.at_unix_ms, step.events.clone()));
    }

    /// The log alone leads to the same state, through the messages of the wire.
    pub(crate) fn replay(&self, workflow: &Workflow) {
        let mut chain = Chain::new(workflow.id().clone());
        for (n, (at, events)) in self.decisions.iter().filter(|(_, e)| !e.is_empty()).enumerate() {
            let entry = chain.next(n.to_string(), "one".into(), "test".into(), *at, events.clone());
            assert_eq!(chain.read(n as u64 + 1, &entry.bytes), Link::Accepted);
        }
        assert_eq!(chain.workflow(), Some(workflow));
    }

    fn may_follow(&self, state: &Workflow, event: &Event, plan: &CheckedPlan) {
        assert!(state.ended().is_none() || self.reopens(event), "after the end: {event:?}");
        let Event::TaskRequested { attempt: Attempt { task, direction, .. }, .. } = event else {
            return;
        };
        let (spec, asked) = state.task(task).unwrap();
        assert!(!asked.is_inherited, "{task} is an earlier workflow's");
        match direction {
            Direction::Do => {
                assert!(!self.taking_back, "{task} starts while everything is taken back");
                let stands_still = self.paused || !self.held.is_empty();
                assert!(!stands_still, "{task} starts while it is paused");
                assert!(self.approved || !state.gates().contains_key(&Gate::Plan), "not approved");
                let gate = state.gates().get(&Gate::Task(task.clone()));
                let passed = gate.is_some_and(|g| matches!(g.decision, Some((true, ..))));
                assert!(spec.gate.is_none() || passed, "{task} starts before its gate");
                for need in spec.needs.iter().map(|n| &plan.tasks()[*n]) {
                    let (_, need_state) = state.task(&need.id).unwrap();
                    assert!(need_state.is_settled(), "{task} starts before {}", need.id);
                    let done = need_state.status() == TaskStatus::Done || need_state.is_left_out();
                    assert!(spec.when.is_some() || done, "{task} stands on {}", need.id);
                }
            }
            Direction::Undo => {
                // Nothing stands on what a person went on without.
                if state.task(task).unwrap().1.is_left_out() {
                    return;
                }
                let position = plan.position(task).unwrap();
                for (other, other_state) in state.tasks() {
                    let alike = self.taking_back || other.scope == spec.scope;
                    if alike && stands_on(plan, other.id.as_str(), position) {
                        let done = matches!(other_state.progress, Progress::Done(_));
                        let left = matches!(
                            other_state.status(),
                            TaskStatus::Done | TaskStatus::Undoing | TaskStatus::Stuck
                        );
                        let counts = other.effect.changes() && other.effect != Effect::Pivot;
                        assert!(!(done && left && counts), "{} stands on {task}", other.id);
                    }
                }
            }
        }
    }

    fn reopens(&self, event: &Event) -> bool {
        matches!(
            event,
            Event::LateEffect { .. } | Event::TakeBackOrdered { .. } | Event::UndoRecorded { .. }
        )
    }

    fn remember(&mut self, event: &Event, plan: &CheckedPlan) {
        if let Event::TaskDone { attempt, .. } = event {
            self.held.remove(&attempt.task);
        }
        match event {
            Event::ScopeClosing { scope, .. } => {
                let of = |task: &TaskId| plan.plan().tasks[task.as_str()].scope.as_ref();
                self.held.retain(|task| of(task) != Some(scope));
            }
            Event::TaskRequested { attempt: a, .. } => {
                assert!(self.asked.insert((a.task.clone(), a.direction, a.number)));
            }
            Event::TaskDone { attempt: a, .. }
            | Event::TaskFailed { attempt: a, .. }
            | Event::TaskTimedOut { attempt: a } => {
                self.asked.retain(|(task, way, _)| (task, way) != (&a.task, &a.direction));
            }
            Event::LateEffect { task, .. } => self.forget_undo(task),
            Event::TakeBackOrdered { .. } => {
                self.taking_back = true;
                self.paused = false;
                self.held.clear();
            }
            Event::Paused { .. } => self.paused = true,
            Event::Resumed { .. } => {
                self.paused = false;
                self.held.clear();
            }
            Event::TaskHeld { task, .. } => assert!(self.held.insert(task.clone())),
            Event::TaskRetried { task, .. } | Event::TaskSkipped { task, .. } => {
                self.held.remove(task);
            }
            Event::GateDecided { gate: Gate::Plan, approved, .. } => self.approved = *approved,
            Event::UndoRecorded { .. }
            | Event::Accepted { .. }
            | Event::TaskInherited { .. }
            | Event::GateOpened { .. }
            | Event::GateDelegated { .. }
            | Event::GateDecided { .. }
            | Event::SlotsAwaited { .. }
            | Event::RetryScheduled { .. }
            | Event::ScopeClosed { .. }
            | Event::StuckRetried { .. }
            | Event::StuckResolved { .. }
            | Event::Ended { .. } => {}
        }
    }

    fn forget_undo(&mut self, task: &TaskId) {
        self.asked.retain(|(t, way, _)| (t, *way) != (task, Direction::Undo));
    }

    fn asked_is_outstanding(&mut self, state: &Workflow) {
        let outstanding: BTreeSet<_> = state
            .outstanding()
            .into_iter()
            .filter_map(|command| match command {
                Command::Dispatch(key) => Some((key.task, key.direction, key.attempt)),
                Command::WakeAt(_) => None,
            })
            .collect();
        assert_eq!(outstanding, self.asked);
    }

    fn one_holder_per_lock(&self, state: &Workflow) {
        let mut held = BTreeSet::new();
        for (task, ..) in &self.asked {
            let (spec, _) = state.task(task).unwrap();
            for lock in &spec.locks {
                assert!(held.insert(lock), "two hold {lock}");
            }
        }
    }
}

fn stands_on(plan: &CheckedPlan, task: &str, ground: usize) -> bool {
    let spec = plan.task(&task.parse().unwrap()).unwrap();
    spec.needs.iter().any(|n| *n == ground || stands_on(plan, plan.tasks()[*n].id.as_str(), ground))
}

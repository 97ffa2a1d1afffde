//! What a person can type now to move a workflow on. Pure: a state in, commands out.

use deadelus_core::{Progress, TaskStatus, Workflow};

/// The commands, each with what it does; none while nobody has to do anything.
pub fn ways_out(workflow: &Workflow) -> Vec<String> {
    let id = workflow.id();
    let mut ways = vec![];
    for (gate, _) in workflow.open_gates() {
        ways.push(format!("deadelus approve {id} --gate {gate} --reason …"));
        ways.push(format!("deadelus reject {id} --gate {gate} --reason …"));
        ways.push(format!("deadelus delegate {id} --gate {gate} --to NAME"));
    }
    for (spec, task) in workflow.tasks() {
        let task_id = &spec.id;
        if matches!(task.progress, Progress::Held(_)) {
            ways.push(format!("deadelus retry {id} --task {task_id}"));
            ways.push(format!("deadelus skip {id} {task_id} --reason …"));
        }
        if task.status() == TaskStatus::Stuck {
            ways.push(format!(
                "deadelus resolve {id} {task_id} --reason …   once it is taken back by hand"
            ));
        }
    }
    if workflow.tasks().any(|(_, task)| task.status() == TaskStatus::Stuck) {
        ways.push(format!("deadelus retry {id}   tries the failed undo again"));
    }
    if let Some(pause) = workflow.pause() {
        let what = if pause.by.is_empty() { "tries again what is held" } else { "goes on" };
        ways.push(format!("deadelus resume {id}   {what}"));
        ways.push(format!("deadelus cancel {id}   takes back what it did"));
    }
    ways
}

use super::{
    criteria::{Kind, Verdict},
    *,
};
use crate::fixture;

fn report() -> Report {
    Report::of(&fixture::told(), &Stored::new()).unwrap()
}

#[test]
fn what_is_kept_and_what_was_taken_back_are_told_apart() {
    let report = report();
    assert_eq!(report.status, "done");
    let tasks = |changes: &[Change]| changes.iter().map(|c| c.task.clone()).collect::<Vec<_>>();
    assert_eq!(tasks(&report.kept), ["index1"]);
    assert_eq!(tasks(&report.taken_back), ["index2"]);
    assert!(report.taken_back[0].is_gone);
    assert!(report.taken_back[0].reason.contains("40 % slower"), "{:?}", report.taken_back);
    assert!(report.budget.as_ref().is_some_and(|b| b.met));
    assert_eq!(report.undo, "deadelus undo wf-1");
    assert_eq!(report.trace_id, "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(
        report.incidents,
        ["measure1 was handed out 2 times: a worker was lost or restarted"]
    );
}

#[test]
fn the_last_measurement_of_what_stands_counts() {
    let report = report();
    let p95 = report.figures.iter().find(|f| f.name == "checkout p95").unwrap();
    assert_eq!((p95.before, p95.after), (400.0, Some(20.0)), "19 ms were taken back");
    assert_eq!(
        report.outcome,
        "One change is kept: CREATE INDEX i1 ON order_line (order_id). checkout p95: 400 ms → \
         20.0 ms. The budget is met. The criterion of its plan is met; 2 did not come to bear."
    );
}

#[test]
fn undone_later_nothing_stands_and_each_change_keeps_its_own_reason() {
    let report = Report::of(&fixture::undone(), &Stored::new()).unwrap();
    assert_eq!(report.status, "undone");
    assert!(report.kept.is_empty() && report.undo.is_empty());
    assert!(report.budget.is_some_and(|budget| !budget.met), "what met it is gone");
    let reasons: Vec<_> = report.taken_back.iter().map(|c| (&*c.task, &*c.reason)).collect();
    assert_eq!(reasons[0], ("index1", "ada: not wanted"));
    assert!(reasons[1].0 == "index2" && reasons[1].1.contains("40 % slower"), "{reasons:?}");
    assert!(report.figures.iter().all(|f| f.after.is_none()), "nothing measured stands");
}

#[test]
fn the_text_fits_eighty_columns() {
    let text = report().text(Term::plain(80));
    assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
    let parts = [
        "Before and after",
        "-95 %",
        "What was tried and taken back",
        "83 % missing index",
        "deadelus undo wf-1",
    ];
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
}

#[test]
fn what_came_from_elsewhere_is_no_markup() {
    let mut report = report();
    report.request = "<script>alert(1)</script> | # [x](y)".to_owned();
    let html = report.html();
    assert!(!html.contains("<script"), "{html}");
    assert!(html.contains("&lt;script&gt;") && html.contains("<svg"), "{html}");
    let markdown = report.markdown();
    assert!(markdown.contains("\\<script\\>") && markdown.contains("\\[x\\](y)"), "{markdown}");
}

#[test]
fn before_anything_is_decided_nothing_is_claimed() {
    let story = fixture::Story::begin();
    let report = Report::of(story.history(), &Stored::new()).unwrap();
    assert!(report.kept.is_empty() && report.undo.is_empty() && report.figures.is_empty());
    assert!(report.outcome.contains("waits for the approval"), "{}", report.outcome);
}

#[test]
fn every_criterion_stands_beside_what_was_measured() {
    let report = report();
    let verdicts: Vec<_> = report.criteria.iter().map(|c| c.verdict).collect();
    assert_eq!(verdicts, [Verdict::Met, Verdict::GivenUp, Verdict::NotNeeded]);
    let criterion = &report.criteria[0];
    assert_eq!(criterion.criterion, "p95 of the reading requests is within 50 ms");
    assert_eq!((criterion.kind, criterion.verdict), (Kind::Success, Verdict::Met));
    assert_eq!((&*criterion.checked_by, &*criterion.checks[0].check), ("budget", "as_asked"));
    // What met it is gone, and it says so.
    let report = Report::of(&fixture::undone(), &Stored::new()).unwrap();
    assert_eq!(report.criteria[0].verdict, Verdict::TakenBack);
    assert!(report.outcome.ends_with(
        "not wanted. Before that the criterion of its plan was met; 2 did not come to bear."
    ));
    // Before it comes to that nothing is claimed.
    let report = Report::of(fixture::Story::begin().history(), &Stored::new()).unwrap();
    assert_eq!(report.criteria[0].verdict, Verdict::NotMeasured);
    assert!(!report.outcome.contains("criterion"), "{}", report.outcome);
}

#[test]
fn the_sections_of_the_plan_stand_beside_what_happened() {
    let report = report();
    let step = |task: &str| report.tasks.iter().find(|step| step.task == task).unwrap();
    let kept = step("index1");
    assert_eq!((&*kept.status, kept.tries, &*kept.by), ("done", 1, "db-7f3a"));
    assert_eq!((kept.took_ms, kept.checks_passed, kept.checks), (2_400, 1, 1));
    assert_eq!(step("index2").status, "undone");
    assert!(step("compare2").note.contains("40 % slower"), "{:?}", step("compare2"));
    let crew = report.specialists.iter().find(|crew| crew.specialist == "db").unwrap();
    assert_eq!((crew.tasks, crew.done, &crew.roles[..]), (2, 2, &["DB Admin".to_owned()][..]));
    assert_eq!(crew.busy_ms, 3 * 2_400, "two were done and one taken back");
    let phases: Vec<_> = report.phases.iter().map(|p| (&*p.milestone, p.state)).collect();
    let both = [("Today is known", "reached"), ("A change is kept or taken back", "reached")];
    assert_eq!(phases, both);
    assert_eq!(report.risks[0].impact, "high");
    let ways: Vec<_> = report.ways_back.iter().map(|way| (&*way.task, &*way.happened)).collect();
    let both = [("index1", "not used: it stands"), ("index2", "taken back, nothing is left")];
    assert_eq!(ways, both);
}

#[test]
fn what_was_not_approved_like_that_is_a_deviation() {
    let told = report().deviations;
    let [round] = &told[..] else { panic!("{told:?}") };
    assert!(round.starts_with("Round 2 was taken back, as the plan provides for: "), "{round}");
    let undone = Report::of(&fixture::undone(), &Stored::new()).unwrap();
    let by_ada = "the whole was ordered back by ada: not wanted".to_owned();
    assert!(undone.deviations.contains(&by_ada), "{:?}", undone.deviations);
    assert!(undone.phases.iter().all(|phase| phase.state == "taken back"));
}

#[test]
fn what_never_came_to_run_is_told_once() {
    let report = Report::of(&fixture::rejected(), &Stored::new()).unwrap();
    let [one] = &report.deviations[..] else { panic!("{:?}", report.deviations) };
    assert!(one.starts_with("measure0, diagnose1, ") && one.contains(" did not run: "), "{one}");
    assert!(report.phases.iter().all(|phase| phase.state != "reached"), "{:?}", report.phases);
    assert_eq!(report.criteria[0].verdict, Verdict::NotMeasured);
}

#[test]
fn what_one_forwards_has_the_whole_plan_and_the_drawing() {
    let report = report();
    let (html, markdown) = (report.html(), report.markdown());
    for title in ["Success", "Tasks", "Specialists", "Order", "Risks, and the way back"] {
        assert!(html.contains(&format!("<h2>{title}</h2>")), "{title}");
        assert!(markdown.contains(&format!("\n## {title}\n")), "{title}");
    }
    assert!(markdown.contains("| met | p95 of the reading requests is within 50 ms | success |"));
    // Nine tasks, the second index also taken back.
    assert_eq!(html.matches("<rect class=").count(), 10, "{html}");
    assert_eq!(html.matches("<rect class=\"back\"").count(), 1);
    assert!(html.contains("<title>undo of index2, 2.4 s, db-7f3a</title>"), "{html}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["criteria"][0]["verdict"], "met");
    assert_eq!(json["tasks"].as_array().unwrap().len(), 11);
    assert_eq!(json["tries"][0]["outcome"], "done");
}

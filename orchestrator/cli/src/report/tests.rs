use super::*;
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
         20.0 ms. The budget is met."
    );
}

#[test]
fn undone_later_nothing_stands_and_each_change_keeps_its_own_reason() {
    let report = Report::of(&fixture::undone(), &Stored::new()).unwrap();
    assert_eq!(report.status, "undone");
    assert!(report.kept.is_empty() && report.undo.is_empty());
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

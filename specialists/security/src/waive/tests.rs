use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use super::*;
use crate::{SecurityTarget, Unwaive, testing::targets};

const ONE: &str = "0123456789abcdef";
/// With lines of others, one of which has ended.
const OTHERS: &str = "{\"by\":\"bo\",\"fingerprint\":\"00000000000000aa\",\"reason\":\"old\",\"until\":\"2001-01-01\"}\n\n{ \"fingerprint\": \"00000000000000bb\", \"by\": \"bo\", \"reason\": \"new\", \"until\": \"2999-01-01\" }\n";

struct Lab {
    _folder: tempfile::TempDir,
    path: PathBuf,
    targets: Targets,
    cx: Context,
}

impl Lab {
    fn new(text: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("waivers.jsonl");
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
        let target = SecurityTarget { waivers: Some(path.clone()), ..SecurityTarget::default() };
        Self { _folder: folder, path, targets: targets(target), cx: Context::detached("shop") }
    }

    fn text(&self) -> Option<String> {
        fs::read_to_string(&self.path).ok()
    }

    async fn waive(&self, inputs: &Inputs) -> Result<(Measured<Outputs>, Undo), Failure> {
        let capability = Waive::new(self.targets.clone());
        let prepared = capability.prepare(&self.cx, inputs).await?;
        let measured = capability.perform(&self.cx, inputs, &prepared.before).await?;
        Ok((measured, prepared.undo.unwrap()))
    }

    async fn unwaive(&self, inputs: &Value) -> Result<(bool, Option<Undo>), Failure> {
        let capability = Unwaive::new(self.targets.clone());
        let inputs = serde_json::from_value(inputs.clone()).unwrap();
        let prepared = capability.prepare(&self.cx, &inputs).await?;
        let measured = capability.perform(&self.cx, &inputs, &prepared.before).await?;
        assert!(measured.checks.iter().all(|check| check.pass), "{measured:?}");
        Ok((measured.outputs.removed, prepared.undo))
    }
}

fn of(fingerprint: &str) -> Inputs {
    Inputs {
        fingerprint: fingerprint.to_owned(),
        reason: "a key of the test provider".to_owned(),
        by: "ana".to_owned(),
        until: Day::today().after(30),
        at_line: None,
    }
}

#[tokio::test]
async fn there_and_back_leaves_the_file_as_it_was() {
    for before in [None, Some(OTHERS)] {
        let lab = Lab::new(before);
        let (measured, undo) = lab.waive(&of(ONE)).await.unwrap();
        assert!(measured.checks.iter().all(|check| check.pass), "{measured:?}");
        assert!(lab.text().unwrap().ends_with(before.unwrap_or_default()));
        assert!(lab.unwaive(&undo.inputs).await.unwrap().0);
        assert_eq!(lab.text().as_deref(), before);
        // Once more: it is right whether or not the way forth was taken.
        assert!(!lab.unwaive(&undo.inputs).await.unwrap().0);
        assert_eq!(lab.text().as_deref(), before);
    }
}

#[tokio::test]
async fn what_was_taken_back_comes_back_to_its_line() {
    let lab = Lab::new(None);
    for fingerprint in [ONE, "00000000000000aa", "00000000000000bb"] {
        lab.waive(&of(fingerprint)).await.unwrap();
    }
    let before = lab.text();
    let (_, undo) = lab.unwaive(&json!({ "fingerprint": "00000000000000aa" })).await.unwrap();
    assert_ne!(lab.text(), before);
    let again: Inputs = serde_json::from_value(undo.unwrap().inputs).unwrap();
    lab.waive(&again).await.unwrap();
    assert_eq!(lab.text(), before);
}

#[tokio::test]
async fn a_crash_before_or_after_the_effect_is_seen() {
    let lab = Lab::new(Some(OTHERS));
    let capability = Waive::new(lab.targets.clone());
    let prepared = capability.prepare(&lab.cx, &of(ONE)).await.unwrap();
    let found = capability.reconcile(&lab.cx, &of(ONE), &prepared.before).await.unwrap();
    assert!(matches!(found, Found::NotBegun), "{found:?}");
    capability.perform(&lab.cx, &of(ONE), &prepared.before).await.unwrap();
    let written = lab.text();
    let found = capability.reconcile(&lab.cx, &of(ONE), &prepared.before).await.unwrap();
    let Found::Done(measured) = found else { panic!("{found:?}") };
    assert!(measured.checks.iter().all(|check| check.pass));
    // A second worker that does not know changes nothing.
    capability.perform(&lab.cx, &of(ONE), &prepared.before).await.unwrap();
    assert_eq!(lab.text(), written);
}

#[tokio::test]
async fn what_somebody_else_wrote_meanwhile_stays() {
    let lab = Lab::new(None);
    let capability = Waive::new(lab.targets.clone());
    let prepared = capability.prepare(&lab.cx, &of(ONE)).await.unwrap();
    fs::write(&lab.path, OTHERS).unwrap();
    let failure = capability.perform(&lab.cx, &of(ONE), &prepared.before).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::PreconditionFailed);
    assert_eq!(lab.text().as_deref(), Some(OTHERS));
}

#[tokio::test]
async fn a_waiver_needs_a_reason_a_name_and_a_near_end() {
    let lab = Lab::new(Some(OTHERS));
    type Spoil = fn(&mut Inputs);
    let spoils: [(Spoil, ErrorClass, &str); 7] = [
        (|i| i.fingerprint = "XYZ".to_owned(), ErrorClass::InvalidInput, "fingerprint"),
        (|i| i.reason = " ".to_owned(), ErrorClass::InvalidInput, "reason"),
        (|i| i.reason = "a\nb".to_owned(), ErrorClass::InvalidInput, "reason"),
        (|i| i.by = String::new(), ErrorClass::InvalidInput, "by"),
        (|i| i.until = Day::today().after(181), ErrorClass::InvalidInput, "until"),
        (|i| i.until = Day::today().after(-1), ErrorClass::InvalidInput, "until"),
        (|i| i.fingerprint = "00000000000000bb".into(), ErrorClass::PreconditionFailed, "bo"),
    ];
    for (spoil, class, named) in spoils {
        let mut inputs = of(ONE);
        spoil(&mut inputs);
        let failure = lab.waive(&inputs).await.unwrap_err();
        assert_eq!(failure.class, class, "{failure}");
        assert!(failure.message.contains(named), "{failure}");
    }
    assert_eq!(lab.text().as_deref(), Some(OTHERS));
    // One that has ended does not stand in the way.
    lab.waive(&of("00000000000000aa")).await.unwrap();
}

#[tokio::test]
async fn without_a_file_of_waivers_nothing_can_be_waived() {
    let cx = Context::detached("shop");
    let capability = Waive::new(targets(SecurityTarget::default()));
    let failure = capability.prepare(&cx, &of(ONE)).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Unsupported);
    let lab = Lab::new(None);
    let failure = lab.unwaive(&json!({ "fingerprint": ONE })).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::InvalidInput);
    fs::write(&lab.path, "no json\n").unwrap();
    let failure = lab.waive(&of(ONE)).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::PreconditionFailed);
    assert_eq!(lab.text().as_deref(), Some("no json\n"));
}

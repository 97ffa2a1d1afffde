use super::*;
use crate::{
    release::fleet::serving_v1,
    testing::{Service, TEXT_BEFORE},
};

/// A holder writes down the end of its process within milliseconds.
const LOOKS_MAX: u32 = 200;
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(20);

async fn status(service: &Service) -> Measured<Outputs> {
    let cx = Context::detached("shop");
    Status(service.targets_within(500)).perform(&cx, Inputs {}).await.unwrap()
}

fn passed(status: &Measured<Outputs>) -> Vec<bool> {
    status.checks.iter().map(|c| c.pass).collect()
}

#[tokio::test]
async fn a_service_that_does_as_its_file_says() {
    let service = Service::start().await;
    let status = status(&service).await;
    assert_eq!(passed(&status), [true, true]);
    assert_eq!(status.outputs.revision.as_deref(), Some("v1"));
    assert_eq!(status.outputs.fingerprint, Some(fingerprint(TEXT_BEFORE)));
    assert_eq!(status.outputs.revisions, ["lazy", "sick", "v1", "v2", "v9"]);
}

#[tokio::test]
async fn what_is_not_as_declared_fails_and_what_was_not_seen_too() {
    let mut service = Service::start().await;
    for (text, expected) in [
        (r#"{"revision":"v9"}"#, [false, false]),
        (r#"{"revision":"lazy"}"#, [true, false]),
        ("{", [false, false]),
        (r#"{"revision":"sick"}"#, [false, false]),
    ] {
        service.write(text);
        assert_eq!(passed(&status(&service).await), expected, "{text}");
    }
    service.stop().await;
    let status = status(&service).await;
    assert_eq!((passed(&status), status.outputs.revision), (vec![false, false], None));
}

#[tokio::test]
async fn a_fleet_shows_who_gets_what_and_who_is_away() {
    let (bed, cx) = serving_v1(2).await;
    let look = async || Status(bed.targets.clone()).perform(&cx, Inputs {}).await.unwrap();
    let well = look().await;
    assert_eq!(passed(&well), [true, true, true]);
    assert_eq!((well.outputs.wanted.as_deref(), well.outputs.servers.len()), (Some("v1"), 2));
    assert_eq!(well.outputs.servers[0].process, "running");
    bed.supervisor().kill("v1-1");
    let mut less = look().await;
    for _ in 0..LOOKS_MAX {
        // Its holder notices the end and writes it down.
        if !less.checks[2].pass {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
        less = look().await;
    }
    assert_eq!((less.checks[2].pass, less.checks[2].note.as_str()), (false, "v1-1"));
}

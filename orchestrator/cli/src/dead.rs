//! The stream of messages that nobody could handle: read, sent again, dropped. A letter's number is
//! its place in the stream. What is sent again goes where it came from, byte for byte, and leaves
//! the stream only once that is stored.

use async_nats::jetstream::{ErrorCode, stream::LastRawMessageErrorKind};
use deadelus_mesh::streams::{self, DEAD};
use deadelus_proto::{
    Subject, Subjects,
    pb::{self, DeadLetter},
};
use prost::Message;

use crate::{client::Client, error::CliError};

/// More than anybody reads; whoever has more drops what is listed and lists again.
const LETTERS_MAX: usize = 10_000;

/// Who buries what came to the inbox.
const ORCHESTRATOR: &str = "orchestrator";

/// A message that nobody could handle.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Letter {
    /// Its place in the stream.
    pub(crate) number: u64,
    /// Under which name it was buried: `deadelus.v1.dead.db.inspect`.
    pub(crate) filed: String,
    /// What it says.
    pub(crate) letter: DeadLetter,
}

/// All of them, the oldest first.
///
/// # Errors
/// When the stream cannot be read.
pub(crate) async fn list(client: &Client) -> Result<Vec<Letter>, CliError> {
    let (mut letters, mut from) = (vec![], 1);
    while let Some(letter) = next(client, from).await? {
        from = letter.number + 1;
        letters.push(letter);
        if letters.len() == LETTERS_MAX {
            break;
        }
    }
    Ok(letters)
}

/// The one of this number.
///
/// # Errors
/// [`CliError::NoLetter`] when it is not there.
pub(crate) async fn get(client: &Client, number: u64) -> Result<Letter, CliError> {
    let found = next(client, number).await?.filter(|letter| letter.number == number);
    found.ok_or(CliError::NoLetter(number))
}

/// Sends the original where it came from, then takes the letter out.
///
/// # Errors
/// [`CliError::Refused`] for what never was a message of this mesh.
pub(crate) async fn send_again(client: &Client, letter: &Letter) -> Result<(), CliError> {
    let DeadLetter { subject, original, .. } = &letter.letter;
    if !is_credible(&client.mesh.subjects, letter) {
        let (number, filed) = (letter.number, &letter.filed);
        let what =
            format!("letter {number}, filed under {filed}, cannot have come from {subject:?}");
        return Err(CliError::Refused(what));
    }
    let failed = || CliError::nats("send the message again");
    let stored = client.mesh.jetstream.publish(subject.clone(), original.clone()).await;
    stored.map_err(failed())?.await.map_err(failed())?;
    drop_it(client, letter.number).await
}

/// Whether who buried it can have got it there: a specialist its own assignments, the orchestrator
/// what came to its inbox. Sent again by a person it would count as theirs.
fn is_credible(subjects: &Subjects, letter: &Letter) -> bool {
    let Ok(Subject::Dead(by)) = subjects.parse(&letter.filed) else { return false };
    match subjects.parse(&letter.letter.subject) {
        Ok(Subject::Task(task)) => task.specialist() == by.specialist(),
        Ok(Subject::In { .. }) => by.specialist().as_str() == ORCHESTRATOR,
        Ok(
            Subject::Ask { .. }
            | Subject::Log(_)
            | Subject::Dead(_)
            | Subject::Live(..)
            | Subject::Worker(..)
            | Subject::Card(_)
            | Subject::Api(_)
            | Subject::Artefact(_),
        )
        | Err(_) => false,
    }
}

/// Takes the letter out for good.
///
/// # Errors
/// When the server does not.
pub(crate) async fn drop_it(client: &Client, number: u64) -> Result<(), CliError> {
    let stream = streams::stream(&client.mesh, DEAD).await?;
    stream.delete_message(number).await.map_err(CliError::nats("drop the letter"))?;
    Ok(())
}

/// The first letter at this place or after it.
async fn next(client: &Client, from: u64) -> Result<Option<Letter>, CliError> {
    let stream = streams::stream(&client.mesh, DEAD).await?;
    let all = client.mesh.subjects.all("dead");
    let found = stream.raw_message_builder().sequence(from).next_by_subject(&all).send().await;
    let message = match found {
        Ok(message) => message,
        Err(error) => {
            let nothing = match error.kind() {
                LastRawMessageErrorKind::NoMessageFound => true,
                LastRawMessageErrorKind::JetStream(said) => {
                    said.error_code() == ErrorCode::NO_MESSAGE_FOUND
                }
                LastRawMessageErrorKind::InvalidSubject | LastRawMessageErrorKind::Other => false,
            };
            return if nothing { Ok(None) } else { Err(CliError::nats("read the letters")(error)) };
        }
    };
    let letter = DeadLetter::decode(message.payload).map_err(CliError::nats("read a letter"))?;
    let filed = message.subject.to_string();
    Ok(Some(Letter { number: message.sequence, filed, letter }))
}

impl Letter {
    /// What the original was, in words; whatever cannot be read is so many bytes.
    pub(crate) fn what(&self) -> String {
        let DeadLetter { subject, original, .. } = &self.letter;
        let bytes = || format!("{} bytes from {subject}", original.len());
        let inbox = subject.split('.').any(|token| token == "in");
        if inbox {
            let read = pb::Inbound::decode(original.clone()).ok();
            let read = read.filter(|m| !m.workflow_id.is_empty());
            return read.map_or_else(bytes, |m| format!("a message for {}", m.workflow_id));
        }
        let read = pb::TaskAssignment::decode(original.clone()).ok();
        let read = read.filter(|a| !a.workflow_id.is_empty());
        read.map_or_else(bytes, |a| {
            let way = if a.direction() == pb::Direction::Undo { "undo of " } else { "" };
            let (task, workflow) = (a.task_id, a.workflow_id);
            format!("{way}{task} of {workflow}, attempt {}, for {}", a.attempt, a.capability)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(subject: &str, original: Vec<u8>) -> Letter {
        let (reason, subject) = ("x".to_owned(), subject.to_owned());
        let letter = DeadLetter { reason, subject, original: original.into(), at_unix_ms: 1 };
        Letter { number: 7, filed: "deadelus.v1.dead.db.unknown".to_owned(), letter }
    }

    #[test]
    fn nobody_has_a_person_send_what_was_never_theirs() {
        let check = |filed: &str, subject: &str, wanted| {
            let letter = Letter { filed: filed.to_owned(), ..letter(subject, vec![]) };
            assert_eq!(is_credible(&Subjects::default(), &letter), wanted, "{filed} {subject}");
        };
        let (db, inbox) = ("deadelus.v1.dead.db.inspect", "deadelus.v1.dead.orchestrator.inbox");
        let workflow: deadelus_proto::WorkflowId = "wf-1".parse().unwrap();
        let approval = format!("deadelus.v1.in.client.{}.wf-1", workflow.partition());
        check(db, "deadelus.v1.task.db.inspect", true);
        check(db, "deadelus.v1.task.api.publish", false);
        check(db, &approval, false);
        check(inbox, &approval, true);
        check(inbox, "deadelus.v1.log.0.wf-1", false);
        check("elsewhere", "deadelus.v1.task.db.inspect", false);
    }

    #[test]
    fn a_letter_says_what_it_was() {
        let assignment = pb::TaskAssignment {
            workflow_id: "wf-1".into(),
            task_id: "index".into(),
            attempt: 2,
            capability: "db.create_index".into(),
            ..pb::TaskAssignment::default()
        };
        let task = letter("deadelus.v1.task.db.create_index", assignment.encode_to_vec());
        assert_eq!(task.what(), "index of wf-1, attempt 2, for db.create_index");
        let inbound = pb::Inbound { workflow_id: "wf-1".into(), ..pb::Inbound::default() };
        let said = letter("deadelus.v1.in.db.3.wf-1", inbound.encode_to_vec());
        assert_eq!(said.what(), "a message for wf-1");
        let junk = letter("deadelus.v1.in.db.3.wf-1", b"\xff\xff".to_vec());
        assert_eq!(junk.what(), "2 bytes from deadelus.v1.in.db.3.wf-1");
    }
}

//! Saying who one is: the card that plans are checked against, and the NATS micro service that
//! `nats micro ls` shows.

use std::collections::HashMap;

use async_nats::{
    HeaderMap,
    service::{Service, ServiceExt as _},
};
use deadelus_mesh::{
    Mesh,
    pipeline::{self, Answer},
    streams,
};
use deadelus_proto::{SpecialistCard, Subject, pb};
use futures_util::StreamExt as _;
use prost::Message as _;

/// Writes the card and registers the service. The service lives as long as what is returned.
pub(crate) async fn announce(
    mesh: &Mesh,
    card: &SpecialistCard,
    instance: &str,
) -> anyhow::Result<Service> {
    publish_card(mesh, card).await?;
    let metadata = HashMap::from([
        ("instance".to_owned(), instance.to_owned()),
        ("capabilities".to_owned(), names(card)),
    ]);
    let service = mesh
        .client
        .service_builder()
        .description(format!("Deadelus specialist {}", card.specialist))
        .metadata(metadata)
        .start(format!("deadelus-{}", card.specialist), &card.version)
        .await
        .map_err(anyhow::Error::from_boxed)?;
    let subject = mesh.subjects.of(&Subject::Card(card.specialist.clone()));
    let mut questions = service
        .endpoint_builder()
        .name("card")
        .add(subject)
        .await
        .map_err(anyhow::Error::from_boxed)?;
    let answer = serde_json::to_vec(card)?;
    tokio::spawn(async move {
        while let Some(question) = questions.next().await {
            if let Err(error) = question.respond(Ok(answer.clone().into())).await {
                tracing::debug!(%error, "nobody waits for the card any more");
            }
        }
    });
    Ok(service)
}

/// Written without looking first, because a specialist need not be able to read the others' cards.
/// One that says the same is no news to whoever follows them.
async fn publish_card(mesh: &Mesh, card: &SpecialistCard) -> anyhow::Result<()> {
    let bytes = pb::SpecialistCard::from(card.clone()).encode_to_vec().into();
    let subject = streams::key_subject(mesh, streams::CARDS, card.specialist.as_str());
    match pipeline::publish(mesh, &subject, HeaderMap::new(), bytes).await {
        Answer::Stored(_) => Ok(()),
        Answer::Refused(error) => Err(anyhow::Error::new(error).context("write the card")),
        Answer::Silence(why) => anyhow::bail!("write the card: {why}"),
    }
}

fn names(card: &SpecialistCard) -> String {
    let names: Vec<String> = card.capabilities.iter().map(|c| c.name.to_string()).collect();
    names.join(",")
}

//! Saying who one is: the card that plans are checked against, and the NATS micro service that
//! `nats micro ls` shows.

use std::collections::HashMap;

use async_nats::service::{Service, ServiceExt as _};
use deadelus_mesh::{Mesh, streams};
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

async fn publish_card(mesh: &Mesh, card: &SpecialistCard) -> anyhow::Result<()> {
    let bucket = streams::bucket(mesh, streams::CARDS).await?;
    let bytes: bytes::Bytes = pb::SpecialistCard::from(card.clone()).encode_to_vec().into();
    let key = card.specialist.as_str();
    // A card that says the same is not written again: a restart is no news.
    if bucket.get(key).await?.is_none_or(|known| known != bytes) {
        bucket.put(key, bytes).await?;
    }
    Ok(())
}

fn names(card: &SpecialistCard) -> String {
    let names: Vec<String> = card.capabilities.iter().map(|c| c.name.to_string()).collect();
    names.join(",")
}

use std::time::Duration;

use async_nats::{HeaderMap, jetstream::stream::Config};
use bytes::Bytes;
use deadelus_mesh::{
    Mesh, MeshError,
    append::{self, Append, Appended},
    config::NatsConfig,
    streams,
};
use deadelus_proto::Subject;

use crate::{joined, mesh, proxy::Proxy};

fn subject(mesh: &Mesh, workflow: &str) -> String {
    mesh.subjects.of(&Subject::Log(workflow.parse().unwrap()))
}

async fn append(mesh: &Mesh, subject: &str, expected: u64, id: &str) -> Appended {
    let bytes = Bytes::from(id.to_owned());
    let (subject, id) = (subject.to_owned(), id.to_owned());
    let append = Append::new(subject, expected, id, bytes, HeaderMap::new()).unwrap();
    append.finish(mesh).await.unwrap()
}

async fn tried(mesh: &Mesh, subject: &str, bytes: Bytes) -> Result<Appended, MeshError> {
    let (subject, id) = (subject.to_owned(), "d1".to_owned());
    Append::new(subject, 0, id, bytes, HeaderMap::new())?.finish(mesh).await
}

async fn log(mesh: &Mesh, subject: &str) -> Vec<String> {
    let read = append::read_log(mesh, subject, 0).await.unwrap();
    read.into_iter().map(|(_, bytes)| String::from_utf8(bytes.to_vec()).unwrap()).collect()
}

#[tokio::test]
async fn appends_in_order_and_reads_back_from_anywhere() {
    let (_server, mesh) = mesh().await;
    let (ours, other) = (subject(&mesh, "ours"), subject(&mesh, "other"));
    assert_eq!(append::last(&mesh, &ours).await.unwrap(), None);
    assert!(append::read_log(&mesh, &ours, 0).await.unwrap().is_empty());
    let (mut expected, mut sequences) = (0, vec![]);
    for n in 0..600 {
        let Appended::At(sequence) = append(&mesh, &ours, expected, &format!("d{n}")).await else {
            panic!("nobody else writes here")
        };
        if n % 100 == 0 {
            let last = append::last(&mesh, &other).await.unwrap().map_or(0, |(s, _)| s);
            assert!(matches!(append(&mesh, &other, last, &format!("o{n}")).await, Appended::At(_)));
        }
        sequences.push(sequence);
        expected = sequence;
    }
    let read = append::read_log(&mesh, &ours, 0).await.unwrap();
    assert_eq!(read.iter().map(|(s, _)| *s).collect::<Vec<_>>(), sequences);
    for from in [0, 1, 300, 599] {
        let read = append::read_log(&mesh, &ours, sequences[from]).await.unwrap();
        assert_eq!(read[0], (sequences[from], Bytes::from(format!("d{from}"))));
        assert_eq!(read.len(), 600 - from);
    }
    assert!(append::read_log(&mesh, &ours, expected + 1).await.unwrap().is_empty());
    assert_eq!(append::last(&mesh, &ours).await.unwrap().unwrap().0, expected);
}

#[tokio::test]
async fn the_same_decision_appended_again_is_one_message() {
    let (_server, mesh) = mesh().await;
    let subject = subject(&mesh, "retry");
    let first = append(&mesh, &subject, 0, "d1").await;
    assert_eq!(append(&mesh, &subject, 0, "d1").await, first);
    let Appended::At(sequence) = first else { panic!("nobody else writes here") };
    let _ = append(&mesh, &subject, sequence, "d2").await;
    // Even after others have built on it, its author learns that it is true.
    assert_eq!(append(&mesh, &subject, 0, "d1").await, first);
    assert_eq!(append(&mesh, &subject, 0, "d3").await, Appended::Lost);
    assert_eq!(append(&mesh, &subject, sequence + 99, "d3").await, Appended::Lost);
    assert_eq!(log(&mesh, &subject).await, ["d1", "d2"]);
}

/// The append takes effect, its ack is lost with the connection: the retry finds it done.
#[tokio::test]
async fn a_lost_ack_is_one_message() {
    let (server, direct) = mesh().await;
    let proxy = Proxy::before(&server).await;
    let config = NatsConfig { url: proxy.url.clone(), ..NatsConfig::default() };
    let mesh = deadelus_mesh::connect(&config, "behind-a-proxy").await.unwrap();
    let subject = subject(&direct, "lost-ack");
    proxy.swallow_answers();
    let appending = tokio::spawn({
        let (mesh, subject) = (mesh.clone(), subject.clone());
        async move { append(&mesh, &subject, 0, "d1").await }
    });
    let stored = progress(&direct, &subject, 1).await;
    // Somebody builds on it before its author knows of it.
    assert!(matches!(append(&direct, &subject, stored, "d2").await, Appended::At(_)));
    proxy.cut();
    assert_eq!(appending.await.unwrap(), Appended::At(stored));
    assert_eq!(log(&direct, &subject).await, ["d1", "d2"]);
}

#[tokio::test]
async fn two_writers_have_one_winner_per_round() {
    let (server, one) = mesh().await;
    let two = joined(&server).await;
    let subject = subject(&one, "race");
    let mut expected = 0;
    for round in 0..100 {
        let (a, b) = (format!("a{round}"), format!("b{round}"));
        let (a, b) = tokio::join!(
            append(&one, &subject, expected, &a),
            append(&two, &subject, expected, &b)
        );
        expected = match (a, b) {
            (Appended::At(sequence), Appended::Lost) | (Appended::Lost, Appended::At(sequence)) => {
                sequence
            }
            (Appended::At(_), Appended::At(_)) | (Appended::Lost, Appended::Lost) => {
                panic!("round {round}: {a:?} {b:?}")
            }
        };
    }
    assert_eq!(log(&one, &subject).await.len(), 100);
}

/// Two writers go on while the server is killed again and again: the log holds exactly what they
/// were told it holds, once, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_and_doubles_nothing() {
    const KILLS: usize = 4;
    let (mut server, one) = mesh().await;
    let two = joined(&server).await;
    let subject = subject(&one, "killed");
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let writer = |mesh: Mesh, name: &'static str| {
        let (subject, stopped) = (subject.clone(), stopped.clone());
        tokio::spawn(async move {
            let (mut expected, mut ours) = (0, vec![]);
            for n in 0.. {
                if *stopped.borrow() {
                    break;
                }
                let id = format!("{name}{n}");
                match append(&mesh, &subject, expected, &id).await {
                    Appended::At(sequence) => {
                        ours.push((sequence, id));
                        expected = sequence;
                    }
                    Appended::Lost => {
                        let last = append::last(&mesh, &subject).await;
                        expected = last.ok().flatten().map_or(expected, |(s, _)| s);
                    }
                }
            }
            ours
        })
    };
    let writers = [writer(one.clone(), "a"), writer(two, "b")];
    for _ in 0..KILLS {
        let before = progress(&one, &subject, 0).await;
        server.kill();
        server.restart();
        progress(&one, &subject, before + 20).await;
    }
    stop.send_replace(true);
    let mut told = vec![];
    for writer in writers {
        told.extend(writer.await.unwrap());
    }
    told.sort();
    let read = append::read_log(&one, &subject, 0).await.unwrap();
    let read: Vec<_> = read
        .into_iter()
        .map(|(sequence, bytes)| (sequence, String::from_utf8(bytes.to_vec()).unwrap()))
        .collect();
    assert_eq!(read, told);
}

/// Waits until the log has reached a sequence, and says which.
async fn progress(mesh: &Mesh, subject: &str, sequence: u64) -> u64 {
    const TRIES: usize = 3_000;
    for _ in 0..TRIES {
        if let Ok(Some((last, _))) = append::last(mesh, subject).await
            && last >= sequence
        {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the log never reached {sequence}");
}

#[tokio::test]
async fn a_full_log_says_so_at_once() {
    let (_server, mesh) = mesh().await;
    let log = mesh.subjects.resource(streams::LOG);
    let stream = mesh.jetstream.get_stream(&log).await.unwrap();
    let config = Config { max_bytes: 1024, ..stream.cached_info().config.clone() };
    mesh.jetstream.update_stream(&config).await.unwrap();
    let bytes = Bytes::from(vec![0; 4096]);
    let subject = subject(&mesh, "full");
    let error = tried(&mesh, &subject, bytes).await;
    assert!(matches!(error, Err(MeshError::Full { .. })), "{error:?}");
}

#[tokio::test]
async fn what_no_server_would_take_is_refused_here() {
    let (_server, mesh) = mesh().await;
    let subject = subject(&mesh, "large");
    let bytes = Bytes::from(vec![0; deadelus_proto::limits::MESSAGE_MAX_BYTES + 1]);
    let error = tried(&mesh, &subject, bytes).await;
    assert!(matches!(error, Err(MeshError::TooLarge { .. })), "{error:?}");
    let bytes = Bytes::from(vec![0; deadelus_proto::limits::MESSAGE_MAX_BYTES]);
    let stored = tried(&mesh, &subject, bytes).await;
    assert!(matches!(stored, Ok(Appended::At(_))), "{stored:?}");
}

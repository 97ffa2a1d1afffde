//! Three servers, three copies: what holds for one server holds while its leader is killed.

use async_nats::HeaderMap;
use deadelus_mesh::{
    Mesh,
    append::{self, Append, Appended},
    config::NatsConfig,
    connect, streams,
};
use deadelus_proto::Subject;
use deadelus_tests::nats::{NatsServer, cluster};

const SERVERS: usize = 3;
const APPENDS: usize = 60;

async fn joined(servers: &[NatsServer]) -> Mesh {
    let url = servers.iter().map(|s| s.url.clone()).collect::<Vec<_>>().join(",");
    connect(&NatsConfig { url, ..NatsConfig::default() }, "cluster-test").await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_loses_and_doubles_nothing() {
    let mut servers = cluster(SERVERS);
    let (one, two) = (joined(&servers).await, joined(&servers).await);
    streams::ensure(&one, SERVERS).await.unwrap();
    let subject = one.subjects.of(&Subject::Log("replicated".parse().unwrap()));
    let first = append_both(&one, &two, &subject, 0, 0).await;
    let leader = leader(&one).await;
    servers[leader].kill();
    let second = append_both(&one, &two, &subject, first, APPENDS).await;
    servers[leader].restart();
    append_both(&one, &two, &subject, second, 2 * APPENDS).await;
    let read = append::read_log(&two, &subject, 0).await.unwrap();
    let rounds: Vec<_> = read
        .iter()
        .map(|(_, bytes)| String::from_utf8_lossy(&bytes[1..]).parse::<usize>().unwrap())
        .collect();
    assert_eq!(rounds, (0..3 * APPENDS).collect::<Vec<_>>());
}

/// Rounds of two writers at one place: one of them has it.
async fn append_both(one: &Mesh, two: &Mesh, subject: &str, mut last: u64, round: usize) -> u64 {
    for round in round..round + APPENDS {
        let append = async |mesh: &Mesh, name: &str| {
            let id = format!("{name}{round}");
            let bytes = id.clone().into();
            let append = Append::new(subject.to_owned(), last, id, bytes, HeaderMap::new());
            append.unwrap().finish(mesh).await.unwrap()
        };
        last = match tokio::join!(append(one, "a"), append(two, "b")) {
            (Appended::At(sequence), Appended::Lost) | (Appended::Lost, Appended::At(sequence)) => {
                sequence
            }
            both => panic!("round {round}: {both:?}"),
        };
    }
    last
}

/// Which server leads the log.
async fn leader(mesh: &Mesh) -> usize {
    let name = mesh.subjects.resource(streams::LOG);
    let stream = mesh.jetstream.get_stream(&name).await.unwrap();
    let cluster = stream.cached_info().cluster.clone().unwrap();
    cluster.leader.unwrap().trim_start_matches('n').parse().unwrap()
}

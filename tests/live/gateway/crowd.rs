//! Ten thousand who watch and do nothing, and one who does not read what he asked for.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use deadelus_proto::{
    Subject, WorkflowId,
    pb::{self, event::Kind},
};
use deadelus_tests::fleet::ORCHESTRATOR;
use prost::Message as _;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};

use super::{
    Rig, approval,
    http::{Events, Http},
    token,
};
use crate::{
    person::{PATIENCE, POLL, Person},
    quiet,
};

/// Who watches.
const CROWD: usize = 10_000;

/// Files of this process beside their sockets.
const FILES_BESIDE: usize = 500;

/// Who opens at a time: no more than wait to be let in.
const AT_A_TIME: usize = 200;

/// What one who watches and does nothing may cost the gateway, in KiB.
const EACH_MAX_KIB: u64 = 48;

/// What all the rest may cost: what is kept for those who come late, and what a burst leaves
/// behind.
const BESIDE_MAX_KIB: u64 = 64 * 1_024;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_who_watch_and_one_who_does_not_read_hurt_nobody() {
    let _alone = quiet::alone().await;
    let crowd = room_for(CROWD);
    let mut rig =
        Rig::new("stalled_max_s = 2\nrequests_per_second = 100000\nrequests_burst = 100000\n");
    let http = rig.http.clone();
    let digest = rig.waiting("wf-watched").await;
    let pid = rig.fleet.process(ORCHESTRATOR).pid();
    let before = resident_kib(pid);

    let begun = Instant::now();
    let mut watching = gather(&http, crowd).await;
    let grown = resident_kib(pid).saturating_sub(before);
    let each = grown / crowd as u64;
    eprintln!("{crowd} watch after {:?}: {grown} KiB more, {each} KiB each", begun.elapsed());
    assert!(grown < EACH_MAX_KIB * crowd as u64 + BESIDE_MAX_KIB, "{grown} KiB for {crowd}");
    assert_eq!(http.get("/healthz", "").await.status, 200);
    http.get("/v1/workflows/wf-watched", &token("vera")).await.expect(200);

    let _slow = deaf(&http).await;
    let ada = Person::at(&rig.fleet).await;
    let sent = flood(&ada).await;
    until_cut(&http).await;
    let grown = resident_kib(pid).saturating_sub(before);
    eprintln!("{sent} bytes for one who does not read: {grown} KiB more in all");
    assert!(grown < EACH_MAX_KIB * crowd as u64 + BESIDE_MAX_KIB, "{grown} KiB after {sent} bytes");

    // And everybody hears what they came for.
    let said = Instant::now();
    let gate = "/v1/workflows/wf-watched/gates/plan";
    http.post(gate, &token("anna"), &approval(&digest)).await.expect(200);
    while let Some(heard) = watching.join_next().await {
        heard.unwrap();
    }
    eprintln!("all {crowd} have heard that it is done {:?} after the approval", said.elapsed());
    http.get("/v1/workflows", &token("vera")).await.expect(200);
}

/// So many, as far as this process may have so many sockets; fewer, loudly, where it may not.
fn room_for(wanted: usize) -> usize {
    let limit = format!("--nofile={}:", wanted + FILES_BESIDE);
    let own = std::process::id().to_string();
    let raised = Command::new("prlimit").args(["--pid", &own, &limit]).output();
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = files.and_then(|line| line.split_whitespace().next()).and_then(|n| n.parse().ok());
    let room = soft.unwrap_or(1_024_usize).saturating_sub(FILES_BESIDE).min(wanted);
    if room < wanted {
        let why = raised.map(|out| String::from_utf8_lossy(&out.stderr).into_owned());
        eprintln!("REDUCED: {room} instead of {wanted} watch: open files are limited ({why:?})");
    }
    room
}

/// All of them, each reading until the workflow is done.
async fn gather(http: &Http, crowd: usize) -> JoinSet<()> {
    let mut watching = JoinSet::new();
    let mut left = crowd;
    while left > 0 {
        let mut opening = JoinSet::new();
        for _ in 0..left.min(AT_A_TIME) {
            let http = http.clone();
            opening.spawn(async move { watcher(&http).await });
            left -= 1;
        }
        while let Some(events) = opening.join_next().await {
            let mut events = events.unwrap();
            watching.spawn(async move {
                events.until("done").await;
            });
        }
    }
    watching
}

/// Somebody who has heard that the workflow waits.
async fn watcher(http: &Http) -> Events {
    let mut events = http.watch("/v1/workflows/wf-watched/events", &token("alma"), None).await;
    events.until("awaits approval").await;
    events
}

/// Somebody who asks for everything and reads nothing.
async fn deaf(http: &Http) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(http.address.parse().unwrap()).await.unwrap();
    let bearer = format!("authorization: Bearer {}", token("vera"));
    let head = format!("GET /v1/events HTTP/1.1\r\nhost: gateway\r\n{bearer}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// Far more decisions of others than fit between a server and who does not read; how many bytes.
async fn flood(ada: &Person) -> usize {
    let id: WorkflowId = "wf-elsewhere".parse().unwrap();
    let subject = ada.mesh.subjects.of(&Subject::Log(id.clone()));
    let event = |n: u32| pb::Event {
        kind: Some(Kind::TaskTimedOut(pb::TaskTimedOut {
            task_id: format!("a-task-with-a-long-name-{n}"),
            direction: pb::Direction::Do.into(),
            attempt: 1,
        })),
    };
    let decision = pb::Decision {
        workflow_id: id.to_string(),
        events: (0..100).map(event).collect(),
        ..pb::Decision::default()
    };
    let bytes = decision.encode_to_vec();
    let mut acks = vec![];
    for _ in 0..2_000 {
        let sent = ada.mesh.jetstream.publish(subject.clone(), bytes.clone().into()).await;
        acks.push(sent.unwrap());
    }
    let sent = acks.len() * bytes.len();
    for ack in acks {
        ack.await.unwrap();
    }
    sent
}

async fn until_cut(http: &Http) {
    let begun = Instant::now();
    loop {
        let page = http.get("/metrics", &token("vera")).await.body;
        if page.lines().any(|line| line == "deadelus_gateway_connections_cut_total 1") {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "nobody was cut off:\n{page}");
        tokio::time::sleep(POLL.max(Duration::from_millis(100))).await;
    }
}

fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().split(' ').next().unwrap().parse().unwrap()
}

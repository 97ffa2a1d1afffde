//! The proxy between real clients and real little services, over sockets.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router as App,
    extract::{Path, State},
    http::HeaderMap,
    routing::{get, post},
};
use bytes::Bytes;
use deadelus_proxy::{
    Router, Routes, Server,
    control::{self, Control, ControlError},
};
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, StatusCode};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::{Notify, oneshot},
};

/// A proxy on ports and files of its own.
struct Bed {
    folder: TempDir,
    address: SocketAddr,
    control: Control,
    client: Client<HttpConnector, Full<Bytes>>,
    stop: Option<oneshot::Sender<()>>,
    ended: tokio::task::JoinHandle<()>,
}

impl Bed {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let router = Arc::new(Router::open(Some(folder.path().join("routes.json"))).unwrap());
        let socket = folder.path().join("control");
        tokio::spawn(control::serve(control::bind(&socket).unwrap(), router.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(deadelus_proxy::serve(listener, router, async {
            let _ = stopped.await;
        }));
        let client = Client::builder(TokioExecutor::new()).build_http();
        let control = Control::new(socket);
        Self { folder, address, control, client, stop: Some(stop), ended }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("control")
    }

    async fn route(&self, servers: &[(&str, SocketAddr, u16)]) {
        let server = |(name, address, weight): &(&str, SocketAddr, u16)| Server {
            name: (*name).to_owned(),
            address: *address,
            weight: *weight,
        };
        let routes = Routes { servers: servers.iter().map(server).collect() };
        assert_eq!(self.control.replace(&routes).await.unwrap().routes(), routes);
    }

    async fn ask(&self, method: Method, path: &str, body: &str) -> (StatusCode, String) {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .body(Full::from(body.to_owned()))
            .unwrap();
        let answer = self.client.request(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        self.ask(Method::GET, path, "").await
    }
}

/// A service that says its name, and holds an answer back until it is let go.
#[derive(Clone)]
struct Named {
    name: &'static str,
    entered: Arc<Notify>,
    go: Arc<Notify>,
}

async fn service(name: &'static str) -> (SocketAddr, Named) {
    let named = Named { name, entered: Arc::default(), go: Arc::default() };
    let app = App::new()
        .route("/", get(|State(s): State<Named>| async move { s.name }))
        .route("/slow", get(slow))
        .route("/headers", get(headers))
        .route(
            "/echo/{word}",
            post(|Path(word): Path<String>, body: String| async move { word + &body }),
        )
        .route("/sick", get(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
        .with_state(named.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (address, named)
}

async fn slow(State(s): State<Named>) -> &'static str {
    s.entered.notify_one();
    s.go.notified().await;
    s.name
}

async fn headers(headers: HeaderMap) -> String {
    let mut lines: Vec<String> =
        headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
    lines.sort();
    lines.join("\n")
}

/// An address where nobody listens, and nobody else is given.
fn nobody() -> (tokio::net::TcpSocket, SocketAddr) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[tokio::test]
async fn requests_go_by_weight_exactly_and_are_counted() {
    let bed = Bed::start().await;
    assert_eq!(bed.get("/").await.0, StatusCode::SERVICE_UNAVAILABLE);
    let ((v1, _), (v2, _)) = (service("v1").await, service("v2").await);
    bed.route(&[("v1", v1, 90), ("v2", v2, 10)]).await;
    let mut served = vec![];
    for _ in 0..50 {
        served.push(bed.get("/").await.1);
    }
    assert_eq!(served.iter().filter(|name| *name == "v2").count(), 5);
    assert_eq!(bed.get("/sick").await.0, StatusCode::INTERNAL_SERVER_ERROR);
    let report = bed.control.report().await.unwrap();
    let counted: Vec<_> = report.servers.iter().map(|s| (s.requests, s.errors)).collect();
    assert_eq!(counted.iter().map(|c| c.0).sum::<u64>(), 51);
    assert_eq!(counted.iter().map(|c| c.1).sum::<u64>(), 1);
}

#[tokio::test]
async fn what_is_in_hand_is_finished_by_the_old_one_while_the_new_one_serves() {
    let bed = Bed::start().await;
    let ((v1, old), (v2, _)) = (service("v1").await, service("v2").await);
    bed.route(&[("v1", v1, 1)]).await;
    let (slow, rest) = tokio::join!(bed.get("/slow"), async {
        old.entered.notified().await;
        bed.route(&[("v1", v1, 0), ("v2", v2, 1)]).await;
        let now = bed.get("/").await.1;
        let in_hand = bed.control.report().await.unwrap().servers[0].in_flight;
        old.go.notify_one();
        (now, in_hand)
    });
    assert_eq!(slow, (StatusCode::OK, "v1".to_owned()));
    assert_eq!(rest, ("v2".to_owned(), 1));
    assert_eq!(bed.control.report().await.unwrap().servers[0].in_flight, 0);
}

#[tokio::test]
async fn a_server_that_is_gone_is_passed_over_whatever_the_request() {
    let bed = Bed::start().await;
    let ((_held, gone), (v2, _)) = (nobody(), service("v2").await);
    bed.route(&[("gone", gone, 1), ("v2", v2, 1)]).await;
    for _ in 0..4 {
        assert_eq!(bed.get("/").await, (StatusCode::OK, "v2".to_owned()));
        let echoed = bed.ask(Method::POST, "/echo/a", "bc").await;
        assert_eq!(echoed, (StatusCode::OK, "abc".to_owned()));
    }
    bed.route(&[("gone", gone, 1)]).await;
    assert_eq!(bed.get("/").await.0, StatusCode::BAD_GATEWAY);
}

/// Takes one request per connection and ends the connection without an answer.
async fn rude(asked: Arc<Mutex<u32>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 1_024];
            let _ = stream.read(&mut buffer).await;
            *asked.lock().unwrap() += 1;
            let _ = stream.shutdown().await;
        }
    });
    address
}

#[tokio::test]
async fn only_what_may_be_done_twice_is_sent_twice() {
    let (bed, asked) = (Bed::start().await, Arc::new(Mutex::new(0)));
    let (rude, (v2, _)) = (rude(asked.clone()).await, service("v2").await);
    bed.route(&[("rude", rude, 1), ("v2", v2, 1)]).await;
    for _ in 0..4 {
        assert_eq!(bed.get("/").await, (StatusCode::OK, "v2".to_owned()));
    }
    *asked.lock().unwrap() = 0;
    bed.route(&[("rude", rude, 1)]).await;
    assert_eq!(bed.ask(Method::POST, "/echo/a", "b").await.0, StatusCode::BAD_GATEWAY);
    assert_eq!(*asked.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_meanwhile_costs_nobody_an_answer() {
    // Answers once per connection, says that it would keep it, and closes it.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 1_024];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    });
    let bed = Bed::start().await;
    bed.route(&[("forgetful", address, 1)]).await;
    for _ in 0..50 {
        assert_eq!(bed.get("/").await, (StatusCode::OK, "ok".to_owned()));
    }
}

#[tokio::test]
async fn a_head_goes_on_without_what_was_for_this_hop() {
    let bed = Bed::start().await;
    bed.route(&[("v1", service("v1").await.0, 1)]).await;
    let mut stream = tokio::net::TcpStream::connect(bed.address).await.unwrap();
    let request = "GET http://shop/headers HTTP/1.1\r\nHost: shop\r\nConnection: close, x-hop\r\n\
                   x-hop: 1\r\nTE: trailers\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("host: shop\nx-forwarded-for: 127.0.0.1"), "{answer}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_control_socket_is_its_owner_s_alone_and_refuses_junk() {
    use std::os::unix::fs::PermissionsExt as _;
    let bed = Bed::start().await;
    let v1 = service("v1").await.0;
    bed.route(&[("v1", v1, 1)]).await;
    let mode = std::fs::metadata(bed.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let taken = control::bind(&bed.socket()).unwrap_err();
    assert!(taken.to_string().contains("another proxy answers there"), "{taken}");

    let twice = Server { name: "a".to_owned(), address: v1, weight: 1 };
    let refused = bed.control.replace(&Routes { servers: vec![twice.clone(), twice] }).await;
    assert!(matches!(refused, Err(ControlError::Refused(_))), "{refused:?}");
    for request in [
        "PUT /routes HTTP/1.1\r\nhost: p\r\ncontent-length: 15\r\n\r\n{\"servers\":[{}]",
        "PUT /routes HTTP/1.1\r\nhost: p\r\ncontent-length: 24\r\n\r\n{\"servers\":[],\"extra\":1}",
        "GET /other HTTP/1.1\r\nhost: p\r\n\r\n",
        "DELETE /routes HTTP/1.1\r\nhost: p\r\n\r\n",
    ] {
        let mut stream = tokio::net::UnixStream::connect(bed.socket()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        assert!(head.starts_with(b"HTTP/1.1 40"), "{request}");
    }
    assert_eq!(bed.get("/").await.1, "v1");
}

#[tokio::test]
async fn told_to_stop_it_finishes_what_it_has_in_hand() {
    let mut bed = Bed::start().await;
    let (v1, old) = service("v1").await;
    bed.route(&[("v1", v1, 1)]).await;
    let stop = bed.stop.take().unwrap();
    let (slow, ()) = tokio::join!(bed.get("/slow"), async {
        old.entered.notified().await;
        stop.send(()).unwrap();
        old.go.notify_one();
    });
    assert_eq!(slow, (StatusCode::OK, "v1".to_owned()));
    tokio::time::timeout(Duration::from_secs(30), bed.ended).await.unwrap().unwrap();
}

//! The table in force, and who has how much in hand.
//!
//! A request is given to a server, and counted as in its hand, under the same lock under which the
//! table is replaced. So once a table is in force, a report of "nothing in hand" for a server with
//! weight 0 stays true.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use hyper::{StatusCode, client::conn::http1::SendRequest};

use crate::{
    forward::Outgoing,
    routes::{InvalidRoutes, Report, Routes, Server, ServerReport},
    schedule::schedule,
};

/// Connections to one server that wait for their next request; more are closed after use.
const IDLE_CONNECTIONS_MAX: usize = 256;

/// Services close what is idle for 5 seconds (Node's default, the shortest of the common ones); a
/// connection is not used any more shortly before that.
const IDLE_FOR_MAX: Duration = Duration::from_secs(4);

/// The table in force, shared by all connections.
#[derive(Debug)]
pub struct Router {
    live: RwLock<Live>,
    /// Where the table is kept; one that is not kept is forgotten with the process.
    state: Option<PathBuf>,
    /// One change of the table at a time, from the file to the effect.
    changing: Mutex<()>,
}

/// Why a table cannot be read from, or written to, the state file.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file cannot be used.
    #[error("state file {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds no table.
    #[error("state file {path} holds no table of servers")]
    Content {
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The table cannot be followed.
    #[error("the table cannot be followed")]
    Routes(#[from] InvalidRoutes),
}

/// A table with its counters and the order of turns.
#[derive(Debug, Default)]
struct Live {
    lanes: Vec<(Arc<Lane>, u16)>,
    turns: Vec<usize>,
    next: AtomicUsize,
}

/// The way to one server, as long as it stands in the table or has something in hand.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) name: String,
    pub(crate) address: std::net::SocketAddr,
    in_flight: AtomicU64,
    requests: AtomicU64,
    errors: AtomicU64,
    busy_us: AtomicU64,
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    since: Instant,
    sender: SendRequest<Outgoing>,
}

impl Router {
    /// With the table that the file holds; an empty one where there is no file.
    ///
    /// # Errors
    /// When there is a file and it cannot be read or followed.
    pub fn open(state: Option<PathBuf>) -> Result<Self, StateError> {
        let routes = match &state {
            Some(path) => load(path)?,
            None => Routes::default(),
        };
        routes.check()?;
        let live = RwLock::new(Live::default().with(&routes));
        Ok(Self { live, state, changing: Mutex::default() })
    }

    /// Replaces the whole table: kept first, then in force for every request that comes after.
    ///
    /// # Errors
    /// When it cannot be followed or kept; the old one is then still in force.
    pub fn replace(&self, routes: &Routes) -> Result<(), StateError> {
        routes.check()?;
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &self.state {
            keep(path, routes).map_err(|source| StateError::File { path: path.clone(), source })?;
        }
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        *live = live.with(routes);
        Ok(())
    }

    /// What is in force, and what was seen.
    pub fn report(&self) -> Report {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        Report { servers: live.lanes.iter().map(|(lane, weight)| lane.report(*weight)).collect() }
    }

    /// The next server in turn that is not among `tried`, with a request in its hand.
    pub(crate) fn take(&self, tried: &[String]) -> Option<InHand> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        (0..live.turns.len()).find_map(|_| {
            let turn = live.next.fetch_add(1, Ordering::Relaxed) % live.turns.len();
            let (lane, _) = &live.lanes[live.turns[turn]];
            (!tried.contains(&lane.name)).then(|| InHand::new(lane.clone()))
        })
    }
}

impl Live {
    /// The next table; a server that stays keeps its counters and connections.
    fn with(&self, routes: &Routes) -> Self {
        let lane = |server: &Server| {
            let same = |lane: &Lane| lane.name == server.name && lane.address == server.address;
            let known = self.lanes.iter().find(|(lane, _)| same(lane)).map(|(lane, _)| lane);
            (known.cloned().unwrap_or_else(|| Arc::new(Lane::to(server))), server.weight)
        };
        let lanes: Vec<_> = routes.servers.iter().map(lane).collect();
        let weights: Vec<u16> = lanes.iter().map(|(_, weight)| *weight).collect();
        Self { lanes, turns: schedule(&weights), next: AtomicUsize::new(0) }
    }
}

impl Lane {
    fn to(server: &Server) -> Self {
        Self {
            name: server.name.clone(),
            address: server.address,
            in_flight: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            busy_us: AtomicU64::new(0),
            idle: Mutex::default(),
        }
    }

    fn report(&self, weight: u16) -> ServerReport {
        ServerReport {
            name: self.name.clone(),
            address: self.address,
            weight,
            in_flight: self.in_flight.load(Ordering::SeqCst),
            requests: self.requests.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            busy_us: self.busy_us.load(Ordering::Relaxed),
        }
    }

    /// A connection that was used before and is young enough to be used again.
    pub(crate) fn idle(&self) -> Option<SendRequest<Outgoing>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let last = idle.pop()?;
        if last.since.elapsed() < IDLE_FOR_MAX {
            return Some(last.sender);
        }
        // All below were put there before it.
        idle.clear();
        None
    }

    /// Keeps a connection whose last answer was read to its end.
    pub(crate) fn keep(&self, sender: SendRequest<Outgoing>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_CONNECTIONS_MAX {
            idle.push(Idle { since: Instant::now(), sender });
        }
    }
}

/// One request in the hand of one server; over when this is dropped.
#[derive(Debug)]
pub(crate) struct InHand {
    pub(crate) lane: Arc<Lane>,
    since: Instant,
}

impl InHand {
    fn new(lane: Arc<Lane>) -> Self {
        lane.in_flight.fetch_add(1, Ordering::SeqCst);
        Self { lane, since: Instant::now() }
    }

    /// The head of an answer is there.
    pub(crate) fn answered(&self, status: StatusCode) {
        let us = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.lane.requests.fetch_add(1, Ordering::Relaxed);
        self.lane.busy_us.fetch_add(us, Ordering::Relaxed);
        if status.is_server_error() {
            self.lane.errors.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// There will be no answer.
    pub(crate) fn failed(&self) {
        self.lane.requests.fetch_add(1, Ordering::Relaxed);
        self.lane.errors.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.lane.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

fn load(path: &Path) -> Result<Routes, StateError> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|source| StateError::Content { path: path.to_owned(), source }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Routes::default()),
        Err(source) => Err(StateError::File { path: path.to_owned(), source }),
    }
}

/// The old table or the new one, never a part, whenever the process or the machine dies.
fn keep(path: &Path, routes: &Routes) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut beside = tempfile::NamedTempFile::new_in(folder)?;
    beside.write_all(&serde_json::to_vec_pretty(routes)?)?;
    beside.as_file().sync_all()?;
    beside.persist(path)?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(servers: &[(&str, u16)]) -> Routes {
        let server = |(port, (name, weight)): (u16, &(&str, u16))| Server {
            name: (*name).to_owned(),
            address: ([127, 0, 0, 1], 9_000 + port).into(),
            weight: *weight,
        };
        Routes { servers: (0..).zip(servers).map(server).collect() }
    }

    fn taken(router: &Router, times: usize) -> Vec<String> {
        let name = |_| router.take(&[]).unwrap().lane.name.clone();
        (0..times).map(name).collect()
    }

    #[test]
    fn a_table_in_force_is_followed_at_once_and_counts_what_is_in_hand() {
        let router = Router::open(None).unwrap();
        assert!(router.take(&[]).is_none());
        router.replace(&routes(&[("v1", 1)])).unwrap();
        let held = router.take(&[]).unwrap();
        router.replace(&routes(&[("v1", 0), ("v2", 1)])).unwrap();
        assert_eq!(taken(&router, 2), ["v2", "v2"]);
        assert_eq!(router.report().servers[0].in_flight, 1);
        held.answered(StatusCode::BAD_GATEWAY);
        drop(held);
        let v1 = router.report().servers.remove(0);
        assert_eq!((v1.in_flight, v1.requests, v1.errors), (0, 1, 1));
    }

    #[test]
    fn who_was_tried_is_passed_over() {
        let router = Router::open(None).unwrap();
        router.replace(&routes(&[("a", 9), ("b", 1)])).unwrap();
        let tried = ["a".to_owned()];
        assert_eq!(router.take(&tried).unwrap().lane.name, "b");
        assert!(router.take(&["a".to_owned(), "b".to_owned()]).is_none());
    }

    #[test]
    fn what_is_refused_changes_nothing_and_what_is_in_force_comes_back_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("routes.json");
        let router = Router::open(Some(state.clone())).unwrap();
        let good = routes(&[("v1", 90), ("v2", 10)]);
        router.replace(&good).unwrap();
        router.replace(&routes(&[("v1", 257)])).unwrap_err();
        assert_eq!(router.report().routes(), good);
        assert_eq!(Router::open(Some(state.clone())).unwrap().report().routes(), good);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

        fs::write(&state, "{").unwrap();
        let error = Router::open(Some(state)).unwrap_err();
        assert!(error.to_string().contains("holds no table"), "{error}");
    }

    #[test]
    fn a_table_that_cannot_be_kept_is_not_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let router = Router::open(Some(folder.path().join("gone/routes.json"))).unwrap();
        let error = router.replace(&routes(&[("v1", 1)])).unwrap_err();
        assert!(matches!(error, StateError::File { .. }), "{error}");
        assert!(router.take(&[]).is_none());
    }
}

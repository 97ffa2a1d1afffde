//! One request there, one answer back.
//!
//! What may be sent again is decided by [`again`]; everything else here is IO.

use std::{io, time::Duration};

use bytes::Bytes;
use http_body_util::{Either, Empty, Full};
use hyper::{
    Method, Request, Response, StatusCode, Uri, Version,
    body::{Body as _, Incoming},
    client::conn::http1::{self, SendRequest},
    header::{CONTENT_TYPE, HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use crate::{
    headers,
    relay::Relayed,
    router::{InHand, Lane, Router},
};

/// Servers are on this machine or beside it; who does not accept within this is not there.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// To the head of an answer. Longer than any customer waits, so that a hung server does not hold
/// its connections for ever.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Times one request is sent: a server that is gone, its neighbour that is going, one more.
const SENDS_MAX: usize = 3;

/// The body of a request: the customer's, or none when it is sent again.
pub(crate) type Outgoing = Either<Incoming, Empty<Bytes>>;

/// The body of an answer: the server's, or a line of ours.
pub(crate) type Answer = Either<Relayed, Full<Bytes>>;

/// Passes a request on and its answer back. `peer` is the customer's address.
pub(crate) async fn forward(
    router: &Router,
    peer: &HeaderValue,
    request: Request<Incoming>,
) -> Response<Answer> {
    let Some(mut request) = outgoing(request, peer) else {
        return ours(StatusCode::BAD_REQUEST, "the request has no path");
    };
    let mut tried = vec![];
    let mut reason = (StatusCode::SERVICE_UNAVAILABLE, "no server has a weight");
    for _ in 0..SENDS_MAX {
        let Some(hand) = router.take(&tried) else { break };
        match send(&hand, request).await {
            Sent::Answered(response, sender) => {
                hand.answered(response.status());
                return theirs(response, hand, sender);
            }
            Sent::Late => {
                hand.failed();
                return ours(StatusCode::GATEWAY_TIMEOUT, "the server did not answer in time");
            }
            Sent::Lost(Some(unsent)) => {
                request = unsent;
                reason = (StatusCode::BAD_GATEWAY, "no server answered");
                tried.push(hand.lane.name.clone());
            }
            Sent::Lost(None) => {
                hand.failed();
                return ours(StatusCode::BAD_GATEWAY, "the server went away");
            }
        }
    }
    ours(reason.0, reason.1)
}

/// What became of one try.
enum Sent {
    Answered(Response<Incoming>, SendRequest<Outgoing>),
    /// No answer within [`ANSWER_WITHIN`].
    Late,
    /// No answer, and the request if it may be sent again.
    Lost(Option<Request<Outgoing>>),
}

async fn send(hand: &InHand, request: Request<Outgoing>) -> Sent {
    let mut request = request;
    // A connection that was idle may have been closed in this very moment: then a fresh one.
    loop {
        let idle = next_idle(&hand.lane).await;
        let reused = idle.is_some();
        let mut sender = match idle {
            Some(sender) => sender,
            None => match connect(&hand.lane).await {
                Ok(sender) => sender,
                Err(_) => return Sent::Lost(Some(request)),
            },
        };
        if !request.headers().contains_key(HOST)
            && let Ok(host) = HeaderValue::from_str(&hand.lane.address.to_string())
        {
            request.headers_mut().insert(HOST, host);
        }
        let copy = again(&request);
        match timeout(ANSWER_WITHIN, sender.try_send_request(request)).await {
            Err(_) => return Sent::Late,
            Ok(Ok(response)) => return Sent::Answered(response, sender),
            Ok(Err(mut error)) => match (error.take_message().or(copy), reused) {
                (Some(unsent), true) => request = unsent,
                (unsent, _) => return Sent::Lost(unsent),
            },
        }
    }
}

/// The same request once more, if acting on it twice is the same as once and nothing of it is used
/// up. RFC 9110, section 9.2.2.
fn again(request: &Request<Outgoing>) -> Option<Request<Outgoing>> {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !safe || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(Either::Right(Empty::new()));
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

async fn next_idle(lane: &Lane) -> Option<SendRequest<Outgoing>> {
    loop {
        let mut sender = lane.idle()?;
        if sender.ready().await.is_ok() {
            return Some(sender);
        }
    }
}

async fn connect(lane: &Lane) -> io::Result<SendRequest<Outgoing>> {
    let stream = timeout(CONNECT_WITHIN, TcpStream::connect(lane.address)).await??;
    stream.set_nodelay(true)?;
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // It ends with its last sender, or with the server; why is seen by whoever waits for an answer.
    tokio::spawn(connection);
    Ok(sender)
}

/// The request as the server should see it; none for one that asks for no path (`CONNECT`).
fn outgoing(request: Request<Incoming>, peer: &HeaderValue) -> Option<Request<Outgoing>> {
    let (mut head, body) = request.into_parts();
    if head.uri.scheme().is_some() || head.uri.authority().is_some() {
        // Asked as a forward proxy is asked: only the path goes on. RFC 9112, section 3.2.
        head.uri = Uri::from(head.uri.path_and_query().cloned()?);
    }
    head.version = Version::HTTP_11;
    headers::end_hop(&mut head.headers);
    headers::came_from(&mut head.headers, peer);
    Some(Request::from_parts(head, Either::Left(body)))
}

fn theirs(
    response: Response<Incoming>,
    hand: InHand,
    sender: SendRequest<Outgoing>,
) -> Response<Answer> {
    let (mut head, body) = response.into_parts();
    head.version = Version::HTTP_11;
    headers::end_hop(&mut head.headers);
    Response::from_parts(head, Either::Left(Relayed::new(body, hand, sender)))
}

fn ours(status: StatusCode, reason: &'static str) -> Response<Answer> {
    let mut response = Response::new(Either::Right(Full::from(reason)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

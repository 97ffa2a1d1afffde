//! The body of an answer on its way to a customer. Its end is the end of the request: the server
//! has it in hand no longer, and its connection can be used again.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    client::conn::http1::SendRequest,
};

use crate::{forward::Outgoing, router::InHand};

/// Bytes from a server.
#[derive(Debug)]
pub(crate) struct Relayed {
    body: Incoming,
    /// Until the body has ended; dropped with this when the customer leaves before.
    open: Option<(InHand, SendRequest<Outgoing>)>,
}

impl Relayed {
    pub(crate) fn new(body: Incoming, hand: InHand, sender: SendRequest<Outgoing>) -> Self {
        let mut relayed = Self { body, open: Some((hand, sender)) };
        relayed.close_at_end();
        relayed
    }

    fn close_at_end(&mut self) {
        if self.body.is_end_stream() {
            self.close();
        }
    }

    fn close(&mut self) {
        if let Some((hand, sender)) = self.open.take() {
            hand.lane.keep(sender);
        }
    }
}

impl Body for Relayed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        match &frame {
            Poll::Ready(None) => self.close(),
            Poll::Ready(Some(Ok(_))) => self.close_at_end(),
            Poll::Ready(Some(Err(_))) => self.open = None,
            Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

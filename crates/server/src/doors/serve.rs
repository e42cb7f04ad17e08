//! The listener: connections in, requests to the edge, and a stop that finishes what has begun.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::edge::Edge;

/// How long a client may take to send a request's head.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long requests that have begun may take when the server stops.
const DRAIN_TIME: Duration = Duration::from_secs(30);
/// Out of file descriptors: wait for some to come back, and say so.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`, then finishes what has begun.
pub async fn serve(listener: TcpListener, edge: Edge, stop: CancellationToken) {
    // HTTP/1.1 alone: telling it from HTTP/2 by the first bytes would wait for them without an end.
    let mut server = Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    // Answers are small: to copy one behind its head costs less than to send two pieces.
    server.writev(false);
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Only delays answers when it fails.
        let _ = stream.set_nodelay(true);
        let edge = edge.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            edge.clone().answer(request.map(Body::new), peer).map(Ok::<_, Infallible>)
        });
        let connection = server.serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIME, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time and were cut off");
    }
}

//! The listener: connections in, requests to the edge, and a stop that finishes what has begun.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
#[cfg(feature = "ext-authz")]
use hyper::server::conn::http2;
use hyper::service::service_fn;
#[cfg(feature = "ext-authz")]
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::edge::{Edge, Peer};
use super::tls::Tls;
use crate::law::directory::Thumbprint;

/// How long a client may take to send a request's head.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// The most that is read from a connection at once: others wait meanwhile.
const MOST_READ: usize = 128 << 10;
/// How long requests that have begun may take when the server stops.
const DRAIN_TIME: Duration = Duration::from_secs(30);
/// Out of file descriptors: wait for some to come back, and say so.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`, then finishes what has begun; over TLS where that is given.
pub async fn serve(
    listener: TcpListener,
    edge: Edge,
    tls: Option<Arc<Tls>>,
    stop: CancellationToken,
) {
    serve_by(Protocol::http1(), listener, edge, tls, stop).await;
}

/// The same over HTTP/2 with prior knowledge (RFC 9113 section 3.3), which gRPC needs.
#[cfg(feature = "ext-authz")]
pub async fn serve_http2(listener: TcpListener, edge: Edge, stop: CancellationToken) {
    serve_by(Protocol::http2(), listener, edge, None, stop).await;
}

async fn serve_by(
    protocol: Protocol,
    listener: TcpListener,
    edge: Edge,
    tls: Option<Arc<Tls>>,
    stop: CancellationToken,
) {
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
        let connection = Connection { edge: edge.clone(), protocol: protocol.clone(), peer };
        let (watcher, tls) = (graceful.watcher(), tls.clone());
        tokio::spawn(async move {
            let ended = match tls {
                None => connection.carry(stream, None, watcher).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok((stream, certificate)) => {
                        connection.carry(stream, certificate, watcher).await
                    }
                    Err(error) => Err(error.into()),
                },
            };
            if let Err(error) = ended {
                tracing::debug!(error, "connection ended");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIME, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time and were cut off");
    }
}

/// What is spoken on a listener: one thing, because telling HTTP/1.1 from HTTP/2 by the first bytes would wait for
/// them without an end.
#[derive(Clone)]
enum Protocol {
    Http1(http1::Builder),
    #[cfg(feature = "ext-authz")]
    Http2(http2::Builder<TokioExecutor>),
}

impl Protocol {
    fn http1() -> Self {
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
        server.max_buf_size(MOST_READ);
        // Answers are small: to copy one behind its head costs less than to send two pieces.
        server.writev(false);
        Self::Http1(server)
    }

    #[cfg(feature = "ext-authz")]
    fn http2() -> Self {
        let mut server = http2::Builder::new(TokioExecutor::new());
        server.timer(TokioTimer::new());
        server.max_concurrent_streams(MOST_STREAMS).max_header_list_size(16 << 10);
        // A client that is gone is noticed, and its streams with it.
        server.keep_alive_interval(Some(HEAD_TIME)).keep_alive_timeout(HEAD_TIME);
        Self::Http2(server)
    }
}

/// Questions at once on one connection.
#[cfg(feature = "ext-authz")]
const MOST_STREAMS: u32 = 100;

/// One connection, from its first byte to its last.
struct Connection {
    edge: Edge,
    protocol: Protocol,
    peer: SocketAddr,
}

impl Connection {
    async fn carry(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        certificate: Option<Thumbprint>,
        watcher: Watcher,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let peer = Peer { address: self.peer, certificate };
        let service = service_fn(move |request: Request<Incoming>| {
            self.edge.clone().answer(request.map(Body::new), peer).map(Ok::<_, Infallible>)
        });
        let stream = TokioIo::new(stream);
        match self.protocol {
            Protocol::Http1(server) => {
                watcher.watch(server.serve_connection(stream, service)).await?;
            }
            #[cfg(feature = "ext-authz")]
            Protocol::Http2(server) => {
                watcher.watch(server.serve_connection(stream, service)).await?;
            }
        }
        Ok(())
    }
}

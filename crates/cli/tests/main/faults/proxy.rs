//! A stretch of network between a server and its database that can be cut.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use url::Url;

/// What happens to bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Pass,
    /// Connections end, and new ones end at once.
    Cut,
    /// Connections stay and are taken, but nothing comes out of them.
    Swallow,
    /// A commit arrives and its answer does not: the connection ends, or stays and is dumb.
    LoseCommits {
        dumb: bool,
    },
}

pub(crate) struct Proxy {
    /// The database's address, by way of the proxy.
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    target: SocketAddr,
    mode: Mutex<Mode>,
    links: Mutex<Vec<Arc<Link>>>,
}

/// A connection, which stays dumb once something was lost on it.
struct Link {
    client: TcpStream,
    server: Option<TcpStream>,
    dumb: AtomicBool,
    /// A commit is on its way: the server's end stays until it has been made.
    committing: AtomicBool,
}

impl Proxy {
    pub(crate) fn to(database: &str) -> Self {
        let mut url = Url::parse(database).unwrap();
        let target = (url.host_str().unwrap(), url.port().unwrap());
        let target = target.to_socket_addrs().unwrap().next().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let shared =
            Arc::new(Shared { target, mode: Mutex::new(Mode::Pass), links: Mutex::default() });
        let taking = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                taking.take(client);
            }
        });
        Self { url: url.into(), shared }
    }

    pub(crate) fn cut(&self) {
        *self.shared.mode.lock().unwrap() = Mode::Cut;
        self.shared.end(|_| true);
    }

    pub(crate) fn swallow(&self) {
        *self.shared.mode.lock().unwrap() = Mode::Swallow;
    }

    /// Commits are made, and nobody hears of it.
    pub(crate) fn lose_commits(&self, dumb: bool) {
        *self.shared.mode.lock().unwrap() = Mode::LoseCommits { dumb };
    }

    /// The network is back, and tells the ends of connections that have lost something.
    pub(crate) fn restore(&self) {
        *self.shared.mode.lock().unwrap() = Mode::Pass;
        self.shared.end(|link| link.dumb.load(Ordering::Acquire));
    }

    /// New connections work again. Those that have lost something stay dumb, as when a failed
    /// machine's address has moved to another.
    pub(crate) fn restore_for_new_connections(&self) {
        *self.shared.mode.lock().unwrap() = Mode::Pass;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Shared {
    fn take(self: &Arc<Self>, client: TcpStream) {
        let mode = self.mode.lock().unwrap();
        let server = match *mode {
            Mode::Cut => return,
            Mode::Swallow => None,
            Mode::Pass | Mode::LoseCommits { .. } => match TcpStream::connect(self.target) {
                Ok(server) => Some(server),
                Err(_) => return,
            },
        };
        let dumb = AtomicBool::new(server.is_none());
        let committing = AtomicBool::new(false);
        let link = Arc::new(Link { client, server, dumb, committing });
        self.links.lock().unwrap().push(Arc::clone(&link));
        drop(mode);
        // Nothing comes back from where nothing goes.
        let directions = if link.server.is_some() { &[true, false][..] } else { &[true] };
        for &to_server in directions {
            let (shared, link) = (Arc::clone(self), Arc::clone(&link));
            thread::spawn(move || {
                shared.carry(&link, to_server);
                // A dumb connection does not even tell that the other end is gone.
                let committing = link.committing.load(Ordering::Acquire);
                if !committing && (to_server || !link.dumb.load(Ordering::Acquire)) {
                    link.end();
                }
            });
        }
    }

    /// Carries bytes in one direction until an end has enough.
    fn carry(&self, link: &Link, to_server: bool) -> Option<()> {
        let server = link.server.as_ref();
        let (mut from, to) =
            if to_server { (&link.client, server) } else { (server?, Some(&link.client)) };
        let mut bytes = [0; 16 << 10];
        loop {
            let read = from.read(&mut bytes).ok().filter(|read| *read > 0)?;
            let mode = {
                let mode = self.mode.lock().unwrap();
                if *mode == Mode::Swallow {
                    link.dumb.store(true, Ordering::Release);
                }
                *mode
            };
            if link.dumb.load(Ordering::Acquire) {
                continue;
            }
            if let (Mode::LoseCommits { dumb }, true) = (mode, is_commit(&bytes[..read])) {
                // Before the commit is sent on, so that its answer can't be quicker.
                link.dumb.store(true, Ordering::Release);
                if !dumb {
                    link.committing.store(true, Ordering::Release);
                    link.client.shutdown(Shutdown::Both).ok()?;
                }
            }
            to?.write_all(&bytes[..read]).ok()?;
        }
    }

    fn end(&self, which: impl Fn(&Link) -> bool) {
        let mut links = self.links.lock().unwrap();
        links.retain(|link| {
            let ends = which(link);
            if ends {
                link.end();
            }
            !ends
        });
    }
}

/// A simple query of PostgreSQL's protocol.
fn is_commit(bytes: &[u8]) -> bool {
    bytes.windows(7).any(|window| window == b"COMMIT\0")
}

impl Link {
    fn end(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.as_ref().map(|server| server.shutdown(Shutdown::Both));
    }
}

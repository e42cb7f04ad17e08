//! One thread beside the work, for what is large: made, replaced and let go there. The place of what one thread
//! made and another let go an allocator gives back late, or never.

use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// Does it there; `None` when it panicked.
pub async fn run<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (tell, told) = oneshot::channel();
    send(Box::new(move || drop(tell.send(job()))));
    told.await.ok()
}

/// Lets go of it there.
pub fn let_go<T: Send + 'static>(large: T) {
    send(Box::new(move || drop(large)));
}

fn work(jobs: &Receiver<Job>) {
    // Whoever answers requests goes first; where that can't be said, they take turns.
    let _ = rustix::process::nice(NICE);
    for job in jobs {
        // Whoever waits for it learns of a panic by its silence.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
    }
}

/// A tenth of what others get, when all are busy.
const NICE: i32 = 10;

fn send(job: Job) {
    static JOBS: OnceLock<Option<Sender<Job>>> = OnceLock::new();
    let jobs = JOBS.get_or_init(|| {
        let (sender, jobs) = channel();
        let started = thread::Builder::new().name("aside".to_owned()).spawn(move || work(&jobs));
        started.ok().map(|_| sender)
    });
    match jobs {
        Some(jobs) => drop(jobs.send(job)),
        None => job(),
    }
}

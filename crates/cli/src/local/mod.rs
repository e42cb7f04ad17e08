//! What runs in this process instead of asking a server.

mod config;
mod logs;
mod quickstart;
mod serve;
mod signals;

use countersign_ground::config::{Config, Fault, Sources};
use countersign_ground::db::DatabaseUrl;

use crate::settings;

pub(crate) use config::run as config;
pub(crate) use quickstart::run as quickstart;
pub(crate) use serve::{migrate, serve};

/// Reads the configuration, or names every fault in it.
fn load(sources: &settings::Sources) -> Result<Config, Faults> {
    Config::load(&gathered(sources)).map_err(Faults)
}

/// Reads which database it is, whatever else may be wrong or missing.
pub(crate) fn database(sources: &settings::Sources) -> Result<DatabaseUrl, Faults> {
    Config::database(&gathered(sources)).map_err(Faults)
}

fn gathered(sources: &settings::Sources) -> Sources {
    let pair = |set: &settings::Assignment| (set.name.clone(), set.value.clone());
    let flags = sources.set.iter().map(pair).collect();
    let (mut environment, mut unreadable) = (Vec::new(), Vec::new());
    for (name, value) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        match value.into_string() {
            Ok(value) => environment.push((name, value)),
            Err(_) => unreadable.push(name),
        }
    }
    Sources { flags, environment, unreadable, file: sources.config.clone() }
}

/// A configuration that can't be used.
#[derive(Debug)]
pub(crate) struct Faults(Vec<Fault>);

impl std::fmt::Display for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the configuration can't be used:")?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Faults {}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    // One worker a core: more on one core cost throughput.
    // A change that has committed is woken from another thread: it should not stand behind the
    // sixty requests that are looked at before by default.
    tokio::runtime::Builder::new_multi_thread().global_queue_interval(1).enable_all().build()
}
